/* What one call on the environment costs: measures the named row and prints nanoseconds a call, the median of a few
 * batches. It knows nothing of the shim: tests/bench/run runs it bare and shimmed in turn.
 *
 *     env_cost ROW COUNT THREADS
 *
 * It starts itself again with COUNT variables, whatever it was started with: the names begin with different letters, as
 * they do in life, and those that it was given to be preloaded with are among the last. With two threads each does the
 * same, and the cost is that of the slower one.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 9
#define CALLS 20000
#define THREADS_MAX 2
#define NAME_MAX_LENGTH 64

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void name_of(char name[NAME_MAX_LENGTH], int i) {
    snprintf(name, NAME_MAX_LENGTH, "%c%c_VARIABLE_%d", 'A' + i * 7 % 26, 'A' + i / 26 * 11 % 26,
             i);
}

/* The names that are asked for or set: of each thread's own. */
static char asked[NAME_MAX_LENGTH];
static char own[THREADS_MAX][2][NAME_MAX_LENGTH];
static char *put[THREADS_MAX][2];
static const char *volatile got;

static void get(int thread, int calls) {
    (void)thread;
    for (int i = 0; i < calls; i++)
        got = getenv(asked);
}

static void set(int thread, int calls) {
    for (int i = 0; i < calls; i++)
        if (setenv(own[thread][0], i & 1 ? "one" : "two", 1) != 0)
            die("setenv");
}

static void set_same(int thread, int calls) {
    for (int i = 0; i < calls; i++)
        if (setenv(own[thread][0], "one", 1) != 0)
            die("setenv");
}

static void put_string(int thread, int calls) {
    for (int i = 0; i < calls; i++)
        if (putenv(put[thread][i & 1]) != 0)
            die("putenv");
}

/* One of the first, so that all that follow, or precede, must move. */
static void unset(int thread, int calls) {
    for (int i = 0; i < calls; i++)
        if (setenv(own[thread][1], "one", 1) != 0 || unsetenv(own[thread][1]) != 0)
            die("unsetenv");
}

static void unset_missing(int thread, int calls) {
    for (int i = 0; i < calls; i++)
        if (unsetenv(own[thread][1]) != 0)
            die("unsetenv");
}

static const struct row {
    const char *name;
    void (*batch)(int thread, int calls);
} rows[] = {
    {"first", get},
    {"middle", get},
    {"last", get},
    {"missing", get},
    {"set", set},
    {"set-same", set_same},
    {"put", put_string},
    {"set-and-unset", unset},
    {"unset-missing", unset_missing},
};

static const struct row *row;
static int threads;
static pthread_barrier_t begin;
static double costs[THREADS_MAX][BATCHES];

static void *run(void *argument) {
    int thread = (int)(intptr_t)argument;
    row->batch(thread, CALLS / 10);
    for (int i = 0; i < BATCHES; i++) {
        if (threads > 1)
            pthread_barrier_wait(&begin);
        int64_t start = now();
        row->batch(thread, CALLS);
        costs[thread][i] = (double)(now() - start) / CALLS;
    }
    return NULL;
}

static void measure(void) {
    pthread_t other;
    pthread_barrier_init(&begin, NULL, (unsigned)threads);
    if (threads > 1 && pthread_create(&other, NULL, run, (void *)1) != 0)
        die("pthread_create");
    run(NULL);
    if (threads > 1)
        pthread_join(other, NULL);
    for (int i = 0; i < BATCHES; i++)
        if (costs[1][i] > costs[0][i])
            costs[0][i] = costs[1][i];
    qsort(costs[0], BATCHES, sizeof costs[0][0], by_value);
    printf("%.2f\n", costs[0][BATCHES / 2]);
}

static void choose_names(const char *where, int count) {
    if (strcmp(where, "missing") == 0)
        strcpy(asked, "KU_MISSING_VARIABLE");
    else
        name_of(asked, strcmp(where, "first") == 0    ? 0
                       : strcmp(where, "middle") == 0 ? count / 2
                                                      : count - 1);
    for (int thread = 0; thread < THREADS_MAX; thread++) {
        name_of(own[thread][0], count / 2 + thread);
        snprintf(own[thread][1], NAME_MAX_LENGTH, "NEW_VARIABLE_%d", thread);
        for (int i = 0; i < 2; i++)
            if (asprintf(&put[thread][i], "%s=put%d", own[thread][0], i) < 0)
                die("asprintf");
    }
}

static char *setting(const char *name) {
    char *text = NULL;
    const char *value = getenv(name);
    if (value && asprintf(&text, "%s=%s", name, value) < 0)
        die(name);
    return text;
}

static void start_again(char **argv, int count) {
    char *extra[] = {setting("LD_PRELOAD"), setting("RACESHIM")};
    char **environment = calloc((size_t)count + 1, sizeof *environment);
    for (int i = 0; i < count; i++) {
        char name[NAME_MAX_LENGTH];
        name_of(name, i);
        if (asprintf(&environment[i], "%s=the value of number %d", name, i) < 0)
            die(name);
    }
    for (int i = 0; i < 2 && count > 4; i++)
        if (extra[i])
            environment[count - 2 - i] = extra[i];
    char *arguments[] = {argv[0], argv[1], argv[2], argv[3], (char *)"again", NULL};
    execve("/proc/self/exe", arguments, environment);
    die("execve");
}

int main(int argc, char **argv) {
    if (argc == 4)
        start_again(argv, atoi(argv[2]));
    for (size_t i = 0; argc == 5 && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(argv[1], rows[i].name) == 0) {
            row = &rows[i];
            threads = atoi(argv[3]);
            choose_names(row->name, atoi(argv[2]));
            measure();
            return 0;
        }
    }
    fprintf(stderr, "usage: %s ROW COUNT THREADS\n", argv[0]);
    return 2;
}
