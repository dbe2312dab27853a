/* Pairing the operations of one process: each lock that was granted with what ended it, each wait's
 * begin with its end.
 *
 * As for the kernel, an owner has each byte of a file once: what is locked again the other way was
 * upgraded or downgraded, and an unlock in the middle of a hold splits it. Each byte of a hold, for
 * as long as it was held, is in exactly one span.
 */
#ifndef RACESHIM_TOOLS_TRACED_PAIRS_H
#define RACESHIM_TOOLS_TRACED_PAIRS_H

#include "traced_file.h"
#include "traced_span.h"

/* An unlock by who does not hold: the lock may have come with a description of another process. */
struct stray_unlock {
    uint64_t time;
    uint64_t start, last;
    uint32_t process, file;
    enum trace_class lock_class;
};

struct stray_unlocks {
    struct stray_unlock *items;
    size_t count;
};

struct pairs;

/* What is found is appended to spans and strays. */
struct pairs *pairs_new(struct traced_spans *spans, struct stray_unlocks *strays);

/* The operations that follow are those of this program in the process. What a program before it held
 * may still be held. process: an index. */
void pairs_begin_program(struct pairs *pairs, uint32_t process);

/* In the order of the trace. file, stack: as in a span. */
void pairs_take(struct pairs *pairs, const struct operation *operation, uint32_t file,
                uint32_t stack);

/* No more of this process. What is still open ends when it exited or, if operations were lost, with
 * the last one that was not; else its end is UINT64_MAX. Frees pairs. */
void pairs_end(struct pairs *pairs, bool is_full);

#endif
