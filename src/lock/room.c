#include "lock/room.h"

#include "base/layout.h"
#include "base/owner.h"
#include "base/text.h"
#include "lock/hidden.h"
#include "lock/holders.h"
#include "lock/picture.h"
#include "lock/trace.h"
#include "lock/waiters.h"
#include "report/log.h"

#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <string.h>

struct room *_Atomic room_mapped;
_Atomic bool room_foreign;

/* Address space, not memory: what is not touched costs nothing. Where a limit on address space
 * forbids the large one, the small one still holds some ten thousand descriptions. */
#define ROOM_BYTES ((size_t)1 << 30)
#define ROOM_BYTES_SMALL ((size_t)32 << 20)

/* Who made the room; ordinary memory, so that a forked child knows its parent. */
static pid_t room_maker;

static struct room *room_map(size_t size) {
    struct room *room =
        sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!room)
        return NULL;
    /* Without it a child would take its parent's locks for its own. */
    if (sys_madvise(room, size, MADV_WIPEONFORK) < 0) {
        sys_munmap(room, size);
        return NULL;
    }
    return room;
}

bool room_each_open(each_descriptor *each, void *context) {
    char entries[1024];
    int dir = sys_openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (dir < 0)
        return false;
    for (ssize_t got; (got = sys_getdents(dir, entries, sizeof entries)) > 0;)
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(entries + at);
            uint64_t fd;
            at += entry->d_reclen;
            if (text_decimal(entry->d_name, strlen(entry->d_name), &fd) && (int)fd != dir)
                each(context, (int)fd);
        }
    sys_close(dir);
    return true;
}

void room_mark_copied(struct room *room, int fd) {
    struct slot *slot = room_slot_make(room, fd);
    if (slot)
        atomic_store_explicit(&slot->copied, true, memory_order_relaxed);
}

static void mark_copied(void *context, int fd) {
    if (!hidden_is(fd))
        room_mark_copied(context, fd);
}

static size_t room_size;

struct room *room_begin(void) {
    struct room *room = room_here();
    if (room || atomic_load(&room_foreign) || owner_is_guest())
        return atomic_load(&room_foreign) ? NULL : room;
    room = atomic_load(&room_mapped);
    if (!room) {
        size_t size = ROOM_BYTES;
        if (!(room = room_map(size)))
            room = room_map(size = ROOM_BYTES_SMALL);
        if (!room)
            return NULL;
        struct room *none = NULL;
        room_size = size;
        if (!atomic_compare_exchange_strong(&room_mapped, &none, room)) {
            sys_munmap(room, size);
            room = none;
        }
    }
    room->limit = room_size;
    room_maker = sys_getpid();
    atomic_store(&room->alive, 1);
    /* What was opened, copied or inherited so far was not seen. */
    room_each_open(mark_copied, room);
    return room;
}

/* A forked child that no hook of ours saw (its own system call instruction). Does it share its
 * parent's descriptors? If that cannot be told, nothing is closed: the parent would lose its locks.
 */
static bool shares_makers_files(void) {
    long same = sys_call6(SYS_kcmp, room_maker, sys_getpid(), KCMP_FILES, 0, 0, 0);
    return same == 0 || (same < 0 && same != -ESRCH);
}

struct room *room_reborn(struct room *room) {
    (void)room;
    if (atomic_load(&room_foreign) || owner_is_vfork_child())
        return NULL;
    if (room_maker != sys_getpid()) {
        room_after_fork_child(hidden_any() && shares_makers_files());
        room_maker = sys_getpid();
    }
    return NULL;
}

EVERY_PROCESS void room_after_fork_child(bool shares_files) {
    /* What is written here is copied by the kernel, a page at a time: for a parent that never
     * locked there is nothing to forget. */
    bool used = room_is_made() || hidden_any();
    owner_after_fork();
    hidden_after_fork_child(shares_files);
    if (shares_files)
        atomic_store(&room_foreign, true);
    if (used) {
        holders_after_fork();
        trace_after_fork();
        picture_after_fork();
        waiters_after_fork();
    }
    log_after_fork();
}

static const size_t kind_sizes[ROOM_KINDS] = {
    [ROOM_FILE] = sizeof(struct file),
    [ROOM_DESCRIPTION] = sizeof(struct description),
    [ROOM_OWNER] = sizeof(struct owner),
};

#define ALIGNED(size) (((size) + 63) & ~(size_t)63)

static void *take_new(struct room *room, size_t size) {
    size_t none = 0;
    atomic_compare_exchange_strong(&room->used, &none, ALIGNED(sizeof *room));
    size_t used = atomic_load(&room->used);
    do {
        if (size > room->limit - used)
            return NULL;
    } while (!atomic_compare_exchange_weak(&room->used, &used, used + ALIGNED(size)));
    return (char *)room + used;
}

/* A free object's link lies in its last bytes: a reader that lost a race may still look at the
 * first ones. */
static void **link_of(void *object, size_t size) {
    return (void **)((char *)object + size - sizeof(void *));
}

static void *take(struct room *room, void **list, size_t size) {
    void *object = *list;
    if (!object)
        return take_new(room, size);
    *list = *link_of(object, size);
    return object;
}

static void give(void **list, void *object, size_t size) {
    *link_of(object, size) = *list;
    *list = object;
}

void *room_object(struct room *room, enum room_kind kind) {
    void *object = take(room, &room->free_objects[kind], kind_sizes[kind]);
    size_t kept = kind == ROOM_OWNER ? sizeof((struct owner *)0)->state : 0;
    if (object)
        memset((char *)object + kept, 0, kind_sizes[kind] - kept);
    return object;
}

void room_object_free(struct room *room, enum room_kind kind, void *object) {
    give(&room->free_objects[kind], object, kind_sizes[kind]);
}

struct held *room_ranges(struct room *room, uint32_t *capacity) {
    unsigned order = 3;
    while (order < 31 && (1u << order) < *capacity)
        order++;
    *capacity = 1u << order;
    struct sys_sigset saved;
    short_lock_take(&room->memory, &saved);
    struct held *items = take(room, &room->free_ranges[order], *capacity * sizeof *items);
    short_lock_give(&room->memory, &saved);
    return items;
}

void room_ranges_free(struct room *room, struct held *items, uint32_t capacity) {
    unsigned order = 31 - (unsigned)__builtin_clz(capacity);
    struct sys_sigset saved;
    short_lock_take(&room->memory, &saved);
    give(&room->free_ranges[order], items, capacity * sizeof *items);
    short_lock_give(&room->memory, &saved);
}

struct slot *room_slot_make(struct room *room, int fd) {
    struct slot *slot = room_slot(room, fd);
    if (slot || (unsigned)fd >= SLOT_CHUNKS * (unsigned)SLOTS_PER_CHUNK)
        return slot;
    struct slot *chunk = take_new(room, SLOTS_PER_CHUNK * sizeof *chunk);
    if (!chunk)
        return NULL;
    struct slot *none = NULL;
    /* Who loses the race wastes one chunk; it happens once per chunk at most. */
    atomic_compare_exchange_strong(&room->chunks[(unsigned)fd / SLOTS_PER_CHUNK], &none, chunk);
    if ((unsigned)fd / SLOTS_PER_CHUNK > room->top_chunk)
        room->top_chunk = (unsigned)fd / SLOTS_PER_CHUNK;
    return room_slot(room, fd);
}

static struct file **bucket_of(struct room *room, uint64_t dev, uint64_t ino) {
    uint64_t hash = (ino ^ (dev << 32 | dev >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return &room->buckets[hash >> 52];
}

struct file *room_file_find(struct room *room, uint64_t dev, uint64_t ino) {
    for (struct file *file = *bucket_of(room, dev, ino); file; file = file->next)
        if (file->ino == ino && file->dev == dev)
            return file;
    return NULL;
}

struct file *room_file_add(struct room *room, uint64_t dev, uint64_t ino) {
    struct file *file = room_object(room, ROOM_FILE);
    if (!file)
        return NULL;
    struct file **bucket = bucket_of(room, dev, ino);
    file->dev = dev;
    file->ino = ino;
    file->next = *bucket;
    *bucket = file;
    return file;
}

void room_file_drop_if_unused(struct room *room, struct file *file) {
    if (file->descriptions || file->owners)
        return;
    struct file **link = bucket_of(room, file->dev, file->ino);
    while (*link && *link != file)
        link = &(*link)->next;
    if (*link)
        *link = file->next;
    room_object_free(room, ROOM_FILE, file);
}

struct description *room_description_add(struct room *room, struct file *file, int fd, int access) {
    struct description *d = room_object(room, ROOM_DESCRIPTION);
    if (!d)
        return NULL;
    d->file = file;
    d->access = (uint8_t)access;
    d->first_fd = -1;
    if (!room_attach(room, d, fd)) {
        room_object_free(room, ROOM_DESCRIPTION, d);
        return NULL;
    }
    d->next_in_file = file->descriptions;
    file->descriptions = d;
    file->description_count++;
    atomic_fetch_add(&room->description_total, 1);
    return d;
}

bool room_attach(struct room *room, struct description *d, int fd) {
    struct slot *slot = room_slot_make(room, fd);
    if (!slot)
        return false;
    slot->next_fd = d->first_fd;
    slot->checked = 0;
    d->first_fd = fd;
    d->fds++;
    if (atomic_load_explicit(&slot->copied, memory_order_relaxed))
        atomic_store_explicit(&d->copied, true, memory_order_relaxed);
    atomic_store_explicit(&slot->description, d, memory_order_release);
    return true;
}

void room_detach(struct room *room, int fd, struct description *mark) {
    struct slot *slot = room_slot(room, fd);
    struct description *d = slot ? room_description(room, fd) : NULL;
    if (!d)
        return;
    int *link = &d->first_fd;
    while (*link >= 0 && *link != fd)
        link = &room_slot(room, *link)->next_fd;
    if (*link == fd)
        *link = slot->next_fd;
    d->fds--;
    atomic_store_explicit(&slot->description, mark, memory_order_release);
}

struct owner *room_owner_add(struct room *room, struct file *file, enum owner_class class) {
    struct owner *owner = room_object(room, ROOM_OWNER);
    if (!owner)
        return NULL;
    owner->hidden = -1;
    owner->class = (uint8_t) class;
    owner->file = file;
    owner->number = ++room->next_number;
    owner->next_in_file = file->owners;
    file->owners = owner;
    atomic_fetch_add(&file->owner_count, 1);
    atomic_fetch_add(&room->owner_total, 1);
    return owner;
}

void room_owner_drop(struct room *room, struct owner *owner) {
    struct owner **link = &owner->file->owners;
    while (*link && *link != owner)
        link = &(*link)->next_in_file;
    if (*link)
        *link = owner->next_in_file;
    atomic_fetch_sub(&owner->file->owner_count, 1);
    atomic_fetch_sub(&room->owner_total, 1);
    uint32_t capacity = owner->ranges.capacity;
    struct held *spilled = range_set_reset(&owner->ranges);
    if (spilled)
        room_ranges_free(room, spilled, capacity);
    room_object_free(room, ROOM_OWNER, owner);
}

void room_description_drop(struct room *room, struct description *d) {
    struct description **link = &d->file->descriptions;
    while (*link && *link != d)
        link = &(*link)->next_in_file;
    if (*link)
        *link = d->next_in_file;
    d->file->description_count--;
    atomic_fetch_sub(&room->description_total, 1);
    room_object_free(room, ROOM_DESCRIPTION, d);
}
