/* What it costs to start a program: without a preloaded library, with one that does nothing, with
 * ours.
 *
 *     start_cost TIMES PROGRAM [LIBRARY]...
 *
 * Starts PROGRAM in turn without LD_PRELOAD and with each LIBRARY, TIMES times over, and prints the
 * median of the nanoseconds for each on a line. The rest of the environment is this program's.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAYS_MAX 8

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int64_t start_once(char *program, char *const *environment) {
    char *const arguments[] = {program, NULL};
    int status;
    pid_t pid;
    int64_t start = now();
    if (posix_spawn(&pid, program, NULL, NULL, arguments, environment) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "%s did not run\n", program);
        exit(1);
    }
    return now() - start;
}

/* The environment with `setting` appended, unless it is NULL. */
static char **environment_with(char *setting) {
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **copy = calloc(count + 2, sizeof *copy);
    memcpy(copy, environ, count * sizeof *copy);
    copy[count] = setting;
    return copy;
}

int main(int argc, char **argv) {
    int times = argc > 2 ? atoi(argv[1]) : 0;
    int ways = argc - 2;
    if (times <= 0 || ways > WAYS_MAX) {
        fprintf(stderr, "usage: %s TIMES PROGRAM [LIBRARY]...\n", argv[0]);
        return 2;
    }
    char **environments[WAYS_MAX];
    int64_t *costs[WAYS_MAX];
    for (int way = 0; way < ways; way++) {
        char *setting = NULL;
        if (way > 0 && asprintf(&setting, "LD_PRELOAD=%s", argv[2 + way]) < 0)
            return 1;
        environments[way] = environment_with(setting);
        costs[way] = calloc((size_t)times, sizeof *costs[way]);
    }
    for (int i = 0; i < times; i++)
        for (int way = 0; way < ways; way++)
            costs[way][i] = start_once(argv[2], environments[way]);
    for (int way = 0; way < ways; way++) {
        qsort(costs[way], (size_t)times, sizeof *costs[way], by_value);
        printf("%lld\n", (long long)costs[way][times / 2]);
    }
    return 0;
}
