/* One file of lock operations, as `shim-run --trace` leaves it (src/lock/trace_layout.h).
 *
 * Nothing of it is trusted: a link, a FIFO or a device is not opened, numbers that cannot be are left
 * out and counted, and so is what the head promises and the file has not.
 */
#ifndef RACESHIM_TOOLS_TRACED_FILE_H
#define RACESHIM_TOOLS_TRACED_FILE_H

#include "lock/trace_layout.h"

#include <stdbool.h>
#include <stddef.h>

struct operation {
    uint64_t time; /* nanoseconds since 1970 */
    uint64_t dev, ino;
    uint64_t start, end; /* the last byte */
    uint32_t stack;      /* 0: not known */
    int32_t tid;
    int32_t fd; /* -1: not known */
    int32_t result;
    int32_t other;
    enum trace_operation operation;
    enum trace_class lock_class;
    bool writes;
};

struct traced_file {
    int32_t pid;
    char *exe;
    struct operation *items;
    size_t count;
    uint64_t lost;       /* that did not fit when they were written */
    uint64_t unreadable; /* not written to their end, cut off, or impossible */
    uint64_t left_out;   /* beyond max */
};

enum traced_fault {
    TRACED_GOOD,
    TRACED_REFUSED, /* no regular file, or it cannot be read: errno */
    TRACED_BROKEN,  /* no trace */
    TRACED_NEWER    /* of a version whose numbers may mean something else */
};

/* Reads at most max operations. If it is good, the caller ends it. */
enum traced_fault traced_file_read(struct traced_file *file, int directory, const char *name,
                                   size_t max);
void traced_file_end(struct traced_file *file);

#endif
