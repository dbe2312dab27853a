/* What the probes share in which somebody waits: to see from outside that a thread waits for a
 * lock. */
#ifndef LOCK_WAITS_H
#define LOCK_WAITS_H

#include "lock_probe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

/* A wait with a limit may be made of tries with pauses between them. */
static inline int is_timer(pid_t pid, long fd) {
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%ld/fd/%ld", (long)pid, fd);
    ssize_t got = readlink(path, target, sizeof target - 1);
    target[got > 0 ? got : 0] = '\0';
    return strcmp(target, "anon_inode:[timerfd]") == 0;
}

/* What the kernel says about a thread. Asks with calls that lock nothing, so closing drops none of
 * this process's locks. */
static inline void read_about(pid_t pid, pid_t tid, const char *what, char *text, size_t size) {
    char path[64];
    ssize_t got = -1;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/%s", (long)pid, (long)tid, what);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd != -1) {
        got = read(fd, text, size - 1);
        close(fd);
    }
    text[got > 0 ? got : 0] = '\0';
}

/* Is the thread inside the system call that waits for a lock, and waits for the lock? Each call that
 * locks waits also while any process of the system reads /proc/locks. */
static inline int is_waiting(pid_t pid, pid_t tid) {
    char call[128], place[128];
    long number = -1;
    unsigned long first = 0, second = 0;
    read_about(pid, tid, "syscall", call, sizeof call);
    if (sscanf(call, "%ld %lx %lx", &number, &first, &second) < 1)
        return 0;
    if (number == SYS_read)
        return is_timer(pid, (long)first);
    if (number == SYS_ppoll)
        return 1; /* no probe polls itself */
    if (number != SYS_flock &&
        (number != SYS_fcntl || (second != F_SETLKW && second != F_OFD_SETLKW)))
        return 0;
    /* The name of a function of the kernel; "0" for a thread that runs, or where it is not told. */
    read_about(pid, tid, "wchan", place, sizeof place);
    if (strcmp(place, "0") == 0)
        read_about(pid, tid, "syscall", call, sizeof call);
    return strncmp(call, "running", 7) != 0 && strncmp(place, "percpu_", 7) != 0;
}

static inline void await_waiting(pid_t pid, pid_t tid) {
    long give_up = milliseconds() + DEADLINE_MS;
    while (!is_waiting(pid, tid)) {
        must(milliseconds() < give_up, "a thread that waits for a lock");
        sched_yield();
    }
}

/* A thread that sends one signal to its creator as soon as that waits for a lock. */
struct interrupter {
    pthread_t thread, target;
    pid_t tid;
};

static inline void note_signal(int signal) {
    (void)signal;
}

static inline void *interrupt(void *argument) {
    struct interrupter *interrupter = argument;
    await_waiting(getpid(), interrupter->tid);
    pthread_kill(interrupter->target, SIGUSR1);
    return NULL;
}

static inline void start_interrupter(struct interrupter *interrupter, int flags) {
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    interrupter->target = pthread_self();
    interrupter->tid = gettid();
    must(pthread_create(&interrupter->thread, NULL, interrupt, interrupter) == 0, "a thread");
}

static inline void stop_interrupter(struct interrupter *interrupter) {
    pthread_join(interrupter->thread, NULL);
}

#endif
