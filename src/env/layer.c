#include "env/layer.h"

#include "env/family.h"
#include "env/pool.h"
#include "env/thread.h"
#include "env/view.h"

/* Guarded by env_lock. */
static struct pool layers;
static struct layer *all;
/* Tables that nobody looks into any more, by the logarithm of their size. */
#define TABLE_MIN 16
#define TABLE_SIZES 24
static struct pool tables[TABLE_SIZES];

static struct layer_item *item_of(struct layer_table *table, const struct variable *variable) {
    if (!table)
        return NULL;
    for (uint32_t i = variable->hash & table->mask;; i = (i + 1) & table->mask) {
        struct layer_item *item = &table->items[i];
        const struct variable *found = atomic_load_explicit(&item->variable, memory_order_acquire);
        if (!found || found == variable)
            return found ? item : NULL;
    }
}

static struct layer_item *item_in(const struct layer *layer, const struct variable *variable) {
    return item_of(atomic_load_explicit(&layer->table, memory_order_acquire), variable);
}

bool layer_has(const struct layer *layer, const struct variable *variable, char **entry) {
    struct layer_item *item = item_in(layer, variable);
    if (item)
        *entry = atomic_load_explicit(&item->entry, memory_order_acquire);
    return item != NULL;
}

const struct layer *layer_find(const struct layer *chain, const struct variable *variable,
                               char **entry) {
    while (chain && !layer_has(chain, variable, entry))
        chain = chain->below;
    return chain;
}

bool layer_is_entered(const struct layer *chain) {
    while (chain && !chain->frame)
        chain = chain->below;
    return chain != NULL;
}

/* ---- Chains ---- */

struct layer *layer_share(struct layer *chain) {
    if (chain)
        chain->uses++;
    return chain;
}

static size_t table_size(uint32_t count) {
    return sizeof(struct layer_table) + count * sizeof(struct layer_item);
}

static struct pool *pool_for(uint32_t count) {
    return &tables[__builtin_ctz(count / TABLE_MIN)];
}

static void give_tables(struct layer_table *table) {
    while (table) {
        struct layer_table *outgrown = table->outgrown;
        pool_give(pool_for(table->mask + 1), table);
        table = outgrown;
    }
}

static void forget(struct layer *layer) {
    struct layer_table *table = atomic_load_explicit(&layer->table, memory_order_relaxed);
    for (uint32_t i = 0; table && i <= table->mask; i++) {
        struct layer_item *item = &table->items[i];
        struct variable *v = atomic_load_explicit(&item->variable, memory_order_relaxed);
        if (!v)
            continue;
        atomic_fetch_sub_explicit(&v->layers, 1, memory_order_relaxed);
        thread_release(item->by);
    }
    if (table)
        view_watch(-1);
    give_tables(table);
    if (layer->next)
        layer->next->previous = layer->previous;
    if (layer->previous)
        layer->previous->next = layer->next;
    else
        all = layer->next;
    pool_give(&layers, layer);
}

static void release(struct layer *layer) {
    while (layer && --layer->uses == 0) {
        struct layer *below = layer->below;
        forget(layer);
        layer = below;
    }
}

static void add_to_all(struct layer *layer) {
    layer->previous = NULL;
    layer->next = all;
    if (all)
        all->previous = layer;
    all = layer;
}

struct layer *layer_push(struct env_thread *thread, const void *frame) {
    struct layer *layer = pool_take(&layers, sizeof *layer);
    if (!layer)
        return NULL;
    layer->below = atomic_load_explicit(&thread->layer, memory_order_relaxed);
    layer->owner = thread;
    layer->uses = 1;
    layer->number = family_number();
    layer->frame = frame;
    add_to_all(layer);
    atomic_store_explicit(&thread->layer, layer, memory_order_release);
    return layer;
}

void layer_pop(struct env_thread *thread) {
    struct layer *layer = atomic_load_explicit(&thread->layer, memory_order_relaxed);
    atomic_store_explicit(&thread->layer, layer_share(layer->below), memory_order_release);
    layer->owner = NULL;
    release(layer);
}

void layer_leave_all(struct env_thread *thread) {
    struct layer *chain = atomic_load_explicit(&thread->layer, memory_order_relaxed);
    atomic_store_explicit(&thread->layer, NULL, memory_order_release);
    for (struct layer *layer = chain; layer && layer->owner == thread; layer = layer->below)
        layer->owner = NULL;
    release(chain);
}

/* ---- What is in one ---- */

static struct layer_item *free_item(struct layer_table *table, const struct variable *variable) {
    uint32_t i = variable->hash & table->mask;
    while (atomic_load_explicit(&table->items[i].variable, memory_order_relaxed))
        i = (i + 1) & table->mask;
    table->count++;
    return &table->items[i];
}

/* At most half full. */
static struct layer_table *table_with_room(struct layer *layer) {
    struct layer_table *old = atomic_load_explicit(&layer->table, memory_order_relaxed);
    if (old && 2 * (old->count + 1) <= old->mask + 1)
        return old;
    uint32_t size = old ? 2 * (old->mask + 1) : TABLE_MIN;
    struct layer_table *table =
        size < TABLE_MIN << (TABLE_SIZES - 1) ? pool_take(pool_for(size), table_size(size)) : NULL;
    if (!table)
        return NULL;
    table->mask = size - 1;
    table->outgrown = old;
    /* Nobody looks into the new table yet, and nobody else writes into the old one. */
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        const struct variable *v =
            atomic_load_explicit(&old->items[i].variable, memory_order_relaxed);
        if (v)
            *free_item(table, v) = old->items[i];
    }
    if (!old)
        view_watch(1);
    atomic_store_explicit(&layer->table, table, memory_order_release);
    return table;
}

struct layer_item *layer_put(struct layer *layer, struct variable *variable, char *entry,
                             struct env_thread *by, stack_id stack) {
    struct layer_item *item = item_in(layer, variable);
    bool is_new = item == NULL;
    if (is_new) {
        struct layer_table *table = table_with_room(layer);
        if (!table)
            return NULL;
        item = free_item(table, variable);
        thread_keep(by);
        item->by = by;
    }
    item->number = family_number();
    item->stack = stack;
    clock_gettime(CLOCK_REALTIME_COARSE, &item->since);
    atomic_store_explicit(&item->entry, entry, memory_order_release);
    if (is_new) {
        atomic_store_explicit(&item->variable, variable, memory_order_release);
        atomic_fetch_add_explicit(&variable->layers, 1, memory_order_relaxed);
    }
    atomic_store_explicit(&variable->latest, item->number, memory_order_release);
    return item;
}

const struct layer_item *layer_item_in_chain(const struct layer *chain,
                                             const struct variable *variable) {
    const struct layer_item *item = NULL;
    for (; chain && !item; chain = chain->below)
        item = item_in(chain, variable);
    return item;
}

static bool is_in_chain(const struct layer *chain, const struct layer *layer) {
    while (chain && chain != layer)
        chain = chain->below;
    return chain != NULL;
}

const struct layer_item *layer_item_elsewhere(const struct variable *variable,
                                              const struct layer *chain) {
    const struct layer_item *latest = NULL;
    for (const struct layer *layer = all; layer; layer = layer->next) {
        const struct layer_item *item = item_in(layer, variable);
        if (item && item->by->lives && (!latest || latest->number < item->number) &&
            !is_in_chain(chain, layer))
            latest = item;
    }
    return latest;
}

struct layer *layer_of(uintptr_t place, uint64_t number) {
    struct layer *layer = all;
    while (layer && ((uintptr_t)layer != place || layer->number != number))
        layer = layer->next;
    return layer;
}

void layer_for_each(struct layer *layer, layer_each *each, void *context) {
    struct layer_table *table = atomic_load_explicit(&layer->table, memory_order_relaxed);
    for (uint32_t i = 0; table && i <= table->mask; i++)
        if (atomic_load_explicit(&table->items[i].variable, memory_order_relaxed))
            each(context, &table->items[i]);
}

static void hand_over(void *thread, struct layer_item *item) {
    struct variable *v = atomic_load_explicit(&item->variable, memory_order_relaxed);
    atomic_fetch_add_explicit(&v->layers, 1, memory_order_relaxed);
    item->by = thread;
    thread_keep(thread);
}

void layer_after_fork(struct layer *chain, struct env_thread *thread) {
    unsigned with_items = 0;
    bool any = atomic_load_explicit(&view_watched, memory_order_relaxed) != 0;
    for (struct variable *v = any ? names_all() : NULL; v; v = v->next)
        if (atomic_load_explicit(&v->layers, memory_order_relaxed) != 0)
            atomic_store_explicit(&v->layers, 0, memory_order_relaxed);
    all = NULL;
    for (struct layer *layer = chain; layer; layer = layer->below) {
        with_items += atomic_load_explicit(&layer->table, memory_order_relaxed) != NULL;
        layer_for_each(layer, hand_over, thread);
        layer->uses = 1;
        if (layer->owner != thread)
            layer->owner = NULL;
        layer->in_environ = true;
        add_to_all(layer);
    }
    atomic_store_explicit(&view_watched, with_items, memory_order_relaxed);
    atomic_store_explicit(&view_attention, with_items, memory_order_relaxed);
}
