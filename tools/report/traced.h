/* The lock operations that `shim-run --trace` kept: of all traces of all sessions, as spans of time.
 *
 * What cannot be read is left out and counted. So is what goes beyond OPERATIONS_MAX.
 */
#ifndef RACESHIM_TOOLS_TRACED_H
#define RACESHIM_TOOLS_TRACED_H

#include "record.h"
#include "traced_names.h"
#include "traced_pairs.h"

struct traced {
    struct traced_spans spans; /* by their begin, once traced_finish was called */
    json_t *processes; /* as parties have it: {"pid", "exe"}; of a full trace also "lost" and
                                * "until", its last time */
    json_t *files;     /* as records have it: {"file": {"path", "dev", "ino"}} */
    struct traced_names names; /* its stacks */
    struct lines lines;        /* of the files of names */
    json_t *places;            /* "DEV:INO" to an index into files */
    struct stray_unlocks strays;
    int32_t *pids; /* of processes */
    size_t *waits; /* indices of spans, by thread and begin */
    size_t wait_count;
    uint64_t operations; /* that were read */
    uint64_t lost; /* when they were written: the traces of `full` programs had no more room */
    uint64_t full;
    uint64_t unreadable; /* operations */
    uint64_t left_out;   /* because there were too many */
    size_t traces;
    uint64_t since;
    size_t newer;  /* traces of a version that is not known */
    size_t broken; /* files that are no traces, or cannot be read */
    char *first_broken;
};

/* since: what ended before, and traces that did, are left out; 0 for none. */
void traced_begin(struct traced *traced, uint64_t since);
void traced_end(struct traced *traced);

/* Adds the traces of a session directory. A path that is none, or not the user's own, has none. */
void traced_read(struct traced *traced, const char *session);

/* After the last one. */
void traced_finish(struct traced *traced);

/* A record tells of a wait of this party's, to end: then the trace's span of it is_recorded. */
void traced_recorded(struct traced *traced, const json_t *party, uint64_t end);

/* Gives the other parties of a record their programs, where a trace tells what they are. */
void traced_name_parties(const struct traced *traced, json_t *record);

/* Parts of a span. A stack is a party, or NULL. */
const json_t *traced_process(const struct traced *traced, const struct traced_span *span);
const json_t *traced_file_of(const struct traced *traced, const struct traced_span *span);
const json_t *traced_stack(const struct traced *traced, const struct traced_span *span);

/* Who was in the way of a wait or a refusal, as a party, for the caller to json_decref. */
json_t *traced_holder(const struct traced *traced, const struct traced_span *span);

/* How it ended; "" if its result says it. */
const char *traced_ending_words(enum traced_ending ending);

/* One sentence on what was kept and what was lost, for the caller to free; "" without a trace. */
char *traced_line(const struct traced *traced);

#endif
