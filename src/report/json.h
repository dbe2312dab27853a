/* Writes one JSON object, on one line, into bytes of the caller's.
 *
 * The line is valid JSON whatever the strings hold and however small the buffer: what does not fit
 * is left out, and the outermost object then ends with "truncated":true. Nothing a string holds can
 * end the line, drive a terminal, or be markup in an HTML page: control characters, DEL, < > &,
 * U+2028, U+2029, and the invisible characters that turn or hide text come out as \uXXXX.
 *
 * A byte XX that is no part of valid UTF-8 comes out as \udcXX, half of a surrogate pair that
 * stands for no character (Python's "surrogateescape"), so that the true bytes of a path can be
 * recovered.
 *
 * Pure and async-signal-safe: no locale, no allocation.
 *
 *     struct json json;
 *     json_begin(&json, buffer, sizeof buffer);
 *     json_string(&json, "kind", "self-lock");
 *     json_array(&json, "stack");
 *     json_unsigned(&json, NULL, 7);
 *     json_close(&json);
 *     length = json_end(&json);
 */
#ifndef RACESHIM_REPORT_JSON_H
#define RACESHIM_REPORT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 16
#define JSON_SIZE_MIN 32

struct json {
    char *bytes;
    size_t size;
    size_t length;
    uint32_t depth;   /* of the containers that were written */
    uint32_t skipped; /* and of those that were not, inside of them */
    uint32_t arrays;  /* bit n: the container at depth n is an array */
    bool empty;       /* nothing was written into the innermost container yet */
    bool cut;         /* something did not fit; nothing more is written */
};

/* Opens the outermost object. size must be at least JSON_SIZE_MIN. */
void json_begin(struct json *json, char *bytes, size_t size);

/* Closes everything that is open, ends the line with '\n' and returns its length, '\n' included.
 * There is no NUL. */
size_t json_end(struct json *json);

/* In the following, key is a string that needs no escape; NULL in an array. */
void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_close(struct json *json);

/* value NULL gives null. Of a string too long for the buffer the first characters are written. */
void json_string(struct json *json, const char *key, const char *value);
void json_string_of(struct json *json, const char *key, const char *bytes, size_t length);
void json_signed(struct json *json, const char *key, int64_t value);
void json_unsigned(struct json *json, const char *key, uint64_t value);
/* A number followed by blanks, `width` (1 to 20) bytes in all, so that json_padded_number can
 * overwrite it in place. Returns where in the buffer it stands; 0 if it was left out. */
size_t json_padded(struct json *json, const char *key, uint64_t value, unsigned width);
/* "0x..." as a string: no reader of JSON can lose digits of it. */
void json_hex(struct json *json, const char *key, uint64_t value);

/* A value that is JSON already, on one line. */
void json_raw(struct json *json, const char *key, const char *value);

/* The bytes that json_padded writes: at most `width` nines. */
void json_padded_number(char *bytes, uint64_t value, unsigned width);

#endif
