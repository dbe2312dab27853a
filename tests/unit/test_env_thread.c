/* How threads become known, end and are joined: as the environment's rooms are told of it. */
#include "base/rules.h"
#include "base/settings.h"
#include "env/names.h"
#include "env/scope.h"
#include "env_actors.h"

#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

struct settings settings;
struct rules rules;

#define HERE NULL

static void begin(void) {
    static bool has_begun;
    if (!has_begun)
        thread_begin();
    has_begun = true;
}

static struct actor a, b, c;

static void *known(void *result) {
    *(struct env_thread **)result = thread_known();
    return NULL;
}

static void wait_for_child(pid_t pid) {
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
}

/* Before any other one: the key that tells of ends is made when the first thread is started. */
TEST("H3: where the program has all keys of thread-specific data, a thread's end is seen by its "
     "join") {
    begin();
    pid_t pid = fork();
    if (pid == 0) {
        pthread_key_t keys[PTHREAD_KEYS_MAX];
        int count = 0;
        while (count < PTHREAD_KEYS_MAX && pthread_key_create(&keys[count], NULL) == 0)
            count++;
        actor_start(&a);
        actor_set(&a, "WITHOUT_KEY", "a");
        actor_join(&a);
        bool good = !thread_has_company() && !strcmp(view_get("WITHOUT_KEY", NULL), "a");
        _exit(good ? 0 : 1);
    }
    wait_for_child(pid);
}

TEST("E1: the initial thread is known, and one that was made in secret is not before it writes") {
    pthread_t handle;
    struct env_thread *thread;
    begin();
    CHECK(thread_known() && thread_is_initial(thread_known()));
    CHECK_EQ(pthread_create(&handle, NULL, known, &thread), 0);
    pthread_join(handle, NULL);
    CHECK(thread == NULL);
}

static void *write_and_end(void *value) {
    change_set("SECRET", value, 1, NULL);
    return thread_has_company() ? "company" : "alone";
}

TEST("E1: one that was made in secret is known from its first write to its end") {
    pthread_t handle;
    void *result;
    begin();
    atomic_store(&env_threads_started, true);
    CHECK_EQ(pthread_create(&handle, NULL, write_and_end, "1"), 0);
    pthread_join(handle, &result);
    CHECK_STR(result, "company");
    CHECK_EQ(thread_has_company(), false);
    CHECK_STR(actor_get(HERE, "SECRET"), "1");
}

TEST("E1: a thread that was never started leaves nothing behind") {
    begin();
    struct env_thread *thread = thread_new(true);
    CHECK_EQ(thread_has_company(), true);
    thread_started(thread, NULL);
    CHECK_EQ(thread_has_company(), false);
    CHECK_EQ(thread_known()->scope->children != NULL, false);
}

TEST("E1: a starter that comes late does not mistake a new thread for the one that has ended") {
    begin();
    struct env_thread *dead = thread_new(true);
    a = (struct actor){.thread = dead};
    sem_init(&a.go, 0, 0);
    sem_init(&a.done, 0, 0);
    pthread_create(&a.handle, NULL, actor_main, &a);
    actor_set(&a, "LATE", "a");
    pthread_t handle = a.handle;
    actor_join(&a);
    actor_start(&b); /* libc uses the handle again, or we do as if it did */
    thread_started(dead, pthread_equal(handle, b.handle) ? &handle : &b.handle);
    struct env_thread *found = thread_to_join(b.handle);
    CHECK(found == b.thread);
    thread_join_ends(found, THREAD_NOT_JOINED);
    actor_join(&b);
}

TEST("E1: the handle of a thread that has made itself known is not looked at again") {
    begin();
    struct env_thread *thread = thread_new(true);
    a = (struct actor){.thread = thread};
    sem_init(&a.go, 0, 0);
    sem_init(&a.done, 0, 0);
    pthread_create(&a.handle, NULL, actor_main, &a);
    CHECK_STR(actor_get(&a, "NOWHERE"), "-");
    thread_started(thread, (const pthread_t *)1);
    actor_join(&a);
    thread = thread_new(false);
    a = (struct actor){.thread = thread};
    thread_started(thread, (const pthread_t *)1);
    CHECK_EQ(thread_has_company(), true);
    thread_keep(thread);
    thread_started(thread, NULL);
    CHECK_EQ(thread_has_company(), false);
}

TEST("E1: a join that somebody else than the starter makes hands on the writes to him") {
    begin();
    actor_start(&a);
    actor_start(&b);
    actor_set(&a, "JOINED", "a");
    actor_set(HERE, "JOINED", "0");
    CHECK_STR(actor_get(&a, "JOINED"), "a");
    actor_do(&b, actor_join_other, &a);
    CHECK_STR(actor_get(HERE, "JOINED"), "0");
    CHECK_STR(actor_get(&b, "JOINED"), "0");
    actor_set(HERE, "PAIR", "0");
    actor_set(&b, "PAIR", "b");
    CHECK_STR(actor_get(&b, "JOINED"), "a"); /* its own by the join */
    actor_join(&b);
}

TEST("E1: a thread that is being joined is not forgotten when libc uses its handle again") {
    begin();
    actor_start(&c);
    actor_start(&a);
    actor_set(&a, "REUSED", "a");
    struct env_thread *ended = thread_to_join(a.handle);
    pthread_t handle = a.handle;
    actor_end(&a);
    struct env_thread *next = thread_new(true);
    thread_started(next, &handle);
    struct env_thread *found = thread_to_join(handle);
    CHECK(found == next);
    thread_join_ends(found, THREAD_NOT_JOINED);
    thread_join_ends(ended, THREAD_JOINED);
    CHECK_STR(actor_get(HERE, "REUSED"), "a");
    thread_keep(next);
    thread_started(next, NULL);
    found = thread_to_join(handle);
    CHECK(found == NULL);
    actor_join(&c);
    CHECK_EQ(thread_has_company(), false);
}

static void detach(void *actor) {
    struct env_thread *thread = thread_to_join(((struct actor *)actor)->handle);
    thread_join_ends(thread, THREAD_DETACHED);
}

TEST("E1: of a thread that is detached nothing is remembered when it has ended") {
    begin();
    actor_start(&c);
    actor_start(&a);
    actor_set(&a, "DETACHED", "a");
    actor_do(&a, detach, &a);
    actor_end(&a); /* for the rooms it is detached */
    CHECK(thread_to_join(a.handle) == NULL);
    CHECK_STR(actor_get(HERE, "DETACHED"), "a");
    actor_join(&c);
}

static size_t writes_of(const char *name) {
    size_t count = 0;
    const struct variable *v = names_find(name, strlen(name));
    for (const struct write *w = v ? v->writes : NULL; w; w = w->next)
        count++;
    return count;
}

TEST("E5: what is known of writes is bounded by who lives, not by who has lived") {
    begin();
    char value[16];
    actor_start(&c);
    actor_set(&c, "CHURN", "c");
    for (int i = 0; i < 300; i++) {
        snprintf(value, sizeof value, "%d", i);
        actor_start(&a);
        actor_set(&a, "CHURN", value);
        if (i % 3 == 0)
            actor_set(HERE, "CHURN", "0");
        actor_join(&a);
    }
    CHECK(writes_of("CHURN") <= 40);
    actor_join(&c);
    CHECK_EQ(writes_of("CHURN"), 0);
}

/* ---- In a child, where what ends may be this process ---- */

static sem_t over;

static void end_of_initial(void *context) {
    (void)context;
    sem_wait(&over); /* posted by the initial thread's last destructor but ours */
    while (thread_has_company())
        sched_yield();
    bool good = !strcmp(view_get("FROM_INITIAL", NULL), "1");
    actor_start(&b);
    actor_set(&b, "AFTER", "b");
    good &= !thread_is_initial(b.thread);
    actor_start(&c);
    actor_set(&c, "AFTER", "c");
    good &= !strcmp(actor_get(&b, "AFTER"), "b") && !strcmp(actor_get(&c, "AFTER"), "c");
    _exit(good ? 0 : 1);
}

static void post_over(void *context) {
    (void)context;
    sem_post(&over);
}

TEST("E1: the initial thread may end before the others, and they go on") {
    begin();
    pid_t pid = fork();
    if (pid == 0) {
        pthread_key_t key;
        sem_init(&over, 0, 0);
        actor_start(&a);
        actor_set(HERE, "FROM_INITIAL", "1");
        pthread_key_create(&key, post_over);
        pthread_setspecific(key, &key);
        a.act = end_of_initial;
        sem_post(&a.go);
        pthread_exit(NULL);
    }
    wait_for_child(pid);
}
