/* The findings of all sessions: records of equal fingerprint merged, the worst first.
 *
 * Only what merging and sorting need is kept of a record; the rest is read again when it is shown,
 * so that memory is bounded by the number of distinct findings times a few words.
 */
#ifndef RACESHIM_TOOLS_FINDINGS_H
#define RACESHIM_TOOLS_FINDINGS_H

#include "../common/kinds.h"
#include "lines.h"
#include "traced.h"
#include "tree.h"
#include "waits.h"

#include <jansson.h>
#include <stdint.h>

struct finding {
    uint64_t id;        /* 0: none, never merged */
    uint64_t time;      /* of the earliest record, nanoseconds since 1970; UINT64_MAX: unknown */
    uint64_t count;     /* of all its records */
    struct place place; /* of the earliest record */
    const struct kind *kind; /* or NULL */
    enum event_severity severity;
};

struct findings {
    struct lines lines;
    struct finding *items;
    size_t count;
    size_t room;
    uint32_t *slots; /* a hash table of 1 + index by id and kind; its size is a power of two */
    size_t slots_size;
    bool keep_apart; /* merge nothing */
    struct waits waits;
    struct traced *traced; /* learns which waits are recorded, knows programs; may be NULL */
    struct tree_stacks stacks;
    uint64_t since;   /* records before this time are left out */
    const char *work; /* what is shown as progress while findings are gone through; NULL: nothing */
    size_t broken;    /* lines that are no records */
    size_t newer;     /* records of a version that is not known */
    struct place first_broken;
};

/* since: 0 for all. A record without a readable time is never left out. keep_apart: each record is a
 * finding of its own. */
void findings_begin(struct findings *findings, uint64_t since, bool keep_apart);
void findings_end(struct findings *findings);

/* Adds a session directory or a file. Returns NULL, or what is wrong, for the caller to free. */
char *findings_read(struct findings *findings, const char *path);

/* By severity, then by time. Call it once, after the last findings_read. */
void findings_sort(struct findings *findings);

/* Keeps those findings that are wanted, in their order. */
typedef bool findings_wanted(void *context, const json_t *record);
void findings_filter(struct findings *findings, findings_wanted *wanted, void *context);

/* The record of a finding with its count brought up to date, for the caller to json_decref; NULL if
 * its file changed since it was read. */
json_t *findings_record(struct findings *findings, const struct finding *finding);

#endif
