/* The tree of a usual record, several times as fast as by jansson's own parser: of it only the values
 * are made. A stack that many records have in common is one value in all of them, so that what was made
 * of it once serves again.
 */
#ifndef RACESHIM_TOOLS_TREE_H
#define RACESHIM_TOOLS_TREE_H

#include "record.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* How many are kept, and how near. */
#define TREE_STACKS 512
#define TREE_STACKS_PROBED 4

/* Longer stacks are not shared: whatever their JSON unfolds to, memory is bounded. */
#define TREE_STACK_MAX 8192

/* Stacks read before, each near the place that its text's hash gives it. */
struct tree_stacks {
    struct tree_stack {
        char *text; /* an array */
        size_t length;
        json_t *stack; /* NULL: not made yet */
    } items[TREE_STACKS];
};

void tree_stacks_end(struct tree_stacks *stacks);

/* What json_loadb would give, or NULL where the line is unusual, as scan.h says, or no object. stacks:
 * NULL to share none. */
json_t *tree_read(struct tree_stacks *stacks, const char *bytes, size_t length);

/* The text at the start of bytes that is known as an array; bytes NULL if none is. */
struct string tree_known_stack(struct tree_stacks *stacks, const char *bytes, size_t length);

/* Tells of an array that was read. */
void tree_knows_stack(struct tree_stacks *stacks, const char *bytes, size_t length);

/* Is it one that other records have too, or will have? */
bool tree_is_shared(const json_t *stack);

#endif
