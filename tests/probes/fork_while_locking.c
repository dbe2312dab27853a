/* Forks, while other threads lock, copy and close all the time; each child locks and closes.
 *
 *   fork_while_locking FORKS
 */
#include "outsider.h"
#include <pthread.h>
#include <stdatomic.h>

#define THREADS 2
/* One child in so many asks an outsider, which costs two more processes. */
#define ASKING 20

static atomic_int stop, thread_failures;

static void *lock_and_close(void *number) {
    char path[64];
    snprintf(path, sizeof path, "thread%ld.lock", (long)number);
    while (!stop) {
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        int failed = fd == -1 || try_lock(fd, FIRST, LENGTH) != 0;
        int copy = dup(fd);
        failed |= close(fd) != 0;
        failed |= unlock(copy, FIRST, LENGTH) != 0;
        failed |= close(copy) != 0;
        thread_failures += failed;
    }
    return NULL;
}

/* Only what a child of a process with threads may call. */
static int be_child(int number, int inherited) {
    if (number % 3 == 0)
        closefrom(3);
    if (number % 3 == 1 && close(inherited) != 0)
        return 1;
    int fd = open("child.lock", O_RDWR | O_CREAT, 0600);
    if (fd == -1 || try_lock(fd, FIRST, LENGTH) != 0)
        return 2;
    if (number % ASKING == 0 && outsider_look(fd, FIRST, LENGTH).type != F_WRLCK)
        return 3;
    if (close(fd) != 0)
        return 4;
    if (number % ASKING != 0)
        return 0;
    fd = open("child.lock", O_RDWR);
    return outsider_look(fd, FIRST, LENGTH).type == F_UNLCK ? 0 : 5;
}

static int fork_one(int number, int inherited) {
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(be_child(number, inherited));
    if (child == -1 || waitpid(child, &status, 0) != child)
        return 1;
    if (status != 0)
        fact("child_status", "%x", status);
    return status != 0;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    int failures = 0;
    if (argc != 2)
        return 2;
    int fd = open_file("main.lock");
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    for (long i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, lock_and_close, (void *)i) == 0, "pthread_create");
    for (int i = 0; i < atoi(argv[1]) && failures < 10; i++)
        failures += fork_one(i, fd);
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fact("failures", "%d", failures);
    fact("thread_failures", "%d", (int)thread_failures);
    fact_outsider("kept", fd);
    return 0;
}
