#include "lock/range.h"

#include <errno.h>
#include <string.h>

int range_from_flock(int64_t base, int64_t l_start, int64_t l_len, struct byte_range *range) {
    /* Unsigned, to wrap as the kernel's own sums do: a base may be negative (an offset in
     * /dev/mem). */
    int64_t room = (int64_t)(RANGE_MAX - (uint64_t)base);
    if (l_start > room)
        return -EOVERFLOW;
    int64_t start = (int64_t)((uint64_t)base + (uint64_t)l_start);
    if (start < 0)
        return -EINVAL;
    if (l_len == 0) {
        *range = (struct byte_range){(uint64_t)start, RANGE_MAX};
        return 0;
    }
    if (l_len > 0) {
        if (l_len - 1 > INT64_MAX - start)
            return -EOVERFLOW;
        *range = (struct byte_range){(uint64_t)start, (uint64_t)(start + (l_len - 1))};
        return 0;
    }
    if (start + l_len < 0)
        return -EINVAL;
    *range = (struct byte_range){(uint64_t)(start + l_len), (uint64_t)(start - 1)};
    return 0;
}

static bool same_attributes(const struct held *a, const struct held *b) {
    return a->type == b->type && a->tid == b->tid && a->stack == b->stack;
}

/* The index of the first item that ends at or behind this byte; count if none does. */
static uint32_t first_ending_from(const struct range_set *set, uint64_t byte) {
    uint32_t low = 0;
    uint32_t high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->items[middle].end < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The items [from, to) share a byte with the range. */
struct window {
    uint32_t from;
    uint32_t to;
};

static struct window window_of(const struct range_set *set, uint64_t start, uint64_t end) {
    struct window window = {first_ending_from(set, start), first_ending_from(set, end)};
    if (window.to < set->count && set->items[window.to].start <= end)
        window.to++;
    return window;
}

/* Puts count items in the place of a window's. */
static bool splice(struct range_set *set, struct window window, const struct held *with,
                   uint32_t count) {
    uint32_t total = set->count - (window.to - window.from) + count;
    if (total > range_set_capacity(set))
        return false;
    memmove(set->items + window.from + count, set->items + window.to,
            (set->count - window.to) * sizeof *set->items);
    memcpy(set->items + window.from, with, count * sizeof *with);
    set->count = total;
    return true;
}

uint32_t range_set_room_slow(const struct range_set *set, const struct byte_range *range) {
    struct window window = window_of(set, range->start, range->end);
    uint32_t room = set->count - (window.to - window.from) + 1;
    if (window.from == window.to)
        return room;
    room += set->items[window.from].start < range->start;
    room += set->items[window.to - 1].end > range->end;
    return room;
}

struct held *range_set_move(struct range_set *set, struct held *items, uint32_t capacity) {
    struct held *old = set->items;
    if (set->count != 0)
        memcpy(items, old, set->count * sizeof *items);
    set->items = items;
    set->capacity = capacity;
    return old == set->inline_items ? NULL : old;
}

struct held *range_set_reset(struct range_set *set) {
    set->count = 0;
    return range_set_move(set, set->inline_items, RANGE_SET_INLINE);
}

bool range_set_lock_slow(struct range_set *set, const struct held *held) {
    struct window window = window_of(set, held->start, held->end);
    const struct held *items = set->items;
    struct held added = *held;
    if (window.from > 0 && items[window.from - 1].end + 1 == held->start &&
        same_attributes(&items[window.from - 1], held))
        window.from--;
    if (window.to < set->count && items[window.to].start == held->end + 1 &&
        same_attributes(&items[window.to], held))
        window.to++;
    for (uint32_t i = window.from; i < window.to; i++)
        if (same_attributes(&items[i], held) && items[i].since_ns < added.since_ns)
            added.since_ns = items[i].since_ns;

    struct held with[3];
    uint32_t count = 0;
    struct held right = {.start = RANGE_MAX};
    bool cut_right = false;
    if (window.from < window.to) {
        const struct held *first = &items[window.from];
        const struct held *last = &items[window.to - 1];
        if (first->start < held->start) {
            if (same_attributes(first, held)) {
                added.start = first->start;
            } else {
                with[count] = *first;
                with[count++].end = held->start - 1;
            }
        }
        if (last->end > held->end) {
            cut_right = !same_attributes(last, held);
            if (cut_right) {
                right = *last;
                right.start = held->end + 1;
            } else {
                added.end = last->end;
            }
        }
    }
    with[count++] = added;
    if (cut_right)
        with[count++] = right;
    return splice(set, window, with, count);
}

bool range_set_unlock_slow(struct range_set *set, const struct byte_range *range) {
    struct window window = window_of(set, range->start, range->end);
    if (window.from == window.to)
        return true;
    struct held with[2];
    uint32_t count = 0;
    if (set->items[window.from].start < range->start) {
        with[count] = set->items[window.from];
        with[count++].end = range->start - 1;
    }
    if (set->items[window.to - 1].end > range->end) {
        with[count] = set->items[window.to - 1];
        with[count++].start = range->end + 1;
    }
    return splice(set, window, with, count);
}

const struct held *range_set_first(const struct range_set *set, const struct byte_range *range) {
    uint32_t i = first_ending_from(set, range->start);
    return i < set->count && set->items[i].start <= range->end ? &set->items[i] : NULL;
}

const struct held *range_set_find_conflict(const struct range_set *set,
                                           const struct byte_range *range, enum range_type type) {
    for (const struct held *held = range_set_first(set, range); held != NULL;
         held = range_set_next(set, range, held))
        if (type == RANGE_WRITE || held->type == RANGE_WRITE)
            return held;
    return NULL;
}

bool range_set_covers(const struct range_set *set, const struct byte_range *range,
                      enum range_type type) {
    uint64_t next = range->start;
    for (const struct held *held = range_set_first(set, range); held != NULL;
         held = range_set_next(set, range, held)) {
        if (held->start > next || (type == RANGE_WRITE && held->type != RANGE_WRITE))
            return false;
        if (held->end >= range->end)
            return true;
        next = held->end + 1;
    }
    return false;
}

bool range_set_kernel_view(const struct range_set *set, uint32_t *index, struct kernel_range *out) {
    if (*index >= set->count)
        return false;
    const struct held *held = &set->items[(*index)++];
    *out = (struct kernel_range){held->start, held->end, held->type};
    while (*index < set->count && set->items[*index].start == out->end + 1 &&
           set->items[*index].type == out->type)
        out->end = set->items[(*index)++].end;
    return true;
}

static bool sorted_and_disjoint(const struct kernel_range *ranges, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].start > ranges[i].end || ranges[i].end > RANGE_MAX)
            return false;
        if (i > 0 && ranges[i].start <= ranges[i - 1].end)
            return false;
    }
    return true;
}

static void append(struct range_set *set, const struct held *held) {
    struct held *last = set->count > 0 ? &set->items[set->count - 1] : NULL;
    if (last == NULL || last->end + 1 != held->start || !same_attributes(last, held)) {
        set->items[set->count++] = *held;
        return;
    }
    last->end = held->end;
    if (held->since_ns < last->since_ns)
        last->since_ns = held->since_ns;
}

static void append_unknown(struct range_set *set, uint64_t start, uint64_t end, uint8_t type) {
    struct held held = {.start = start, .end = end, .type = type};
    append(set, &held);
}

/* Appends one of the kernel's ranges, with the attributes of those old items that agree. Returns
 * the index of the old item from which the kernel's next range goes on. */
static uint32_t append_kernel_range(struct range_set *set, const struct kernel_range *range,
                                    const struct held *old, uint32_t old_count, uint32_t i) {
    uint64_t next = range->start;
    while (i < old_count && old[i].end < range->start)
        i++;
    for (; i < old_count && old[i].start <= range->end; i++) {
        struct held piece = old[i];
        bool reaches_behind = piece.end > range->end;
        if (piece.start < next)
            piece.start = next;
        if (reaches_behind)
            piece.end = range->end;
        if (piece.start > next)
            append_unknown(set, next, piece.start - 1, range->type);
        if (piece.type == range->type)
            append(set, &piece);
        else
            append_unknown(set, piece.start, piece.end, range->type);
        next = piece.end + 1;
        if (reaches_behind)
            break;
    }
    if (next <= range->end)
        append_unknown(set, next, range->end, range->type);
    return i;
}

bool range_set_resync(struct range_set *set, const struct kernel_range *ranges, uint32_t count) {
    uint32_t capacity = range_set_capacity(set);
    if (range_set_resync_room(set, count) > capacity || !sorted_and_disjoint(ranges, count))
        return false;
    if (set->items == NULL)
        range_set_reset(set);
    /* The old items wait at the end of the array while the new ones are written from its start.
     * These never catch up: an old item makes at most two new ones and each of the kernel's ranges
     * three more, so that before old item i of n, in kernel range k of m, at most 2i + 3k + 2 are
     * written, and the old item lies at capacity - n + i >= 2n + 3m + i. */
    uint32_t old_count = set->count;
    struct held *old = set->items + capacity - old_count;
    memmove(old, set->items, old_count * sizeof *old);
    set->count = 0;
    uint32_t from = 0;
    for (uint32_t i = 0; i < count; i++)
        from = append_kernel_range(set, &ranges[i], old, old_count, from);
    return true;
}
