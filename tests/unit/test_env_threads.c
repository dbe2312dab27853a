/* Readers of the environment beside writers: in threads, in handlers, and in children. */
#define _GNU_SOURCE
#include "check.h"

#include "base/loaded.h"
#include "base/owner.h"
#include "base/sys.h"
#include "env/array.h"
#include "env/change.h"
#include "env/lock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct settings settings;
struct rules rules;

extern char **environ;

#define STABLE 8
#define WRITERS 2
#define READERS 2

static _Atomic bool stop;
static _Atomic unsigned wrong;
static unsigned changes; /* of each writer */

static void name_stable(char name[16], unsigned i) {
    snprintf(name, 16, "STABLE%u", i);
}

/* The stable ones are spread over the others. */
static void start(unsigned others) {
    environ = NULL;
    for (unsigned i = 0; i < STABLE; i++) {
        char name[16];
        name_stable(name, i);
        change_set(name, "stays", 1, NULL);
        for (unsigned k = 0; k < others / STABLE; k++) {
            snprintf(name, sizeof name, "O%c%u", 'A' + k % 26, i * 1000 + k);
            change_set(name, "other", 1, NULL);
        }
    }
    atomic_store(&stop, false);
    atomic_store(&wrong, 0);
}

static uint64_t next(uint64_t *random) {
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 33;
}

static void change(uint64_t *random) {
    static char put[4][16] = {"PUT0=0", "PUT1=1", "PUT2=2", "PUT3=3"};
    char name[16];
    snprintf(name, sizeof name, "NEW%u", (unsigned)(next(random) % 100));
    switch (next(random) % 4) {
    case 0:
        change_put(put[next(random) % 4], NULL);
        break;
    case 1:
        change_unset(next(random) % 2 ? name : "PUT1", NULL);
        break;
    default:
        change_set(name, next(random) % 2 ? "one" : "two", 1, NULL);
    }
}

static void *write_all(void *seed) {
    uint64_t random = (uint64_t)(uintptr_t)seed;
    for (unsigned i = 0; i < changes; i++)
        change(&random);
    return NULL;
}

static void look_at(const char *name, const char *one, const char *two, bool must) {
    const char *value = array_get(name);
    if (value ? strcmp(value, one) != 0 && strcmp(value, two) != 0 : must)
        atomic_fetch_add(&wrong, 1);
}

static void read_once(unsigned i) {
    char name[16];
    name_stable(name, i % STABLE);
    look_at(name, "stays", "stays", true);
    snprintf(name, sizeof name, "NEW%u", i % 100);
    look_at(name, "one", "two", false);
    if (array_get("MISSING"))
        atomic_fetch_add(&wrong, 1);
}

static void *read_all(void *unused) {
    (void)unused;
    for (unsigned i = 0; !atomic_load(&stop); i++)
        read_once(i);
    return NULL;
}

/* As libc does, and programs. */
static void walk_once(void) {
    unsigned seen = 0;
    char **slot = __atomic_load_n(&environ, __ATOMIC_ACQUIRE);
    for (char *entry; slot && (entry = __atomic_load_n(slot, __ATOMIC_ACQUIRE)); slot++)
        if (strncmp(entry, "STABLE", 6) == 0)
            seen |= 1u << (entry[6] - '0');
    if (seen != (1u << STABLE) - 1)
        atomic_fetch_add(&wrong, 1);
}

static void *walk_all(void *unused) {
    (void)unused;
    while (!atomic_load(&stop))
        walk_once();
    return NULL;
}

static void run_threads(void *(*writer)(void *), bool walkers) {
    pthread_t writers[WRITERS], readers[2 * READERS];
    unsigned count = 0;
    atomic_store(&env_threads_started, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_create(&readers[count++], NULL, read_all, NULL);
        if (walkers)
            pthread_create(&readers[count++], NULL, walk_all, NULL);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_create(&writers[i], NULL, writer, (void *)(uintptr_t)(i + 1));
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < count; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&env_threads_started, false);
    CHECK_EQ(atomic_load(&wrong), 0);
}

TEST("E5: readers beside writers find every variable that was set all along") {
    changes = 20000;
    start(0);
    run_threads(write_all, true);
}

TEST("E5: readers by the index beside writers find every variable that was set all along") {
    changes = 20000;
    start(160);
    run_threads(write_all, true);
}

/* So seldom that an index is made between. */
static void *write_seldom(void *seed) {
    uint64_t random = (uint64_t)(uintptr_t)seed;
    for (unsigned i = 0; i < changes; i++) {
        change(&random);
        for (unsigned k = 0; k < 200; k++)
            read_once(k);
    }
    return NULL;
}

TEST("E5: readers find their way between the index and the walk") {
    changes = 200;
    start(160);
    run_threads(write_seldom, true);
}

static void *clear_all(void *seed) {
    uint64_t random = (uint64_t)(uintptr_t)seed;
    for (unsigned i = 0; i < changes; i++) {
        change(&random);
        if (next(&random) % 16 == 0)
            change_clear(NULL);
        else
            change_set("STABLE0", "stays", 1, NULL);
    }
    return NULL;
}

static void *read_cleared(void *unused) {
    (void)unused;
    while (!atomic_load(&stop)) {
        look_at("STABLE0", "stays", "stays", false);
        look_at("NEW1", "one", "two", false);
    }
    return NULL;
}

TEST("E5: readers beside clearenv find what was there or nothing") {
    pthread_t reader;
    changes = 20000;
    start(160);
    pthread_create(&reader, NULL, read_cleared, NULL);
    uint64_t seed = 7;
    atomic_store(&env_threads_started, true);
    clear_all((void *)(uintptr_t)seed);
    atomic_store(&stop, true);
    pthread_join(reader, NULL);
    atomic_store(&env_threads_started, false);
    CHECK_EQ(atomic_load(&wrong), 0);
}

/* Handlers. */

static _Atomic unsigned handled, refused;
static uint64_t handler_random = 3;
static _Atomic bool handler_writes;

static void handle(int signal) {
    (void)signal;
    int saved = errno;
    read_once(handled);
    walk_once();
    if (atomic_load(&handler_writes)) {
        change(&handler_random);
        if (change_set("HANDLER", "one", 1, NULL) == -ENOMEM)
            atomic_fetch_add(&refused, 1);
    }
    atomic_fetch_add(&handled, 1);
    errno = saved;
}

static void *interrupt(void *main_thread) {
    pthread_t thread = *(pthread_t *)main_thread;
    while (!atomic_load(&stop)) {
        unsigned before = atomic_load(&handled);
        pthread_kill(thread, SIGUSR1);
        while (atomic_load(&handled) == before && !atomic_load(&stop))
            sched_yield();
    }
    return NULL;
}

static void run_interrupted(bool writes, unsigned signals) {
    pthread_t self = pthread_self(), other;
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    atomic_store(&handler_writes, writes);
    atomic_store(&handled, 0);
    start(160);
    pthread_create(&other, NULL, interrupt, &self);
    uint64_t random = 5;
    for (unsigned i = 0; atomic_load(&handled) < signals; i++) {
        if (!writes)
            change(&random);
        read_once(i);
    }
    atomic_store(&stop, true);
    pthread_join(other, NULL);
    signal(SIGUSR1, SIG_IGN);
    CHECK_EQ(atomic_load(&wrong), 0);
}

TEST("E5: a handler that interrupts a writer reads all that is there") {
    run_interrupted(false, 2000);
}

TEST("E5: a reader that a writing handler interrupts misses nothing") {
    run_interrupted(true, 2000);
}

/* The lock. */

TEST("E4: who holds the lock is told that it does") {
    CHECK(env_lock());
    CHECK(!env_lock_try());
    CHECK(!env_lock());
    CHECK_EQ(change_set("NESTED", "1", 1, NULL), -ENOMEM);
    CHECK_EQ(change_unset("NESTED", NULL), -ENOMEM);
    env_unlock();
    CHECK_EQ(change_set("NESTED", "1", 1, NULL), 0);
}

static pthread_barrier_t held, released;

static void *hold(void *unused) {
    (void)unused;
    CHECK(env_lock());
    pthread_barrier_wait(&held);
    pthread_barrier_wait(&released);
    env_unlock();
    return NULL;
}

static void *hold_and_die(void *unused) {
    (void)unused;
    CHECK(env_lock());
    return NULL;
}

static int set_in_child(void) {
    alarm(20);
    return change_set("CHILD", "1", 1, NULL) == 0 && array_get("CHILD") ? 0 : 1;
}

static int status_of(pid_t pid) {
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

TEST("E4: a child forked unseen while another thread held the lock can change its environment") {
    pthread_t thread;
    pthread_barrier_init(&held, NULL, 2);
    pthread_barrier_init(&released, NULL, 2);
    pthread_create(&thread, NULL, hold, NULL);
    pthread_barrier_wait(&held);
    CHECK(!env_lock_try());
    pid_t pid = (pid_t)syscall(SYS_fork);
    if (pid == 0) {
        owner_after_fork();
        _exit(set_in_child());
    }
    CHECK_EQ(status_of(pid), 0);
    env_lock_before_fork();
    pid = fork();
    if (pid == 0) {
        env_lock_after_fork_child();
        owner_after_fork();
        _exit(set_in_child());
    }
    env_lock_after_fork_parent();
    CHECK(!env_lock_try());
    CHECK_EQ(status_of(pid), 0);
    pthread_barrier_wait(&released);
    pthread_join(thread, NULL);
    CHECK(env_lock_try());
    env_unlock();
}

TEST("E4: a child forked by the thread that holds the lock goes on with what it was doing") {
    CHECK(env_lock());
    env_lock_before_fork();
    pid_t pid = fork();
    if (pid == 0) {
        env_lock_after_fork_child();
        owner_after_fork();
        int wrong_here = env_lock_try() || env_lock();
        env_unlock();
        _exit(wrong_here || set_in_child());
    }
    env_lock_after_fork_parent();
    CHECK_EQ(status_of(pid), 0);
    CHECK(!env_lock_try());
    env_unlock();
}

TEST("E4: a thread that died as the holder is noticed") {
    pthread_t thread;
    pthread_create(&thread, NULL, hold_and_die, NULL);
    pthread_join(thread, NULL);
    CHECK_EQ(change_set("AFTERWARDS", "1", 1, NULL), 0);
}
