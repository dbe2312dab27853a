#include "env/thread.h"

#include "base/owner.h"
#include "base/sys.h"
#include "env/layer.h"
#include "env/lock.h"
#include "env/pool.h"
#include "env/scope.h"

#include <limits.h>
#include <string.h>
#include <sys/prctl.h>

/* Both are used by those who point to them here, too, and so are never given away. */
static struct scope initial_scope = {.lives = true, .uses = 2};
static struct env_thread initial_thread = {
    .scope = &initial_scope, .uses = 2, .initial = true, .lives = true};
/* What a thread is from its end on, while its last destructors run: nobody. */
static struct env_thread nobody = {.uses = 1};

/* NULL: the initial thread, or one that is not known. */
static __thread struct env_thread *self __attribute__((tls_model("initial-exec")));

/* The following are guarded by env_lock. */
static struct pool threads;
static struct env_thread *living = &initial_thread;
static struct pool told_lists;
#define HANDLES 256
static struct env_thread *with_handle[HANDLES];
/* Of this process: a fork makes another one the first. */
static struct env_thread *first = &initial_thread;
static pthread_t first_handle;

static _Atomic uint32_t lives = 1;
static bool is_any_known; /* set, never taken back */

/* Tells the end of a thread. Its destructor runs among those of the program's own keys; it puts itself off to their
 * last round, because they may still ask for variables. */
static pthread_key_t key;
static enum { KEY_NONE, KEY_MADE, KEY_REFUSED } key_state;

void thread_begin(void) {
    first_handle = pthread_self();
}

struct env_thread *thread_known(void) {
    if (self)
        return self;
    return !first_handle || pthread_equal(pthread_self(), first_handle) ? first : NULL;
}

bool thread_is_initial(const struct env_thread *thread) {
    return thread->initial;
}

bool thread_has_company(void) {
    return atomic_load_explicit(&lives, memory_order_relaxed) > 1;
}

/* ---- The list of those who live ---- */

static void join_the_living(struct env_thread *thread) {
    thread->lives = true;
    thread->previous_living = NULL;
    thread->next_living = living;
    if (living)
        living->previous_living = thread;
    living = thread;
    atomic_fetch_add_explicit(&lives, 1, memory_order_relaxed);
}

static void leave_the_living(struct env_thread *thread) {
    thread->lives = false;
    if (thread->next_living)
        thread->next_living->previous_living = thread->previous_living;
    if (thread->previous_living)
        thread->previous_living->next_living = thread->next_living;
    else
        living = thread->next_living;
    atomic_fetch_sub_explicit(&lives, 1, memory_order_relaxed);
}

/* ---- Handles ---- */

static struct env_thread **place_of(pthread_t handle) {
    uintptr_t number = (uintptr_t)handle;
    return &with_handle[(number >> 12 ^ number >> 20) % HANDLES];
}

static struct env_thread **find_handle(pthread_t handle) {
    struct env_thread **at = place_of(handle);
    while (*at && !pthread_equal((*at)->handle, handle))
        at = &(*at)->next;
    return at;
}

static void drop_handle(struct env_thread **at) {
    struct env_thread *thread = *at;
    *at = thread->next;
    thread->has_handle = false;
    thread_release(thread);
}

/* Libc uses handles again: who had it before is joined, or will never be. */
static void set_handle(struct env_thread *thread, pthread_t handle) {
    if (!thread->joinable || thread->has_handle)
        return;
    struct env_thread **at = find_handle(handle);
    if (*at)
        drop_handle(at);
    at = place_of(handle);
    thread->handle = handle;
    thread->has_handle = true;
    thread->next = *at;
    *at = thread;
    thread_keep(thread);
}

/* ---- Beginning ---- */

void thread_keep(struct env_thread *thread) {
    thread->uses++;
}

void thread_release(struct env_thread *thread) {
    if (--thread->uses)
        return;
    if (thread->told)
        pool_give(&told_lists, thread->told);
    if (thread->scope)
        family_release(thread->scope);
    pool_give(&threads, thread);
}

struct told *thread_told(struct env_thread *thread) {
    if (!thread->told)
        thread->told = pool_take(&told_lists, TOLD * sizeof *thread->told);
    return thread->told;
}

static struct env_thread *make(struct scope *starter, struct layer *chain) {
    struct env_thread *thread = pool_take(&threads, sizeof *thread);
    if (!thread)
        return NULL;
    thread->scope = scope_enter(starter);
    if (!thread->scope) {
        pool_give(&threads, thread);
        return NULL;
    }
    family_keep(thread->scope);
    thread->uses = 1;
    atomic_store_explicit(&thread->layer, layer_share(chain), memory_order_relaxed);
    join_the_living(thread);
    return thread;
}

static void end(struct env_thread *thread);

static void be_told_of_the_end(struct env_thread *thread) {
    if (key_state == KEY_MADE && !thread->end_is_told)
        thread->end_is_told = pthread_setspecific(key, thread) == 0;
}

static void know_ids(struct env_thread *thread) {
    thread->pid = sys_getpid();
    thread->tid = owner_tid();
    is_any_known = true;
}

struct env_thread *thread_here(void) {
    struct env_thread *thread = thread_known();
    if (thread && !thread->tid)
        know_ids(thread);
    if (thread)
        return thread;
    thread = make(first->lives ? first->scope : NULL, NULL);
    if (!thread)
        return NULL;
    know_ids(thread);
    self = thread;
    be_told_of_the_end(thread);
    return thread;
}

static void at_the_end(void *argument) {
    struct env_thread *thread = argument;
    if (++thread->rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
        pthread_setspecific(key, thread);
        return;
    }
    if (!env_lock())
        return;
    end(thread);
    env_unlock();
}

static void make_key(void) {
    if (key_state == KEY_NONE)
        key_state = pthread_key_create(&key, at_the_end) == 0 ? KEY_MADE : KEY_REFUSED;
}

struct env_thread *thread_new(bool joinable) {
    if (!env_lock())
        return NULL;
    struct env_thread *starter = thread_here(), *thread = NULL;
    if (starter) {
        make_key();
        be_told_of_the_end(starter); /* the initial thread has an end too */
        thread = make(starter->scope, atomic_load_explicit(&starter->layer, memory_order_relaxed));
    }
    if (thread) {
        thread->joinable = joinable;
        thread_keep(thread); /* for the starter, who may come later than its end */
    }
    env_unlock();
    return thread;
}

void thread_started(struct env_thread *thread, const pthread_t *handle) {
    if (!env_lock())
        return;
    if (handle)
        set_handle(thread, *handle);
    else
        end(thread);
    thread_release(thread);
    env_unlock();
}

void thread_enter(struct env_thread *thread) {
    self = thread;
    know_ids(thread);
    if (thread->joinable && env_lock()) {
        set_handle(thread, pthread_self());
        env_unlock();
    }
    be_told_of_the_end(thread);
}

/* ---- The end ---- */

static void end(struct env_thread *thread) {
    if (thread == self) {
        self = &nobody;
        sys_call6(SYS_prctl, PR_GET_NAME, (long)thread->name, 0, 0, 0, 0);
    }
    leave_the_living(thread);
    layer_leave_all(thread);
    scope_leave(thread->scope);
    if (!thread_has_company() && living)
        scope_is_alone(living->scope);
    thread_release(thread);
}

struct env_thread *thread_to_join(pthread_t handle) {
    if (!env_lock())
        return NULL;
    struct env_thread *thread = pthread_equal(handle, first_handle) ? first : *find_handle(handle);
    if (thread)
        thread_keep(thread);
    env_unlock();
    return thread;
}

static void inherit_from(struct env_thread *thread) {
    const struct env_thread *here = thread_here();
    if (thread->lives) /* it ended without its destructors: it was cancelled before it began, say */
        end(thread);
    if (here && here->scope)
        scope_joined(thread->scope, here->scope);
    struct env_thread **at = thread->has_handle ? find_handle(thread->handle) : NULL;
    if (at && *at == thread)
        drop_handle(at);
}

void thread_join_ends(struct env_thread *thread, bool joined) {
    if (!env_lock())
        return;
    if (joined)
        inherit_from(thread);
    thread_release(thread);
    env_unlock();
}

bool thread_is_any_known(void) {
    return is_any_known;
}

struct env_thread *thread_after_fork(void) {
    struct env_thread *thread = thread_known();
    if (!thread || thread == &nobody)
        thread = &initial_thread;
    self = thread;
    if (first != thread)
        thread_keep(thread);
    first = thread;
    first_handle = pthread_self();
    memset(with_handle, 0, sizeof with_handle);
    living = thread;
    thread->next_living = thread->previous_living = NULL;
    thread->lives = thread->initial = true;
    thread->has_handle = false;
    know_ids(thread);
    atomic_store_explicit(&lives, 1, memory_order_relaxed);
    if (!thread->scope)
        thread->scope = &initial_scope;
    scope_after_fork(thread->scope);
    family_keep(thread->scope);
    return thread;
}
