/* Locks, asks against its own lock and closes on the smallest stacks: a thread's of
 * PTHREAD_STACK_MIN, and an alternate signal stack of the usual size.
 *
 *   small_stacks FILE
 */
#include "lock_probe.h"
#include <limits.h>
#include <pthread.h>
#include <signal.h>

static const char *path;
static int failures;

/* No facts here: printf wants more stack than there is. */
static void use_locks(void) {
    int first = open(path, O_RDWR | O_CREAT, 0600), second = open(path, O_RDWR);
    failures += try_lock(first, FIRST, LENGTH) != 0;
    try_lock(second, FIRST, LENGTH); /* granted by POSIX, refused where descriptions own */
    lock_bytes(second, F_GETLK, F_WRLCK, FIRST, LENGTH);
    int copy = dup(first);
    failures += close(second) != 0;
    failures += unlock(copy, FIRST, LENGTH) != 0;
    failures += close(first) != 0;
    failures += close(copy) != 0;
}

static void *in_thread(void *unused) {
    (void)unused;
    use_locks();
    return NULL;
}

static void handle(int signal) {
    (void)signal;
    use_locks();
}

int main(int argc, char **argv) {
    pthread_t thread;
    pthread_attr_t attributes;
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    if (argc != 2)
        return 2;
    path = argv[1];
    stack_t stack = {.ss_size = (size_t)sysconf(_SC_SIGSTKSZ)};
    stack.ss_sp = malloc(stack.ss_size);
    must(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0, "sigaltstack");
    must(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
    raise(SIGUSR1);
    fact("on_signal_stack", "%d", failures);
    must(pthread_attr_init(&attributes) == 0, "pthread_attr_init");
    must(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0,
         "pthread_attr_setstacksize");
    must(pthread_create(&thread, &attributes, in_thread, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    fact("on_thread_stack", "%d", failures);
    return 0;
}
