/* A thread waits for a lock through a descriptor that another thread closes; then the lock becomes
 * free.
 *
 *   closed_while_a_thread_waits FILE
 */
#include "lock_probe.h"
#include <pthread.h>

static int waiting_fd;

static void *wait_for_lock(void *unused) {
    fact("waiter", "%s", error_name(lock_bytes(waiting_fd, F_SETLKW, F_WRLCK, FIRST, LENGTH)));
    return unused;
}

/* Another process holds the lock until it is told to end. */
static pid_t start_holder(const char *path, int told[2], int ready[2]) {
    pid_t holder = fork();
    if (holder != 0)
        return holder;
    close(told[1]);
    must(try_lock(open_file(path), FIRST, LENGTH) == 0, "the holder's lock");
    tell(ready[1]);
    wait_told(told[0]);
    _exit(0);
}

int main(int argc, char **argv) {
    pthread_t thread;
    int told[2], ready[2];
    long give_up = milliseconds() + DEADLINE_MS;
    if (argc != 2)
        return 2;
    must(pipe(told) == 0 && pipe(ready) == 0, "pipe");
    pid_t holder = start_holder(argv[1], told, ready);
    wait_told(ready[0]);
    waiting_fd = open_file(argv[1]);
    must(pthread_create(&thread, NULL, wait_for_lock, NULL) == 0, "pthread_create");
    while (count_waiters(argv[1]) == 0)
        must(milliseconds() < give_up, "a waiter");
    fact("close", "%s", close(waiting_fd) == 0 ? "ok" : error_name(errno));
    tell(told[1]);
    wait_for(holder);
    pthread_join(thread, NULL);
    fact_witness("after", argv[1]);
    return 0;
}
