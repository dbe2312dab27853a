#include "lock/model.h"

#include "base/scratch.h"
#include "base/text.h"
#include "lock/fdinfo.h"
#include "lock/picture.h"

static bool grow(struct room *room, struct owner *owner, uint32_t wanted) {
    uint32_t old_capacity = owner->ranges.capacity;
    struct held *bigger = room_ranges(room, &wanted);
    if (!bigger)
        return false;
    struct held *old = range_set_move(&owner->ranges, bigger, wanted);
    if (old)
        room_ranges_free(room, old, old_capacity);
    return true;
}

void model_make_room_slow(struct room *room, struct owner *owner, const struct byte_range *range) {
    uint32_t wanted = range_set_room(&owner->ranges, range);
    if (wanted > range_set_capacity(&owner->ranges) && !grow(room, owner, wanted))
        owner_doubt(owner);
}

static void publish(struct owner *owner) {
    if (owner->published)
        holder_update(owner->published, &owner->ranges, owner_is_unsure(owner));
    picture_update(owner->shown, &owner->ranges);
}

static void count_holders(struct owner *owner, uint32_t before) {
    if (owner->class != OWNER_RECORD || (before == 0) == (owner->ranges.count == 0))
        return;
    if (before == 0)
        atomic_fetch_add_explicit(&owner->file->held, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&owner->file->held, 1, memory_order_relaxed);
}

void model_locked(struct owner *owner, const struct held *held) {
    uint32_t before = owner->ranges.count;
    if (!range_set_lock(&owner->ranges, held))
        owner_doubt(owner);
    count_holders(owner, before);
    publish(owner);
}

void model_unlocked(struct owner *owner, const struct byte_range *range) {
    uint32_t before = owner->ranges.count;
    if (!range_set_unlock(&owner->ranges, range))
        owner_doubt(owner);
    count_holders(owner, before);
    publish(owner);
}

const struct held *model_other_thread_slow(const struct owner *owner,
                                           const struct byte_range *range, enum range_type type,
                                           int32_t tid) {
    for (const struct held *h = range_set_first(&owner->ranges, range); h;
         h = range_set_next(&owner->ranges, range, h))
        if (h->tid != tid && h->tid != 0 && (h->type == RANGE_WRITE || type == RANGE_WRITE))
            return h;
    return NULL;
}

static bool of_class(const struct owner *owner, const struct fdinfo_lock *lock) {
    switch (owner->class) {
    case OWNER_FLOCK:
        return lock->lock_class == FDINFO_FLOCK;
    case OWNER_OFD:
        return lock->lock_class == FDINFO_OFD;
    default:
        return lock->lock_class == (owner->hidden >= 0 ? FDINFO_OFD : FDINFO_POSIX);
    }
}

static uint32_t read_ranges(int fd, const struct owner *owner, struct kernel_range *ranges,
                            uint32_t capacity, bool *whole) {
    char path[40], chunk[1024];
    struct text text;
    struct fdinfo_parser parser = {.prefixed = true};
    struct fdinfo_lock lock;
    uint32_t count = 0;
    text_begin(&text, path, sizeof path);
    text_add(&text, "/proc/self/fdinfo/");
    text_add_decimal(&text, (uint64_t)fd);
    int info = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    *whole = info >= 0;
    for (ssize_t got; info >= 0 && (got = sys_read(info, chunk, sizeof chunk)) > 0;)
        for (const char *at = chunk; fdinfo_next(&parser, &at, chunk + got, &lock);) {
            if (!of_class(owner, &lock))
                continue;
            if (count == capacity)
                *whole = false;
            else
                ranges[count++] = (struct kernel_range){lock.start, lock.end, lock.type};
        }
    if (info >= 0)
        sys_close(info);
    return count;
}

/* The list is as long as the kernel's, so it lies in a mapping of its own for as long as it is
 * needed. */
#define CONFIRM_RANGES 16384

void model_confirm(struct room *room, struct owner *owner, int fd) {
    if (!owner_is_unsure(owner))
        return;
    size_t size = CONFIRM_RANGES * sizeof(struct kernel_range);
    struct kernel_range *ranges = scratch_begin(size);
    if (!ranges)
        return;
    bool whole;
    uint32_t before = owner->ranges.count;
    uint32_t count =
        read_ranges(owner->hidden >= 0 ? owner->hidden : fd, owner, ranges, CONFIRM_RANGES, &whole);
    uint32_t wanted = range_set_resync_room(&owner->ranges, count);
    if (whole && (wanted <= range_set_capacity(&owner->ranges) || grow(room, owner, wanted)) &&
        range_set_resync(&owner->ranges, ranges, count)) {
        atomic_fetch_and(&owner->state, ~OWNER_UNSURE);
        count_holders(owner, before);
        publish(owner);
    }
    scratch_end(ranges, size);
}
