/* A signal handler leaves by siglongjmp from whatever it interrupts: locking, unlocking, copying,
 * closing. These are safe to leave so, being async-signal-safe.
 *
 *   jump_out_of_calls FILE
 */
#include "outsider.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/time.h>

#define JUMPS 2000
#define COPY 100

static sigjmp_buf landing;
static volatile sig_atomic_t jumps, strange;
static int fd;

static void jump(int signal) {
    (void)signal;
    jumps++;
    siglongjmp(landing, 1);
}

/* EBADF: the copy's number is free while it is being replaced by nothing. */
static void use_locks(void) {
    strange += try_lock(fd, FIRST, LENGTH) != 0;
    strange += dup2(fd, COPY) != COPY;
    strange += try_lock(COPY, 20, LENGTH) != 0;
    strange += close(COPY) != 0;
    strange += unlock(fd, 0, 0) != 0;
}

static void *lock_in_thread(void *unused) {
    (void)unused;
    return try_lock(fd, 50, LENGTH) == 0 && unlock(fd, 50, LENGTH) == 0 ? &fd : NULL;
}

static void check_threads_and_children(const char *path) {
    pthread_t thread;
    void *worked;
    must(pthread_create(&thread, NULL, lock_in_thread, NULL) == 0, "pthread_create");
    pthread_join(thread, &worked);
    fact("thread", "%s", worked ? "ok" : "failed");
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0) {
        int own = open_file(path);
        int error = try_lock(own, 50, LENGTH);
        close(own);
        _exit(error ? 99 : 0);
    }
    wait_for(child);
    fact("child", "ok");
}

int main(int argc, char **argv) {
    struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = jump};
    if (argc != 2)
        return 2;
    fd = open_file(argv[1]);
    must(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    must(sigsetjmp(landing, 1) == 0 ? setitimer(ITIMER_REAL, &often, NULL) == 0 : 1, "setitimer");
    while (jumps < JUMPS)
        use_locks();
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &never, NULL);
    fact("strange", "%d", (int)strange);
    close(COPY);
    fact("unlock", "%s", error_name(unlock(fd, 0, 0)));
    fact_outsider_at("unlocked", fd, 0, 0);
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_outsider("locked", fd);
    check_threads_and_children(argv[1]);
    close(fd);
    fact_outsider_at("closed", open_file(argv[1]), 0, 0);
    return 0;
}
