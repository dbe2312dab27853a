/* Text in the caller's bytes: building, reading numbers, unescaping, matching patterns.
 *
 * Pure and async-signal-safe: no locale, no allocation, no libc but memcpy and strlen. Only ASCII
 * has a meaning; all other bytes stand for themselves.
 */
#ifndef RACESHIM_BASE_TEXT_H
#define RACESHIM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Always ends in a NUL within size (size >= 1). What does not fit is left out, as is everything
 * after it, and cut says so. */
struct text {
    char *bytes;
    size_t size;
    size_t length; /* without the NUL */
    bool cut;
};

void text_begin(struct text *text, char *bytes, size_t size);
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_add(struct text *text, const char *string);
void text_add_char(struct text *text, char c);
void text_add_decimal(struct text *text, uint64_t value);
void text_add_signed(struct text *text, int64_t value);
/* Lower case, with leading zeros up to min_digits. */
void text_add_hex(struct text *text, uint64_t value, unsigned min_digits);

/* Does the text of this length equal the string? */
bool text_is(const char *text, size_t length, const char *string);

/* The whole text must be the number: digits only, no sign, no blanks. False otherwise, or when it
 * does not fit. */
bool text_decimal(const char *text, size_t length, uint64_t *value);

/* Seconds with an optional fraction ("10", "0.5", ".25"; further digits than nine are dropped), in
 * nanoseconds. */
bool text_seconds(const char *text, size_t length, int64_t *ns);

/* Replaces each %XX by its byte and ends with a NUL. Returns the length, or -1: malformed escape,
 * %00, or it does not fit. target may be text itself, or NULL: then it is only looked at. */
ssize_t text_unescape(char *target, size_t size, const char *text, size_t length);
/* The inverse: escapes blanks, control characters and %. */
void text_add_escaped(struct text *text, const char *string);

/* Does the whole text match the pattern? As fnmatch(3) with no flags in the C locale: * matches any
 * bytes,
 * '/' and a leading '.' too (so ** is no more than *), ? one byte, [a-z], [!a-z] and [[:digit:]]
 * one of a set, \ takes the next byte as it is. A '[' that is never closed stands for itself. At
 * most strlen(pattern) * strlen(text) steps. */
bool glob_match(const char *pattern, const char *text);

#endif
