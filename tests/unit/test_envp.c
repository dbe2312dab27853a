/* The environment of a program that is started, against a model: what each entry is for, one at a time. */
#include "check.h"
#include "env/envp.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 64

static char *array[MOST];

static size_t view(char *const given[], char *const base[], const struct view_difference *d,
                   size_t n) {
    return envp_view(given, base, d, n, array, MOST);
}

static const char *joined(void) {
    static char text[4096];
    text[0] = '\0';
    for (size_t i = 0; array[i]; i++)
        sprintf(text + strlen(text), "%s%s", i ? " " : "", array[i]);
    return text;
}

#define ENV(...) ((char *[]){__VA_ARGS__, NULL})
#define NAME_IS(text, value)                                                                       \
    { .name = (text), .length = sizeof(text) - 1, .entry = (value) }
#define X_IS(value) ((struct view_difference[]){NAME_IS("X", value)})

TEST("E3: without a difference the entries are the caller's, in their order, pointer by pointer") {
    char **given = ENV("B=1", "A=2", "odd", "=x", "A=3", "");
    CHECK_EQ(view(given, ENV("Z=1"), NULL, 0), 6);
    for (size_t i = 0; i < 6; i++)
        CHECK(array[i] == given[i]);
    CHECK(array[6] == NULL);
}

TEST("E3: environ itself takes the view's value, loses what the view has not, gets what it has "
     "more") {
    char **base = ENV("A=1", "X=theirs", "B=2");
    view(base, base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "A=1 X=mine B=2");
    view(base, base, X_IS(NULL), 1);
    CHECK_STR(joined(), "A=1 B=2");
    base = ENV("A=1");
    view(base, base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "A=1 X=mine");
}

TEST("E3: of a copy an equal entry is corrected, a different one and a missing one are the "
     "caller's") {
    char **base = ENV("A=1", "X=theirs", "B=2");
    view(ENV("A=1", "X=theirs", "B=2", "C=3"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "A=1 X=mine B=2 C=3");
    view(ENV("A=1", "X=own", "B=2"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "A=1 X=own B=2");
    view(ENV("A=1", "X=own", "B=2"), base, X_IS(NULL), 1);
    CHECK_STR(joined(), "A=1 X=own B=2");
    view(ENV("A=1", "B=2"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "A=1 B=2");
    view(ENV("X=theirs", "A=1", "B=2"), base, X_IS(NULL), 1);
    CHECK_STR(joined(), "A=1 B=2");
}

TEST("E3: a name that environ lacks is added to a whole copy only") {
    char **base = ENV("A=1", "B=2", "C=3");
    view(ENV("C=own", "B=2", "A=1"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "C=own B=2 A=1 X=mine");
    view(ENV("A=1", "B=2"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "A=1 B=2");
    /* What the view removes need not be there for it to be whole. */
    struct view_difference two[] = {NAME_IS("B", NULL), NAME_IS("X", "X=mine")};
    view(ENV("A=1", "C=3"), base, two, 2);
    CHECK_STR(joined(), "A=1 C=3 X=mine");
}

TEST("E3: an emptied or mostly rebuilt environment is passed as it is") {
    char **base = ENV("A=1", "X=theirs", "B=2", "C=3");
    view(ENV("X=theirs"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "X=theirs");
    view(ENV("X=theirs", "A=other", "B=other", "C=other"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "X=theirs A=other B=other C=other");
    view(ENV("X=theirs", "A=1"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "X=mine A=1");
    CHECK_EQ(view(NULL, base, X_IS("X=mine"), 1), 0);
    char *none[] = {NULL};
    CHECK_EQ(view(none, base, X_IS("X=mine"), 1), 0);
    CHECK_EQ(view(none, NULL, X_IS("X=mine"), 1), 0);
}

TEST("E3: an environ that was cleared still gets what the view has") {
    CHECK_EQ(view(NULL, NULL, X_IS("X=mine"), 1), 1);
    CHECK_STR(joined(), "X=mine");
}

TEST("E3: the first of a name counts; a removal takes all of them, as unsetenv does") {
    char **base = ENV("A=1", "X=one", "X=two");
    view(base, base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "A=1 X=mine X=two");
    view(base, base, X_IS(NULL), 1);
    CHECK_STR(joined(), "A=1");
    view(ENV("A=1", "X=one", "X=own", "X=two"), base, X_IS(NULL), 1);
    CHECK_STR(joined(), "A=1 X=own");
    view(ENV("A=1", "X=two", "X=one"), base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "A=1 X=two X=one");
}

TEST("E3: entries that are no variables are nobody's business") {
    char **base = ENV("X", "=X=1", "XX=1", "A=1");
    view(base, base, X_IS("X=mine"), 1);
    CHECK_STR(joined(), "X =X=1 XX=1 A=1 X=mine");
    view(base, base, X_IS(NULL), 1);
    CHECK_STR(joined(), "X =X=1 XX=1 A=1");
}

TEST("E3: an array that has grown since it was counted is not cut") {
    char **base = ENV("A=1", "B=2", "C=3");
    char *small[3 + ENVP_SPARE + 1];
    CHECK(envp_view(base, base, NULL, 0, small, 3 + ENVP_SPARE - 1) == ENVP_NO_ROOM);
    CHECK(envp_view(base, base, X_IS("X=1"), 1, small, 3 + ENVP_SPARE) == ENVP_NO_ROOM);
    CHECK_EQ(envp_view(base, base, X_IS("X=1"), 1, small, 3 + ENVP_SPARE + 1), 4);
}

/* ---- Our settings ---- */

static const struct envp_settings ours = {"LD_PRELOAD=/l/libraceshim.so", "RACESHIM=words"};

static const char *put_back(char **given, const struct envp_settings *settings) {
    static char text[256];
    size_t count = view(given, given, NULL, 0);
    size_t size = envp_text_size(array, settings);
    memset(text, 'x', sizeof text);
    size_t after = envp_put_back(array, count, settings, text);
    CHECK(size < sizeof text && text[size] == 'x');
    CHECK(array[after] == NULL);
    return joined();
}

TEST("E8: the settings are put back behind the rest") {
    CHECK_STR(put_back(ENV("A=1"), &ours), "A=1 LD_PRELOAD=/l/libraceshim.so RACESHIM=words");
    char *none[] = {NULL};
    CHECK_STR(put_back(none, &ours), "LD_PRELOAD=/l/libraceshim.so RACESHIM=words");
}

TEST("E8: our library is appended to others', never twice") {
    CHECK_STR(put_back(ENV("LD_PRELOAD=a b", "A=1"), &ours),
              "LD_PRELOAD=a b:/l/libraceshim.so A=1 RACESHIM=words");
    CHECK_STR(put_back(ENV("LD_PRELOAD="), &ours), "LD_PRELOAD=:/l/libraceshim.so RACESHIM=words");
    CHECK_STR(put_back(ENV("LD_PRELOAD=a:/x/libraceshim.so:b"), &ours),
              "LD_PRELOAD=a:/x/libraceshim.so:b RACESHIM=words");
    CHECK_STR(
        put_back(ENV("LD_PRELOAD=/x/libraceshim.so.1 /x/mylibraceshim.so"), &ours),
        "LD_PRELOAD=/x/libraceshim.so.1 /x/mylibraceshim.so:/l/libraceshim.so RACESHIM=words");
    CHECK_STR(put_back(ENV("LD_PRELOAD=a", "LD_PRELOAD=b"), &ours),
              "LD_PRELOAD=a LD_PRELOAD=b:/l/libraceshim.so RACESHIM=words");
}

TEST("E8: a RACESHIM of the caller's counts") {
    CHECK_STR(put_back(ENV("RACESHIM=", "A=1"), &ours),
              "RACESHIM= A=1 LD_PRELOAD=/l/libraceshim.so");
}

TEST("E8: what was not set at load is not put back") {
    struct envp_settings only_library = {ours.preload, NULL}, none = {NULL, NULL};
    CHECK_STR(put_back(ENV("A=1"), &only_library), "A=1 LD_PRELOAD=/l/libraceshim.so");
    CHECK_STR(put_back(ENV("A=1", "LD_PRELOAD=a"), &none), "A=1 LD_PRELOAD=a");
}

/* ---- The model ---- */

struct environment {
    const char *entries[MOST];
    size_t count;
};

static bool has_name(const char *entry, const char *name) {
    size_t length = strlen(name);
    return strlen(entry) > length && entry[length] == '=' && memcmp(entry, name, length) == 0;
}

static const char *first(const struct environment *e, const char *name) {
    for (size_t i = 0; i < e->count; i++)
        if (has_name(e->entries[i], name))
            return e->entries[i];
    return NULL;
}

static bool contains(const struct environment *e, const char *entry) {
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->entries[i], entry) == 0)
            return true;
    return false;
}

static bool is_corrected(const struct environment *given, const struct environment *base) {
    size_t equal = 0;
    for (size_t i = 0; i < base->count; i++)
        equal += contains(given, base->entries[i]);
    return given->count && 2 * equal >= base->count;
}

static const struct view_difference *difference_of(const struct view_difference *d, size_t n,
                                                   const char *entry) {
    for (size_t i = 0; i < n; i++)
        if (has_name(entry, d[i].name))
            return &d[i];
    return NULL;
}

static bool is_whole(const struct environment *given, const struct environment *base,
                     const struct view_difference *d, size_t n) {
    for (size_t i = 0; i < base->count; i++) {
        char name[16];
        const char *entry = base->entries[i];
        const struct view_difference *own = difference_of(d, n, entry);
        if (!strchr(entry, '=') || entry[0] == '=' || (own && !own->entry))
            continue;
        sprintf(name, "%.*s", (int)strcspn(entry, "="), entry);
        if (!first(given, name))
            return false;
    }
    return true;
}

/* What becomes of entry i of the caller's; NULL: it goes. */
static const char *becomes(const struct environment *given, size_t i,
                           const struct environment *base, const struct view_difference *d) {
    const char *entry = given->entries[i];
    const char *original = d ? first(base, d->name) : NULL;
    const char *start = d ? first(given, d->name) : NULL;
    if (!original || strcmp(start, original) != 0)
        return entry;
    if (!d->entry)
        return contains(base, entry) ? NULL : entry;
    return start == entry ? d->entry : entry;
}

static void model(const struct environment *given, const struct environment *base,
                  const struct view_difference *d, size_t n, struct environment *result) {
    result->count = 0;
    bool corrected = is_corrected(given, base);
    for (size_t i = 0; i < given->count; i++) {
        const char *entry = given->entries[i];
        if (corrected)
            entry = becomes(given, i, base, difference_of(d, n, entry));
        if (entry)
            result->entries[result->count++] = entry;
    }
    for (size_t i = 0; corrected && i < n; i++)
        if (d[i].entry && !first(given, d[i].name) && !first(base, d[i].name) &&
            is_whole(given, base, d, n))
            result->entries[result->count++] = d[i].entry;
}

static uint64_t state = 88172645463325252u;
static unsigned below(unsigned n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % n;
}

static const char *const names[] = {"A", "B", "C", "AB", "X", "PATH"};
#define NAMES (sizeof names / sizeof *names)

/* Each at an address of its own, so that content is compared. */
static char *random_entry(void) {
    static char pool[1024][16];
    static size_t next;
    char *entry = pool[next++ % 1024];
    const char *const odd[] = {"", "A", "=A=1", "==", "AB"};
    if (below(12) == 0)
        return strcpy(entry, odd[below(5)]);
    sprintf(entry, "%s=%u", names[below(NAMES)], below(3));
    return entry;
}

static void random_base(struct environment *e) {
    e->count = below(7);
    for (size_t i = 0; i < e->count; i++)
        e->entries[i] = random_entry();
}

static void random_copy(const struct environment *base, struct environment *e) {
    e->count = 0;
    for (size_t i = 0; i < base->count; i++)
        if (below(6) != 0)
            e->entries[e->count++] =
                below(6) ? strcpy(random_entry(), base->entries[i]) : random_entry();
    for (unsigned more = below(3); more; more--)
        e->entries[e->count++] = random_entry();
    for (size_t i = 0; below(3) == 0 && i < e->count; i++) {
        size_t other = below((unsigned)e->count);
        const char *entry = e->entries[i];
        e->entries[i] = e->entries[other];
        e->entries[other] = entry;
    }
}

static size_t random_differences(struct view_difference *d) {
    static char values[NAMES][16];
    size_t count = 0;
    for (size_t i = 0; i < NAMES; i++)
        if (below(3) == 0) {
            sprintf(values[i], "%s=%u", names[i], below(5));
            d[count++] = (struct view_difference){
                .name = names[i], .length = strlen(names[i]), .entry = below(3) ? values[i] : NULL};
        }
    return count;
}

TEST("E3: random environments, copies and views are made as the model says") {
    for (int round = 0; round < 200000 && check_failures < 5; round++) {
        struct environment base = {0}, given = {0}, wanted;
        struct view_difference d[NAMES];
        random_base(&base);
        random_copy(&base, &given);
        size_t n = random_differences(d);
        base.entries[base.count] = NULL;
        given.entries[given.count] = NULL;
        if (n == 0)
            wanted = given;
        else
            model(&given, &base, d, n, &wanted);
        size_t count = view((char *const *)given.entries, (char *const *)base.entries, d, n);
        CHECK_EQ(count, wanted.count);
        for (size_t i = 0; i < count && i < wanted.count; i++)
            CHECK(array[i] == wanted.entries[i]);
        CHECK(array[count] == NULL);
    }
}

TEST("E3: environ itself is what setenv and unsetenv would make of it") {
    for (int round = 0; round < 20000 && check_failures < 5; round++) {
        struct environment base = {0};
        struct view_difference d[NAMES];
        random_base(&base);
        base.entries[base.count] = NULL;
        size_t n = random_differences(d);
        char *const *live = (char *const *)base.entries;
        size_t count = view(live, live, d, n);
        for (size_t i = 0; i < n; i++) {
            struct environment result = {.count = count};
            memcpy(result.entries, array, sizeof array);
            const char *entry = first(&result, d[i].name);
            CHECK(d[i].entry ? entry == d[i].entry : !entry);
        }
        size_t others = 0;
        for (size_t i = 0; i < base.count; i++) {
            if (difference_of(d, n, base.entries[i]))
                continue;
            while (others < count && difference_of(d, n, array[others]))
                others++;
            CHECK(array[others++] == base.entries[i]);
        }
    }
}
