/* Asks against its own lock from two functions, in a thread that has a name.
 *
 *   asks_from_two_places FILE [THREAD-NAME]
 */
#include "lock_probe.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const char *path, *thread_name;
static int first, second;

/* Each place is a call site of its own, not merged and not inlined. */
__attribute__((noinline)) static int ask_here(void) {
    int error = try_lock(second, FIRST, LENGTH);
    __asm__ volatile("");
    return error;
}

__attribute__((noinline)) static int ask_there(void) {
    int error = try_lock(second, FIRST, LENGTH);
    __asm__ volatile("" ::: "memory");
    return error;
}

static void *ask(void *unused) {
    (void)unused;
    prctl(PR_SET_NAME, thread_name, 0, 0, 0);
    fact("asking_thread", "%ld", (long)syscall(SYS_gettid));
    int denied = ask_here() == EAGAIN;
    /* One place, not the two that an unrolled loop would make. */
    for (volatile int i = 0; i < 2; i++)
        denied += ask_there() == EAGAIN;
    fact("denied", "%d", denied);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc < 2)
        return 2;
    path = argv[1];
    thread_name = argc > 2 ? argv[2] : "asker";
    prctl(PR_SET_NAME, "holder", 0, 0, 0);
    first = open_file(path);
    second = open_file(path);
    must(try_lock(first, FIRST, LENGTH) == 0, "the lock");
    must(pthread_create(&thread, NULL, ask, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    fact("pid", "%ld", (long)getpid());
    fact("first", "%d", first);
    fact("second", "%d", second);
    return 0;
}
