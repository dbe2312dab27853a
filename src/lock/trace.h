/* Every lock operation of a process, kept in a file of the session (shim-run --trace).
 *
 * The file is mapped at the process's first operation and holds TRACE_RECORDS of them, the first
 * ones; how many did not fit is counted. Its format is in doc/log-format.md. Without `trace` in the
 * settings each place costs a load and a branch. Async-signal-safe; errno stays.
 */
#ifndef RACESHIM_LOCK_TRACE_H
#define RACESHIM_LOCK_TRACE_H

#include "base/loaded.h"
#include "lock/findings.h"

#include <stdatomic.h>
#include <stdint.h>

#define TRACE_NAME "trace."
#define TRACE_MAGIC UINT64_C(0x6563617274676e69)
#define TRACE_VERSION 1
#define TRACE_RECORDS 65536

enum trace_operation {
    TRACE_NOTHING,    /* not written to its end */
    TRACE_GRANTED,    /* locked */
    TRACE_REFUSED,    /* not locked, at once: result says why */
    TRACE_UNLOCKED,   /* what was held in the range is no more */
    TRACE_CLOSED,     /* the same, because a description was closed */
    TRACE_WAIT_BEGAN, /* other: who holds the lock */
    TRACE_WAIT_ENDED  /* result: 0, or why */
};

struct trace_record {
    int64_t time; /* real time, nanoseconds */
    uint64_t dev, ino;
    uint64_t start, end; /* the last byte; 2^63-1: to the end of the file */
    uint32_t stack;      /* in the process's file of stacks; 0: not known */
    int32_t tid;
    int32_t fd;         /* -1: not known */
    int32_t result;     /* 0, or an error number */
    int32_t other;      /* a process; 0: not known */
    uint8_t lock_class; /* 0: record lock, 1: F_OFD_SETLK, 2: flock */
    uint8_t type;       /* 0: read, 1: write */
    uint8_t unused;
    _Atomic uint8_t operation; /* enum trace_operation, written last */
};
_Static_assert(sizeof(struct trace_record) == 64, "64 in a page");

struct trace_head {
    uint64_t magic;
    uint32_t version;
    uint32_t capacity;
    _Atomic uint64_t count; /* of all operations: what is beyond the capacity is lost */
    int32_t pid;            /* in its own namespace */
    uint32_t unused;
    char exe[4064];
};
_Static_assert(sizeof(struct trace_head) == 4096, "one page");

void trace_operation(enum trace_operation operation, const struct request *q,
                     const struct file *file, uint32_t lock_class, uint32_t stack, int result,
                     int32_t other);

static inline void trace(enum trace_operation operation, const struct request *q,
                         const struct file *file, uint32_t lock_class, uint32_t stack, int result,
                         int32_t other) {
    if (__builtin_expect(settings.trace, 0))
        trace_operation(operation, q, file, lock_class, stack, result, other);
}

/* An owner with locks went with its last descriptor. */
void trace_closed(const struct owner *owner);

/* Writes down which path that file has, for who reads the trace. */
void trace_file(int fd, uint64_t dev, uint64_t ino);

/* In a forked child. */
void trace_after_fork(void);

#endif
