/* How much memory many changes of few names take.
 *
 *   environment_stays_small CHANGES [threads]
 *
 * CHANGES calls of setenv and as many of unsetenv, of a thousand names with a few values each. With `threads` there is
 * another thread. Prints the KiB that the process has grown by after the first tenth.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long resident(void) {
    char line[256];
    long size = -1;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            size = strtol(line + 6, NULL, 10);
    if (status)
        fclose(status);
    return size;
}

static pthread_barrier_t end;

static void *stay(void *unused) {
    pthread_barrier_wait(&end);
    return unused;
}

/* So many are there at a time. */
#define BEHIND 50

static void name_of(char name[32], long i) {
    i = i * 7919 % 1000;
    snprintf(name, 32, "%c%c_%ld", (char)('A' + i % 26), (char)('A' + i % 7), i);
}

int main(int argc, char **argv) {
    long changes = argc > 1 ? atol(argv[1]) : 0, before = 0;
    pthread_t other;
    pthread_barrier_init(&end, NULL, 2);
    if (argc > 2 && pthread_create(&other, NULL, stay, NULL) != 0)
        return 1;
    clearenv();
    for (long i = 0; i < changes; i++) {
        char name[32], value[32];
        if (i == changes / 10)
            before = resident();
        name_of(name, i);
        snprintf(value, sizeof value, "%ld", i % 3);
        if (setenv(name, value, 1) != 0)
            return 1;
        if (i >= BEHIND) {
            name_of(name, i - BEHIND);
            if (unsetenv(name) != 0)
                return 1;
        }
    }
    printf("grown=%ld\n", resident() - before);
    if (argc > 2) {
        pthread_barrier_wait(&end);
        pthread_join(other, NULL);
    }
    return 0;
}
