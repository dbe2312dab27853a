/* Which bytes of one file one owner has locked: the arithmetic of record locks, without the locks.
 *
 * Pure: no system call, no allocation, no global. Async-signal-safe; a set is changed by one thread
 * at a time, which the caller sees to.
 *
 * A range is inclusive at both ends, as in the kernel: "to the end of the file" ends at RANGE_MAX,
 * and a range of one byte starts and ends there. Every range given must have start <= end <=
 * RANGE_MAX; range_from_flock makes no other.
 *
 * Memory is the caller's. An operation that finds no room returns false and has changed nothing;
 * since a granted kernel lock cannot be taken back unseen, ask range_set_room before the kernel is
 * asked:
 *
 *     if (range_set_room(set, &range) > range_set_capacity(set))
 *         old = range_set_move(set, bigger, capacity_of_bigger);
 */
#ifndef RACESHIM_LOCK_RANGE_H
#define RACESHIM_LOCK_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANGE_MAX ((uint64_t)INT64_MAX)

struct byte_range {
    uint64_t start;
    uint64_t end;
};

/* Not LOCK_READ and LOCK_WRITE: <fcntl.h> has macros of these names with other values. */
enum range_type { RANGE_READ, RANGE_WRITE };

/* A range that is held, and who took it last. */
struct held {
    uint64_t start;
    uint64_t end;
    int64_t since_ns;
    int32_t tid;
    uint32_t stack;
    int32_t fd;        /* the descriptor that was used; says nothing about merging */
    uint8_t type;      /* enum range_type */
    uint8_t unused[3]; /* zero: the whole of it is handed over at exec */
};

/* A range as the kernel reports it: without attributes, neighbours of one type merged. */
struct kernel_range {
    uint64_t start;
    uint64_t end;
    uint8_t type; /* enum range_type */
};

/* Sorted by start, disjoint, never two neighbours that could be one: neighbours merge when type,
 * tid and stack are equal (the older since stays). All zero bytes are an empty set. Not to be
 * copied by assignment, because items may point into the set. */
#define RANGE_SET_INLINE 2
struct range_set {
    struct held *items;
    uint32_t count;
    uint32_t capacity;
    struct held inline_items[RANGE_SET_INLINE];
};

/* The range of a struct flock whose l_whence stands for base (0, the caller's offset, or the file's
 * size). Returns 0, -EINVAL or -EOVERFLOW, exactly where the kernel does. */
int range_from_flock(int64_t base, int64_t l_start, int64_t l_len, struct byte_range *range);

/* As l_len wants it: 0 to the end of the file. */
static inline uint64_t range_length(uint64_t start, uint64_t end) {
    return end == RANGE_MAX ? 0 : end - start + 1;
}

static inline bool range_overlaps(uint64_t start, uint64_t end, uint64_t start2, uint64_t end2) {
    return start <= end2 && start2 <= end;
}

static inline uint32_t range_set_capacity(const struct range_set *set) {
    return set->items ? set->capacity : RANGE_SET_INLINE;
}

/* The capacity with which neither range_set_lock nor range_set_unlock of this range can fail; at
 * most count + 2. */
uint32_t range_set_room_slow(const struct range_set *set, const struct byte_range *range);
static inline uint32_t range_set_room(const struct range_set *set, const struct byte_range *range) {
    return set->count == 0 ? 1 : range_set_room_slow(set, range);
}

/* Goes on in another array, which must hold at least count items. Returns the one that is no longer
 * used, NULL if that was the set's own. */
struct held *range_set_move(struct range_set *set, struct held *items, uint32_t capacity);

/* Empties the set and goes back to its own array. Returns the one that is no longer used, or NULL.
 */
struct held *range_set_reset(struct range_set *set);

/* Locks, upgrades or downgrades held->start to held->end; what was there is split, replaced,
 * merged. The whole range then carries held's attributes. False: no room, nothing changed. */
bool range_set_lock_slow(struct range_set *set, const struct held *held);
static inline bool range_set_lock(struct range_set *set, const struct held *held) {
    if (set->count != 0)
        return range_set_lock_slow(set, held);
    if (set->items == NULL) {
        set->items = set->inline_items;
        set->capacity = RANGE_SET_INLINE;
    }
    set->items[0] = *held;
    set->count = 1;
    return true;
}

/* Unlocks the range; bytes that are not held are no error. False: no room (only when one held range
 * is cut in two), nothing changed. */
bool range_set_unlock_slow(struct range_set *set, const struct byte_range *range);
static inline bool range_set_unlock(struct range_set *set, const struct byte_range *range) {
    if (set->count == 0)
        return true;
    if (set->count == 1 && range->start <= set->items[0].start && range->end >= set->items[0].end) {
        set->count = 0;
        return true;
    }
    return range_set_unlock_slow(set, range);
}

/* The held ranges that share a byte with the given one, in order:
 *     for (const struct held *h = range_set_first(set, &r); h; h = range_set_next(set, &r, h)) */
const struct held *range_set_first(const struct range_set *set, const struct byte_range *range);
static inline const struct held *range_set_next(const struct range_set *set,
                                                const struct byte_range *range,
                                                const struct held *held) {
    held++;
    return held < set->items + set->count && held->start <= range->end ? held : NULL;
}

static inline bool range_set_overlaps(const struct range_set *set, const struct byte_range *range) {
    return set->count != 0 && range_set_first(set, range) != NULL;
}

/* The first held range that another owner's request for this range and type would conflict with, or
 * NULL. */
const struct held *range_set_find_conflict(const struct range_set *set,
                                           const struct byte_range *range, enum range_type type);

/* Is every byte of the range held, and for RANGE_WRITE held for writing? */
bool range_set_covers(const struct range_set *set, const struct byte_range *range,
                      enum range_type type);

/* The set as the kernel lists it: neighbours of one type are one. Start with *index = 0; false at
 * the end.
 */
bool range_set_kernel_view(const struct range_set *set, uint32_t *index, struct kernel_range *out);

/* Makes the set say what the kernel says. Bytes on which both agree keep their attributes; the
 * others get tid, stack and since 0. The kernel's ranges must be sorted and disjoint. Needs a
 * capacity of range_set_resync_room; false otherwise, or when they are not sorted, and nothing has
 * changed. */
static inline uint32_t range_set_resync_room(const struct range_set *set, uint32_t count) {
    return 3 * (set->count + count);
}
bool range_set_resync(struct range_set *set, const struct kernel_range *ranges, uint32_t count);

#endif
