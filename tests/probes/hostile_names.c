/* Finds itself under names that it is given, for whatever shows them: of a thread, of a variable, of files.
 *
 *   hostile_names FILE THREAD VARIABLE ANYTHING...
 *
 * A thread named THREAD locks FILE through two descriptors, and sets VARIABLE while another thread lives. Then a child
 * locks byte 50, and the parent waits for it until it is told to give up, or for ever.
 */
#include "lock_probe.h"
#include <pthread.h>
#include <sys/prctl.h>

static char **words;

static void *lock_and_set(void *unused) {
    prctl(PR_SET_NAME, words[2]);
    int first = open_file(words[1]);
    int second = open_file(words[1]);
    fact("first", "%s", error_name(try_lock(first, FIRST, LENGTH)));
    fact("second", "%s", error_name(try_lock(second, FIRST, LENGTH)));
    setenv(words[3], "value", 1);
    return unused;
}

/* The child ends with its parent, whose end of the pipe is the last one. */
static void wait_for_a_child(void) {
    int ready[2];
    int alive[2];
    char byte;
    must(pipe(ready) == 0 && pipe(alive) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        close(alive[1]);
        must(try_lock(open_file(words[1]), 50, 1) == 0, "the child's lock");
        must(write(ready[1], "", 1) == 1, "ready");
        _exit(read(alive[0], &byte, 1) != 0);
    }
    must(read(ready[0], &byte, 1) == 1, "a child that is ready");
    int result = lock_bytes(open_file(words[1]), F_SETLKW, F_WRLCK, 50, 1);
    close(alive[1]);
    wait_for(child);
    fact("waited", "%s", result == 0 ? "ok" : "refused");
}

int main(int argc, char **argv) {
    pthread_t thread;
    must(argc >= 4, "arguments");
    words = argv;
    must(pthread_create(&thread, NULL, lock_and_set, NULL) == 0, "a thread");
    pthread_join(thread, NULL);
    wait_for_a_child();
    return 0;
}
