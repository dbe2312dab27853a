#define _GNU_SOURCE
#include "command.h"

#include "fail.h"
#include "waits.h"
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the command is to find as the caller left it. */
struct inherited {
    sigset_t mask;
    struct sigaction child; /* SIGCHLD ignored would reap the command unseen */
};

/* Everything is blocked here from before the fork on, and taken by sigwaitinfo: no handler, and no
 * signal that comes too early or between two steps. A blocked signal is kept even if it is ignored,
 * so that the command decides, which may have a handler by now. */
static void take_signals(struct inherited *inherited) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &inherited->mask);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &standard, &inherited->child);
}

void die_with(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        raise(SIGKILL);
}

static _Noreturn void become(char **command, char **environment,
                             const struct inherited *inherited) {
    environ = environment;
    sigaction(SIGCHLD, &inherited->child, NULL);
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
    execvp(command[0], command);
    int error = errno;
    complain("cannot run '%s': %s", command[0], strerror(error));
    _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_INVOKE);
}

struct run {
    pid_t command;
    struct witness witness;
    int signals; /* readable while one is pending */
};

/* What a terminal sends, and always to a group. */
static bool is_from_terminal(const siginfo_t *info) {
    switch (info->si_signo) {
    case SIGINT:
    case SIGQUIT:
    case SIGHUP:
    case SIGCONT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGWINCH:
        return info->si_code == SI_KERNEL;
    default:
        return false;
    }
}

static void pass_on(const struct run *run, const siginfo_t *info, bool was_group) {
    if ((was_group || is_from_terminal(info)) && getpgid(run->command) == getpgrp())
        return;
    if (info->si_code == SI_QUEUE)
        sigqueue(run->command, info->si_signo, info->si_value);
    else
        kill(run->command, info->si_signo);
}

/* Stops this process as the command was stopped. A SIGCONT that waits to be taken was meant to undo
 * just that; stopping now would lose it. */
static void stop_as(struct run *run, int sig) {
    sigset_t pending;
    sigpending(&pending);
    if (sigismember(&pending, SIGCONT))
        return;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    struct sigaction saved;
    bool is_catchable = sig != SIGSTOP;
    if (is_catchable)
        sigaction(sig, &standard, &saved);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, sig);
    raise(sig);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    sigprocmask(SIG_BLOCK, &one, NULL);
    if (is_catchable)
        sigaction(sig, &saved, NULL);
    witness_spent(&run->witness, sig); /* if the group got it, ours was spent here */
}

/* Takes every change of a child that there is: others than the command are the witness, and
 * orphans that came to us if we are the first process of a container. True when the command ended.
 */
static bool has_ended(struct run *run, int *status) {
    int change;
    pid_t pid;
    bool ended = false;
    while ((pid = waitpid(-1, &change, WNOHANG | WUNTRACED)) > 0) {
        if (pid == run->witness.pid) {
            run->witness.pid = 0;
            witness_end(&run->witness);
            witness_begin(&run->witness);
        }
        if (pid != run->command)
            continue;
        if (WIFSTOPPED(change)) {
            stop_as(run, WSTOPSIG(change));
        } else {
            *status = change;
            ended = true;
        }
    }
    return ended;
}

static int signals_descriptor(void) {
    sigset_t all;
    sigfillset(&all);
    return signalfd(-1, &all, SFD_CLOEXEC);
}

/* Without a descriptor to be had, signals are looked for so often. */
static const struct timespec hundredth = {.tv_nsec = 10000000};

/* Returns when a signal may be pending; the waits for locks are looked at meanwhile. */
static void await_signal(const struct run *run) {
    int64_t interval = waits_interval();
    struct timespec pause = {.tv_sec = interval / 1000000000, .tv_nsec = interval % 1000000000};
    struct pollfd signals = {.fd = run->signals, .events = POLLIN};
    const struct timespec *most = run->signals < 0 ? &hundredth : interval ? &pause : NULL;
    int ready;
    while ((ready = ppoll(&signals, 1, most, NULL)) <= 0) {
        if (ready == 0)
            waits_look();
        if (run->signals < 0)
            return;
    }
}

static int wait_for(struct run *run) {
    int status;
    for (;;) {
        siginfo_t info;
        bool was_group;
        await_signal(run);
        int sig = witness_take(&run->witness, &info, &was_group);
        if (sig == SIGCHLD && has_ended(run, &status))
            return status;
        /* The kernel's own SIGCHLD has a code above 0; a sender's is the command's as any other. */
        if (sig > 0 && (sig != SIGCHLD || info.si_code <= 0))
            pass_on(run, &info, was_group);
    }
}

/* Lets go of what the caller gave us: the command has its own copies. */
static void release_descriptors(int *keep) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; fd++) {
        if (fd < 2 || fcntl(fd, F_GETFD) < 0)
            dup2(null, fd);
    }
    if (*keep != 3 && dup3(*keep, 3, O_CLOEXEC) == 3)
        *keep = 3;
    closefrom(*keep + 1);
}

/* What came while the command was ending was for it. */
static void forget_pending(void) {
    sigset_t all;
    sigfillset(&all);
    struct timespec at_once = {0};
    while (sigtimedwait(&all, NULL, &at_once) > 0)
        ;
}

int command_run(char **command, char **environment, int *keep) {
    struct inherited inherited;
    take_signals(&inherited);
    pid_t parent = getpid();
    struct run run = {.command = fork()};
    if (run.command < 0) {
        int error = errno;
        sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
        fail("cannot start a process: %s", strerror(error));
    }
    if (run.command == 0) {
        die_with(parent);
        become(command, environment, &inherited);
    }
    release_descriptors(keep);
    witness_begin(&run.witness);
    run.signals = signals_descriptor();
    int status = wait_for(&run);
    close(run.signals);
    witness_end(&run.witness);
    forget_pending();
    sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
