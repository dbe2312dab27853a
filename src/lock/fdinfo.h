/* Reads the lock lines of /proc/PID/fdinfo/N ("lock:\t1: OFDLCK ADVISORY  WRITE -1 08:01:42 0
 * EOF"), and those of /proc/locks, which lack the "lock:" and have "->" before a request that
 * waits.
 *
 * Pure and async-signal-safe: the caller reads, in chunks of any size.
 *
 *     struct fdinfo_parser parser = {.prefixed = true};
 *     while ((got = sys_read(fd, chunk, sizeof chunk)) > 0)
 *         for (const char *at = chunk; fdinfo_next(&parser, &at, chunk + got, &lock);)
 *             ... lock is one line ...
 */
#ifndef RACESHIM_LOCK_FDINFO_H
#define RACESHIM_LOCK_FDINFO_H

#include "lock/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fdinfo_class { FDINFO_POSIX, FDINFO_OFD, FDINFO_FLOCK };

struct fdinfo_lock {
    uint64_t inode;
    uint64_t start; /* 0 to RANGE_MAX for a flock */
    uint64_t end;   /* inclusive; RANGE_MAX for EOF */
    int32_t pid;    /* -1 for description-owned locks */
    uint32_t dev_major;
    uint32_t dev_minor;
    uint8_t lock_class; /* enum fdinfo_class */
    uint8_t type;       /* enum range_type */
    bool waiting;       /* a request that is blocked, not a lock (/proc/locks only) */
};

/* The longest line of this kind has 125 characters; longer lines are skipped. */
#define FDINFO_LINE_MAX 160

/* All zero but for prefixed is the start. */
struct fdinfo_parser {
    bool prefixed; /* want "lock:" before each line; others are skipped */
    bool skipping; /* until the end of a line that is too long */
    uint16_t used;
    char line[FDINFO_LINE_MAX];
};

/* Takes text from *at up to end until a line says a lock: true, *lock filled, *at behind the line.
 * False when all of it is used up; a line that is not complete yet is kept. Leases, delegations and
 * malformed lines are skipped. */
bool fdinfo_next(struct fdinfo_parser *parser, const char **at, const char *end,
                 struct fdinfo_lock *lock);

/* One line, without its newline and without "lock:". False if it says no lock. */
bool fdinfo_parse_line(const char *line, size_t length, struct fdinfo_lock *lock);

#endif
