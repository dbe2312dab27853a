/* Scopes: long runs of few names, so that writes are forgotten all the time, against a definition that forgets none; crowds,
 * so that it matters how often the room looks at each; and more than it can tell apart.
 */
#include "base/rules.h"
#include "base/settings.h"
#include "check.h"
#include "env/array.h"
#include "env/scope.h"
#include "env/strings.h"
#include "env/thread.h"
#include "env/view.h"

#include <stdlib.h>

struct settings settings;
struct rules rules;

#define ENOUGH_USES 100000
#ifdef __SANITIZE_THREAD__
#define RUNS 5 /* there is one thread, and nothing to find */
#else
#define RUNS 60
#endif

/* ---- The definition in doc/design.md, told over again: nothing is forgotten, everything is worked out anew ---- */

#define ACTORS 60 /* of one run; one bit each */
#define NAMES 2
#define LOG 700
#define NOBODY (-1)

struct told_thread {
    int starter, within;
    bool lives;
    uint64_t contended;
};

struct told_write {
    int name, value; /* 0: removed */
    int maker;
    uint64_t heard;
};

static struct told_thread told[ACTORS];
static struct told_write entries[LOG];
static int told_count, entry_count, base[NAMES], in_environ[NAMES];

static bool has_heard(int t, int w) {
    return entries[w].heard >> t & 1;
}

static bool contended(int t, int other) {
    return told[t].contended >> other & 1;
}

static bool has_its_own(int t, int name, int enemy) {
    for (int w = 0; w < entry_count; w++)
        if (entries[w].name == name && has_heard(t, w) && contended(entries[w].maker, enemy))
            return true;
    return false;
}

static bool may_see(int t, int w) {
    int maker = entries[w].maker;
    return has_heard(t, w) || !contended(t, maker) ||
           (!told[maker].lives && !has_its_own(t, entries[w].name, maker));
}

static int last_seen(int t, int name) {
    int w = entry_count - 1;
    while (w >= 0 && !(entries[w].name == name && may_see(t, w)))
        w--;
    return w;
}

static int view_of(int t, int name) {
    int w = last_seen(t, name);
    return w < 0 ? base[name] : entries[w].value;
}

static int around(int t) {
    do
        t = told[t].within;
    while (t != NOBODY && !told[t].lives);
    return t;
}

static bool is_within(int t, int outer) {
    while (t != NOBODY && t != outer)
        t = around(t);
    return t == outer;
}

static int side_of(int t, int other) {
    for (int outer = around(t); outer != NOBODY; outer = around(outer))
        if (!is_within(other, outer))
            t = outer;
    return t;
}

static bool is_on_side(int t, int side, int other_side) {
    return t == side || (told[t].lives && is_within(t, side) && !is_within(other_side, side));
}

static void contend(int a, int b) {
    int side_a = side_of(a, b), side_b = side_of(b, a);
    for (int x = 0; x < told_count; x++)
        for (int y = 0; y < told_count; y++)
            if (is_on_side(x, side_a, side_b) && is_on_side(y, side_b, side_a)) {
                told[x].contended |= UINT64_C(1) << y;
                told[y].contended |= UINT64_C(1) << x;
            }
}

static bool is_contender(int t) {
    for (int other = 0; other < told_count; other++)
        if (contended(t, other) && told[other].lives)
            return true;
    for (int w = 0; w < entry_count; w++)
        if (last_seen(t, entries[w].name) < w)
            return true;
    return false;
}

static void forget_if_alone(void) {
    int living = 0;
    for (int t = 0; t < told_count; t++)
        living += told[t].lives;
    for (int t = 0; t < told_count; t++)
        if (living > 1 || (told[t].lives && is_contender(t)))
            return;
    memcpy(base, in_environ, sizeof base);
    entry_count = 0;
    for (int t = 0; t < told_count; t++) {
        told[t].contended = 0;
        told[t].within = NOBODY;
    }
}

static void tell_all(int from, int to) {
    for (int w = 0; w < entry_count; w++)
        if (has_heard(from, w))
            entries[w].heard |= UINT64_C(1) << to;
}

static int told_start(int starter) {
    int t = told_count++;
    told[t] = (struct told_thread){.starter = starter, .within = NOBODY, .lives = true};
    if (starter == NOBODY)
        return t;
    tell_all(starter, t);
    if (!is_contender(starter))
        return t;
    told[t].within = starter;
    told[t].contended = told[starter].contended;
    for (int other = 0; other < t; other++)
        if (contended(t, other))
            told[other].contended |= UINT64_C(1) << t;
    return t;
}

static void told_end(int t) {
    int heir = told[t].starter;
    told[t].lives = false;
    while (heir != NOBODY && !told[heir].lives)
        heir = told[heir].starter;
    if (heir != NOBODY)
        tell_all(t, heir);
    forget_if_alone();
}

static void told_write(int t, int name, int value) {
    in_environ[name] = value;
    for (int other = 0; other < told_count; other++) {
        int w = entry_count - 1;
        while (w >= 0 && !(entries[w].name == name && entries[w].maker == other))
            w--;
        if (w >= 0 && other != t && told[other].lives && entries[w].value != value &&
            !has_heard(t, w))
            contend(t, other);
    }
    entries[entry_count++] = (struct told_write){name, value, t, UINT64_C(1) << t};
    forget_if_alone();
}

/* ---- The rooms, driven along ---- */

static const char *const names[NAMES] = {"UNIT_A", "UNIT_B"};
static const char *const values[] = {NULL, "1", "2", "3"};

struct actor {
    struct env_thread thread;
    bool lives, joinable;
};
static struct actor actors[ACTORS];

static struct variable *variable_of(int name) {
    return names_make(names[name], strlen(names[name]));
}

/* Strings of the program's, which frees them when they have left `environ`. */
static char *own_strings[LOG];
static int own_count;

static char *entry_for(int name, int value) {
    if (value == 0 || rand() % 2 || own_count == LOG)
        return value ? strings_keep(names[name], strlen(names[name]), values[value]) : NULL;
    char *string = malloc(16);
    snprintf(string, 16, "%s=%s", names[name], values[value]);
    return own_strings[own_count++] = string;
}

static void free_what_is_gone(void) {
    int kept = 0;
    for (int i = 0; i < own_count; i++) {
        char *string = own_strings[i];
        if (array_find(string, names_length(string)) == string) {
            own_strings[kept++] = string;
        } else {
            memset(string, '!', 15);
            free(string);
        }
    }
    own_count = kept;
}

static bool to_array(struct variable *v, char *entry) {
    return entry ? array_put(entry, v->length) : array_remove(v->name, v->length, false);
}

static int living(void) {
    int count = 0;
    for (int t = 0; t < told_count; t++)
        count += actors[t].lives;
    return count;
}

static void look_whether_alone(void) {
    for (int t = 0; t < told_count && living() == 1; t++)
        if (actors[t].lives)
            scope_is_alone(actors[t].thread.scope);
}

static void write_as(int t, int name, int value) {
    struct variable *v = variable_of(name);
    char *entry = entry_for(name, value);
    struct scope_write w;
    if (living() > 1 || atomic_load(&view_attention) != 0) {
        scope_write_begin(&w, v, entry, &actors[t].thread, 0);
        to_array(v, entry);
        scope_write_end(&w);
        look_whether_alone();
    } else {
        to_array(v, entry);
    }
    told_write(t, name, value);
    free_what_is_gone();
}

static void start_from(int starter) {
    struct scope *scope = scope_enter(starter == NOBODY ? NULL : actors[starter].thread.scope);
    int t = told_start(starter);
    actors[t] = (struct actor){.lives = true};
    actors[t].thread = (struct env_thread){.scope = scope, .uses = ENOUGH_USES, .lives = true};
}

static void end(int t) {
    actors[t].lives = false;
    actors[t].joinable = rand() % 2;
    if (actors[t].joinable)
        family_await_join(actors[t].thread.scope);
    scope_leave(actors[t].thread.scope);
    look_whether_alone();
    told_end(t);
}

static void join(int t, int ended) {
    actors[ended].joinable = false;
    scope_joined(actors[ended].thread.scope, actors[t].thread.scope);
    family_await_join_no_more(actors[ended].thread.scope);
    tell_all(ended, t);
}

static const char *seen_by(int t, int name) {
    struct variable *v = variable_of(name);
    uint32_t slot = atomic_load(&actors[t].thread.scope->slot);
    char *entry = slot ? names_pin(v, slot) : NULL;
    if (entry == PIN_ABSENT)
        return NULL;
    entry = entry ? entry : array_find(v->name, v->length);
    return entry ? entry + v->length + 1 : NULL;
}

static bool all_agree(void) {
    for (int t = 0; t < told_count; t++)
        for (int name = 0; name < NAMES && actors[t].lives; name++)
            if (!rule_same_value(seen_by(t, name), values[view_of(t, name)]))
                return false;
    return true;
}

static int some(bool lives) {
    for (int tries = 0; tries < 10000; tries++) {
        int t = rand() % told_count;
        if (actors[t].lives == lives && (lives || actors[t].joinable))
            return t;
    }
    return NOBODY;
}

static void step(int crowd_wanted) {
    int t = some(true), what = rand() % 12, other;
    if (t == NOBODY)
        return;
    if (what < 2 && told_count < ACTORS && living() < crowd_wanted)
        start_from(t);
    else if (what == 2 && living() > 1)
        end(t);
    else if (what == 3 && (other = some(false)) != NOBODY)
        join(t, other);
    else if (what > 3)
        write_as(t, rand() % NAMES, rand() % 4);
}

static void begin_run(void) {
    told_count = entry_count = 0;
    for (int name = 0; name < NAMES; name++) {
        base[name] = in_environ[name] = rand() % 3;
        to_array(variable_of(name), entry_for(name, base[name]));
    }
    start_from(NOBODY);
}

/* The last one sees what it writes, and then nothing need be known. */
static void end_run(void) {
    while (living() > 1)
        end(some(true));
    int last = some(true);
    for (int name = 0; name < NAMES; name++)
        write_as(last, name, 0);
    scope_leave(actors[last].thread.scope);
    for (int t = 0; t < told_count; t++)
        if (actors[t].joinable)
            family_await_join_no_more(actors[t].thread.scope);
    CHECK_EQ(atomic_load(&view_attention), 0);
    memset(actors, 0, sizeof actors);
}

TEST("E1: whatever threads write, start, end and join, each sees what the definition says") {
    srand(1);
    for (int run = 0, wrong = 0; run < RUNS && wrong < 3; run++) {
        begin_run();
        for (int i = 0; i < 600; i++) {
            step(2 + run % 12);
            if (all_agree())
                continue;
            CHECK_FAILED("run %d, step %d", run, i);
            wrong++;
            break;
        }
        end_run();
    }
}

/* ---- Crowds ---- */

#define CROWD (SLOTS + 20)

static struct env_thread crowd[CROWD];
static struct variable *variable;

static struct scope *begin_crowd(int size) {
    struct scope *root = scope_enter(NULL);
    variable = names_make("UNIT_CROWD", 10);
    for (int i = 0; i < size; i++)
        crowd[i] =
            (struct env_thread){.scope = scope_enter(root), .uses = ENOUGH_USES, .lives = true};
    return root;
}

static void end_crowd(struct scope *root, int size) {
    while (size > 0)
        scope_leave(crowd[--size].scope);
    scope_is_alone(root);
    scope_leave(root);
    array_remove(variable->name, variable->length, false);
    CHECK_EQ(atomic_load(&view_attention), 0);
}

static void write_number(struct env_thread *thread, int number) {
    char value[16];
    struct scope_write w;
    snprintf(value, sizeof value, "%d", number);
    char *entry = strings_keep(variable->name, variable->length, value);
    scope_write_begin(&w, variable, entry, thread, 0);
    array_put(entry, variable->length);
    scope_write_end(&w);
}

/* What is pinned for it; -1: nothing, it sees `environ`. */
static int pinned(const struct env_thread *thread) {
    uint32_t slot = atomic_load(&thread->scope->slot);
    char *entry = slot ? names_pin(variable, slot) : NULL;
    return entry ? atoi(entry + variable->length + 1) : -1;
}

static size_t count_writes(void) {
    size_t count = 0;
    for (const struct write *w = variable->writes; w; w = w->next)
        count++;
    return count;
}

TEST("E1: a crowd of contenders each sees its own, however often each writes") {
    enum { SIZE = 100 };
    struct scope *root = begin_crowd(SIZE);
    int right = 0;
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < SIZE; i++)
            write_number(&crowd[i], 1000 * round + i);
    for (int i = 0; i < SIZE - 1; i++)
        right += pinned(&crowd[i]) == 19000 + i;
    CHECK_EQ(right, SIZE - 1);
    CHECK_EQ(pinned(&crowd[SIZE - 1]), -1);
    CHECK(count_writes() <= 3 * SIZE);
    end_crowd(root, SIZE);
}

TEST("E5: of one who writes on beside others that have written no more than the last is kept") {
    struct scope *root = begin_crowd(2);
    write_number(&crowd[0], 1);
    for (int i = 0; i < 1000; i++)
        write_number(&crowd[1], i);
    CHECK_EQ(pinned(&crowd[0]), 1);
    CHECK(count_writes() <= 3);
    end_crowd(root, 2);
}

TEST("H3: more contenders than can be told apart do no harm: the last ones see environ") {
    struct scope *root = begin_crowd(CROWD);
    int have_slots = 0, see_environ = 0;
    for (int i = 0; i < CROWD; i++)
        write_number(&crowd[i], i == 0 ? 0 : 1); /* they contend with the first one */
    write_number(&crowd[0], 7);
    for (int i = 0; i < CROWD; i++) {
        have_slots += atomic_load(&crowd[i].scope->slot) != 0;
        see_environ += pinned(&crowd[i]) == -1;
    }
    CHECK_EQ(have_slots, SLOTS - 1);
    CHECK_EQ(see_environ, CROWD - (SLOTS - 1) + 1); /* the first one too */
    CHECK_EQ(pinned(&crowd[1]), 1);
    end_crowd(root, CROWD);
}
