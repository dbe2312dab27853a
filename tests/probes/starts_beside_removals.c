/* Starts programs while another thread removes variables, as setenv's relatives do it that lose nothing for a reader who
 * goes forward: the entries before the removed one move right, and environ advances. Every program must find all the
 * variables that nobody touches.
 *
 *   starts_beside_removals TIMES [until-bad]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define STABLE 100
#define REMOVED 3000
#define COUNT (STABLE + REMOVED)
#define ARRAYS 16

static char texts[COUNT][16];
static char *arrays[ARRAYS][COUNT + 1];
static pthread_barrier_t barrier;
static bool is_over;

static void set(char **slot, char *entry) {
    __atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

/* What is to stay lies first, so that every removal moves all of it. */
static void fill(char **array) {
    for (int i = 0; i < COUNT; i++)
        array[i] = texts[i];
    array[COUNT] = NULL;
}

static void remove_all(char **array) {
    __atomic_store_n(&environ, array, __ATOMIC_RELEASE);
    for (int i = 0; i < REMOVED; i++) {
        for (int at = STABLE; at > 0; at--)
            set(&array[i + at], array[i + at - 1]);
        __atomic_store_n(&environ, array + i + 1, __ATOMIC_RELEASE);
    }
}

/* An array is used once in each round. */
static void *remove_in_rounds(void *unused) {
    for (;;) {
        for (int i = 0; i < ARRAYS; i++)
            fill(arrays[i]);
        environ = arrays[0];
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < ARRAYS && !is_over; i++)
            remove_all(arrays[i]);
        pthread_barrier_wait(&barrier);
        if (is_over)
            return unused;
    }
}

/* One may be there twice. */
static int count_stable(void) {
    bool found[STABLE] = {false};
    int count = 0;
    for (char **entry = environ; *entry; entry++)
        if ((*entry)[0] == 'S')
            found[atoi(*entry + 1)] = true;
    for (int i = 0; i < STABLE; i++)
        count += found[i];
    return count;
}

static bool is_whole(int round) {
    int status = -1;
    pid_t pid = -1;
    char *argv[] = {"count", NULL};
    if (round % 2) {
        pid = vfork();
        if (pid == 0) {
            execv("/proc/self/exe", argv);
            _exit(2);
        }
    } else if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) != 0) {
        return false;
    }
    waitpid(pid, &status, 0);
    return status == 0;
}

int main(int argc, char **argv) {
    if (argc == 1)
        return count_stable() != STABLE;
    pthread_t thread;
    int bad = 0, times = atoi(argv[1]);
    for (int i = 0; i < COUNT; i++)
        sprintf(texts[i], "%c%04d=", i < STABLE ? 'S' : 'R', i);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, remove_in_rounds, NULL);
    for (int round = 0; !is_over; round++) {
        pthread_barrier_wait(&barrier);
        bad += !is_whole(round);
        __atomic_store_n(&is_over, round + 1 >= times || (argc > 2 && bad), __ATOMIC_SEQ_CST);
        pthread_barrier_wait(&barrier);
    }
    pthread_join(thread, NULL);
    printf("bad=%d\n", bad);
    return 0;
}
