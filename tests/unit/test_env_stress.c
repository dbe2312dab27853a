/* Readers beside writers beside threads that begin and end: what each may rely on holds at every look. */
#include "base/rules.h"
#include "base/settings.h"
#include "env_actors.h"

#include <signal.h>
#include <unistd.h>

struct settings settings;
struct rules rules;

#ifdef __SANITIZE_THREAD__
#define ROUNDS 1000
#else
#define ROUNDS 4000
#endif

#define TASKS 7

static _Atomic int wrong, running, contending;
static pthread_barrier_t all_there;

static void expect(bool good) {
    if (!good)
        atomic_fetch_add(&wrong, 1);
}

static bool sees(const char *name, const char *value) {
    const char *found = view_get(name, NULL);
    return found && strcmp(found, value) == 0;
}

struct task {
    struct actor actor;
    void (*act)(struct task *task);
    const char *value;
    bool at_once;
};

static void write_once(struct task *task) {
    change_set("S_CHURN", task->value, 1, NULL);
    expect(view_get("S_CHURN", NULL) != NULL);
}

static void *run(void *context) {
    struct task *task = context;
    thread_enter(task->actor.thread);
    if (!task->at_once)
        pthread_barrier_wait(&all_there);
    task->act(task);
    return NULL;
}

static void start(struct task *task, void (*act)(struct task *), const char *value) {
    *task = (struct task){.act = act, .value = value, .at_once = act == write_once};
    task->actor.thread = thread_new(true);
    int failed = pthread_create(&task->actor.handle, NULL, run, task);
    thread_started(task->actor.thread, failed ? NULL : &task->actor.handle);
}

static void join(struct task *task) {
    struct env_thread *thread = thread_to_join(task->actor.handle);
    pthread_join(task->actor.handle, NULL);
    thread_join_ends(thread, THREAD_JOINED);
}

/* Contends with the other one, from when both have written on. */
static void contend(struct task *task) {
    char mine[16], value[16];
    snprintf(mine, sizeof mine, "S_OF_%s", task->value);
    change_set("S_X", task->value, 1, NULL);
    atomic_fetch_add(&contending, 1);
    while (atomic_load(&contending) < 2)
        sched_yield();
    for (int i = 0; i < ROUNDS; i++) {
        change_set("S_X", task->value, 1, NULL);
        expect(sees("S_X", task->value));
        snprintf(value, sizeof value, "%d", i % 64);
        change_set(mine, value, 1, NULL);
        change_set("S_Y", value, 1, NULL);
        expect(sees(mine, value) && sees("S_Y", value));
        if (i % 16 == 0) {
            change_unset("S_Z", NULL);
            expect(view_get("S_Z", NULL) == NULL);
        } else {
            change_set("S_Z", task->value, 1, NULL);
            expect(sees("S_Z", task->value));
        }
        expect(sees("S_THERE", "all along") && array_get("S_THERE"));
    }
    atomic_fetch_sub(&running, 1);
}

static void read_only(struct task *task) {
    (void)task;
    while (atomic_load(&running) > 0) {
        const char *value = view_get("S_X", NULL);
        expect(value && (!strcmp(value, "a") || !strcmp(value, "b")));
        expect(sees("S_THERE", "all along"));
        expect(view_get("S_NEVER", NULL) == NULL);
        view_get("S_Z", NULL);
        view_get("S_CHURN", NULL);
    }
}

static void churn(struct task *task) {
    (void)task;
    while (atomic_load(&running) > 0) {
        struct task child[2];
        start(&child[0], write_once, "1");
        start(&child[1], write_once, "2");
        join(&child[0]);
        join(&child[1]);
        expect(view_get("S_CHURN", NULL) != NULL);
    }
}

static void stay_in_scope(struct task *task) {
    struct entered entered = {.number = 0};
    while (atomic_load(&running) > 0) {
        expect(entered_begin(&entered, __builtin_frame_address(0)) == 0);
        change_set("S_THERE", task->value, 1, NULL);
        expect(sees("S_THERE", task->value));
        change_set("S_X", "private", 1, NULL);
        expect(sees("S_X", "private"));
        expect(entered_end(&entered, __builtin_frame_address(0)) == 0);
        expect(sees("S_THERE", "all along") && !sees("S_X", "private"));
    }
}

static _Atomic int handled;

/* Reads in the midst of whatever its thread is doing; a write may be refused, and nothing worse. */
static void look(int signal) {
    (void)signal;
    expect(sees("S_THERE", "all along") || sees("S_THERE", "private"));
    change_set("S_SIGNAL", "1", 1, NULL);
    atomic_fetch_add(&handled, 1);
}

static void send_signals(struct task *task) {
    (void)task;
    do {
        raise(SIGUSR1);
        kill(getpid(), SIGUSR1);
        sched_yield();
    } while (atomic_load(&running) > 0);
}

TEST("E5: each sees its own, and what was there all along, beside whatever others do") {
    struct task tasks[TASKS];
    thread_begin();
    atomic_store(&env_threads_started, true);
    struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    change_set("S_THERE", "all along", 1, NULL);
    change_set("S_X", "a", 1, NULL);
    change_set("S_CHURN", "0", 1, NULL);
    atomic_store(&running, 2);
    pthread_barrier_init(&all_there, NULL, TASKS);
    start(&tasks[0], contend, "a");
    start(&tasks[1], contend, "b");
    start(&tasks[2], read_only, NULL);
    start(&tasks[3], churn, NULL);
    start(&tasks[4], stay_in_scope, "private");
    start(&tasks[5], send_signals, NULL);
    start(&tasks[6], read_only, NULL);
    for (int i = 0; i < TASKS; i++)
        join(&tasks[i]);
    CHECK_EQ(atomic_load(&wrong), 0);
    CHECK(atomic_load(&handled) > 0);
    CHECK_EQ(atomic_load(&view_attention), 0);
    CHECK_EQ(thread_has_company(), false);
}
