/* What one operation costs: measures the named row and prints nanoseconds an operation, the median
 * of a few batches. It knows nothing of the shim: tests/bench/run runs it bare and shimmed in turn.
 *
 *     lock_cost ROW [N]
 *
 * It leaves its files in the working directory: an unlinked one would be a finding of its own.
 * N is how many things there are beside the one that is measured, for the rows that have such.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 9

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

/* Prints the median cost of an operation, of BATCHES runs of `batch`. */
static void report(void (*batch)(int operations), int operations) {
    double costs[BATCHES];
    batch(operations / 10 + 1);
    for (int i = 0; i < BATCHES; i++) {
        int64_t start = now();
        batch(operations);
        costs[i] = (double)(now() - start) / operations;
    }
    qsort(costs, BATCHES, sizeof costs[0], by_value);
    printf("%.1f\n", costs[BATCHES / 2]);
}

static int open_new(void) {
    char name[] = "lock-cost-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        die(name);
    return fd;
}

static void set_lock(int fd, short type, off_t start) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
    if (fcntl(fd, F_SETLK, &lock) != 0)
        die("F_SETLK");
}

/* Sets the soft limit that the program needs and leaves what lies above to hidden descriptors. */
static void allow_descriptors(rlim_t count) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("RLIMIT_NOFILE");
}

static int held_open;
static off_t pair_start;

static void lock_and_unlock(int operations) {
    for (int i = 0; i < operations; i++) {
        set_lock(held_open, F_WRLCK, pair_start);
        set_lock(held_open, F_UNLCK, pair_start);
    }
}

static void pair(int n) {
    (void)n;
    held_open = open_new();
    report(lock_and_unlock, 50000);
}

static void open_lock_close(int operations) {
    for (int i = 0; i < operations; i++) {
        int fd = open("lock-cost", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            die("lock-cost");
        set_lock(fd, F_WRLCK, 0);
        set_lock(fd, F_UNLCK, 0);
        close(fd);
    }
}

static void open_close(int n) {
    (void)n;
    report(open_lock_close, 5000);
}

static pid_t query_result;

static void query(int operations) {
    for (int i = 0; i < operations; i++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
        if (fcntl(held_open, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
            die("F_GETLK found no holder");
        query_result = lock.l_pid;
    }
}

static void await_byte(int fd) {
    char byte;
    if (read(fd, &byte, 1) != 1)
        die("the holder is gone");
}

/* Starts this program again as a holder of the file's first byte; it ends when its pipe does. */
static pid_t start_holder(const char *how, bool outside_shim, int *its_input) {
    int ready[2], input[2];
    if (pipe2(ready, 0) != 0 || pipe2(input, 0) != 0)
        die("pipe2");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(ready[1], STDOUT_FILENO);
        close(input[1]);
        close(ready[0]);
        if (outside_shim)
            unsetenv("LD_PRELOAD");
        char *const left_as_it_is[] = {(char *)"lock_cost", (char *)how, NULL};
        char *const cleared[] = {NULL};
        execve("/proc/self/exe", left_as_it_is, outside_shim ? cleared : environ);
        _exit(127);
    }
    close(ready[1]);
    close(input[0]);
    await_byte(ready[0]);
    close(ready[0]);
    *its_input = input[1];
    return pid;
}

static void hold(int command) {
    int fd = open("lock-cost", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    if (fd < 0 || fcntl(fd, command, &lock) != 0)
        die("hold");
    char byte = 1;
    if (write(STDOUT_FILENO, &byte, 1) != 1 || read(STDIN_FILENO, &byte, 1) != 0)
        die("hold");
}

static void hold_record_lock(int n) {
    (void)n;
    hold(F_SETLK);
}

static void hold_description_lock(int n) {
    (void)n;
    hold(F_OFD_SETLK);
}

static void known_holder(int n) {
    (void)n;
    int input;
    start_holder("hold-record-lock", false, &input);
    held_open = open("lock-cost", O_RDWR | O_CLOEXEC);
    report(query, 20000);
}

/* The first query for a holder that no one under the shim has met, with an F_OFD lock: by name of
 * its process nobody knows it but /proc. */
static void unknown_holder(int n) {
    (void)n;
    int input;
    pid_t pid = start_holder("hold-description-lock", true, &input);
    held_open = open("lock-cost", O_RDWR | O_CLOEXEC);
    int64_t start = now();
    query(1);
    printf("%.1f\n", (double)(now() - start));
    if (getenv("LD_PRELOAD") == NULL && query_result != -1 && query_result != pid)
        die("F_GETLK named another process");
}

static void fork_and_wait(int operations) {
    for (int i = 0; i < operations; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
}

static void fork_with_locks(int n) {
    allow_descriptors((rlim_t)n + 64);
    for (int i = 0; i < n; i++)
        set_lock(open_new(), F_WRLCK, 0);
    report(fork_and_wait, 40);
}

static void query_flags(int operations) {
    for (int i = 0; i < operations; i++)
        if (fcntl(held_open, F_GETFD) < 0)
            die("F_GETFD");
}

/* dup with close and nothing but these two: what the rows close and dup have in common */
static void copy_and_close(int operations) {
    for (int i = 0; i < operations; i++)
        close(dup(held_open));
}

static int beside_locks(int n) {
    for (int i = 0; i < n; i++)
        set_lock(open_new(), F_WRLCK, 0);
    return open_new();
}

static void get_flags(int n) {
    held_open = beside_locks(n);
    report(query_flags, 300000);
}

static void dup_close(int n) {
    held_open = beside_locks(n);
    report(copy_and_close, 200000);
}

/* As daemons do: close every number that there may be, open or not. Numbers above the limit fail in
 * the same way and at the same cost, so it need not be raised. */
static void close_all(int n) {
    int64_t best = INT64_MAX;
    for (int batch = 0; batch < 5; batch++) {
        int64_t start = now();
        for (int fd = 3; fd < n; fd++)
            close(fd);
        int64_t cost = now() - start;
        best = cost < best ? cost : best;
    }
    printf("%.1f\n", (double)best);
}

/* Counted page by page: the number in /proc/self/status may be wrong by some hundred KiB. */
static void resident(int n) {
    (void)n;
    char line[256];
    FILE *memory = fopen("/proc/self/smaps_rollup", "re");
    while (memory != NULL && fgets(line, sizeof line, memory) != NULL)
        if (strncmp(line, "Rss:", 4) == 0)
            printf("%ld\n", strtol(line + 4, NULL, 10));
}

static void among_descriptions(int n) {
    allow_descriptors((rlim_t)n + 64);
    held_open = beside_locks(n);
    report(lock_and_unlock, 20000);
}

/* Every other byte, so that no two ranges become one; the measured pair lies behind them all. */
static void among_ranges(int n) {
    held_open = open_new();
    for (int i = 0; i < n; i++)
        set_lock(held_open, F_WRLCK, 2 * (off_t)i);
    pair_start = 2 * (off_t)n;
    report(lock_and_unlock, n > 1000 ? 200 : 20000);
}

static pthread_barrier_t parked;

static void *lock_once_and_stay(void *unused) {
    (void)unused;
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one_at_a_time);
    lock_and_unlock(1);
    pthread_mutex_unlock(&one_at_a_time);
    pthread_barrier_wait(&parked);
    for (;;)
        pause();
    return NULL;
}

static void among_threads(int n) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    pthread_barrier_init(&parked, NULL, (unsigned)n + 1);
    held_open = open_new();
    for (int i = 0; i < n; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, &attributes, lock_once_and_stay, NULL);
        if (errno != 0)
            die("pthread_create");
    }
    pthread_barrier_wait(&parked);
    report(lock_and_unlock, 20000);
}

static void among_variables(int n) {
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "VARIABLE_%d", i);
        setenv(name, "x", 1);
    }
    held_open = open_new();
    report(lock_and_unlock, 20000);
}

static const struct row {
    const char *name;
    void (*measure)(int n);
} rows[] = {
    {"pair", pair},
    {"open-close", open_close},
    {"known-holder", known_holder},
    {"unknown-holder", unknown_holder},
    {"hold-record-lock", hold_record_lock},
    {"hold-description-lock", hold_description_lock},
    {"fork", fork_with_locks},
    {"get-flags", get_flags},
    {"dup-close", dup_close},
    {"close-all", close_all},
    {"resident", resident},
    {"descriptions", among_descriptions},
    {"ranges", among_ranges},
    {"threads", among_threads},
    {"variables", among_variables},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(argv[1], rows[i].name) == 0) {
            rows[i].measure(argc > 2 ? atoi(argv[2]) : 0);
            return 0;
        }
    }
    fprintf(stderr, "usage: %s ROW [N]\n", argv[0]);
    return 2;
}
