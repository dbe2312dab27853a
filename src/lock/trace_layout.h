/* The lock operations of one process, as a file named "trace.P.G" in the session directory: of the
 * process at place P of the picture, generation G. A head of one page, then the records in the order
 * in which they began to be written.
 *
 * All numbers are the machine's own; a reader checks magic and version first. Whatever a reader finds
 * is untrusted, and may change while it is read. doc/log-format.md tells it to others.
 */
#ifndef RACESHIM_LOCK_TRACE_LAYOUT_H
#define RACESHIM_LOCK_TRACE_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define TRACE_NAME "trace."
#define TRACE_MAGIC UINT64_C(0x6563617274676e69)
#define TRACE_VERSION 1
#define TRACE_RECORDS 65536
#define TRACE_TO_THE_END UINT64_C(0x7fffffffffffffff)

enum trace_operation {
    TRACE_NOTHING,    /* not written to its end */
    TRACE_GRANTED,    /* locked */
    TRACE_REFUSED,    /* not locked, at once: result says why */
    TRACE_UNLOCKED,   /* what was held in the range is no more, unless result is an error */
    TRACE_CLOSED,     /* all that the owner held is no more, because a description was closed */
    TRACE_WAIT_BEGAN, /* other: who holds the lock */
    TRACE_WAIT_ENDED, /* result: 0, or why */
    TRACE_EXIT        /* the process ended by itself; all but the time and the thread is 0 */
};

enum trace_class { TRACE_POSIX, TRACE_OFD, TRACE_FLOCK };

struct trace_record {
    int64_t time; /* real time, nanoseconds */
    uint64_t dev, ino;
    uint64_t start, end; /* the last byte; TRACE_TO_THE_END: to the end of the file */
    uint32_t stack;      /* in the process's file of stacks; 0: not known */
    int32_t tid;
    int32_t fd;     /* -1: not known */
    int32_t result; /* 0, or an error number */
    int32_t other;  /* of a wait: a process, 0 if it is not known; else the owner: a number of its
                           own within the process, 0 for the process itself */
    uint8_t lock_class; /* enum trace_class */
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

#endif
