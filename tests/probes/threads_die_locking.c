/* Threads die round lock calls: cancelled at any instruction, or by pthread_exit while they hold a
 * lock. What they leave is the process's, and the others go on.
 *
 *   threads_die_locking FILE
 */
#include "outsider.h"
#include <pthread.h>
#include <stdatomic.h>

#define THREADS 200
#define COPY 100

static int fd;
static atomic_int started;

/* Only calls that leave nothing behind which could run out. */
static void *lock_until_cancelled(void *unused) {
    (void)unused;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    started = 1;
    for (;;) {
        try_lock(fd, FIRST, LENGTH);
        dup2(fd, COPY);
        close(COPY);
        unlock(fd, FIRST, LENGTH);
    }
    return NULL;
}

static void *lock_and_exit(void *unused) {
    (void)unused;
    try_lock(fd, 20, LENGTH);
    pthread_exit(NULL);
}

static void run_thread(void *(*body)(void *), int cancel) {
    pthread_t thread;
    started = 0;
    must(pthread_create(&thread, NULL, body, NULL) == 0, "pthread_create");
    while (cancel && !started)
        sched_yield();
    if (cancel)
        must(pthread_cancel(thread) == 0, "pthread_cancel");
    must(pthread_join(thread, NULL) == 0, "pthread_join");
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    fd = open_file(argv[1]);
    for (int i = 0; i < THREADS; i++)
        run_thread(lock_until_cancelled, 1);
    close(COPY);
    run_thread(lock_and_exit, 0);
    fact_outsider_at("left_by_exit", fd, 20, LENGTH);
    fact("unlock", "%s", error_name(unlock(fd, 0, 0)));
    fact_outsider_at("unlocked", fd, 0, 0);
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_outsider("locked", fd);
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0)
        _exit(try_lock(open_file(argv[1]), FIRST, LENGTH) == EAGAIN ? 0 : 1);
    wait_for(child);
    close(fd);
    fact_outsider_at("closed", open_file(argv[1]), 0, 0);
    return 0;
}
