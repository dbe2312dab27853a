/* The process environment against libc's own, call by call, and what libc does not promise. */
#include "check.h"

#include "base/loaded.h"
#include "env/array.h"
#include "env/change.h"
#include "env/index.h"
#include "env/lock.h"
#include "env/memory.h"
#include "env/name.h"
#include "env/strings.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/time.h>

struct settings settings;
struct rules rules;

extern char **environ;

/* A sanitizer keeps memory of its own, and is slow. */
#ifdef NAME_SANITIZED
#define TIMES(n) ((n) / 50)
#else
#define TIMES(n) (n)
#endif

/* The calls under test. */
struct calls {
    char *(*get)(const char *name);
    int (*set)(const char *name, const char *value, int overwrite);
    int (*unset)(const char *name);
    int (*put)(char *string);
    int (*clear)(void);
};

static const struct calls libc = {getenv, setenv, unsetenv, putenv, clearenv};

static int answer(int result) {
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

static int our_set(const char *name, const char *value, int overwrite) {
    return answer(change_set(name, value, overwrite, NULL));
}

static int our_unset(const char *name) {
    return answer(change_unset(name, NULL));
}

static int our_put(char *string) {
    if (strchr(string, '='))
        return answer(change_put(string, NULL));
    int result = our_unset(string);
    return result < 0 && errno == EINVAL ? 0 : result;
}

static int our_clear(void) {
    return answer(change_clear(NULL));
}

static const struct calls ours = {array_get, our_set, our_unset, our_put, our_clear};

/* A sequence of random calls and edits. What can be seen of it is summed up. */

#define NAMES 140
#define STRINGS 24
#define STRING_SIZE 40
#define MINE 200

struct play {
    const struct calls *calls;
    unsigned calm; /* few strings of the program's: an index is possible */
    uint64_t random;
    uint64_t seen;
    char names[NAMES][16];
    char strings[STRINGS][STRING_SIZE]; /* what is given to putenv, and edited */
    char *mine[MINE];                   /* arrays and entries of the program's */
    char *fixed[MINE];
};

static struct play play;

static unsigned any(unsigned below) {
    play.random = play.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(play.random >> 33) % below;
}

static void see(uint64_t fact) {
    play.seen = (play.seen ^ fact) * UINT64_C(0x100000001b3);
    play.seen ^= play.seen >> 29;
}

static void see_text(const char *text) {
    if (!text)
        see(1);
    else
        for (; *text; text++)
            see((unsigned char)*text);
}

static void see_environment(void) {
    see(environ == NULL);
    for (char **entry = environ; entry && *entry; entry++) {
        see_text(*entry);
        for (unsigned i = 0; i < STRINGS; i++)
            if (*entry == play.strings[i])
                see(i);
    }
}

static const char *any_name(void) {
    static const char *const odd[] = {"", "A=B", "=", "N", "NA"};
    unsigned i = any(NAMES + 5);
    return i < NAMES ? play.names[i] : odd[i - NAMES];
}

static const char *any_value(void) {
    static const char *const values[] = {"", "1", "two", "x=y",
                                         "a longer value than the others are"};
    return values[any(5)];
}

static size_t entries(void) {
    size_t count = 0;
    while (environ && environ[count])
        count++;
    return count;
}

static void write_string(unsigned i) {
    snprintf(play.strings[i], STRING_SIZE, any(9) ? "%s=%u" : "%s", play.names[any(NAMES)], any(3));
}

static void own_array(void) {
    size_t count = entries();
    if (count >= MINE)
        return;
    for (size_t i = 0; i < count; i++)
        play.mine[i] = environ[i];
    play.mine[count] = NULL;
    environ = play.mine;
}

static void edit(void) {
    size_t count = entries();
    switch (any(7)) {
    case 0: /* a name or a value in a string of the program's */
        write_string(any(STRINGS));
        break;
    case 1:
        if (count)
            environ[any((unsigned)count)] = (char *)"DIRECT=1";
        break;
    case 2:
        if (count)
            environ[any((unsigned)count)] = play.strings[any(STRINGS)];
        break;
    case 3:
        if (count > 1)
            environ[any((unsigned)count)] = environ[any((unsigned)count)];
        break;
    case 4: /* the last ones go */
        if (count > 2)
            environ[count - 1 - any(2)] = NULL;
        break;
    case 5:
        if (any(4) == 0)
            own_array();
        break;
    case 6: /* beside other threads removals leave an array of the program's as it is, and not as libc does */
        if (any(40) == 0)
            environ = any(2) || atomic_load(&env_threads_started) ? NULL : play.fixed;
        break;
    }
}

static unsigned indexes; /* were made */

static void step(void) {
    const struct calls *calls = play.calls;
    if (any(10) == 0 && calls == &ours && env_lock()) {
        indexes += array_index();
        env_unlock();
    }
    errno = 0;
    unsigned kind = any(100);
    if (kind < 40) {
        see_text(calls->get(any_name()));
    } else if (kind < 65) {
        const char *name = any_name();
        see((uint64_t)calls->set(name, any_value(), (int)any(2)));
        see((uint64_t)errno);
    } else if (kind < 75) {
        see((uint64_t)calls->unset(any_name()));
        see((uint64_t)errno);
    } else if (kind < 87) {
        unsigned i = any(play.calm ? 4 : STRINGS);
        if (any(2))
            write_string(i);
        see((uint64_t)calls->put(play.strings[i]));
        see((uint64_t)errno);
    } else if (kind < 99) {
        if (!play.calm || any(20) == 0)
            edit();
    } else if (any(20) == 0) {
        see((uint64_t)calls->clear());
    }
    see_environment();
}

static uint64_t played(const struct calls *calls, uint64_t seed, unsigned steps) {
    char **saved = environ;
    memset(&play, 0, sizeof play);
    play.calls = calls;
    play.random = seed;
    for (unsigned i = 0; i < NAMES; i++)
        snprintf(play.names[i], sizeof play.names[i], "%c%c%u", 'A' + i % 7, 'A' + i % 3, i);
    for (unsigned i = 0; i < STRINGS; i++)
        write_string(i);
    static char initial[MINE][24];
    play.calm = any(2);
    unsigned count = play.calm ? 100 : any(20);
    for (unsigned i = 0; i < count; i++) {
        snprintf(initial[i], sizeof initial[i], "%s=initial", play.names[any(NAMES)]);
        play.fixed[i] = initial[i];
    }
    environ = play.calm ? NULL : play.fixed;
    for (unsigned i = 0; i < count; i++)
        calls->set(play.names[i], "set", 1);
    for (unsigned i = 0; i < steps; i++)
        step();
    environ = saved;
    return play.seen;
}

static void compare_with_libc(unsigned games, unsigned steps) {
    for (uint64_t seed = 1; seed <= games; seed++) {
        uint64_t wanted = played(&libc, seed, steps), got = played(&ours, seed, steps);
        if (got != wanted) {
            CHECK_FAILED("seed %llu differs from libc", (unsigned long long)seed);
            return;
        }
    }
    CHECK(indexes > games);
    indexes = 0;
}

TEST("E6: random calls and edits leave what libc leaves") {
    compare_with_libc(TIMES(300) + 20, 400);
}

TEST("E6: the order and the values are libc's also where other threads run") {
    atomic_store(&env_threads_started, true);
    compare_with_libc(TIMES(300) + 20, 400);
    atomic_store(&env_threads_started, false);
}

static char *many[1001];
static char many_strings[1000][24];

static void start_with(unsigned count) {
    environ = NULL;
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "V%c%u", 'A' + i % 26, i);
        CHECK_EQ(our_set(name, "initial", 1), 0);
    }
}

static bool says_initial(unsigned i) {
    char name[16];
    snprintf(name, sizeof name, "V%c%u", 'A' + i % 26, i);
    const char *value = array_get(name);
    return value && strcmp(value, "initial") == 0;
}

/* Far walks, until the index is made. */
static bool indexed(void) {
    for (int i = 0; i < 10000; i++) {
        array_get("MISSING");
        if (index_is_for(environ))
            return true;
    }
    return false;
}

TEST("E6: what the index tells is what a walk finds, whatever was changed meanwhile") {
    start_with(300);
    CHECK(indexed());
    for (unsigned i = 0; i < 300; i++)
        CHECK(says_initial(i));
    char loose[] = "VB1=loose", other[] = "WW=loose";
    CHECK_EQ(our_put(loose), 0);
    CHECK_EQ(our_put(other), 0);
    CHECK(indexed());
    CHECK(array_get("VB1") == loose + 4);
    CHECK(array_get("WW") == other + 3);
    memcpy(other, "XY=", 3);
    CHECK(array_get("WW") == NULL);
    CHECK(array_get("XY") == other + 3);
    environ[100] = (char *)"XY=first";
    CHECK_STR(array_get("XY"), "first");
    environ[90] = environ[200];
    environ[200] = (char *)"VS200=second";
    CHECK_STR(array_get("VS200"), "initial");
    environ[250] = NULL;
    CHECK(array_get("VR251") == NULL);
    CHECK(array_get("XY") != NULL);
}

TEST("E6: many strings of the program's are found by walking") {
    start_with(100);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(many_strings[i], sizeof many_strings[i], "P%u=%u", i, i);
        CHECK_EQ(our_put(many_strings[i]), 0);
    }
    CHECK(!indexed());
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "P%u", i);
        CHECK(array_get(name) == strchr(many_strings[i], '=') + 1);
        many_strings[i][0] = 'Q';
        CHECK(array_get(name) == NULL);
        name[0] = 'Q';
        CHECK(array_get(name) != NULL);
    }
}

TEST("E5: a string set again is the one that was kept, unless the program edited it") {
    environ = NULL;
    our_set("KEPT", "one", 1);
    char *first = array_get("KEPT");
    our_set("KEPT", "two", 1);
    CHECK(array_get("KEPT") != first);
    our_set("KEPT", "one", 1);
    CHECK(array_get("KEPT") == first);
    first[0] = 'X';
    our_set("KEPT", "one", 1);
    CHECK(array_get("KEPT") != first);
    CHECK_STR(array_get("KEPT"), "one");
    CHECK_STR(first, "Xne");
    CHECK(strings_has(first));
    CHECK(!strings_has("a string of the program's"));
}

TEST("E5: what getenv gave stays readable whatever follows") {
    start_with(100);
    const char *values[100];
    for (unsigned i = 0; i < 100; i++)
        values[i] = strchr(environ[i], '=') + 1;
    for (unsigned i = 0; i < 100000; i++) {
        char name[16], value[16];
        snprintf(name, sizeof name, "V%c%u", 'A' + i % 100 % 26, i % 100);
        snprintf(value, sizeof value, "%u", i % 1000);
        our_set(name, value, 1);
        if (i % 3 == 0)
            our_unset(name);
    }
    for (unsigned i = 0; i < 100; i++)
        CHECK_STR(values[i], "initial");
}

/* As libc's own loop over a pointer that it took before: the next entry comes to where the removed one was. */
static void unset_all_by(char **entry) {
    unsigned steps = 0;
    for (; *entry && steps < 2000; steps++) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry);
        our_unset(name);
    }
    CHECK(steps < 2000);
    CHECK(environ && !*environ);
}

static void own_entries(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        snprintf(many_strings[i], sizeof many_strings[i], "M%u=%u", i, i);
        many[i] = many_strings[i];
    }
    many[count] = NULL;
    environ = many;
}

TEST("E6: a loop that unsets what one pointer points to ends") {
    start_with(200);
    unset_all_by(environ);
    own_entries(200);
    unset_all_by(environ);
    atomic_store(&env_threads_started, true);
    start_with(200);
    our_unset("VA0");
    unset_all_by(environ);
    own_entries(200);
    unset_all_by(environ);
    own_entries(200);
    array_loaded(environ, getauxval(AT_EXECFN));
    our_unset("M100");
    unset_all_by(many);
    array_loaded(NULL, 0);
    atomic_store(&env_threads_started, false);
}

TEST("E6: beside other threads a removal leaves the program's array to its readers") {
    atomic_store(&env_threads_started, true);
    own_entries(10);
    our_unset("M3");
    CHECK(environ != many);
    CHECK(array_get("M3") == NULL);
    CHECK(array_get("M9") != NULL);
    CHECK(many[9] == many_strings[9]);
    atomic_store(&env_threads_started, false);
}

static long resident(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void churn(unsigned times) {
    static unsigned i;
    for (unsigned last = i + times; i != last; i++) {
        char name[16];
        snprintf(name, sizeof name, "CHURN%u", i * 7919 % 1000);
        our_set(name, i & 1 ? "one" : "two", 1);
        if (i % 2 == 0) {
            snprintf(name, sizeof name, "CHURN%u", i * 104729 % 1000);
            our_unset(name);
        }
    }
}

static void stays_flat(void) {
    start_with(10);
    churn(TIMES(50000));
    long before = resident();
    churn(TIMES(200000));
    CHECK(resident() - before < 8192);
}

TEST("E5: memory stays flat under changes of a thousand names") {
    stays_flat();
}

TEST("E5: memory stays flat beside other threads") {
    atomic_store(&env_threads_started, true);
    stays_flat();
    for (unsigned i = 0; i < TIMES(100000); i++) {
        our_clear();
        our_set("A", "1", 1);
        our_set("B", "1", 1);
    }
    long before = resident();
    for (unsigned i = 0; i < TIMES(300000); i++) {
        our_clear();
        our_set("A", "1", 1);
    }
    CHECK(resident() - before < 65536);
    atomic_store(&env_threads_started, false);
}

/* In a handler, while no other thread runs: removals move later entries left. */

static volatile unsigned handled, missed;
static volatile bool handler_writes;

static bool is_there(const char *name) {
    bool there = false;
    for (char **entry = environ; entry && *entry; entry++)
        there |= strncmp(*entry, name, strlen(name)) == 0 && (*entry)[strlen(name)] == '=';
    return there;
}

static void handle(int signal) {
    (void)signal;
    int saved = errno;
    missed += !array_get("VA0") || !array_get("VB53") || !array_get("VH7") || array_get("MISSING");
    missed += !is_there("VA0") || !is_there("VB53") || !is_there("VH7");
    if (handler_writes) {
        our_set("FROM_HANDLER", handled & 1 ? "one" : "two", 1);
        our_unset("VC2");
        our_set("VC2", "back", 1);
        our_unset("VD3");
    }
    handled++;
    errno = saved;
}

/* One signal a round, so that a slow handler cannot keep the round from ending. */
static void interrupted(unsigned count, bool writes, bool main_writes) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    start_with(count);
    handler_writes = writes;
    handled = missed = 0;
    sigaction(SIGALRM, &action, NULL);
    for (unsigned round = 0; handled < TIMES(450) + 50; round++) {
        struct itimerval once = {{0, 0}, {0, 1 + round % 40}};
        setitimer(ITIMER_REAL, &once, NULL);
        unsigned before = handled;
        for (unsigned i = 0; i < 1000 && handled == before; i++) {
            if (main_writes)
                churn(1);
            missed += !array_get("VA0") || !array_get("VB53") || !array_get("VH7");
        }
    }
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_IGN);
    CHECK_EQ(missed, 0);
}

TEST("E5: a handler that interrupts a writer reads all that is there") {
    interrupted(54, false, true);
    interrupted(300, false, true);
}

TEST("E5: a reader that a writing handler interrupts misses nothing") {
    interrupted(54, true, false);
    interrupted(300, true, false);
}

TEST("E5: a handler that writes and interrupts a writer fails or succeeds, and all goes on") {
    interrupted(54, true, true);
    interrupted(300, true, true);
}

TEST("E3: the environment becomes the given entries") {
    char *given[] = {(char *)"A=1", (char *)"B=2"};
    start_with(100);
    CHECK(array_replace(given, 2));
    CHECK_EQ(entries(), 2);
    CHECK_STR(array_get("B"), "2");
    CHECK_EQ(our_set("C", "3", 1), 0);
    CHECK_EQ(entries(), 3);
    CHECK(array_replace(NULL, 0));
    CHECK(environ && !*environ);
}

TEST("E5: a change that was interrupted for ever is made whole") {
    start_with(100);
    CHECK(env_lock());
    CHECK(!env_lock());
    CHECK(env_lock_jumped());
    CHECK(!env_lock_jumped());
    CHECK(env_lock());
    env_unlock();
    CHECK_EQ(entries(), 100);
}
