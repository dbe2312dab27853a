/* Every lock operation of a process, kept in a file of the session (shim-run --trace).
 *
 * The file is mapped at the process's first operation and holds TRACE_RECORDS of them, the first
 * ones; how many did not fit is counted. trace_layout.h is its format. Without `trace` in the settings
 * each place costs a load and a branch. Async-signal-safe; errno stays.
 */
#ifndef RACESHIM_LOCK_TRACE_H
#define RACESHIM_LOCK_TRACE_H

#include "base/loaded.h"
#include "lock/findings.h"
#include "lock/trace_layout.h"

/* Granted, refused or unlocked; result: 0, or -errno. */
void trace_operation(enum trace_operation operation, const struct request *q,
                     const struct file *file, const struct owner *owner, uint32_t stack,
                     int result);

static inline void trace(enum trace_operation operation, const struct request *q,
                         const struct file *file, const struct owner *owner, uint32_t stack,
                         int result) {
    if (__builtin_expect(settings.trace, 0))
        trace_operation(operation, q, file, owner, stack, result);
}

/* The begin or the end of a wait. */
struct traced_wait {
    int64_t time;   /* trace_time() of then; 0: now */
    int32_t holder; /* the process that holds the lock; 0: not known */
    int result;
};
void trace_wait(enum trace_operation operation, const struct request *q, const struct file *file,
                const struct owner *owner, uint32_t stack, const struct traced_wait *wait);
int64_t trace_time(void);

/* All that an owner has is no more. */
void trace_closed(const struct owner *owner);

/* Writes down which path that file has, for who reads the trace. */
void trace_file(int fd, uint64_t dev, uint64_t ino);

/* In a forked child. */
void trace_after_fork(void);

/* The process ends by itself. */
void trace_ended(void);

static inline void trace_end(void) {
    if (__builtin_expect(settings.trace, 0))
        trace_ended();
}

#endif
