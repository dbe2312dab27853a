/* Forked children: their `environ` is the forking thread's view, whatever else is going on. */
#include "base/owner.h"
#include "base/rules.h"
#include "base/settings.h"
#include "env/fork.h"
#include "env/layer.h"
#include "env/names.h"
#include "env_actors.h"

#include <sys/wait.h>
#include <unistd.h>

struct settings settings;
struct rules rules;

#define HERE NULL

/* The thread sanitizer does not support threads in the child of a process that had some. */
#ifdef __SANITIZE_THREAD__
#define MAY_START_THREADS false
#else
#define MAY_START_THREADS true
#endif

static void in_child(void) {
    owner_after_fork();
    env_after_fork_child();
}

static void begin(enum env_mode mode) {
    static bool has_begun;
    if (!has_begun) {
        thread_begin();
        pthread_atfork(env_before_fork, env_after_fork_parent, in_child);
    }
    has_begun = true;
    settings.env_mode = mode;
}

static struct actor a, b, c;

static const char *in_environ(const char *name) {
    const char *value = array_get(name);
    return value ? value : "-";
}

static const char *seen(const char *name) {
    const char *value = view_get(name, NULL);
    return value ? value : "-";
}

/* What a child does; its failed checks are this test's. */
static void (*child_act)(void);

static int run_child(void) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        child_act();
        fflush(stdout);
        _exit(check_failures != 0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

static void fork_here(void *status) {
    *(int *)status = run_child();
}

static void check_child(struct actor *actor, void (*act)(void)) {
    int status = -1;
    child_act = act;
    actor_do(actor, fork_here, &status);
    CHECK_EQ(status, 0);
}

static void sees_what_a_saw(void) {
    CHECK_STR(in_environ("F_X"), "a");
    CHECK_STR(in_environ("F_NEW"), "-");
    CHECK_STR(in_environ("F_GONE"), "there");
    CHECK_STR(in_environ("F_BOTH"), "1");
    CHECK_STR(seen("F_X"), "a");
    CHECK_EQ(thread_has_company(), false);
    CHECK_EQ(atomic_load(&view_attention), 0);
    CHECK(thread_is_initial(thread_known()));
}

static void begins_again(void) {
    sees_what_a_saw();
    if (!MAY_START_THREADS)
        return;
    actor_start(&c);
    actor_set(&c, "F_X", "c");
    CHECK_STR(seen("F_X"), "c");
    actor_set(HERE, "F_X", "here");
    actor_start(&b); /* in the scope of its starter, who contends */
    actor_set(&b, "F_X", "b");
    CHECK_STR(actor_get(&c, "F_X"), "c");
    CHECK_STR(seen("F_X"), "b");
}

static void sees_what_c_saw(void) {
    CHECK_STR(in_environ("F_X"), "c");
    CHECK_EQ(atomic_load(&view_attention), 0);
}

static void forks_again(void) {
    begins_again();
    if (!MAY_START_THREADS)
        return;
    check_child(&c, sees_what_c_saw);
    actor_join(&b);
    actor_join(&c);
    CHECK_STR(seen("F_X"), "b");
    CHECK_EQ(atomic_load(&view_attention), 0);
}

TEST("E3: a forked child has its thread's view for an environment, and so have its children") {
    begin(ENV_SCOPED);
    actor_set(HERE, "F_GONE", "there");
    actor_set(HERE, "F_BOTH", "1");
    actor_start(&a);
    actor_start(&b);
    actor_set(&a, "F_X", "a");
    actor_set(&b, "F_X", "b");
    actor_set(&b, "F_NEW", "b");
    actor_set(&b, "F_GONE", NULL);
    check_child(&a, forks_again);
    CHECK_STR(actor_get(&a, "F_X"), "a");
    CHECK_STR(actor_get(&b, "F_X"), "b");
    CHECK_STR(in_environ("F_X"), "b");
    actor_join(&a);
    actor_join(&b);
}

/* ---- Layers ---- */

static struct entered outer, inner;

static void enter_both(void *context) {
    (void)context;
    CHECK_EQ(change_set("L_OWN", "own", 1, NULL), 0); /* private: a layer below both */
    CHECK_EQ(change_set("L_X", "own", 1, NULL), 0);
    CHECK_EQ(entered_begin(&outer, __builtin_frame_address(0)), 0);
    CHECK_EQ(change_set("L_X", "outer", 1, NULL), 0);
    CHECK_EQ(change_set("L_OUTER", "1", 1, NULL), 0);
    CHECK_EQ(entered_begin(&inner, __builtin_frame_address(0)), 0);
    CHECK_EQ(change_set("L_X", "inner", 1, NULL), 0);
    CHECK_EQ(change_unset("L_BASE", NULL), 0);
}

static void leaves_both(void) {
    CHECK_STR(in_environ("L_X"), "inner");
    CHECK_STR(in_environ("L_BASE"), "-");
    CHECK_STR(in_environ("L_OWN"), "own");
    change_set("L_LATE", "1", 1, NULL);
    CHECK_STR(in_environ("L_LATE"), "1");
    CHECK_STR(seen("L_LATE"), "1");
    CHECK_EQ(entered_end(&inner, __builtin_frame_address(0)), 0);
    CHECK_STR(in_environ("L_X"), "outer");
    CHECK_STR(seen("L_X"), "outer");
    CHECK_STR(seen("L_LATE"), "-");
    CHECK_STR(in_environ("L_LATE"), "-");
    CHECK_STR(in_environ("L_BASE"), "0");
    CHECK_EQ(entered_end(&outer, __builtin_frame_address(0)), 0);
    CHECK_STR(in_environ("L_X"), "own");
    CHECK_STR(in_environ("L_OUTER"), "-");
    CHECK_STR(in_environ("L_OWN"), "own");
    /* Outside of them it is a process with one thread. */
    change_set("L_OWN", "child", 1, NULL);
    change_set("L_X", "child", 1, NULL);
    CHECK_STR(seen("L_OWN"), "child");
    CHECK_STR(seen("L_X"), "child");
    CHECK_STR(in_environ("L_X"), "child");
    CHECK_EQ(atomic_load(&view_attention), 0);
    CHECK_EQ(atomic_load(&names_find("L_X", 3)->layers), 0);
}

static void leave_both(void *context) {
    (void)context;
    CHECK_EQ(entered_end(&inner, __builtin_frame_address(0)), 0);
    CHECK_EQ(entered_end(&outer, __builtin_frame_address(0)), 0);
}

static void test_layers_in(enum env_mode mode) {
    begin(mode);
    actor_set(HERE, "L_BASE", "0");
    actor_start(&a);
    actor_do(&a, enter_both, NULL);
    check_child(&a, leaves_both);
    CHECK_STR(actor_get(&a, "L_X"), "inner");
    actor_do(&a, leave_both, NULL);
    CHECK_STR(actor_get(&a, "L_X"), "own");
    actor_join(&a);
}

TEST("E4: a child leaves the scopes that its thread had entered, and what was before is there "
     "again") {
    test_layers_in(ENV_PRIVATE);
}

TEST("E4: the same where nothing lies below the scopes") {
    test_layers_in(ENV_SCOPED);
}

static void is_in_its_starters_scope(void) {
    CHECK_STR(in_environ("L_X"), "inner");
    CHECK_EQ(entered_end(&inner, __builtin_frame_address(0)), -22);
    change_set("L_X", "child", 1, NULL);
    CHECK_STR(seen("L_X"), "child");
}

TEST("E4: a child of a thread that began in another's scope stays in it") {
    begin(ENV_SCOPED);
    actor_start(&a);
    actor_do(&a, enter_both, NULL);
    actor_do(&a, actor_start_other, &b);
    check_child(&b, is_in_its_starters_scope);
    actor_do(&a, actor_join_other, &b);
    actor_do(&a, leave_both, NULL);
    actor_join(&a);
}

/* ---- While others write ---- */

static _Atomic bool over;

static void *write_on(void *own) {
    struct actor *actor = own;
    thread_enter(actor->thread);
    for (unsigned i = 0; !atomic_load(&over); i++) {
        change_set("W_X", actor == &a ? "a" : "b", 1, NULL);
        change_set("W_MANY", i % 2 ? "1" : "22", 1, NULL);
        if (i % 8 == 0)
            change_unset("W_GONE", NULL);
        else
            change_set("W_GONE", "1", 1, NULL);
    }
    return NULL;
}

static void start_writer(struct actor *actor) {
    actor->thread = thread_new(true);
    pthread_create(&actor->handle, NULL, write_on, actor);
    thread_started(actor->thread, &actor->handle);
}

static void can_go_on(void) {
    CHECK_STR(in_environ("W_THERE"), "all along");
    CHECK_STR(seen("W_X"), "c");
    change_set("W_X", "child", 1, NULL);
    CHECK_STR(in_environ("W_X"), "child");
    if (!MAY_START_THREADS)
        return;
    actor_start(&b);
    actor_set(&b, "W_X", "b");
    CHECK_STR(seen("W_X"), "b");
    actor_join(&b);
}

TEST("H2: forks beside threads that write leave children that can go on") {
    begin(ENV_SCOPED);
    actor_set(HERE, "W_THERE", "all along");
    atomic_store(&env_threads_started, true);
    start_writer(&a);
    start_writer(&b);
    actor_start(&c);
    actor_set(&c, "W_X", "c");
    for (int i = 0; i < 30; i++) {
        while (strcmp(actor_get(&c, "W_X"), "c") != 0)
            ;
        check_child(&c, can_go_on);
    }
    atomic_store(&over, true);
    struct env_thread *threads[] = {thread_to_join(a.handle), thread_to_join(b.handle)};
    pthread_join(a.handle, NULL);
    pthread_join(b.handle, NULL);
    thread_join_ends(threads[0], THREAD_JOINED);
    thread_join_ends(threads[1], THREAD_JOINED);
    actor_join(&c);
    CHECK_EQ(atomic_load(&view_attention), 0);
}
