/* What the calling thread sees of the environment.
 *
 *     layers (layer.h) over pins (scope.h) over `environ` (array.h)
 *
 * Everything here is lock-free and async-signal-safe, and works in a vfork child, which sees what its parent's thread
 * sees.
 */
#ifndef RACESHIM_ENV_VIEW_H
#define RACESHIM_ENV_VIEW_H

#include "base/caller.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Not zero while any thread may see something else than `environ`, or somebody wants to know who reads. */
extern _Atomic unsigned view_attention;
/* The latter alone: a layer has something, or scopes gave different values to what is everyone's. */
extern _Atomic unsigned view_watched;

/* One more reason to watch, or one less. */
static inline void view_watch(int more) {
    atomic_fetch_add_explicit(&view_watched, (unsigned)more, memory_order_release);
    atomic_fetch_add_explicit(&view_attention, (unsigned)more, memory_order_release);
}

/* The entry of that name in this thread's view, or NULL; records what is worth recording. `caller` NULL: nothing is
 * recorded. */
char *view_find(const char *name, size_t length, const struct caller *caller);
/* The same, and the value. */
char *view_get(const char *name, const struct caller *caller);
/* The same for who has just found this by array_get, and then that view_attention is not zero. */
char *view_correct(const char *name, char *found, const struct caller *caller);

struct env_thread;
struct variable;
/* The same without the thread's layers. */
char *view_below_layers(const struct env_thread *thread, const struct variable *variable);

/* A name whose value in this thread's view is another than in `environ`. */
struct view_difference {
    const char *name;
    size_t length;
    char *entry; /* NAME=value; NULL: the variable is not in the view */
    /* In a forked child, whose `environ` is the view: what `environ` had before the fork (NULL: nothing), which arrays
     * of the caller's may be copies of. */
    bool before_fork;
    const char *was;
};

/* In a forked child, before `environ` becomes the view: `differences` are what is about to change. An array that was made
 * of `environ` before the fork is corrected when the child starts a program with it, or makes it `environ`. */
void view_keep_for_child(const struct view_difference *differences, size_t count);
/* The child has given the variable a value of its own. */
void view_forget_fork(const char *name, size_t length);

/* At most so many differences are there now. 0 in a process where nobody contends. */
size_t view_differences_max(void);
/* Fills in this thread's differences and returns how many there are. */
size_t view_differences(struct view_difference *differences, size_t max);

/* A program is being started with this thread's view: records what is worth recording. */
void view_program_starts(const struct caller *caller);

#endif
