#include "env/entered.h"

#include "base/loaded.h"
#include "env/array.h"
#include "env/layer.h"
#include "env/lock.h"
#include "env/thread.h"

#include <errno.h>

static bool has_layers(void) {
    return settings.env_mode == ENV_SCOPED || settings.env_mode == ENV_PRIVATE;
}

static struct layer *layer_entered(const struct entered *entered) {
    return entered->number ? layer_of((uintptr_t)entered->place, entered->number) : NULL;
}

int entered_begin(struct entered *entered, const void *frame) {
    if (!has_layers())
        return 0;
    if (!entered)
        return -EINVAL;
    struct env_thread *thread = thread_here();
    if (!thread || !env_lock())
        return -ENOMEM;
    int result = -EINVAL;
    if (!layer_entered(entered)) {
        struct layer *layer = layer_push(thread, frame);
        result = layer ? 0 : -ENOMEM;
        if (layer) {
            layer->place = entered;
            *entered = (struct entered){.place = (uintptr_t)layer, .number = layer->number};
        }
    }
    env_unlock();
    return result;
}

/* After a fork `environ` has what is in a layer of the child's: what lies below comes back. */
static void put_back(void *chain_below, struct layer_item *item) {
    const struct layer *below = chain_below;
    const struct variable *v = atomic_load_explicit(&item->variable, memory_order_relaxed);
    char *entry = item->below;
    if (!item->in_environ)
        return;
    layer_find(below, v, &entry);
    if (entry)
        array_put(entry, v->length);
    else
        array_remove(v->name, v->length, env_alone());
}

/* The stack grows down, so what lies further down than where the caller is now belongs to functions that are gone: they
 * returned, or were jumped out of. A scope that a function of its own has entered for somebody else - a constructor, a
 * guard - is that one's in whose frame it lies; of one that lies on no stack, only who entered it is known. */
static bool is_abandoned(const struct layer *layer, const void *frame) {
    return layer->frame && (uintptr_t)layer->frame < (uintptr_t)frame &&
           (uintptr_t)layer->place < (uintptr_t)frame;
}

static int leave(struct env_thread *thread, const struct layer *layer, const void *frame) {
    struct layer *inner = atomic_load_explicit(&thread->layer, memory_order_relaxed);
    for (; inner && inner != layer; inner = inner->below)
        if (!is_abandoned(inner, frame))
            return -EINVAL;
    if (!inner)
        return -EINVAL;
    do {
        inner = atomic_load_explicit(&thread->layer, memory_order_relaxed);
        layer_for_each(inner, put_back, inner->below);
        layer_pop(thread);
    } while (inner != layer);
    return 0;
}

int entered_end(struct entered *entered, const void *frame) {
    if (!has_layers())
        return 0;
    if (!entered)
        return -EINVAL;
    struct env_thread *thread = thread_here();
    if (!thread || !env_lock())
        return -ENOMEM;
    int result = -EINVAL;
    struct layer *layer = layer_entered(entered);
    if (layer && layer->owner && layer->owner != thread)
        result = -EPERM;
    else if (layer && layer->owner)
        result = leave(thread, layer, frame);
    if (result == 0)
        *entered = (struct entered){.number = 0};
    env_unlock();
    return result;
}
