/* One record, as JSON: reading it, and asking it for fields that may be absent or of a wrong type.
 *
 * The schema is in doc/log-format.md.
 */
#ifndef RACESHIM_TOOLS_RECORD_H
#define RACESHIM_TOOLS_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of the schema that this reader knows. */
#define RECORD_VERSION 1

/* A string and its length, which may count NUL bytes; bytes is NULL if there is none. */
struct string {
    const char *bytes;
    size_t length;
};

enum record_fault {
    RECORD_GOOD,
    RECORD_BROKEN, /* no JSON object with a kind, as after a crash or a full disk */
    RECORD_NEWER,  /* of a version whose fields may mean something else */
};

/* The object of a line, for the caller to json_decref; NULL if there is none. A byte of a path that
 * is no UTF-8, which the library writes as \udcXX, becomes the character RAW_BYTE + XX; one that
 * stands in the file as it is, after damage, U+FFFD. */
json_t *record_object(const char *bytes, size_t length);

/* The same, if it is a record. */
enum record_fault record_read(const char *bytes, size_t length, json_t **record);

/* The same, but what is in stacks already is not made again; the stacks of the record are for reading
 * only. */
struct tree_stacks;
enum record_fault record_read_sharing(struct tree_stacks *stacks, const char *bytes, size_t length,
                                      json_t **record);

/* The record as one line of JSON, ASCII only, its raw bytes as \udcXX again. For the caller to
 * free. */
char *record_print(const json_t *record);

/* The same, where printed may know the text of an array already; of others it returns no bytes. */
typedef struct string record_printed(void *context, const json_t *array);
char *record_print_with(const json_t *record, record_printed *printed, void *context);

/* A string value of any bytes; those that are no UTF-8 become U+FFFD. */
json_t *record_text(const char *bytes);

struct string record_string(const json_t *object, const char *key);

/* A path of the record's as the kernel knows it: its very bytes, those of RAW_BYTE too, and a NUL
 * behind them. For the caller to free. */
char *record_path(struct string path, size_t *length);

/* The path, relative to the working directory if it lies there. */
struct string record_relative(struct string path);

/* The last component of a path, and of the path in that field. */
struct string record_last_component(struct string path);
struct string record_basename(const json_t *object, const char *key);

/* An integer; a string of decimal or 0x digits counts as one. */
bool record_number(const json_t *object, const char *key, uint64_t *value);

/* RFC 3339 with Z, as nanoseconds since 1970; false if it is nothing of the kind. */
bool record_time(const char *text, size_t length, uint64_t *ns);

#endif
