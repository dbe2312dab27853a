/* The names in a trace: which stack a number stands for, and which path a file has. They stand in the
 * file "stacks.P.G" beside "trace.P.G", one JSON object a line (doc/log-format.md).
 */
#ifndef RACESHIM_TOOLS_TRACED_NAMES_H
#define RACESHIM_TOOLS_TRACED_NAMES_H

#include "lines.h"

#include <jansson.h>

/* Of all sessions. */
struct traced_names {
    json_t *stacks; /* objects with a field "stack", as parties have it: each stack once */
    json_t *places; /* a stack's own text to its index */
    json_t *paths;  /* "DEV:INO" to a path */
};

void traced_names_begin(struct traced_names *names);
void traced_names_end(struct traced_names *names);

/* The numbers of one process's stacks. */
struct stack_numbers {
    struct stack_number {
        uint32_t id;
        uint32_t index; /* into names.stacks */
    } * items;          /* sorted by id */
    size_t count;
};

/* Takes what the lines of a file say, for the caller to free numbers->items. What cannot be read as
 * such is passed over. Returns NULL, or what is wrong with the file as a whole, for the caller to
 * free. */
char *traced_names_read(struct traced_names *names, struct stack_numbers *numbers,
                        struct lines *lines, const char *path);

/* 1 + the index of the stack; 0: not known */
uint32_t stack_numbers_find(const struct stack_numbers *numbers, uint32_t id);

/* NULL: not known. */
json_t *traced_names_path(const struct traced_names *names, uint64_t dev, uint64_t ino);

#endif
