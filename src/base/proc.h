/* What /proc says about a process. Async-signal-safe.
 */
#ifndef RACESHIM_BASE_PROC_H
#define RACESHIM_BASE_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads /proc/PID/WHAT (WHAT with its slash), at most size - 1 bytes, and ends it with a NUL. Returns its
 * length, or -errno. */
ssize_t proc_read(pid_t pid, const char *what, char *bytes, size_t size);

struct proc_stat {
    char state;
    pid_t parent;
    uint64_t threads;
    uint64_t started; /* clock ticks after the boot */
};

/* 0, or -errno. */
int proc_stat(pid_t pid, struct proc_stat *stat);

/* When the process was started; 0: it has ended (one that is not reaped yet too), or cannot be seen.
 * No other process has the same number and start. */
uint64_t proc_started(pid_t pid);

/* The same in real time, nanoseconds; exact to a hundredth of a second. */
int64_t proc_started_at(pid_t pid);

/* What sys_getdents has read of a directory in /proc, size bytes at entries, so aligned: the next name that is a
 * number, -1 behind the last. *at is the place, 0 at first. */
#define PROC_ENTRIES_ALIGN 8
int proc_next_number(const char *entries, ssize_t size, ssize_t *at);

/* The number here of a process that has the number ns_pid in a pid namespace of its own and was
 * started then; 0: not found. Looks through all processes. */
pid_t proc_find(pid_t ns_pid, uint64_t started);

#endif
