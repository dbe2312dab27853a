#include "env/thread.h"

#include "base/layout.h"
#include "base/owner.h"
#include "base/sys.h"
#include "env/layer.h"
#include "env/lock.h"
#include "env/pool.h"
#include "env/scope.h"
#include "env/tell.h"

#include <limits.h>
#include <string.h>
#include <sys/prctl.h>

/* One use more than there are, for they are not of the pools. */
static struct scope initial_scope = {.lives = true, .joinable = true, .uses = 3};
static struct env_thread initial_thread = {
    .scope = &initial_scope, .uses = 2, .joinable = true, .initial = true, .lives = true};
/* What a thread is from its end on, while its last destructors run: nobody. */
static struct env_thread nobody = {.uses = 1};

/* NULL: before the constructor, the initial thread; then, one that is not known. */
static __thread struct env_thread *self __attribute__((tls_model("initial-exec")));
static bool has_begun;

/* The following are guarded by env_lock. */
static struct pool threads;
static struct env_thread *living = &initial_thread;
static struct env_thread *initial = &initial_thread;
static struct pool told_lists;
#define HANDLES 256
static struct env_thread *with_handle[HANDLES];

static _Atomic uint32_t lives = 1;
static _Atomic bool is_any_known; /* set, never taken back */

/* Tells the end of a thread. Its destructor runs among those of the program's own keys; it puts itself off to their
 * last round, because they may still ask for variables. */
#ifdef __SANITIZE_THREAD__
#define LAST_ROUND (PTHREAD_DESTRUCTOR_ITERATIONS - 1) /* the last one is the sanitizer's own end */
#else
#define LAST_ROUND PTHREAD_DESTRUCTOR_ITERATIONS
#endif
static pthread_key_t key;
static enum { KEY_NONE, KEY_MADE, KEY_REFUSED } key_state;

EVERY_PROCESS void thread_begin(void) {
    self = &initial_thread;
    has_begun = true;
}

EVERY_PROCESS struct env_thread *thread_known(void) {
    if (__builtin_expect(!self && !has_begun, 0))
        return &initial_thread;
    return self;
}

EVERY_PROCESS bool thread_is_initial(const struct env_thread *thread) {
    return thread->initial;
}

EVERY_PROCESS bool thread_has_company(void) {
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

/* They lie at equal distances, of the size of a stack. */
static struct env_thread **place_of(pthread_t handle) {
    uint64_t number = (uintptr_t)handle;
    return &with_handle[(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) % HANDLES];
}

static struct env_thread **find_handle(pthread_t handle) {
    struct env_thread **at = place_of(handle);
    while (*at && !pthread_equal((*at)->handle, handle))
        at = &(*at)->next;
    return at;
}

static void take_handle(struct env_thread *thread) {
    if (!thread->has_handle)
        return;
    struct env_thread **at = place_of(thread->handle);
    while (*at != thread)
        at = &(*at)->next;
    *at = thread->next;
    thread->has_handle = false;
    thread_release(thread);
}

/* Nobody will join it any more. */
static void await_no_join(struct env_thread *thread) {
    if (thread->joinable) {
        thread->joinable = false;
        family_await_join_no_more(thread->scope);
        if (!thread->lives)
            thread->scope = NULL;
    }
    take_handle(thread);
}

/* Libc uses handles again: who had it before will not be joined, or somebody is just doing it. */
static void set_handle(struct env_thread *thread, pthread_t handle) {
    struct env_thread *before = *find_handle(handle);
    if (before && before->joining)
        take_handle(before);
    else if (before)
        await_no_join(before);
    struct env_thread **at = place_of(handle);
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
    thread->uses = 1;
    atomic_store_explicit(&thread->layer, layer_share(chain), memory_order_relaxed);
    join_the_living(thread);
    return thread;
}

static void at_the_end(void *argument);

static void make_key(void) {
    if (key_state == KEY_NONE)
        key_state = pthread_key_create(&key, at_the_end) == 0 ? KEY_MADE : KEY_REFUSED;
}

/* Not under env_lock, for libc may call malloc, and the program's malloc whatever it likes. */
static void be_told_of_the_end(struct env_thread *thread) {
    if (key_state != KEY_MADE || pthread_setspecific(key, thread) != 0)
        tell_degraded(TELL_NO_KEY, NULL);
}

static void know_ids(struct env_thread *thread) {
    thread->tid = owner_tid();
    atomic_store_explicit(&is_any_known, true, memory_order_relaxed);
}

static struct env_thread *make_known(struct env_thread *thread) {
    if (thread)
        set_handle(thread, pthread_self()); /* the initial one */
    else
        thread = make(initial->lives ? initial->scope : NULL, NULL);
    if (!thread)
        return NULL;
    make_key();
    know_ids(thread);
    self = thread;
    return thread;
}

struct env_thread *thread_here(void) {
    struct env_thread *thread = thread_known();
    if ((thread && thread->tid) || thread == &nobody)
        return thread;
    if (!env_lock())
        return thread;
    thread = make_known(thread);
    env_unlock();
    if (thread)
        be_told_of_the_end(thread);
    return thread;
}

struct env_thread *thread_new(bool joinable) {
    struct env_thread *starter = thread_here(), *thread = NULL;
    if (!starter || !env_lock())
        return NULL;
    thread = make(starter->scope, atomic_load_explicit(&starter->layer, memory_order_relaxed));
    if (thread) {
        thread->joinable = joinable;
        if (joinable)
            family_await_join(thread->scope);
        thread_keep(thread); /* for the starter, who may come later than its end */
    }
    env_unlock();
    return thread;
}

static void end(struct env_thread *thread);

void thread_started(struct env_thread *thread, const pthread_t *handle) {
    if (!env_lock())
        return;
    if (!handle) {
        end(thread);
        await_no_join(thread);
    } else if (thread->joinable && !thread->has_handle) {
        set_handle(thread, *handle);
    }
    thread_release(thread);
    env_unlock();
}

void thread_enter(struct env_thread *thread) {
    struct env_thread *stranger = self; /* a signal handler came first, and wrote */
    self = thread;
    thread->tid = owner_tid();
    if (env_lock()) {
        if (stranger) {
            scope_joined(stranger->scope, thread->scope);
            end(stranger);
        }
        if (thread->joinable && !thread->has_handle)
            set_handle(thread, pthread_self());
        env_unlock();
    }
    be_told_of_the_end(thread);
}

/* ---- The end ---- */

/* Others ask for a thread's name when they tell of it, which is too late then. */
static void know_name(struct env_thread *thread) {
    const struct layer *layer = atomic_load_explicit(&thread->layer, memory_order_relaxed);
    if (thread->scope->heard || (layer && layer->owner == thread))
        sys_call6(SYS_prctl, PR_GET_NAME, (long)thread->name, 0, 0, 0, 0);
}

static void end(struct env_thread *thread) {
    if (thread == self) {
        self = &nobody;
        know_name(thread);
    }
    leave_the_living(thread);
    layer_leave_all(thread);
    scope_leave(thread->scope);
    if (!thread->joinable)
        thread->scope = NULL;
    if (!thread_has_company() && living)
        scope_is_alone(living->scope);
    thread_release(thread);
}

/* A change that a handler jumped out of, by ending the thread, is over. */
static void at_the_end(void *argument) {
    struct env_thread *thread = argument;
    if (++thread->rounds < LAST_ROUND) {
        pthread_setspecific(key, thread);
        return;
    }
    env_lock_jumped();
    if (!env_lock())
        return;
    end(thread);
    env_unlock();
}

struct env_thread *thread_to_join(pthread_t handle) {
    if (!env_lock())
        return NULL;
    struct env_thread *thread = *find_handle(handle);
    if (thread) {
        thread->joining++;
        thread_keep(thread);
    }
    env_unlock();
    return thread;
}

/* It may have ended without its destructors. */
static void inherit_from(struct env_thread *thread, const struct env_thread *here) {
    if (thread->lives)
        end(thread);
    if (thread->joinable && here && here->scope)
        scope_joined(thread->scope, here->scope);
}

void thread_join_ends(struct env_thread *thread, enum thread_join join) {
    const struct env_thread *here = join == THREAD_JOINED ? thread_here() : NULL;
    if (!env_lock())
        return;
    thread->joining--;
    if (join == THREAD_JOINED)
        inherit_from(thread, here);
    if (join != THREAD_NOT_JOINED || (!thread->has_handle && !thread->joining))
        await_no_join(thread);
    thread_release(thread);
    env_unlock();
}

bool thread_is_any_known(void) {
    return atomic_load_explicit(&is_any_known, memory_order_relaxed);
}

/* Of the others, and of what they had, nothing is given back: it may have been in the midst of a change. */
struct env_thread *thread_after_fork(void) {
    struct env_thread *thread = thread_known();
    if (!thread || thread == &nobody)
        thread = &initial_thread;
    self = initial = living = thread;
    thread->next_living = thread->previous_living = NULL;
    atomic_store_explicit(&lives, 1, memory_order_relaxed);
    thread->lives = thread->initial = thread->joinable = true;
    thread->uses = 2; /* its life, and one that never ends, as of initial_thread */
    thread->joining = 0;
    know_ids(thread);
    scope_after_fork(thread->scope);
    family_await_join(thread->scope);
    family_keep(thread->scope); /* as that of initial_thread */
    memset(with_handle, 0, sizeof with_handle);
    set_handle(thread, pthread_self());
    return thread;
}
