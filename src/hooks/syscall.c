/* syscall(): what hook_syscall.S sends here, the numbers that stand for a hooked call. */
#include "base/sys.h"
#include "hooks/hook.h"
#include "hooks/process.h"
#include "lock/closing.h"
#include "lock/hidden.h"

#include <sched.h>
#include <unistd.h>

long hook_syscall(long number, long a, long b, long c, long d, long e, long f);

static long raw(long number, long a, long b, long c, long d, long e, long f) {
    long result = sys_call6(number, a, b, c, d, e, f);
    if (!sys_failed(result))
        return result;
    errno = (int)-result;
    return -1;
}

/* A child with a copy of our memory and its parent's stack; other kinds never come here. */
static long fork_by_number(long number, long a, long b, long c, long d, long e) {
    process_before_fork();
    long pid = raw(number, a, b, c, d, e, 0);
    if (pid == 0)
        process_after_fork_child(number == SYS_clone && (a & CLONE_FILES));
    else
        process_after_fork_parent();
    return pid;
}

static long setrlimit_by_number(long resource, long limit) {
    return setrlimit((__rlimit_resource_t)resource, (const struct rlimit *)limit);
}

long hook_syscall(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_close:
        return hook_close((int)a, CALLER);
    case SYS_dup:
        return hook_dup((int)a, CALLER);
#ifdef SYS_dup2
    case SYS_dup2:
        return hook_dup2((int)a, (int)b, CALLER);
#endif
    case SYS_dup3:
        return hook_dup3((int)a, (int)b, (int)c, CALLER);
    case SYS_fcntl:
        return hook_fcntl((int)a, (int)b, (void *)c, CALLER);
    case SYS_flock:
        return hook_flock((int)a, (int)b, CALLER);
    case SYS_close_range:
        return hook_close_range((unsigned)a, (unsigned)b, (int)c, CALLER);
    case SYS_execve:
        return hook_execve((const char *)a, (char *const *)b, (char *const *)c, CALLER);
    case SYS_execveat:
        if (!real_exists(REAL_execveat))
            break;
        return hook_execveat((int)a, (const char *)b, (char *const *)c, (char *const *)d, (int)e,
                             CALLER);
    case SYS_prlimit64:
        return prlimit64((pid_t)a, (__rlimit_resource_t)b, (const struct rlimit64 *)c,
                         (struct rlimit64 *)d);
    case SYS_setrlimit:
        return setrlimit_by_number(a, b);
#ifdef SYS_fork
    case SYS_fork:
#endif
    case SYS_clone:
        return fork_by_number(number, a, b, c, d, e);
    default:
        break;
    }
    return raw(number, a, b, c, d, e, f);
}
