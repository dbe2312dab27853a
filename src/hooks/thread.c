/* The beginning and the joining of threads: whose view a thread begins with, and whom it leaves its values to. */
#include "hooks/hook.h"

#include "base/loaded.h"
#include "env/array.h"
#include "env/thread.h"

#include <pthread.h>
#include <threads.h>

static void *start_posix(void *argument) {
    struct env_thread *thread = argument;
    thread_enter(thread);
    return thread->function.posix(thread->argument);
}

static int start_c11(void *argument) {
    struct env_thread *thread = argument;
    thread_enter(thread);
    return thread->function.c11(thread->argument);
}

static bool is_joinable(const pthread_attr_t *attributes) {
    int state;
    return !attributes || pthread_attr_getdetachstate(attributes, &state) != 0 ||
           state != PTHREAD_CREATE_DETACHED;
}

/* NULL: the thread is started as it was asked for. */
static struct env_thread *begin(bool joinable) {
    if (settings.env_mode == ENV_OFF)
        return NULL;
    int saved = errno;
    atomic_store_explicit(&env_threads_started, true, memory_order_relaxed);
    struct env_thread *thread = thread_new(joinable);
    errno = saved;
    return thread;
}

HOOK int pthread_create(pthread_t *handle, const pthread_attr_t *attributes,
                        void *(*function)(void *), void *argument) {
    struct env_thread *thread = begin(is_joinable(attributes));
    if (!thread)
        return real(pthread_create)(handle, attributes, function, argument);
    thread->function.posix = function;
    thread->argument = argument;
    int result = real(pthread_create)(handle, attributes, start_posix, thread);
    thread_started(thread, result == 0 ? handle : NULL);
    return result;
}

HOOK int thrd_create(thrd_t *handle, thrd_start_t function, void *argument) {
    struct env_thread *thread = begin(true);
    if (!thread)
        return real(thrd_create)(handle, function, argument);
    thread->function.c11 = function;
    thread->argument = argument;
    int result = real(thrd_create)(handle, start_c11, thread);
    thread_started(thread, result == thrd_success ? handle : NULL);
    return result;
}

static void leave_join(void *thread) {
    thread_join_ends(thread, THREAD_NOT_JOINED);
}

/* Joins, or detaches, with CALL: what the calling thread inherits. It may be cancelled meanwhile. */
#define PART_WITH(handle, join, success, call)                                                     \
    do {                                                                                           \
        struct env_thread *ended = settings.env_mode == ENV_OFF ? NULL : thread_to_join(handle);   \
        int result;                                                                                \
        if (!ended)                                                                                \
            return call;                                                                           \
        pthread_cleanup_push(leave_join, ended);                                                   \
        result = call;                                                                             \
        pthread_cleanup_pop(0);                                                                    \
        thread_join_ends(ended, result == (success) ? (join) : THREAD_NOT_JOINED);                 \
        return result;                                                                             \
    } while (0)

#define JOIN(handle, success, call) PART_WITH(handle, THREAD_JOINED, success, call)
#define DETACH(handle, success, call) PART_WITH(handle, THREAD_DETACHED, success, call)

HOOK int pthread_join(pthread_t handle, void **value) {
    JOIN(handle, 0, real(pthread_join)(handle, value));
}

HOOK int pthread_tryjoin_np(pthread_t handle, void **value) {
    JOIN(handle, 0, real(pthread_tryjoin_np)(handle, value));
}

HOOK int pthread_timedjoin_np(pthread_t handle, void **value, const struct timespec *until) {
    JOIN(handle, 0, real(pthread_timedjoin_np)(handle, value, until));
}

#if __GLIBC_PREREQ(2, 31)
HOOK int pthread_clockjoin_np(pthread_t handle, void **value, clockid_t clock,
                              const struct timespec *until) {
    JOIN(handle, 0, real(pthread_clockjoin_np)(handle, value, clock, until));
}
#endif

HOOK int thrd_join(thrd_t handle, int *value) {
    JOIN(handle, thrd_success, real(thrd_join)(handle, value));
}

HOOK int pthread_detach(pthread_t handle) {
    DETACH(handle, 0, real(pthread_detach)(handle));
}

HOOK int thrd_detach(thrd_t handle) {
    DETACH(handle, thrd_success, real(thrd_detach)(handle));
}
