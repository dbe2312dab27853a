/* Two parties take a byte each, then both at once ask for the other's: how many of the two are
 * refused?
 *
 *   cycle_races FILE threads|processes ROUNDS
 *
 * A party that is refused gives its own byte up, so that the other can go on.
 */
#define _GNU_SOURCE
#include "lock_waits.h"
#include <stdatomic.h>
#include <sys/mman.h>

static struct shared {
    _Atomic int arrived;     /* counts up, twice per barrier */
    _Atomic int victims;     /* of this round */
    _Atomic int errors;      /* other than EDEADLK */
    _Atomic int by_count[3]; /* rounds with no, one, two victims */
} * shared;

static const char *path;
static int rounds;

/* Both leave at the same moment. */
static void meet(int *meetings) {
    int all = 2 * ++*meetings;
    shared->arrived++;
    while (atomic_load(&shared->arrived) < all)
        sched_yield();
}

static void race(int me) {
    int fd = open_file(path), meetings = 0;
    for (int i = 0; i < rounds; i++) {
        must(lock_bytes(fd, F_SETLKW, F_WRLCK, me, 1) == 0, "its own byte");
        meet(&meetings);
        int error = lock_bytes(fd, F_SETLKW, F_WRLCK, !me, 1);
        if (error == EDEADLK)
            shared->victims++;
        else if (error != 0)
            shared->errors++;
        must(unlock(fd, 0, 0) == 0, "F_UNLCK");
        meet(&meetings);
        if (me == 0)
            shared->by_count[atomic_exchange(&shared->victims, 0)]++;
    }
    close(fd);
}

static void *race_in_thread(void *unused) {
    (void)unused;
    race(1);
    return NULL;
}

static void give_up(int signal) {
    (void)signal;
    fact("stuck", "yes");
    _exit(3);
}

int main(int argc, char **argv) {
    pthread_t thread;
    must(argc == 4, "usage: cycle_races FILE threads|processes ROUNDS");
    path = argv[1];
    rounds = atoi(argv[3]);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "mmap");
    signal(SIGALRM, give_up);
    alarm(60);
    if (strcmp(argv[2], "threads") == 0) {
        must(pthread_create(&thread, NULL, race_in_thread, NULL) == 0, "a thread");
        race(0);
        pthread_join(thread, NULL);
    } else {
        pid_t child = fork();
        must(child != -1, "fork");
        if (child == 0) {
            alarm(60);
            race(1);
            _exit(0);
        }
        race(0);
        wait_for(child);
    }
    fact("no_victim", "%d", shared->by_count[0]);
    fact("one_victim", "%d", shared->by_count[1]);
    fact("two_victims", "%d", shared->by_count[2]);
    fact("errors", "%d", shared->errors);
    return 0;
}
