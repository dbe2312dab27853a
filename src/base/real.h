/* The real calls: the next definition after ours of each name in calls.h.
 *
 * `real(close)(fd)` calls it. Each slot is filled at its first use (symbol.h), so that a program pays
 * for the calls that it makes. Racing threads store the same value, so relaxed atomics are all that
 * is needed. Async-signal-safe.
 */
#ifndef RACESHIM_BASE_REAL_H
#define RACESHIM_BASE_REAL_H

#ifndef _GNU_SOURCE
#error "compile with _GNU_SOURCE: the list of calls takes its types from libc's headers"
#endif

#include <dirent.h>
#include <fcntl.h>
#include <mntent.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <threads.h>
#include <unistd.h> /* __environ; a program may have a variable of its own named `environ` */
#include <wordexp.h>

/* What open and longjmp become when their caller is compiled with _FORTIFY_SOURCE; no header
 * declares them. */
extern int __open_2(const char *path, int flags);
extern int __open64_2(const char *path, int flags);
extern int __openat_2(int dir, const char *path, int flags);
extern int __openat64_2(int dir, const char *path, int flags);
extern void __longjmp_chk(struct __jmp_buf_tag buffer[1], int value) __attribute__((noreturn));

/* What pthread_atfork becomes: it is linked into each library, and tells which one it is. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                             void *library);

extern int __getrlimit(__rlimit_resource_t resource, struct rlimit *limit);

enum real_index {
#define CALL(name) REAL_##name,
#include "base/calls.h"
    REAL_COUNT
};

extern void *real_slots[REAL_COUNT];

/* Fills one slot and returns it. Never NULL for a name that libc has. */
void *real_resolve(enum real_index index);

/* False for a CALL_SINCE that this libc lacks. */
int real_exists(enum real_index index);

static inline void *real_slot(enum real_index index) {
    void *slot = __atomic_load_n(&real_slots[index], __ATOMIC_RELAXED);
    return __builtin_expect(slot != NULL, 1) ? slot : real_resolve(index);
}

#define real(name) ((__typeof__(&name))real_slot(REAL_##name))

/* NULL before the first real(name): for a hook whose way is so short that looking for it would be seen in its time,
 * and that has another way for what is rare. */
#define real_known(name)                                                                           \
    ((__typeof__(&name))__atomic_load_n(&real_slots[REAL_##name], __ATOMIC_RELAXED))

#endif
