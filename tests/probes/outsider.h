/* An outsider that a probe makes for itself by a raw system call, for places where it cannot ask
 * the witness: no descriptor free, no /proc, inside a handler. It is another process, calls the
 * kernel directly and so says what the kernel says.
 */
#ifndef OUTSIDER_H
#define OUTSIDER_H

#include "lock_probe.h"
#include <signal.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long raw_call(long number, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long raw_call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
#else
#error "raw_call for this architecture"
#endif

static inline pid_t raw_fork(void) {
    return (pid_t)raw_call(SYS_clone, SIGCHLD, 0, 0, 0);
}

struct outsider_view {
    short type;         /* F_UNLCK, F_RDLCK, F_WRLCK */
    int by_description; /* the kernel names no process as the holder */
};

/* What another process meets that asks to write these bytes through a copy of fd. */
static inline struct outsider_view outsider_look(int fd, off_t start, off_t length) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    int status;
    pid_t child = raw_fork();
    if (child == 0) {
        long failed = raw_call(SYS_fcntl, fd, F_GETLK, (long)&lock, 0);
        raw_call(SYS_exit_group, failed ? 64 : lock.l_type | (lock.l_pid == -1 ? 8 : 0), 0, 0, 0);
    }
    must(child > 0, "raw fork");
    while (raw_call(SYS_wait4, child, (long)&status, 0, 0) == -EINTR)
        ;
    must(WIFEXITED(status) && WEXITSTATUS(status) < 64, "an outsider's F_GETLK");
    return (struct outsider_view){(short)(WEXITSTATUS(status) & 7), WEXITSTATUS(status) & 8};
}

/* KEY=free|read|write, and kernel_KEY=POSIX|OFDLCK: the kind of the lock. */
static inline void fact_outsider_at(const char *key, int fd, off_t start, off_t length) {
    char kernel_key[80];
    struct outsider_view view = outsider_look(fd, start, length);
    fact(key, "%s", lock_type_name(view.type));
    if (view.type == F_UNLCK)
        return;
    snprintf(kernel_key, sizeof kernel_key, "kernel_%s", key);
    fact(kernel_key, "%s", view.by_description ? "OFDLCK" : "POSIX");
}

static inline void fact_outsider(const char *key, int fd) {
    fact_outsider_at(key, fd, FIRST, LENGTH);
}

#endif
