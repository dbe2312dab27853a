#include "env/memory.h"

#include "base/scratch.h"

#include "env/name.h"

#include <stdint.h>

/* A chunk is twice the last one, so there are few of them however much is taken. */
#define CHUNK_FIRST ((size_t)1 << 20)
#define CHUNK_LAST ((size_t)64 << 20)
#define PAGE ((size_t)4096)
#define ALIGNMENT 64 /* of a line of the cache */

/* Guarded by env_lock. Space is taken before it is handed out, so that who is interrupted for ever in between loses some
 * of it and no more. */
struct supply {
    char *at;
    size_t left;
    size_t next; /* of the next chunk; 0: the first one */
};

static struct supply objects, bytes;

/* Where bytes come from; read without the lock. More than there can be: each but the oversized ones is twice the last,
 * and one that is not listed costs a little speed elsewhere (strings_has). */
#define RANGES_MAX 64
static struct range { uintptr_t begin, end; } ranges[RANGES_MAX];
static unsigned range_count; /* released after its range is filled in */

struct name_memory name_kernel, name_ours;

static char *chunk(struct supply *supply, size_t size) {
    size_t want = supply->next ? supply->next : CHUNK_FIRST;
    if (size > want) {
        want = (size + PAGE - 1) & ~(PAGE - 1);
        if (want < size)
            return NULL;
    } else if (want < CHUNK_LAST) {
        supply->next = want * 2;
    }
    char *start = scratch_begin(want);
    if (!start && size < want) {
        want = (size + PAGE - 1) & ~(PAGE - 1);
        start = scratch_begin(want);
    }
    if (!start)
        return NULL;
    /* What is left of the last one is lost, unless this one is used up at once. */
    if (want - size >= supply->left) {
        supply->left = want - size;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        supply->at = start + size;
    }
    if (supply == &bytes && range_count < RANGES_MAX) {
        if (range_count == 0) {
            __atomic_store_n(&name_ours.begin, (uintptr_t)start, __ATOMIC_RELEASE);
            __atomic_store_n(&name_ours.size, want, __ATOMIC_RELEASE);
        }
        ranges[range_count] = (struct range){(uintptr_t)start, (uintptr_t)start + want};
        __atomic_store_n(&range_count, range_count + 1, __ATOMIC_RELEASE);
    }
    return start;
}

static void *take(struct supply *supply, size_t size) {
    if (size > supply->left)
        return chunk(supply, size);
    char *taken = supply->at;
    supply->left -= size;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    supply->at = taken + size;
    return taken;
}

void *env_memory(size_t size) {
    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    return take(&objects, (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1));
}

char *env_memory_bytes(size_t size) {
    return take(&bytes, size);
}

bool env_memory_has_bytes(const void *pointer) {
    uintptr_t at = (uintptr_t)pointer;
    unsigned count = __atomic_load_n(&range_count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < count; i++)
        if (at - ranges[i].begin < ranges[i].end - ranges[i].begin)
            return true;
    return false;
}
