/* Locks, waits, writes its environment and forks, in threads, until it is killed.
 *
 *   locks_until_killed FILE until-killed
 *   locks_until_killed FILE once           the same locks once, all of which must be granted at once
 *
 * FILE is for fcntl, FILE.ofd and FILE.flock for the other two classes. Bytes 0 to 99 of FILE belong to this
 * process, those behind to the children that it forks. One child only holds copies of the descriptors for
 * FILE, and lives on. An alarm ends what nobody kills.
 */
#include "lock_probe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>

#define MOST_SECONDS 60
#define CHILDS_BYTE 100

static const char *path;

static int open_other(const char *suffix) {
    char name[4096];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return open_file(name);
}

/* Denied, and then lost or kept: the second descriptor is closed while the first one's lock is held. */
__attribute__((noreturn)) static void *locks_against_itself(void *unused) {
    (void)unused;
    for (;;) {
        int first = open_file(path);
        int second = open_file(path);
        if (try_lock(first, 0, 10) == 0)
            try_lock(second, 0, 10);
        close(second);
        close(first);
    }
}

__attribute__((noreturn)) static void *waits_for_its_turn(void *unused) {
    (void)unused;
    int fd = open_file(path);
    for (;;) {
        lock_bytes(fd, F_SETLKW, F_WRLCK, 20, 10);
        sched_yield();
        unlock(fd, 20, 10);
    }
}

__attribute__((noreturn)) static void *uses_the_other_classes(void *unused) {
    (void)unused;
    int ofd = open_other(".ofd");
    int file = open_other(".flock");
    for (;;) {
        lock_bytes(ofd, F_OFD_SETLKW, F_WRLCK, 0, 10);
        flock(file, LOCK_EX);
        flock(file, LOCK_UN);
        lock_bytes(ofd, F_OFD_SETLK, F_UNLCK, 0, 10);
    }
}

__attribute__((noreturn)) static void *writes_environment(void *number) {
    char name[32];
    char value[32];
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof name, "NAME_%u", i % 50);
        snprintf(value, sizeof value, "%s_%u", (const char *)number, i % 7);
        setenv("SHARED", value, 1);
        setenv(name, value, 1);
        getenv("SHARED");
        if (i % 3 == 0)
            unsetenv(name);
    }
}

__attribute__((noreturn)) static void *forks(void *unused) {
    (void)unused;
    int fd = open_file(path);
    for (;;) {
        pid_t child = fork();
        if (child == 0) {
            lock_bytes(fd, F_SETLKW, F_WRLCK, CHILDS_BYTE, 1);
            setenv("SHARED", "child", 1);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
}

static void start(void *(*function)(void *), const char *argument) {
    pthread_t thread;
    must(pthread_create(&thread, NULL, function, (void *)argument) == 0, "a thread");
}

/* With copies of descriptors whose locks are this process's. */
static void leave_a_bystander(void) {
    int held = open_file(path);
    must(try_lock(held, 40, 10) == 0, "the first lock");
    if (fork() == 0) {
        alarm(MOST_SECONDS);
        for (;;)
            pause();
    }
}

static void until_killed(void) {
    leave_a_bystander();
    start(locks_against_itself, NULL);
    start(waits_for_its_turn, NULL);
    start(waits_for_its_turn, NULL);
    start(uses_the_other_classes, NULL);
    start(writes_environment, "one");
    start(writes_environment, "other");
    forks(NULL);
}

static void once(void) {
    int fd = open_file(path);
    must(try_lock(fd, 0, CHILDS_BYTE + 10) == 0, "the fcntl lock");
    must(lock_bytes(open_other(".ofd"), F_OFD_SETLK, F_WRLCK, 0, 0) == 0, "the OFD lock");
    must(flock(open_other(".flock"), LOCK_EX | LOCK_NB) == 0, "the flock");
    must(setenv("SHARED", "once", 1) == 0 && strcmp(getenv("SHARED"), "once") == 0, "setenv");
    must(unsetenv("SHARED") == 0 && getenv("SHARED") == NULL, "unsetenv");
    pid_t child = fork();
    if (child == 0)
        _exit(try_lock(fd, 0, 1) == EAGAIN ? 0 : 1);
    wait_for(child);
}

int main(int argc, char **argv) {
    must(argc == 3, "arguments");
    path = argv[1];
    alarm(MOST_SECONDS);
    if (strcmp(argv[2], "once") == 0)
        once();
    else
        until_killed();
    return 0;
}
