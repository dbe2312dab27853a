/* Other processes. fork(), and all that libc builds on it, runs the handlers of pthread_atfork, ours
 * among them. They are registered when they are needed, before the first fork, because a process
 * that does not fork would pay some 4 us and 90 KiB of libc's pages for them; and before the
 * program's own, so that these find a child that is set up.
 *
 * vfork is in hook_syscall.S. */
#include "hooks/process.h"

#include "base/sys.h"
#include "env/array.h"
#include "env/fork.h"
#include "env/popened.h"
#include "env/shell_signals.h"
#include "hooks/hook.h"
#include "lock/hidden.h"

#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>

void process_before_fork(void) {
    env_before_fork();
    hidden_before_fork();
}

void process_after_fork_parent(void) {
    hidden_after_fork_parent();
    env_after_fork_parent();
}

void process_after_fork_child(bool shares_files) {
    int saved = errno;
    shell_signals_after_fork();
    popened_after_fork();
    room_after_fork_child(shares_files);
    env_after_fork_child();
    errno = saved;
}

static void after_fork_child(void) {
    process_after_fork_child(false);
}

/* libc takes the same lock for each of the calls that come here, so this is as async-signal-safe as
 * they are. */
static void expect_fork(void) {
    static _Atomic enum { NOT_YET, GOING_ON, DONE } registered;
    int saved = errno;
    if (__builtin_expect(atomic_load(&registered) == DONE, 1))
        return;
    __typeof__(atomic_load(&registered)) none = NOT_YET;
    if (atomic_compare_exchange_strong(&registered, &none, GOING_ON)) {
        real(__register_atfork)(process_before_fork, process_after_fork_parent, after_fork_child,
                                &registered);
        atomic_store(&registered, DONE);
    }
    /* Another thread is at it; this one may be a handler that interrupted it. */
    for (int tries = 0; atomic_load(&registered) != DONE && tries < 1000; tries++)
        sys_sched_yield();
    errno = saved;
}

HOOK pid_t fork(void) {
    expect_fork();
    return real(fork)();
}
HOOK_ALIAS(__fork, fork);

HOOK int forkpty(int *master, char *name, const struct termios *settings,
                 const struct winsize *size) {
    expect_fork();
    return real(forkpty)(master, name, settings, size);
}

HOOK int daemon(int keeps_directory, int keeps_streams) {
    expect_fork();
    return real(daemon)(keeps_directory, keeps_streams);
}

HOOK int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                           void *library) {
    expect_fork();
    return real(__register_atfork)(prepare, parent, child, library);
}

#if __GLIBC_PREREQ(2, 34)
/* fork without its handlers: async-signal-safe. */
HOOK pid_t _Fork(void) {
    process_before_fork();
    pid_t pid = real(_Fork)();
    if (pid == 0)
        process_after_fork_child(false);
    else
        process_after_fork_parent();
    return pid;
}
#endif

struct start {
    int (*function)(void *);
    void *argument;
    int flags;
};

/* Runs in the child on its own stack, in a copy of our memory. */
static int start_copy(void *argument) {
    struct start start = *(struct start *)argument;
    process_after_fork_child(start.flags & CLONE_FILES);
    return start.function(start.argument);
}

/* A child that shares our memory is passed on as it is: a thread is one of us, any other one is
 * told by its process number. A child with a copy is a fork with a function to start in. */
HOOK int clone(int (*function)(void *), void *stack, int flags, void *argument, ...) {
    va_list list;
    va_start(list, argument);
    void *parent_tid = va_arg(list, void *);
    void *tls = va_arg(list, void *);
    void *child_tid = va_arg(list, void *);
    va_end(list);
    struct start start = {function, argument, flags};
    if ((flags & CLONE_VM) && !(flags & CLONE_THREAD))
        owner_lend_memory();
    if (flags & CLONE_VM)
        atomic_store_explicit(&env_threads_started, true, memory_order_relaxed);
    if ((flags & CLONE_VM) || !function || !stack)
        return real(clone)(function, stack, flags, argument, parent_tid, tls, child_tid);
    process_before_fork();
    int pid = real(clone)(start_copy, stack, flags, &start, parent_tid, tls, child_tid);
    process_after_fork_parent();
    return pid;
}
HOOK_ALIAS(__clone, clone);
