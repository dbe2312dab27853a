/* Allocates in threads and in forked children while it locks a file of its own.
 *
 *   allocates_and_locks FILE
 */
#include "outsider.h"
#include <pthread.h>

static int failures;

static void *allocate(void *unused) {
    char *texts[50];
    (void)unused;
    for (int i = 0; i < 50; i++)
        must(asprintf(&texts[i], "text %d", i) > 0, "asprintf");
    for (int i = 0; i < 50; i++)
        free(texts[i]);
    return NULL;
}

static void fork_one(void) {
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0) {
        allocate(NULL);
        _exit(0);
    }
    wait_for(child);
}

int main(int argc, char **argv) {
    pthread_t threads[3];
    if (argc != 2)
        return 2;
    int fd = open_file(argv[1]);
    for (int i = 0; i < 3; i++)
        must(pthread_create(&threads[i], NULL, allocate, NULL) == 0, "pthread_create");
    for (int i = 0; i < 50; i++) {
        failures += try_lock(fd, FIRST, LENGTH) != 0;
        FILE *stream = fopen(argv[1], "re"); /* allocates, and its close drops a POSIX lock */
        must(stream != NULL && fclose(stream) == 0, "a stream");
        failures += unlock(fd, FIRST, LENGTH) != 0;
    }
    for (int i = 0; i < 20; i++)
        fork_one();
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    fact("failures", "%d", failures);
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_outsider("locked", fd);
    return 0;
}
