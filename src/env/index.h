/* What makes getenv shorter than a walk through all entries: for each slot of the array the tag of its entry (name.h),
 * side by side, so that many are compared at once.
 *
 * It is a cache and no more: sums over the array's pointers tell whether the array is still what it was, whoever
 * changed it; where it is not, getenv walks. It exists for an array that the kernel made or that is ours, with
 * more than INDEX_LEAST entries. Up to INDEX_LOOSE of them may be strings of the program's (given to putenv, or
 * assigned): the names in those may be edited in place, so they are looked at one by one, in their order. A name in the
 * kernel's strings is taken not to become another; that it is still what it was is seen before it is believed.
 *
 * Readers write nothing that is shared. Changes want env_lock; the generation is odd during one, and who reads meanwhile
 * walks.
 */
#ifndef RACESHIM_ENV_INDEX_H
#define RACESHIM_ENV_INDEX_H

#include "env/sums.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where libc's walk is longer than this, half of its time is wanted. */
#define INDEX_LEAST 60
#define INDEX_LOOSE 16
/* Tags that are compared at once. */
#define INDEX_STEP 32
/* A search begins where the first of its class lies. */
#define INDEX_CLASSES 256
#define INDEX_CLASS(tag) ((uint32_t)(tag)*UINT32_C(40503) >> 8 & (INDEX_CLASSES - 1))
/* The last block may go beyond the NULL: so many slots must be readable there. */
#define INDEX_BLOCKS_TO(slot) ((slot) / SUMS_BLOCK + 1)
#define INDEX_BEYOND SUMS_BLOCK

struct index {
    _Atomic uint32_t generation;
    uint32_t capacity; /* entries, with room for the NULL */
    char **base;       /* what `environ` was; NULL: it says nothing */
    size_t count;
    uint32_t loose_count;
    uint32_t loose[INDEX_LOOSE]; /* ascending */
    uint16_t *tags;              /* 0: loose, or none */
    uint32_t *first;             /* for each class of tags: no slot before has one of them */
    struct sums *sums;           /* of each block and all before it */
};

/* NULL: there never was one. Readers read it as get.c does. */
extern struct index *_Atomic index_now;

/* How fields other than the generation are read and written. Readers look at the generation before and afterwards, with
 * INDEX_READ between. Sanitizers know no fences: there each field is read with acquire and written with release. */
#ifdef NAME_SANITIZED
#define INDEX_GET(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
#define INDEX_SET(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
#define INDEX_READ() ((void)0)
#define INDEX_WRITE() ((void)0)
#else
#define INDEX_GET(place) __atomic_load_n(place, __ATOMIC_RELAXED)
#define INDEX_SET(place, value) __atomic_store_n(place, value, __ATOMIC_RELAXED)
#define INDEX_READ() atomic_thread_fence(memory_order_acquire)
#define INDEX_WRITE() atomic_thread_fence(memory_order_release)
#endif

/* The following want env_lock. */

/* Made anew for this array, which the kernel made or is ours. False: not for this one. */
bool index_build(char **base, size_t count);
/* Is there one for this array, as it is now? */
bool index_is_for(char *const *base);
/* Where that was so, slot `at` of it has got this entry, instead of another or of the NULL. */
void index_put(char **base, size_t at, char *entry, bool added);
/* The array is to be changed in another way, or a change was interrupted for ever. */
void index_drop(void);

#endif
