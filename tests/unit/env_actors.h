/* Threads that do one thing after the other, as they are told, and are known to the environment's rooms as the hooks of
 * pthread_create and pthread_join would make them known.
 */
#ifndef RACESHIM_ENV_ACTORS_H
#define RACESHIM_ENV_ACTORS_H

#include "check.h"
#include "env/array.h"
#include "env/change.h"
#include "env/entered.h"
#include "env/thread.h"
#include "env/view.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

struct actor {
    pthread_t handle;
    struct env_thread *thread;
    sem_t go, done;
    void (*act)(void *context); /* NULL: it ends */
    void *context;
};

static __attribute__((unused)) void *actor_main(void *context) {
    struct actor *actor = context;
    thread_enter(actor->thread);
    for (;;) {
        sem_wait(&actor->go);
        if (!actor->act)
            return NULL;
        actor->act(actor->context);
        sem_post(&actor->done);
    }
}

/* Started by the calling thread. */
static __attribute__((unused)) void actor_start(struct actor *actor) {
    *actor = (struct actor){.thread = thread_new(true)};
    atomic_store(&env_threads_started, true);
    sem_init(&actor->go, 0, 0);
    sem_init(&actor->done, 0, 0);
    int failed = pthread_create(&actor->handle, NULL, actor_main, actor);
    thread_started(actor->thread, failed ? NULL : &actor->handle);
}

/* The actor does this; NULL actor: the calling thread does. */
static __attribute__((unused)) void actor_do(struct actor *actor, void (*act)(void *),
                                             void *context) {
    if (!actor) {
        act(context);
        return;
    }
    actor->act = act;
    actor->context = context;
    sem_post(&actor->go);
    sem_wait(&actor->done);
}

struct actor_change {
    const char *name, *value;
    int result;
};

static __attribute__((unused)) void actor_change(void *context) {
    struct actor_change *c = context;
    c->result = c->value ? change_set(c->name, c->value, 1, NULL) : change_unset(c->name, NULL);
}

/* `value` NULL: removes it. */
static __attribute__((unused)) void actor_set(struct actor *actor, const char *name,
                                              const char *value) {
    struct actor_change c = {name, value, 0};
    actor_do(actor, actor_change, &c);
    CHECK_EQ(c.result, 0);
}

static __attribute__((unused)) void actor_read(void *context) {
    struct actor_change *c = context;
    c->value = view_get(c->name, NULL);
}

/* "-": there is none. */
static __attribute__((unused)) const char *actor_get(struct actor *actor, const char *name) {
    struct actor_change c = {name, NULL, 0};
    actor_do(actor, actor_read, &c);
    return c.value ? c.value : "-";
}

static __attribute__((unused)) void actor_start_other(void *other) {
    actor_start(other);
}

/* It ends, and nobody has joined it yet as far as the rooms know. */
static __attribute__((unused)) void actor_end(struct actor *actor) {
    actor->act = NULL;
    sem_post(&actor->go);
    pthread_join(actor->handle, NULL);
}

/* Ends it and joins it, in the calling thread. */
static __attribute__((unused)) void actor_join(struct actor *actor) {
    struct env_thread *thread = thread_to_join(actor->handle);
    actor_end(actor);
    if (thread)
        thread_join_ends(thread, THREAD_JOINED);
}

static __attribute__((unused)) void actor_join_other(void *other) {
    actor_join(other);
}

#endif
