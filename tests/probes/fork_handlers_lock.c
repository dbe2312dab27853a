/* Fork handlers that lock and close, registered before any constructor and again in main, while
 * another thread locks.
 */
#include "outsider.h"
#include <pthread.h>
#include <stdatomic.h>

#define FORKS 200

static atomic_int stop, failures, handled;

static void use_locks(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    int failed = fd == -1 || try_lock(fd, FIRST, LENGTH) != 0;
    int copy = dup(fd);
    failed |= close(copy) != 0;
    failed |= close(fd) != 0;
    failures += failed;
    handled++;
}

static void prepare(void) {
    use_locks("fork_parent.lock");
}

static void in_parent(void) {
    use_locks("fork_parent.lock");
}

static void in_child(void) {
    use_locks("fork_child.lock");
}

static void before_constructors(int argc, char **argv, char **envp) {
    (void)argc, (void)argv, (void)envp;
    failures += pthread_atfork(prepare, in_parent, in_child) != 0;
}
__attribute__((section(".preinit_array"),
               used)) static void (*const preinit)(int, char **, char **) = before_constructors;

static void *lock_all_the_time(void *unused) {
    (void)unused;
    while (!stop)
        use_locks("fork_thread.lock");
    return NULL;
}

int main(void) {
    pthread_t thread;
    int handled_in_parent = 0;
    must(pthread_atfork(prepare, in_parent, in_child) == 0, "pthread_atfork");
    int fd = open_file("fork_main.lock");
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    for (int i = 0; i < FORKS; i++) {
        /* Half of them in a process of one thread. */
        if (i == FORKS / 2)
            must(pthread_create(&thread, NULL, lock_all_the_time, NULL) == 0, "pthread_create");
        pid_t child = fork();
        must(child != -1, "fork");
        if (child == 0)
            _exit(failures != 0);
        wait_for(child);
        if (i == FORKS / 2 - 1)
            handled_in_parent = handled;
    }
    stop = 1;
    pthread_join(thread, NULL);
    fact("failures", "%d", (int)failures);
    fact("handled", "%d", handled_in_parent);
    fact_outsider("kept", fd);
    return 0;
}
