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

/* Is the thread inside the system call that waits for a lock? Asks with calls that lock nothing, so
 * closing drops none of this process's locks. */
static inline int is_waiting(pid_t pid, pid_t tid) {
    char path[64], text[128];
    long number = -1;
    unsigned long first = 0, second = 0;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/syscall", (long)pid, (long)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    if (sscanf(text, "%ld %lx %lx", &number, &first, &second) < 1)
        return 0;
    return number == SYS_flock ||
           (number == SYS_fcntl && (second == F_SETLKW || second == F_OFD_SETLKW)) ||
           (number == SYS_read && is_timer(pid, (long)first));
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
