/* What the lock probes share: they take record locks, ask an outsider who holds them, print facts.
 *
 * A fact is one line key=value on fact_fd. The outsider is tests/probes/witness, a process outside
 * the shim which listens on the socket named by $WITNESS; without that variable nothing is asked
 * and nothing printed. A question uses a descriptor only while it is being asked.
 */
#ifndef LOCK_PROBE_H
#define LOCK_PROBE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Long enough for a probe under valgrind; a healthy one never comes near it. */
#define DEADLINE_MS 20000

/* The bytes that most probes lock. */
#define FIRST 0
#define LENGTH 10

static int fact_fd = STDOUT_FILENO;

/* One write per fact, so that processes which share the descriptor do not mix their lines. */
__attribute__((format(printf, 2, 3))) static inline void fact(const char *key, const char *format,
                                                              ...) {
    char value[256], line[400];
    va_list list;
    va_start(list, format);
    vsnprintf(value, sizeof value, format, list);
    va_end(list);
    int length = snprintf(line, sizeof line, "%s=%s\n", key, value);
    if (write(fact_fd, line, (size_t)length) != length)
        _exit(99);
}

static inline void must(int succeeded, const char *what) {
    if (succeeded)
        return;
    fact("failed", "%s: %s", what, strerror(errno));
    _exit(99);
}

static inline const char *error_name(int error) {
    switch (error) {
    case 0:
        return "ok";
    case EAGAIN:
        return "EAGAIN";
    case EACCES:
        return "EACCES";
    case EBADF:
        return "EBADF";
    case EDEADLK:
        return "EDEADLK";
    case EINTR:
        return "EINTR";
    case EINVAL:
        return "EINVAL";
    case ENOENT:
        return "ENOENT";
    default:
        return strerror(error);
    }
}

static inline const char *lock_type_name(short type) {
    return type == F_RDLCK ? "read" : type == F_WRLCK ? "write" : "free";
}

/* 0 or the error number. */
static inline int lock_bytes(int fd, int command, short type, off_t start, off_t length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &lock) == -1 ? errno : 0;
}

static inline int try_lock(int fd, off_t start, off_t length) {
    return lock_bytes(fd, F_SETLK, F_WRLCK, start, length);
}

static inline int unlock(int fd, off_t start, off_t length) {
    return lock_bytes(fd, F_SETLK, F_UNLCK, start, length);
}

/* What F_GETLK says through fd: KEY=free|read|write, and whose it is by name: the caller's, its
 * parent's, that of owner. */
static inline void fact_holder(const char *key, int fd, pid_t owner) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FIRST, .l_len = LENGTH};
    char pid_key[64];
    if (fcntl(fd, F_GETLK, &lock) == -1) {
        fact(key, "%s", error_name(errno));
        return;
    }
    fact(key, "%s", lock_type_name(lock.l_type));
    snprintf(pid_key, sizeof pid_key, "%s_pid", key);
    if (lock.l_type == F_UNLCK)
        return;
    if (lock.l_pid == owner)
        fact(pid_key, "owner");
    else if (lock.l_pid == getpid())
        fact(pid_key, "self");
    else
        fact(pid_key, "%ld", (long)lock.l_pid);
}

static inline int open_file(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    must(fd != -1, path);
    return fd;
}

static inline long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int connect_witness(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    long give_up = milliseconds() + DEADLINE_MS;
    must(strlen(name) < sizeof address.sun_path, "a short name in $WITNESS");
    memcpy(address.sun_path, name, strlen(name) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd != -1, "socket");
    /* It may not listen yet. */
    while (connect(fd, (struct sockaddr *)&address, sizeof address) == -1) {
        must(milliseconds() < give_up, "connect to the witness");
        sched_yield();
    }
    return fd;
}

/* The answer to one question; empty when there is no witness. */
__attribute__((format(printf, 3, 4))) static inline int ask_witness(char *answer, size_t size,
                                                                    const char *format, ...) {
    char question[4200];
    size_t filled = 0;
    ssize_t got;
    const char *name = getenv("WITNESS");
    va_list list;
    answer[0] = '\0';
    if (name == NULL)
        return 0;
    va_start(list, format);
    int length = vsnprintf(question, sizeof question, format, list);
    va_end(list);
    int fd = connect_witness(name);
    must(write(fd, question, (size_t)length) == length, "write to the witness");
    while (filled + 1 < size && (got = read(fd, answer + filled, size - filled - 1)) > 0)
        filled += (size_t)got;
    answer[filled] = '\0';
    close(fd);
    must(filled > 0, "an answer from the witness");
    return 1;
}

/* KEY=free|read|write: what an outsider meets who wants to write these bytes. */
static inline void fact_witness_at(const char *key, const char *path, off_t start, off_t length) {
    char answer[256];
    if (ask_witness(answer, sizeof answer, "look %lld %lld %s\n", (long long)start,
                    (long long)length, path))
        fact(key, "%s", answer);
}

static inline void fact_witness(const char *key, const char *path) {
    fact_witness_at(key, path, FIRST, LENGTH);
}

/* KEY=POSIX|OFDLCK|none: the kind that the kernel lists for these bytes. */
static inline void fact_kind(const char *key, const char *path) {
    char answer[256];
    if (ask_witness(answer, sizeof answer, "kind %d %d %s\n", FIRST, LENGTH, path))
        fact(key, "%s", answer);
}

/* How many requests for locks on the file the kernel lists as blocked. */
static inline int count_waiters(const char *path) {
    char answer[256];
    must(ask_witness(answer, sizeof answer, "waiters 0 0 %s\n", path), "a witness");
    return atoi(answer);
}

static inline void wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) == -1)
        must(errno == EINTR, "waitpid");
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child that ends well");
}

static inline void tell(int fd) {
    must(write(fd, "", 1) == 1, "write to a pipe");
}

static inline void wait_told(int fd) {
    char byte;
    must(read(fd, &byte, 1) == 1, "read from a pipe");
}

#endif
