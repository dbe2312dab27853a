/* The few fields of a record by which findings are merged and sorted, without a tree of all others:
 * several times as fast as record_read.
 *
 * What is skimmed is read in full all the same: SKIM_GOOD means that record_read would take the line
 * too, with these fields. Whatever is unusual is left to record_read.
 */
#ifndef RACESHIM_TOOLS_SKIM_H
#define RACESHIM_TOOLS_SKIM_H

#include "record.h"
#include "tree.h"

#define SKIM_STACKS_MAX 8

/* A string that is absent, or no string, has no bytes. None holds an escape. */
struct skimmed {
    struct string kind;
    struct string severity;
    struct string action;
    struct string time;
    struct string id;
    uint64_t count; /* 0: absent */
    uint64_t version;
    struct string stacks[SKIM_STACKS_MAX]; /* the arrays of the stacks of both sides, as JSON */
    size_t stack_count;
};

enum skim { SKIM_GOOD, SKIM_UNSURE };

/* stacks: those that need not be read again (see tree.h), and to which others are added. */
enum skim skim_record(struct tree_stacks *stacks, struct skimmed *skimmed, const char *bytes,
                      size_t length);

/* Copies the line without the stacks; target has room for length. Returns the new length. */
size_t skim_without_stacks(const struct skimmed *skimmed, char *target, const char *bytes,
                           size_t length);

#endif
