/* Processes and threads which all ask against their own locks at the same time.
 *
 *   asks_in_parallel PROCESSES THREADS TIMES
 *
 * The parent asks once before it forks. Files are in the current directory, one per thread.
 */
#include "lock_probe.h"
#include <pthread.h>

static int times;

static void *ask(void *name) {
    int first = open_file(name), second = open_file(name);
    must(try_lock(first, FIRST, LENGTH) == 0, "the lock");
    for (int i = 0; i < times; i++)
        try_lock(second, FIRST, LENGTH);
    close(second);
    close(first);
    return NULL;
}

static void ask_in_threads(int process, int count) {
    pthread_t threads[64];
    char names[64][64];
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "parallel.%d.%d", process, i);
        must(pthread_create(&threads[i], NULL, ask, names[i]) == 0, "pthread_create");
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
    pid_t children[64];
    char name[] = "parallel.parent";
    if (argc != 4)
        return 2;
    int processes = atoi(argv[1]), threads = atoi(argv[2]);
    must(processes <= 64 && threads <= 64, "at most 64 of each");
    times = 1;
    ask(name);
    times = atoi(argv[3]);
    for (int i = 0; i < processes; i++) {
        children[i] = fork();
        must(children[i] != -1, "fork");
        if (children[i] == 0) {
            ask_in_threads(i, threads);
            exit(0);
        }
    }
    for (int i = 0; i < processes; i++)
        wait_for(children[i]);
    fact("asked", "%d", 1 + processes * threads * times);
    return 0;
}
