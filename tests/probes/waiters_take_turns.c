/* Several wait for one byte; each gets it in its turn, and never two at once.
 *
 *   waiters_take_turns FILE threads|processes COUNT ROUNDS
 *
 * Each waiter opens the file itself. The initial thread of the initial process holds the byte until
 * all of them wait, or have it although it is held.
 */
#define _GNU_SOURCE
#include "lock_waits.h"
#include <stdatomic.h>
#include <sys/mman.h>

#define WAITERS_MAX 64

static struct shared {
    _Atomic int inside, granted, overlaps, refused, done;
    _Atomic pid_t pids[WAITERS_MAX], tids[WAITERS_MAX];
} * shared;

static const char *path;
static int rounds;

static void take_turns(int index) {
    int fd = open_file(path);
    shared->pids[index] = getpid();
    atomic_store(&shared->tids[index], gettid());
    for (int i = 0; i < rounds; i++) {
        if (lock_bytes(fd, F_SETLKW, F_WRLCK, 0, 1) != 0) {
            shared->refused++;
            continue;
        }
        shared->granted++;
        if (atomic_fetch_add(&shared->inside, 1) != 0)
            shared->overlaps++;
        sched_yield();
        shared->inside--;
        if (unlock(fd, 0, 1) != 0)
            shared->refused++;
    }
    shared->done++;
    close(fd);
}

static void *take_turns_in_thread(void *index) {
    take_turns((int)(long)index);
    return NULL;
}

static void start(int index, int threads, pthread_t *thread) {
    if (threads) {
        must(pthread_create(thread, NULL, take_turns_in_thread, (void *)(long)index) == 0,
             "a thread");
        return;
    }
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0) {
        take_turns(index);
        _exit(0);
    }
}

int main(int argc, char **argv) {
    pthread_t threads[WAITERS_MAX];
    must(argc == 5 && atoi(argv[3]) <= WAITERS_MAX,
         "usage: waiters_take_turns FILE threads|processes COUNT ROUNDS");
    int in_threads = strcmp(argv[2], "threads") == 0, count = atoi(argv[3]);
    path = argv[1];
    rounds = atoi(argv[4]);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "mmap");
    int fd = open_file(path);
    must(try_lock(fd, 0, 1) == 0, "F_SETLK");
    atomic_fetch_add(&shared->inside, 1);
    for (int i = 0; i < count; i++)
        start(i, in_threads, &threads[i]);
    for (int i = 0; i < count; i++) {
        while (atomic_load(&shared->tids[i]) == 0)
            sched_yield();
        while (shared->granted == 0 && !is_waiting(shared->pids[i], shared->tids[i]))
            sched_yield();
    }
    fact("granted_while_held", "%s", shared->granted > 0 ? "yes" : "no");
    shared->inside--;
    must(unlock(fd, 0, 1) == 0, "F_UNLCK");
    for (int i = 0; i < count; i++)
        if (in_threads)
            pthread_join(threads[i], NULL);
        else
            must(wait(NULL) > 0, "wait");
    fact("done", "%d", shared->done);
    fact("granted", "%d", shared->granted);
    fact("refused", "%d", shared->refused);
    fact("overlaps", "%d", shared->overlaps);
    return 0;
}
