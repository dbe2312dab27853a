/* Raw system calls: what the inner rooms use instead of libc.
 *
 * Every function returns the kernel's result, -errno on failure, and leaves errno alone. None is a
 * cancellation point. All are async-signal-safe and safe in a vfork child. They never go through a
 * hooked name, so the rooms cannot call themselves.
 */
#ifndef RACESHIM_BASE_SYS_H
#define RACESHIM_BASE_SYS_H

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

#if defined(__x86_64__)

static inline long sys_call6(long nr, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long sys_call3(long nr, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

static inline long sys_call6(long nr, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

static inline long sys_call3(long nr, long a, long b, long c) {
    return sys_call6(nr, a, b, c, 0, 0, 0);
}

#else
#error "raceshim needs the system call sequence of this architecture in src/base/sys.h"
#endif

#define SYS_ERROR_MAX 4095
static inline int sys_failed(long result) {
    return (unsigned long)result > -(unsigned long)SYS_ERROR_MAX - 1;
}

static inline int sys_openat(int dir, const char *path, int flags, mode_t mode) {
    return (int)sys_call6(SYS_openat, dir, (long)path, flags, (long)mode, 0, 0);
}
static inline int sys_close(int fd) {
    return (int)sys_call3(SYS_close, fd, 0, 0);
}
static inline int sys_close_range(unsigned first, unsigned last, unsigned flags) {
    return (int)sys_call3(SYS_close_range, (long)first, (long)last, (long)flags);
}
static inline ssize_t sys_read(int fd, void *buffer, size_t size) {
    return sys_call3(SYS_read, fd, (long)buffer, (long)size);
}
static inline ssize_t sys_write(int fd, const void *buffer, size_t size) {
    return sys_call3(SYS_write, fd, (long)buffer, (long)size);
}
static inline ssize_t sys_pread(int fd, void *buffer, size_t size, off_t at) {
    return sys_call6(SYS_pread64, fd, (long)buffer, (long)size, at, 0, 0);
}
static inline ssize_t sys_pwrite(int fd, const void *buffer, size_t size, off_t at) {
    return sys_call6(SYS_pwrite64, fd, (long)buffer, (long)size, at, 0, 0);
}
static inline int sys_ftruncate(int fd, off_t size) {
    return (int)sys_call3(SYS_ftruncate, fd, size, 0);
}
static inline off_t sys_lseek(int fd, off_t offset, int whence) {
    return sys_call3(SYS_lseek, fd, offset, whence);
}
static inline int sys_fstat(int fd, struct stat *st) {
    return (int)sys_call3(SYS_fstat, fd, (long)st, 0);
}
static inline int sys_fstatat(int dir, const char *path, struct stat *st, int flags) {
    return (int)sys_call6(SYS_newfstatat, dir, (long)path, (long)st, flags, 0, 0);
}
static inline int sys_mkdirat(int dir, const char *path, mode_t mode) {
    return (int)sys_call3(SYS_mkdirat, dir, (long)path, (long)mode);
}
static inline ssize_t sys_readlinkat(int dir, const char *path, char *buffer, size_t size) {
    return sys_call6(SYS_readlinkat, dir, (long)path, (long)buffer, (long)size, 0, 0);
}
static inline ssize_t sys_getdents(int fd, void *buffer, size_t size) {
    return sys_call3(SYS_getdents64, fd, (long)buffer, (long)size);
}
static inline int sys_fcntl(int fd, int cmd, long arg) {
    return (int)sys_call3(SYS_fcntl, fd, cmd, arg);
}
static inline pid_t sys_getpid(void) {
    return (pid_t)sys_call3(SYS_getpid, 0, 0, 0);
}
static inline pid_t sys_getppid(void) {
    return (pid_t)sys_call3(SYS_getppid, 0, 0, 0);
}
static inline pid_t sys_gettid(void) {
    return (pid_t)sys_call3(SYS_gettid, 0, 0, 0);
}
static inline uid_t sys_geteuid(void) {
    return (uid_t)sys_call3(SYS_geteuid, 0, 0, 0);
}
static inline int sys_tgkill(pid_t pid, pid_t tid, int sig) {
    return (int)sys_call3(SYS_tgkill, pid, tid, sig);
}
static inline int sys_kill(pid_t pid, int sig) {
    return (int)sys_call3(SYS_kill, pid, sig, 0);
}
static inline int sys_sched_yield(void) {
    return (int)sys_call3(SYS_sched_yield, 0, 0, 0);
}
static inline void sys_pause(long nanoseconds) {
    struct timespec delay = {.tv_sec = 0, .tv_nsec = nanoseconds};
    sys_call3(SYS_nanosleep, (long)&delay, 0, 0);
}
/* These two cost half of prlimit, which looks for the process. */
static inline int sys_getrlimit(int resource, struct rlimit *limit) {
    return (int)sys_call3(SYS_getrlimit, resource, (long)limit, 0);
}
static inline int sys_setrlimit(int resource, const struct rlimit *limit) {
    return (int)sys_call3(SYS_setrlimit, resource, (long)limit, 0);
}
static inline void *sys_mmap(size_t size, int prot, int flags, int fd, off_t offset) {
    long result = sys_call6(SYS_mmap, 0, (long)size, prot, flags, fd, offset);
    return sys_failed(result) ? NULL : (void *)result;
}
static inline int sys_munmap(void *address, size_t size) {
    return (int)sys_call3(SYS_munmap, (long)address, (long)size, 0);
}
static inline int sys_madvise(void *address, size_t size, int advice) {
    return (int)sys_call3(SYS_madvise, (long)address, (long)size, advice);
}

#define SYS_SIGSET_BYTES 8
struct sys_sigset {
    uint64_t bits;
};
/* Blocks every signal, libc's own included (cancellation, setuid): nothing may interrupt a holder
 * of one of our locks, or a handler of the same thread could wait for it for ever. */
static inline void sys_block_signals(struct sys_sigset *saved) {
    static const struct sys_sigset all = {~UINT64_C(0)};
    sys_call6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)saved, SYS_SIGSET_BYTES, 0, 0);
}
static inline void sys_restore_signals(const struct sys_sigset *saved) {
    sys_call6(SYS_rt_sigprocmask, SIG_SETMASK, (long)saved, 0, SYS_SIGSET_BYTES, 0, 0);
}

/* What a signal does, as the kernel has it. */
struct sys_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
static inline int sys_sigaction(int sig, const struct sys_action *set, struct sys_action *get) {
    return (int)sys_call6(SYS_rt_sigaction, sig, (long)set, (long)get, SYS_SIGSET_BYTES, 0, 0);
}

#endif
