/* Layers: environments of a thread's own, over everything else. They do not know of scopes.
 *
 * A thread's layers form a chain, innermost first. What is put into one is seen by the thread that owns it, and by
 * those that were started while it was there, whose chains begin with it. Only the owner puts into it; everybody whose
 * chain it is in looks into it without a lock. It lives as long as it is in a chain.
 */
#ifndef RACESHIM_ENV_LAYER_H
#define RACESHIM_ENV_LAYER_H

#include "env/names.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct env_thread;

struct layer_item {
    _Atomic(struct variable *) variable; /* NULL: free */
    _Atomic(char *) entry;               /* NULL: removed */
    bool in_environ;                     /* since a fork; `below` is to be put back */
    char *below;
    struct env_thread *by;
    uint64_t number;
    struct timespec since;
    stack_id stack;
};

struct layer_table {
    struct layer_table *outgrown; /* somebody may still look into it */
    uint32_t mask;
    uint32_t count;
    struct layer_item items[];
};

struct layer {
    struct layer *below;
    struct env_thread *owner; /* NULL: has ended, or was left behind by a fork */
    uint32_t uses;            /* by threads, and by the layers above it */
    uint64_t number;          /* tells layers of one place apart */
    const void *frame;        /* where the program entered it; NULL: made by a first write */
    const void *place;        /* of what the program names it by */
    bool in_environ;          /* since a fork: what is put into it goes to `environ` too */
    struct layer_table *_Atomic table;
    struct layer *next, *previous; /* of all */
};

/* Does the layer have the variable? Its entry then, NULL: removed. Lock-free, async-signal-safe. */
bool layer_has(const struct layer *layer, const struct variable *variable, char **entry);

/* The innermost layer of a chain that has it; NULL: none. Lock-free, async-signal-safe. */
const struct layer *layer_find(const struct layer *chain, const struct variable *variable,
                               char **entry);

/* Was one of the chain entered by the program? Lock-free. */
bool layer_is_entered(const struct layer *chain);

/* Everything below wants env_lock. */

/* A new innermost layer. NULL: no memory. */
struct layer *layer_push(struct env_thread *thread, const void *frame);
/* Takes the thread's innermost layer off, which it owns. */
void layer_pop(struct env_thread *thread);
/* The thread has ended: its chain is given back, and what is its own is nobody's. */
void layer_leave_all(struct env_thread *thread);
/* A thread begins with this chain. */
struct layer *layer_share(struct layer *chain);

/* The item is in the layer then. NULL: no memory. */
struct layer_item *layer_put(struct layer *layer, struct variable *variable, char *entry,
                             struct env_thread *by, stack_id stack);

/* The innermost item of the chain. */
const struct layer_item *layer_item_in_chain(const struct layer *chain,
                                             const struct variable *variable);

/* Whatever layer has this variable, other than those of the chain, was last written by a living thread: how, or NULL. */
const struct layer_item *layer_item_elsewhere(const struct variable *variable,
                                              const struct layer *chain);

/* The layer of that place and number, wherever it is; NULL if there is none. */
struct layer *layer_of(uintptr_t place, uint64_t number);

/* For every item of the layer. */
typedef void layer_each(void *context, struct layer_item *item);
void layer_for_each(struct layer *layer, layer_each *each, void *context);

/* In a forked child: the chain's layers are the only ones, and the thread is the only one. */
void layer_after_fork(struct layer *chain, struct env_thread *thread);

#endif
