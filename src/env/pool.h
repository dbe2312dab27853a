/* Objects of one kind that come and go: those that are free are kept in a list. All zero is an empty pool. Wants
 * env_lock. An object's place is only ever used for its own kind, so a reader without the lock that comes late sees a
 * stale object, never foreign memory. */
#ifndef RACESHIM_ENV_POOL_H
#define RACESHIM_ENV_POOL_H

#include "env/memory.h"

#include <string.h>

struct pool {
    void *free; /* each begins with a pointer to the next */
};

/* Zeroed; NULL where there is no memory. */
static inline void *pool_take(struct pool *pool, size_t size) {
    void *object = pool->free;
    if (!object)
        return env_memory(size);
    memcpy(&pool->free, object, sizeof pool->free);
    memset(object, 0, size);
    return object;
}

static inline void pool_give(struct pool *pool, void *object) {
    memcpy(object, &pool->free, sizeof pool->free);
    pool->free = object;
}

#endif
