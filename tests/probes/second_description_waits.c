/* A thread waits for the lock that its process holds through another description; it gets it when
 * the first description is unlocked, and not before.
 *
 *   second_description_waits FILE
 */
#include "lock_probe.h"
#include <pthread.h>
#include <stdatomic.h>

static const char *path;
static atomic_int unlocked, granted;

static void *wait_for_lock(void *unused) {
    int second = open_file(path);
    fact("waiter", "%s", error_name(lock_bytes(second, F_SETLKW, F_WRLCK, FIRST, LENGTH)));
    fact("granted", "%s", atomic_load(&unlocked) ? "after the unlock" : "before the unlock");
    atomic_store(&granted, 1);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    long give_up = milliseconds() + DEADLINE_MS;
    if (argc != 2)
        return 2;
    path = argv[1];
    int first = open_file(path);
    must(try_lock(first, FIRST, LENGTH) == 0, "the first lock");
    must(pthread_create(&thread, NULL, wait_for_lock, NULL) == 0, "pthread_create");
    while (!atomic_load(&granted) && count_waiters(path) == 0)
        must(milliseconds() < give_up, "a waiter");
    atomic_store(&unlocked, 1);
    fact("unlock", "%s", error_name(unlock(first, FIRST, LENGTH)));
    pthread_join(thread, NULL);
    return 0;
}
