/* A program that uses record locks as it should: nothing to repair, nothing to record.
 *
 *   keeps_to_the_rules FILE
 */
#include "lock_probe.h"
#include <pthread.h>

static const char *path;

/* Another file, so no other thread's bytes. */
static void *lock_another_file(void *unused) {
    char other[4200];
    snprintf(other, sizeof other, "%s.other", path);
    int fd = open_file(other);
    must(lock_bytes(fd, F_SETLKW, F_WRLCK, 0, 0) == 0, "the other file's lock");
    must(close(fd) == 0, "close");
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc != 2)
        return 2;
    path = argv[1];
    int first = open_file(path);
    must(try_lock(first, FIRST, LENGTH) == 0, "lock");
    must(try_lock(first, FIRST, 2 * LENGTH) == 0, "a wider lock");
    must(lock_bytes(first, F_SETLK, F_RDLCK, FIRST, LENGTH) == 0, "a weaker lock");
    must(unlock(first, 0, 0) == 0, "unlock");
    int second = open_file(path);
    must(close(second) == 0, "close a second description while nothing is locked");
    must(pthread_create(&thread, NULL, lock_another_file, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    must(try_lock(first, FIRST, LENGTH) == 0, "lock again");
    pid_t child = fork();
    if (child == 0)
        _exit(try_lock(first, FIRST, LENGTH) == EAGAIN ? 0 : 1);
    wait_for(child);
    must(close(first) == 0, "close");
    fact("done", "yes");
    return 0;
}
