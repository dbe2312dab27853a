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

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where libc's walk is longer than this, half of its time is wanted. */
#define INDEX_LEAST 60
#define INDEX_LOOSE 16
/* So many slots are looked at before the index is: what is found there is found as fast as by libc. */
#define INDEX_FROM 8
/* Slots of a block, the last of which may lie beyond the NULL: so many more must be readable there. */
#define INDEX_BLOCK 8

struct index;

/* NULL: there never was one. */
extern struct index *_Atomic index_now;

/* Looks for the name in the array at `base`, from slot INDEX_FROM on. True: *value is the first one's, or NULL if there is
 * none. False: the index does not know. Lock-free, async-signal-safe. */
bool index_find(const struct index *index, char **base, const char *name, uint16_t tag,
                char **value);

/* The following want env_lock. */

/* Made anew for this array, which the kernel made or is ours. False: not for this one. */
bool index_build(char **base, size_t count);
/* Is there one for this array, as it is now from slot INDEX_FROM on? */
bool index_is_for(char *const *base);
/* Where that was so, slot `at` of it has got this entry, instead of another or of the NULL. */
void index_put(char **base, size_t at, char *entry, bool added);
/* The array is to be changed in another way, or a change was interrupted for ever. */
void index_drop(void);

#endif
