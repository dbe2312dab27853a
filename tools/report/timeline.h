/* What a record says of time: who held and who waited from when to when, and who stood in whose way.
 */
#ifndef RACESHIM_TOOLS_TIMELINE_H
#define RACESHIM_TOOLS_TIMELINE_H

#include "frames.h"
#include "record.h"

enum span_type {
    SPAN_HOLD,
    SPAN_WAIT,
    SPAN_REQUEST /* a moment: a request that did not wait, a close, the use of a variable */
};

struct span {
    enum span_type type;
    const json_t *party;
    uint64_t begin; /* nanoseconds since 1970 */
    uint64_t end;   /* of a hold: as far as the record knows */
    bool has_begin; /* else begin is the time of the record */
    size_t blocker; /* an index: whose lock is in the way; SIZE_MAX for none */
};

#define SPANS_MAX SIDES_MAX

/* time is the record's. Returns how many; none for a record without a time. The parties are the
 * record's. */
size_t timeline_of(const json_t *record, uint64_t time, struct span spans[static SPANS_MAX]);

/* Does a record of this kind and action tell of a wait? */
bool timeline_is_wait(struct string kind, struct string action);

/* "holds", "waits for", "asks for" */
const char *span_word(enum span_type type);

/* Who waited: of a cycle, the first one. NULL: the record does not say. */
const json_t *timeline_waiter(const json_t *record);

/* How long the record's process waited, in nanoseconds; 0 if it did not, or if it is not known. */
uint64_t timeline_waited(const json_t *record);

#endif
