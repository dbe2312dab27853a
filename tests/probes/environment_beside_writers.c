/* Threads that change the environment beside threads that read it. Each attempt is a child's: it may crash.
 *
 *   environment_beside_writers WRITES READER ATTEMPTS CHANGES [SECONDS]
 *
 * WRITES: new (names that were not there), overwrite, unset, put, clear, or all.
 * READER: getenv, walk (of `environ` itself), time (localtime and tzset), resolver (getaddrinfo), locale (setlocale),
 * or all: one thread of each.
 * With SECONDS there is one attempt, which makes CHANGES as often as there is time for.
 *
 * Two variables stay, the first and one behind those that come and go. The first attempt that crashes, or in
 * which a reading does not find one of the two with its value, is the last; the status is 1 then.
 */
#define _GNU_SOURCE
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAMES 300
#define NEW_NAMES 2000

static struct shared {
    _Atomic long missed;
    _Atomic long readings;
} * shared;
static atomic_bool stop;
static atomic_uint writing;
static const char *writes;
static int changes;
static time_t until;

/* Each string is another one, so that memory that was given up is soon something else. */
static void write_new(unsigned i) {
    char name[32], value[64];
    snprintf(name, sizeof name, "NEW_%u", i % NEW_NAMES);
    snprintf(value, sizeof value, "%0*u", (int)(i % 50) + 1, i);
    setenv(name, value, 1);
}

static void overwrite(unsigned i) {
    char value[64];
    snprintf(value, sizeof value, "%0*u", (int)(i % 50) + 1, i % 1000);
    setenv("OVERWRITTEN", value, 1);
}

static void unset(unsigned i) {
    char name[32];
    snprintf(name, sizeof name, "COMES_%u", i % 7);
    if (i / 7 % 2)
        unsetenv(name);
    else
        setenv(name, "and goes", 1);
}

static void put(unsigned i) {
    static char strings[NAMES][32];
    char *string = strings[i % NAMES];
    if (!string[0])
        snprintf(string, sizeof strings[0], "PUT_%u=put", i % NAMES);
    if (i / NAMES % 2) {
        char name[32];
        snprintf(name, sizeof name, "PUT_%u", i % NAMES);
        unsetenv(name);
    } else {
        putenv(string);
    }
}

static void clear(unsigned i) {
    if (i % 4 == 0)
        clearenv();
    else
        write_new(i);
}

static const struct {
    const char *name;
    void (*change)(unsigned i);
} ways[] = {
    {"new", write_new}, {"overwrite", overwrite}, {"unset", unset}, {"put", put}, {"clear", clear}};

static bool is_asked(const char *asked, const char *name) {
    return strcmp(asked, name) == 0 || (strcmp(asked, "all") == 0 && strcmp(name, "clear") != 0);
}

static void *write_all(void *unused) {
    (void)unused;
    do
        for (unsigned i = 0; i < (unsigned)changes; i++)
            for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++)
                if (is_asked(writes, ways[way].name))
                    ways[way].change(i);
    while (time(NULL) < until);
    if (atomic_fetch_sub(&writing, 1) == 1)
        atomic_store(&stop, true);
    return NULL;
}

static bool stays(const char *name) {
    const char *value = getenv(name);
    return (!value && strcmp(writes, "clear") == 0) || (value && strcmp(value, "stays") == 0);
}

static void read_getenv(void) {
    if (!stays("FIRST") || !stays("STAYS") || getenv("NO_SUCH_NAME"))
        atomic_fetch_add(&shared->missed, 1);
}

static void read_walk(void) {
    int found = 0;
    for (char **entry = *(char **volatile *)&environ; entry && *(char *volatile *)entry; entry++)
        found += strcmp(*entry, "FIRST=stays") == 0 || strcmp(*entry, "STAYS=stays") == 0;
    if (found < 2 && strcmp(writes, "clear") != 0)
        atomic_fetch_add(&shared->missed, 1);
}

static void read_time(void) {
    struct tm parts;
    time_t when = 0;
    tzset();
    if (strcmp(writes, "clear") != 0 && localtime(&when) && localtime_r(&when, &parts) &&
        parts.tm_hour != 5)
        atomic_fetch_add(&shared->missed, 1);
}

static void read_resolver(void) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_family = AF_INET}, *found = NULL;
    if (getaddrinfo("localhost", "80", &hints, &found) == 0)
        freeaddrinfo(found);
}

static void read_locale(void) {
    setlocale(LC_ALL, "");
}

static const struct {
    const char *name;
    void (*read)(void);
} readers[] = {{"getenv", read_getenv},
               {"walk", read_walk},
               {"time", read_time},
               {"resolver", read_resolver},
               {"locale", read_locale}};
#define READERS (sizeof readers / sizeof readers[0])

static void *read_all(void *reader) {
    while (!atomic_load(&stop)) {
        readers[(intptr_t)reader].read();
        atomic_fetch_add(&shared->readings, 1);
    }
    return NULL;
}

static void start(void) {
    clearenv();
    setenv("FIRST", "stays", 1);
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "BETWEEN_%d", i);
        setenv(name, "and not looked at", 1);
        snprintf(name, sizeof name, "COMES_%d", i);
        if (i < 7)
            setenv(name, "and goes", 1);
    }
    setenv("TZ", "XXX-5", 1);
    setenv("LC_ALL", "C", 1);
    setenv("STAYS", "stays", 1);
}

static int attempt(const char *reader) {
    pthread_t threads[READERS + 1];
    struct rlimit no_core = {0, 0};
    unsigned count = 0;
    setrlimit(RLIMIT_CORE, &no_core);
    start();
    atomic_store(&writing, 1);
    for (size_t i = 0; i < READERS; i++)
        if (is_asked(reader, readers[i].name))
            pthread_create(&threads[count++], NULL, read_all, (void *)(intptr_t)i);
    pthread_create(&threads[count++], NULL, write_all, NULL);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 5)
        return 2;
    int most = atoi(argv[3]), attempts = 0, crashed = 0;
    writes = argv[1];
    changes = atoi(argv[4]);
    until = argc > 5 ? time(NULL) + atoi(argv[5]) : 0;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    while (attempts < most && crashed == 0 && shared->missed == 0) {
        int status;
        pid_t pid = fork();
        if (pid == 0)
            _exit(attempt(argv[2]));
        waitpid(pid, &status, 0);
        crashed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        attempts++;
    }
    printf("attempts=%d\ncrashed=%d\nmissed=%ld\n", attempts, crashed, shared->missed);
    return attempts == most && crashed == 0 && shared->missed == 0 ? 0 : 1;
}
