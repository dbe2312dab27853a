/* A signal handler locks and closes while the main line does.
 *
 *   lock_in_handler same|other|closing [altstack|threads]
 *
 * same: through the main line's descriptor; other: of a file of its own, opened and closed each
 * time; closing: it puts a new description onto the main line's descriptor. The signals come from a
 * timer, or from a second thread (threads). Files are in the current directory.
 */
#include "outsider.h"
#include <pthread.h>
#include <sys/time.h>

#define HANDLED 2000

static int fd;
static const char *mode;
static volatile sig_atomic_t handled, handler_failures;
static pthread_t main_thread;

static void lock_through_same(void) {
    handler_failures += try_lock(fd, 100, LENGTH) != 0;
    handler_failures += unlock(fd, 100, LENGTH) != 0;
}

static void lock_other(void) {
    int other = open("handler.lock", O_RDWR | O_CREAT, 0600);
    handler_failures += try_lock(other, FIRST, LENGTH) != 0;
    int copy = dup(other);
    handler_failures += close(other) != 0;
    handler_failures += unlock(copy, FIRST, LENGTH) != 0;
    handler_failures += close(copy) != 0;
}

static void replace(void) {
    int other = open("main.lock", O_RDWR);
    handler_failures += dup2(other, fd) != fd;
    handler_failures += close(other) != 0;
}

static void handle(int signal) {
    int kept = errno;
    (void)signal;
    if (strcmp(mode, "same") == 0)
        lock_through_same();
    else if (strcmp(mode, "other") == 0)
        lock_other();
    else
        replace();
    handled++;
    errno = kept;
}

static void *send_signals(void *unused) {
    (void)unused;
    while (handled < HANDLED) {
        int before = handled;
        pthread_kill(main_thread, SIGALRM);
        while (handled == before)
            sched_yield();
    }
    return NULL;
}

static void start_signals(int by_thread, int on_altstack) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    if (on_altstack) {
        size_t size = (size_t)sysconf(_SC_SIGSTKSZ);
        stack_t stack = {.ss_sp = malloc(size), .ss_size = size};
        must(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0, "sigaltstack");
        action.sa_flags |= SA_ONSTACK;
    }
    must(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    if (by_thread) {
        pthread_t sender;
        main_thread = pthread_self();
        must(pthread_create(&sender, NULL, send_signals, NULL) == 0, "pthread_create");
        return;
    }
    struct itimerval often = {{0, 200}, {0, 200}};
    must(setitimer(ITIMER_REAL, &often, NULL) == 0, "setitimer");
}

static void stop_signals(void) {
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_IGN);
}

int main(int argc, char **argv) {
    int failures = 0;
    if (argc < 2)
        return 2;
    mode = argv[1];
    fd = open_file("main.lock");
    must(dup2(fd, 50) == 50, "dup2"); /* a number that the handler's opens do not get */
    close(fd);
    fd = 50;
    start_signals(argc > 2 && strcmp(argv[2], "threads") == 0,
                  argc > 2 && strcmp(argv[2], "altstack") == 0);
    while (handled < HANDLED) {
        failures += try_lock(fd, FIRST, LENGTH) != 0;
        int copy = dup(fd);
        failures += close(copy) != 0;
        failures += unlock(fd, FIRST, LENGTH) != 0;
    }
    stop_signals();
    fact("main_failures", "%d", failures);
    fact("handler_failures", "%d", (int)handler_failures);
    fact_outsider_at("left", fd, 0, 0);
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_outsider("locked", fd);
    return 0;
}
