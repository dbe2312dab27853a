/* What threads see of the environment, through the same calls that the hooks make. */
#include "base/rules.h"
#include "base/settings.h"
#include "env/layer.h"
#include "env/lock.h"
#include "env/names.h"
#include "env_actors.h"

#include <errno.h>
#include <unistd.h>

struct settings settings;
struct rules rules;

/* The initial thread, as an actor. */
#define HERE NULL

static void begin(enum env_mode mode) {
    static bool has_begun;
    if (!has_begun)
        thread_begin();
    has_begun = true;
    settings.env_mode = mode;
}

static struct actor a, b, c;

static void start(struct actor *one, struct actor *other) {
    actor_start(one);
    if (other)
        actor_start(other);
}

/* Joins them, and nothing is left of any contention. */
static void finish(struct actor *one, struct actor *other) {
    actor_join(one);
    if (other)
        actor_join(other);
    CHECK_EQ(thread_has_company(), false);
    CHECK_EQ(atomic_load(&view_attention), 0);
}

/* What is in `environ`; "-": nothing. */
static const char *in_environ(const char *name) {
    const char *value = array_get(name);
    return value ? value : "-";
}

TEST("E1: nothing changes while no two threads have written different values") {
    begin(ENV_SCOPED);
    start(&a, &b);
    actor_set(&a, "ONE", "a");
    actor_set(&b, "TWO", "b");
    actor_set(&a, "SAME", "x");
    actor_set(&b, "SAME", "x");
    CHECK_STR(actor_get(&b, "ONE"), "a");
    CHECK_STR(actor_get(&a, "TWO"), "b");
    CHECK_STR(actor_get(HERE, "TWO"), "b");
    CHECK_EQ(atomic_load(&view_attention), 0);
    finish(&a, &b);
    CHECK_STR(actor_get(HERE, "ONE"), "a");
}

TEST("E1: from its first contradiction on, each contender sees its own, and what was before the "
     "other") {
    begin(ENV_SCOPED);
    actor_set(HERE, "OTHERS", "before");
    actor_set(HERE, "GONE", "there");
    actor_set(HERE, "NEW", NULL);
    start(&a, &b);
    actor_set(&b, "OTHERS", "b");
    actor_set(&b, "GONE", NULL);
    actor_set(&b, "NEW", "b");
    actor_set(&a, "X", "a");
    CHECK_STR(actor_get(&a, "OTHERS"), "b");
    actor_set(&b, "X", "b");
    CHECK_STR(actor_get(&a, "X"), "a");
    CHECK_STR(actor_get(&b, "X"), "b");
    CHECK_STR(actor_get(&a, "OTHERS"), "before");
    CHECK_STR(actor_get(&a, "GONE"), "there");
    CHECK_STR(actor_get(&a, "NEW"), "-");
    CHECK_STR(actor_get(HERE, "X"), "b");
    CHECK_STR(in_environ("X"), "b");
    CHECK_STR(in_environ("NEW"), "b");
    finish(&a, &b);
}

TEST("E1: whom a contender starts sees what it sees") {
    begin(ENV_SCOPED);
    start(&a, &b);
    actor_set(&a, "X", "a");
    actor_set(&b, "X", "b");
    actor_do(&a, actor_start_other, &c);
    CHECK_STR(actor_get(&c, "X"), "a");
    actor_set(&c, "X", "c");
    CHECK_STR(actor_get(&a, "X"), "c");
    CHECK_STR(actor_get(&b, "X"), "b");
    actor_do(&a, actor_join_other, &c);
    finish(&a, &b);
}

TEST("E1: the end of one of them ends it, and who did not contend sees what was written last") {
    begin(ENV_SCOPED);
    start(&a, &b);
    actor_set(&a, "X", "a");
    actor_set(&b, "X", "b");
    actor_set(&a, "Y", "a");
    CHECK_STR(actor_get(&b, "Y"), "-");
    actor_join(&a);
    CHECK_STR(actor_get(&b, "X"), "b");
    CHECK_STR(actor_get(&b, "Y"), "a");
    CHECK_STR(actor_get(HERE, "X"), "b");
    actor_join(&b);
    CHECK_STR(actor_get(HERE, "X"), "b");
    CHECK_EQ(atomic_load(&view_attention), 0);
}

static void clear(void *context) {
    CHECK_EQ(change_clear(NULL), 0);
    (void)context;
}

TEST("E1: clearenv takes away what a contender does not see, and the other goes on seeing it") {
    begin(ENV_SCOPED);
    start(&a, &b);
    actor_set(&a, "X", "a");
    actor_set(&b, "Z", "b");
    actor_set(&b, "X", "b");
    CHECK_STR(actor_get(&a, "Z"), "-");
    actor_do(&a, clear, NULL);
    CHECK_STR(actor_get(&a, "X"), "-");
    CHECK_STR(actor_get(&b, "X"), "b");
    CHECK_STR(actor_get(&b, "Z"), "b");
    CHECK_STR(in_environ("Z"), "-");
    finish(&a, &b);
}

static void put(void *string) {
    CHECK_EQ(change_put(string, NULL), 0);
}

TEST("E5: what a contender sees is not a string that the program may have freed") {
    begin(ENV_SCOPED);
    char *first = malloc(16), *mine = malloc(16);
    strcpy(first, "X=first");
    strcpy(mine, "X=a");
    actor_do(HERE, put, first);
    start(&a, &b);
    actor_set(&b, "X", "b");
    free(first);
    actor_do(&a, put, mine);
    actor_set(&b, "X", "bb");
    memset(mine, '!', 15);
    free(mine);
    CHECK_STR(actor_get(&a, "X"), "a");
    actor_set(&a, "Y", "a");
    actor_set(&b, "Y", "b");
    CHECK_STR(actor_get(&a, "X"), "a");
    finish(&a, &b);
}

static void edit(void *context) {
    extern char **environ;
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, "X=", 2) == 0)
            *entry = context;
}

TEST("E1: who sees environ goes on seeing what the program has put there itself") {
    begin(ENV_SCOPED);
    static char direct[] = "X=direct";
    start(&a, &b);
    actor_set(&a, "Y", "a");
    actor_set(&b, "Y", "b");
    actor_set(&b, "X", "b");
    actor_start(&c);
    actor_do(&c, edit, direct);
    CHECK_STR(actor_get(&b, "X"), "direct");
    actor_set(&a, "X", "a");
    CHECK_STR(actor_get(&b, "X"), "direct");
    actor_join(&c);
    finish(&a, &b);
}

TEST("E7: what libc reads for itself is everyone's, whoever contends") {
    begin(ENV_SCOPED);
    start(&a, &b);
    actor_set(&a, "X", "a");
    actor_set(&b, "X", "b");
    actor_set(&a, "TZ", "A");
    actor_set(&b, "TZ", "B");
    CHECK_STR(actor_get(&a, "TZ"), "B");
    finish(&a, &b);
}

TEST("L8: watch isolates nobody") {
    begin(ENV_WATCH);
    start(&a, &b);
    actor_set(&a, "WATCHED", "a");
    actor_set(&b, "WATCHED", "b");
    CHECK_STR(actor_get(&a, "WATCHED"), "b");
    finish(&a, &b);
}

TEST("E2: private: a thread keeps what it writes to itself and to those whom it starts") {
    begin(ENV_PRIVATE);
    actor_set(HERE, "PRIVATE", "1");
    start(&a, &b);
    actor_set(&a, "PRIVATE", "a");
    actor_set(&a, "LANG", "a");
    actor_do(&a, actor_start_other, &c);
    CHECK_STR(actor_get(&c, "PRIVATE"), "a");
    CHECK_STR(actor_get(&b, "PRIVATE"), "1");
    CHECK_STR(in_environ("PRIVATE"), "1");
    CHECK_STR(in_environ("LANG"), "a");
    actor_set(HERE, "PRIVATE", "2");
    actor_set(HERE, "THROUGH", "2");
    CHECK_STR(actor_get(&b, "PRIVATE"), "2");
    CHECK_STR(actor_get(&a, "THROUGH"), "2");
    actor_set(&a, "PRIVATE", NULL);
    CHECK_STR(actor_get(&c, "PRIVATE"), "-");
    actor_join(&a);
    CHECK_STR(actor_get(&c, "PRIVATE"), "-");
    CHECK_STR(actor_get(HERE, "PRIVATE"), "2");
    finish(&c, &b);
}

TEST("E7: a rule makes one name private, or everyone's") {
    begin(ENV_SCOPED);
    static const char text[] = "env RULED_PRIVATE private\nenv RULED_SHARED shared\n";
    rules_parse(&rules, text, sizeof text - 1, NULL, NULL);
    start(&a, &b);
    actor_set(&a, "RULED_PRIVATE", "a");
    actor_set(&a, "RULED_SHARED", "a");
    actor_set(&b, "RULED_SHARED", "b");
    CHECK_STR(actor_get(&a, "RULED_PRIVATE"), "a");
    CHECK_STR(actor_get(&b, "RULED_PRIVATE"), "-");
    CHECK_STR(in_environ("RULED_PRIVATE"), "-");
    CHECK_STR(actor_get(&a, "RULED_SHARED"), "b");
    actor_set(HERE, "RULED_PRIVATE", "1");
    CHECK_STR(in_environ("RULED_PRIVATE"), "1");
    CHECK_STR(actor_get(&a, "RULED_PRIVATE"), "a");
    CHECK_STR(actor_get(&b, "RULED_PRIVATE"), "1");
    rules = (struct rules){0};
    finish(&a, &b);
}

/* ---- Scopes that are entered ---- */

static struct entered outer, inner;
static int entered_result;

static void enter(void *scope) {
    entered_result = entered_begin(scope, __builtin_frame_address(0));
}

static void leave(void *scope) {
    entered_result = entered_end(scope, __builtin_frame_address(0));
}

static int result_of(struct actor *actor, void (*act)(void *), void *scope) {
    actor_do(actor, act, scope);
    return entered_result;
}

TEST("E4: scopes nest, and leaving one restores what was there") {
    begin(ENV_SCOPED);
    actor_set(HERE, "NESTED", "0");
    CHECK_EQ(result_of(HERE, enter, &outer), 0);
    actor_set(HERE, "NESTED", "1");
    CHECK_EQ(result_of(HERE, enter, &inner), 0);
    CHECK_EQ(result_of(HERE, enter, &inner), -EINVAL);
    actor_set(HERE, "NESTED", "2");
    actor_set(HERE, "INNER", "2");
    CHECK_STR(actor_get(HERE, "NESTED"), "2");
    CHECK_STR(in_environ("NESTED"), "0");
    CHECK_EQ(result_of(HERE, leave, &outer), -EINVAL);
    CHECK_EQ(result_of(HERE, leave, &inner), 0);
    CHECK_STR(actor_get(HERE, "NESTED"), "1");
    CHECK_STR(actor_get(HERE, "INNER"), "-");
    CHECK_EQ(result_of(HERE, leave, &inner), -EINVAL);
    CHECK_EQ(result_of(HERE, leave, &outer), 0);
    CHECK_STR(actor_get(HERE, "NESTED"), "0");
    CHECK_EQ(atomic_load(&view_attention), 0);
}

TEST("E4: a scope is left by who entered it, and lasts for those who began in it") {
    begin(ENV_SCOPED);
    start(&a, NULL);
    CHECK_EQ(result_of(&a, enter, &outer), 0);
    actor_set(&a, "ENTERED", "a");
    CHECK_EQ(result_of(HERE, leave, &outer), -EPERM);
    actor_do(&a, actor_start_other, &b);
    CHECK_EQ(result_of(&a, leave, &outer), 0);
    CHECK_STR(actor_get(&a, "ENTERED"), "-");
    CHECK_STR(actor_get(&b, "ENTERED"), "a");
    actor_set(&b, "ENTERED", "b");
    CHECK_STR(in_environ("ENTERED"), "-");
    actor_do(&a, actor_join_other, &b);
    finish(&a, NULL);
}

TEST("E4: clearenv in a scope leaves the outside alone, but for what libc reads") {
    begin(ENV_SCOPED);
    actor_set(HERE, "LANG", "C");
    actor_set(HERE, "OUTSIDE", "0");
    CHECK_EQ(result_of(HERE, enter, &outer), 0);
    actor_set(HERE, "INSIDE", "1");
    actor_do(HERE, clear, NULL);
    CHECK_STR(actor_get(HERE, "OUTSIDE"), "-");
    CHECK_STR(actor_get(HERE, "INSIDE"), "-");
    CHECK_STR(in_environ("OUTSIDE"), "0");
    CHECK_STR(in_environ("LANG"), "-");
    CHECK_EQ(result_of(HERE, leave, &outer), 0);
    CHECK_STR(actor_get(HERE, "OUTSIDE"), "0");
}

TEST("E2: a layer keeps many variables apart") {
    char name[16];
    begin(ENV_SCOPED);
    CHECK_EQ(result_of(HERE, enter, &outer), 0);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "MANY%d", i);
        actor_set(HERE, name, i % 3 ? name : NULL);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "MANY%d", i);
        CHECK_STR(actor_get(HERE, name), i % 3 ? name : "-");
    }
    CHECK_EQ(result_of(HERE, leave, &outer), 0);
    CHECK_STR(actor_get(HERE, "MANY1"), "-");
    CHECK_EQ(atomic_load(&view_attention), 0);
}

/* ---- Differences ---- */

#define DIFFERENCES 1000
struct differences {
    struct view_difference of[DIFFERENCES];
    size_t count;
};

static void find_differences(void *context) {
    struct differences *d = context;
    CHECK(view_differences_max() <= DIFFERENCES);
    d->count = view_differences(d->of, DIFFERENCES);
}

static const char *difference(const struct differences *d, const char *name) {
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->of[i].name, name) == 0)
            return d->of[i].entry ? d->of[i].entry : "absent";
    return "none";
}

TEST("E3: a view differs from environ where the thread sees something else, and nowhere else") {
    static struct differences d;
    begin(ENV_SCOPED);
    actor_set(HERE, "D_BASE", "0");
    start(&a, &b);
    actor_set(&a, "D_X", "a");
    actor_set(&a, "D_SAME", "1");
    actor_set(&b, "D_X", "b");
    actor_set(&b, "D_NEW", "b");
    actor_set(&b, "D_BASE", NULL);
    actor_set(&b, "D_SAME", "1");
    actor_do(&a, find_differences, &d);
    CHECK_STR(difference(&d, "D_X"), "D_X=a");
    CHECK_STR(difference(&d, "D_NEW"), "absent");
    CHECK_STR(difference(&d, "D_BASE"), "D_BASE=0");
    CHECK_STR(difference(&d, "D_SAME"), "none");
    CHECK_EQ(d.count, 3);
    actor_do(&b, find_differences, &d);
    CHECK_EQ(d.count, 0);
    finish(&a, &b);
    CHECK_EQ(view_differences_max(), 0);
}
