/* The model: what an owner holds, kept beside what the kernel keeps.
 *
 * Every function wants the caller alone in the owner (owner_lock.h, TURN_ALONE), but for
 * model_guest. Async-signal-safe.
 */
#ifndef RACESHIM_LOCK_MODEL_H
#define RACESHIM_LOCK_MODEL_H

#include "lock/holders.h"
#include "lock/owner_lock.h"
#include "lock/room.h"

/* Before the kernel is asked: memory for what may be granted. Without it the ranges become unsure.
 */
void model_make_room_slow(struct room *room, struct owner *owner, const struct byte_range *range);
static inline void model_make_room(struct room *room, struct owner *owner,
                                   const struct byte_range *range) {
    const struct range_set *set = &owner->ranges;
    /* Nothing is held, or one range that the new one covers: there is room. */
    if (set->count == 0 ||
        (set->count == 1 && range->start <= set->items[0].start && range->end >= set->items[0].end))
        return;
    model_make_room_slow(room, owner, range);
}

/* The kernel has said yes. */
void model_locked(struct owner *owner, const struct held *held);
void model_unlocked(struct owner *owner, const struct byte_range *range);

/* Reads the ranges back from the kernel if they are unsure. fd: a descriptor that carries them when
 * the owner has no hidden one. */
void model_confirm(struct room *room, struct owner *owner, int fd);

/* Somebody else's lock in this range, that this thread would take: two threads on one description.
 */
const struct held *model_other_thread_slow(const struct owner *owner,
                                           const struct byte_range *range, enum range_type type,
                                           int32_t tid);
static inline const struct held *model_other_thread(const struct owner *owner,
                                                    const struct byte_range *range,
                                                    enum range_type type, int32_t tid) {
    const struct range_set *set = &owner->ranges;
    if (set->count == 0 || (set->count == 1 && set->items[0].tid == tid))
        return NULL;
    return model_other_thread_slow(owner, range, type, tid);
}

#endif
