/* Reads its limit of descriptors, in itself and in forked children, while threads lock files for
 * the first time.
 *
 *   limits_while_locking FORKS
 */
#include "limits.h"
#include <pthread.h>
#include <stdatomic.h>

#define READS_PER_FORK 100

static atomic_int stop, failures;

static void *lock_for_the_first_time(void *unused) {
    (void)unused;
    while (!stop) {
        int fd = open("limits.lock", O_RDWR | O_CREAT, 0600);
        int error = try_lock(fd, FIRST, LENGTH);
        failures += error != 0 && error != EAGAIN;
        close(fd);
    }
    return NULL;
}

static int differs(const struct rlimit *wanted) {
    struct rlimit now = descriptor_limit();
    return now.rlim_cur != wanted->rlim_cur || now.rlim_max != wanted->rlim_max;
}

int main(int argc, char **argv) {
    pthread_t threads[2];
    struct rlimit wanted = descriptor_limit();
    int in_children = 0, here = 0;
    if (argc != 2)
        return 2;
    for (int i = 0; i < 2; i++)
        must(pthread_create(&threads[i], NULL, lock_for_the_first_time, NULL) == 0,
             "pthread_create");
    for (int i = 0; i < atoi(argv[1]); i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            _exit(differs(&wanted));
        must(child != -1 && waitpid(child, &status, 0) == child, "a child");
        in_children += status != 0;
        for (int j = 0; j < READS_PER_FORK; j++)
            here += differs(&wanted);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    fact("lock_failures", "%d", (int)failures);
    fact("differs_in_children", "%d", in_children);
    fact("differs_here", "%d", here);
    return 0;
}
