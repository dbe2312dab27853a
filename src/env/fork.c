#include "env/fork.h"

#include "base/scratch.h"
#include "env/array.h"
#include "env/layer.h"
#include "env/lock.h"
#include "env/names.h"
#include "env/tell.h"
#include "env/thread.h"
#include "env/view.h"

#include <stdbool.h>
#include <string.h>

extern char **__environ;

void env_before_fork(void) {
    env_lock_before_fork();
}

void env_after_fork_parent(void) {
    env_lock_after_fork_parent();
}

static const struct view_difference *find(const struct view_difference *differences, size_t count,
                                          const char *entry) {
    size_t length = names_length(entry);
    for (size_t i = 0; i < count; i++)
        if (differences[i].length == length && entry[length] == '=' &&
            memcmp(differences[i].name, entry, length) == 0)
            return &differences[i];
    return NULL;
}

/* `environ` with the differences applied, in its order; what it does not have comes last. */
static size_t merge(char **merged, struct view_difference *differences, size_t count) {
    size_t used = 0;
    for (char **slot = __environ; slot && *slot; slot++) {
        struct view_difference *d = (struct view_difference *)find(differences, count, *slot);
        if (!d) {
            merged[used++] = *slot;
        } else if (d->entry) {
            merged[used++] = d->entry;
            d->entry = NULL;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (differences[i].entry)
            merged[used++] = differences[i].entry;
    return used;
}

static size_t count_entries(void) {
    size_t count = 0;
    while (__environ && __environ[count])
        count++;
    return count;
}

/* False: no memory, and `environ` is what it was. */
static bool become_view(void) {
    size_t max = view_differences_max(), entries = count_entries();
    size_t size = max * sizeof(struct view_difference) + (entries + max) * sizeof(char *);
    struct view_difference *differences = max ? scratch_begin(size) : NULL;
    bool done = differences || !max;
    size_t count = differences ? view_differences(differences, max) : 0;
    if (count) {
        view_keep_for_child(differences, count);
        char **merged = (char **)(differences + max);
        done = array_replace(merged, merge(merged, differences, count));
    }
    scratch_end(differences, size);
    return done;
}

/* The last of a chain that the program entered: what lies below it becomes `environ`. */
static struct layer *last_entered(struct layer *chain) {
    struct layer *last = NULL;
    for (; chain; chain = chain->below)
        if (chain->frame)
            last = chain;
    return last;
}

/* What `environ` would have without the layers that are kept. */
struct rest {
    const struct env_thread *thread;
    const struct layer *layers;
};

static void note_below(void *context, struct layer_item *item) {
    const struct rest *rest = context;
    const struct variable *v = atomic_load_explicit(&item->variable, memory_order_relaxed);
    item->in_environ = true;
    if (!layer_find(rest->layers, v, &item->below))
        item->below = view_below_layers(rest->thread, v);
}

/* Scopes that the program has entered are there in the child, to be left; other layers have become `environ`. */
static struct layer *keep_entered(struct env_thread *thread, struct layer **last) {
    struct layer *chain = atomic_load_explicit(&thread->layer, memory_order_relaxed);
    *last = last_entered(chain);
    if (!*last)
        return NULL;
    struct rest rest = {thread, (*last)->below};
    for (struct layer *layer = chain; layer != (*last)->below; layer = layer->below)
        layer_for_each(layer, note_below, &rest);
    return chain;
}

void env_after_fork_child(void) {
    env_lock_after_fork_child();
    struct env_thread *thread = thread_known();
    if (!thread_is_any_known())
        return;
    struct layer *last = NULL;
    struct layer *chain = thread ? keep_entered(thread, &last) : NULL;
    if (thread)
        tell_keep_for_child(thread);
    bool whole = become_view();
    if (last)
        last->below = NULL;
    thread = thread_after_fork();
    atomic_store_explicit(&thread->layer, chain, memory_order_relaxed);
    layer_after_fork(chain, thread);
    tell_after_fork();
    if (!whole)
        tell_degraded(TELL_NO_MEMORY, NULL);
}
