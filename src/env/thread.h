/* Threads, as the environment knows them: where each began, what it is in, who it was when it wrote.
 *
 * The initial thread is there without a call. Another one is known from its pthread_create or thrd_create; one that libc
 * makes for itself becomes known by its first write. Nothing is made before the first of them is started, so a
 * program with one thread pays nothing.
 */
#ifndef RACESHIM_ENV_THREAD_H
#define RACESHIM_ENV_THREAD_H

#include "env/rule.h"
#include "report/event.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct variable;

/* What a thread has told lately, so that a loop tells it once. Only its own thread touches it. */
#define TOLD 32
struct told {
    const struct variable *variable;
    uint64_t latest;
    const void *site; /* where it read */
};

struct env_thread {
    struct env_thread *next_living, *previous_living;
    struct env_thread *next;     /* with a handle of that place */
    struct scope *scope;         /* NULL: it is past its end, and what it writes is everyone's */
    struct layer *_Atomic layer; /* the innermost that it is in; changed by itself only */
    uint32_t uses;    /* by writes, its handle, those who join it, and as long as it lives */
    uint32_t joining; /* so many threads are about to join it */
    uint32_t rounds;  /* of destructors that it has seen */
    pthread_t handle;
    bool has_handle;
    bool joinable; /* and nobody has joined it yet, as far as is known */
    bool initial;
    bool lives;
    pid_t tid;
    char name[EVENT_THREAD_NAME]; /* known when it has ended */
    union {
        void *(*posix)(void *);
        int (*c11)(void *);
    } function;
    void *argument;
    struct told *told; /* TOLD of them; NULL: has told nothing yet */
};

/* For the constructor: this is the initial thread. */
void thread_begin(void);

/* The calling thread; NULL if it is not known. Lock-free. In a vfork child, its parent's. */
struct env_thread *thread_known(void);
/* The same; makes it known. Takes env_lock. NULL: no memory. */
struct env_thread *thread_here(void);
bool thread_is_initial(const struct env_thread *thread);

/* Do other threads live, as far as is known? */
bool thread_has_company(void);

/* A thread is about to be started by this one. NULL: it is started unknown. Takes env_lock. */
struct env_thread *thread_new(bool joinable);
/* It was started, and this is its handle; NULL: it was not. The starter does not use `thread` any more. Where the thread
 * has made itself known already, the handle is not looked at: its memory may be gone. */
void thread_started(struct env_thread *thread, const pthread_t *handle);
/* The first thing that it does. */
void thread_enter(struct env_thread *thread);

/* The thread that a join, or the detaching, of this handle will be about; NULL: not known. Every one is given back to
 * thread_join_ends. */
struct env_thread *thread_to_join(pthread_t handle);
/* If it was joined, what was its own belongs to the calling thread too. */
enum thread_join { THREAD_NOT_JOINED, THREAD_JOINED, THREAD_DETACHED };
void thread_join_ends(struct env_thread *thread, enum thread_join join);

/* Where a thread of its own notes what it has told. NULL: no memory. Wants env_lock. */
struct told *thread_told(struct env_thread *thread);

/* One user more, one less. Want env_lock. */
void thread_keep(struct env_thread *thread);
void thread_release(struct env_thread *thread);

/* Has any thread become known, so that a forked child has something to forget? */
bool thread_is_any_known(void);
/* In a forked child: this thread, which is the initial one now, and alone. */
struct env_thread *thread_after_fork(void);

#endif
