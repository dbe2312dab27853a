/* What the operations of a trace come to: who held, waited for, or was refused a lock, from when to
 * when.
 */
#ifndef RACESHIM_TOOLS_TRACED_SPAN_H
#define RACESHIM_TOOLS_TRACED_SPAN_H

#include "lock/trace_layout.h"

#include <stdbool.h>
#include <stddef.h>

enum traced_type { TRACED_HOLD, TRACED_WAIT, TRACED_REFUSAL /* a moment */ };

/* How it came to its end. */
enum traced_ending {
    TRACED_OPEN,     /* not known: its end is that of the session's traces */
    TRACED_FULL,     /* not known: its end is that of the process's trace, which was full */
    TRACED_TAKEN,    /* not known: by then somebody else was granted what excludes it */
    TRACED_LEFT,     /* of a wait, not known: by then the thread did something else */
    TRACED_UNLOCKED, /* by the process */
    TRACED_SHARED,   /* unlocked by another process that has the description too */
    TRACED_CLOSED,   /* with the last descriptor, or as POSIX says with any */
    TRACED_CHANGED,  /* locked anew, the other way */
    TRACED_EXITED,   /* with the process */
    TRACED_GRANTED,  /* of a wait */
    TRACED_FAILED    /* of a wait, or a refusal: result says why */
};

struct traced_span {
    uint64_t begin, end;  /* nanoseconds since 1970 */
    uint64_t start, last; /* bytes */
    size_t
        blocker; /* of a wait or a refusal, an index: the hold that is in the way; SIZE_MAX for none */
    uint32_t process; /* indices */
    uint32_t file;
    uint32_t stack; /* 1 + an index; 0: not known */
    int32_t tid;
    int32_t fd;     /* -1: not known */
    int32_t result; /* an error number */
    int32_t owner;  /* of a hold: as in the trace */
    int32_t holder; /* of a wait: the process that held the lock when it began; 0: not known */
    enum traced_type type;
    enum traced_ending ending;
    enum trace_class lock_class;
    bool writes;
    bool is_recorded; /* of a wait: a record tells of it too */
};

struct traced_spans {
    struct traced_span *items;
    size_t count;
    size_t room;
};

#endif
