#include "lock/handover.h"

#include "base/owner.h"
#include "base/text.h"
#include "lock/closing.h"
#include "lock/findings.h"
#include "lock/hidden.h"
#include "lock/holders.h"
#include "lock/model.h"
#include "lock/picture.h"

#include <errno.h>
#include <string.h>

#define MAGIC UINT64_C(0x3130726576756f68)
#define BUFFER_BYTES ((size_t)16 << 20)

/* The memory file: a head, then for each owner its record, its descriptors, its ranges. */
struct head {
    uint64_t magic;
    int32_t pid;
    uint32_t owners;
    uint64_t bytes;
};

struct record {
    uint64_t dev, ino;
    int32_t hidden;
    uint32_t fds;
    uint32_t ranges;
    uint8_t access;
    uint8_t shared;
    uint8_t unused[2]; /* zero: the whole of it is written */
};

struct buffer {
    char *bytes;
    size_t used;
    bool full;
};

static void *reserve(struct buffer *b, size_t size) {
    size = (size + 7) & ~(size_t)7;
    if (b->full || size > BUFFER_BYTES - b->used) {
        b->full = true;
        return NULL;
    }
    void *place = b->bytes + b->used;
    b->used += size;
    return place;
}

static void put(struct buffer *b, const void *data, size_t size) {
    void *place = reserve(b, size);
    if (place)
        memcpy(place, data, size);
}

bool handover_needed(void) {
    struct room *room = room_here();
    return room && !owner_is_vfork_child() && atomic_load(&room->owner_total) != 0;
}

static bool survives_exec(int fd) {
    int flags = sys_fcntl(fd, F_GETFD, 0);
    return flags >= 0 && !(flags & FD_CLOEXEC);
}

/* ---- Which owners go over ---- */

typedef void each_fd(void *context, int fd);

/* Every descriptor of the owner's descriptions that survives exec. Wants `tables`. */
static uint32_t surviving_fds(struct room *room, const struct owner *owner, each_fd *each,
                              void *context) {
    uint32_t count = 0;
    for (struct description *d = owner->file->descriptions; d; d = d->next_in_file) {
        if (atomic_load(&d->owners[OWNER_RECORD]) != owner)
            continue;
        for (int fd = d->first_fd; fd >= 0; fd = room_slot(room, fd)->next_fd)
            if (survives_exec(fd)) {
                each(context, fd);
                count++;
            }
    }
    return count;
}

static void put_fd(void *context, int fd) {
    int64_t wide = fd;
    put(context, &wide, sizeof wide);
}

static bool write_owner(struct room *room, struct buffer *b, struct owner *owner) {
    size_t before = b->used;
    struct record *record = reserve(b, sizeof *record);
    if (!record)
        return false;
    uint32_t fds = surviving_fds(room, owner, put_fd, b);
    if (fds == 0) {
        b->used = before;
        return false;
    }
    *record = (struct record){.dev = owner->file->dev,
                              .ino = owner->file->ino,
                              .hidden = owner->hidden,
                              .fds = fds,
                              .ranges = owner->ranges.count,
                              .access = owner->access,
                              .shared = owner->shared};
    put(b, owner->ranges.items, owner->ranges.count * sizeof *owner->ranges.items);
    return true;
}

typedef bool each_owner(struct room *room, void *context, struct owner *owner);

/* Calls for every repaired owner that holds something; counts those for which it says true. */
static uint32_t for_each_holder(struct room *room, each_owner *each, void *context) {
    struct sys_sigset saved;
    uint32_t count = 0;
    short_lock_take(&room->tables, &saved);
    for (int bucket = 0; bucket < FILE_BUCKETS; bucket++)
        for (struct file *file = room->buckets[bucket], *next_file; file; file = next_file) {
            next_file = file->next;
            for (struct owner *o = file->owners, *next; o; o = next) {
                next = o->next_in_file;
                enum turn turn = o->hidden >= 0 ? owner_enter(o) : TURN_GONE;
                if (turn == TURN_GONE)
                    continue;
                if (turn == TURN_ALONE)
                    model_confirm(room, o, -1);
                if (o->ranges.count != 0 && each(room, context, o))
                    count++;
                closing_leave_owner(room, o, turn);
            }
        }
    short_lock_give(&room->tables, &saved);
    return count;
}

static bool write_one(struct room *room, void *context, struct owner *owner) {
    return write_owner(room, context, owner);
}

/* ---- To a program that has the library ---- */

static int sealed_file(const struct buffer *b) {
    hidden_begin();
    int fd = (int)sys_call3(SYS_memfd_create, (long)"raceshim-handover",
                            MFD_CLOEXEC | MFD_ALLOW_SEALING, 0);
    if (fd >= 0)
        fd = hidden_move(fd);
    hidden_end();
    if (fd < 0)
        return fd;
    if (sys_write(fd, b->bytes, b->used) == (ssize_t)b->used &&
        sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0 &&
        sys_fcntl(fd, F_SETFD, 0) == 0)
        return fd;
    hidden_close(fd);
    return -EIO;
}

/* Walks the records of a buffer; *at starts behind the head. */
static const struct record *next_record(const struct buffer *b, size_t *at, const int64_t **fds,
                                        const struct held **ranges) {
    const struct record *record = (const struct record *)(b->bytes + *at);
    if (b->used - *at < sizeof *record)
        return NULL;
    size_t fd_bytes = record->fds * sizeof(int64_t);
    size_t range_bytes = record->ranges * sizeof(struct held);
    size_t left = b->used - *at - sizeof *record;
    if (record->fds > left / sizeof(int64_t) || range_bytes > left - fd_bytes)
        return NULL;
    *fds = (const int64_t *)(record + 1);
    *ranges = (const struct held *)((const char *)*fds + fd_bytes);
    *at += sizeof *record + fd_bytes + ((range_bytes + 7) & ~(size_t)7);
    return record;
}

static void set_close_on_exec(const struct buffer *b, int flag) {
    const int64_t *fds;
    const struct held *ranges;
    size_t at = sizeof(struct head);
    for (const struct record *r; (r = next_record(b, &at, &fds, &ranges));)
        sys_fcntl(r->hidden, F_SETFD, flag);
}

static bool is_variable(const char *entry, const char *name) {
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

static void add_variable(struct handover *h, char *envp[]) {
    struct text text;
    size_t count = 0;
    for (size_t i = 0; envp[i]; i++)
        if (!is_variable(envp[i], HANDOVER_VARIABLE))
            envp[count++] = envp[i];
    text_begin(&text, h->variable, sizeof h->variable);
    text_add(&text, HANDOVER_VARIABLE "=");
    text_add_decimal(&text, (uint64_t)h->memory);
    envp[count++] = h->variable;
    envp[count] = NULL;
}

/* ---- To a program that has not ---- */

/* Every private description of the files goes before the first POSIX lock comes: closing one
 * afterwards would drop it. */
static bool release_one(struct room *room, void *context, struct owner *owner) {
    (void)room;
    (void)context;
    int hidden = owner->hidden;
    owner->hidden = -1;
    owner->left = 1;
    atomic_store(&owner->file->unrepaired, true);
    hidden_close(hidden);
    return true;
}

static void relock(const struct buffer *b) {
    const int64_t *fds;
    const struct held *ranges;
    size_t at = sizeof(struct head);
    for (const struct record *r; (r = next_record(b, &at, &fds, &ranges));)
        for (uint32_t i = 0; i < r->ranges; i++) {
            struct flock lock = {.l_type = ranges[i].type == RANGE_WRITE ? F_WRLCK : F_RDLCK,
                                 .l_start = (off_t)ranges[i].start,
                                 .l_len = (off_t)range_length(ranges[i].start, ranges[i].end)};
            for (uint32_t f = 0; f < r->fds; f++)
                if (sys_fcntl((int)fds[f], F_SETLK, (long)&lock) == 0)
                    break;
        }
}

void handover_begin(struct handover *h, int dir, const char *path, int flags, const char *search,
                    char *envp[], const struct caller *caller) {
    struct head head = {.magic = MAGIC, .pid = sys_getpid()};
    struct buffer buffer = {.bytes = sys_mmap(BUFFER_BYTES, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)};
    *h = (struct handover){.room = room_here(), .memory = -1};
    if (!buffer.bytes || !h->room)
        return;
    put(&buffer, &head, sizeof head);
    head.owners = for_each_holder(h->room, write_one, &buffer);
    head.bytes = buffer.used;
    memcpy(buffer.bytes, &head, sizeof head);
    bool enters = head.owners == 0 || program_enterable(dir, path, flags, search, envp);
    if (head.owners != 0 && enters && (h->memory = sealed_file(&buffer)) >= 0) {
        hidden_begin();
        set_close_on_exec(&buffer, 0);
        add_variable(h, envp);
    } else if (head.owners != 0) {
        h->posix = true;
        for_each_holder(h->room, release_one, NULL);
        relock(&buffer);
        finding_degraded(
            -1, NULL,
            "a program that the library cannot enter was started in place of this one: "
            "its locks were released and taken again as POSIX locks",
            caller);
    }
    sys_munmap(buffer.bytes, BUFFER_BYTES);
}

static bool close_again(struct room *room, void *context, struct owner *owner) {
    (void)room;
    (void)context;
    sys_fcntl(owner->hidden, F_SETFD, FD_CLOEXEC);
    return true;
}

/* One owner that was left to POSIX, kept in being for the caller; *fd is one of its descriptors. */
static struct owner *next_left(struct room *room, int *fd) {
    struct sys_sigset saved;
    struct owner *found = NULL;
    short_lock_take(&room->tables, &saved);
    for (int bucket = 0; bucket < FILE_BUCKETS && !found; bucket++)
        for (struct file *file = room->buckets[bucket]; file && !found; file = file->next)
            for (struct description *d = file->descriptions; d && !found; d = d->next_in_file) {
                struct owner *o = atomic_load(&d->owners[OWNER_RECORD]);
                if (!o || !o->left || d->first_fd < 0 || !owner_pin(o))
                    continue;
                o->left = 0;
                *fd = d->first_fd;
                found = o;
            }
    short_lock_give(&room->tables, &saved);
    return found;
}

static void take_back(struct room *room) {
    struct owner *owner;
    for (int fd; (owner = next_left(room, &fd));) {
        describe_repair_again(owner, fd);
        if (owner_leave(owner, TURN_GUEST))
            closing_finish_owner(room, owner);
    }
}

void handover_undo(struct handover *h) {
    if (h->posix)
        take_back(h->room);
    if (h->memory < 0)
        return;
    for_each_holder(h->room, close_again, NULL);
    hidden_close(h->memory);
    hidden_end();
}

/* ---- In the new program ---- */

static bool stands_for(int fd, uint64_t dev, uint64_t ino) {
    struct stat st;
    return sys_fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* Wants `tables`. One description for each descriptor that comes, unless it is a copy of one that
 * is known already; all of an owner's belong to it. */
static void adopt_fds(struct room *room, struct owner *owner, const struct record *r,
                      const int64_t *fds) {
    for (uint32_t i = 0; i < r->fds; i++) {
        int fd = (int)fds[i];
        if (fds[i] < 0 || fds[i] > INT32_MAX || !stands_for(fd, r->dev, r->ino))
            continue;
        struct description *d = owner->shared ? NULL : owner->file->descriptions;
        while (d && atomic_load(&d->owners[OWNER_RECORD]) != owner)
            d = d->next_in_file;
        if (d) {
            room_attach(room, d, fd);
            continue;
        }
        int flags = sys_fcntl(fd, F_GETFL, 0);
        d = room_description_add(room, owner->file, fd, flags & O_ACCMODE);
        if (!d)
            continue;
        owner->descriptions++;
        atomic_store(&d->owners[OWNER_RECORD], owner);
    }
}

static bool adopt_ranges(struct room *room, struct owner *owner, const struct record *r,
                         const struct held *ranges) {
    if (owner_enter(owner) != TURN_ALONE)
        return false;
    for (uint32_t i = 0; i < r->ranges; i++) {
        struct held held = ranges[i];
        struct byte_range range = {held.start, held.end};
        if (held.start > held.end || held.end > RANGE_MAX || held.type > RANGE_WRITE)
            continue;
        held.tid = owner_tid();
        held.stack = 0;
        model_make_room(room, owner, &range);
        model_locked(owner, &held);
    }
    owner_doubt(owner);
    return !owner_leave(owner, TURN_ALONE);
}

static void adopt_one(struct room *room, const struct record *r, const int64_t *fds,
                      const struct held *ranges) {
    struct sys_sigset saved;
    if (!stands_for(r->hidden, r->dev, r->ino) || !hidden_adopt(r->hidden))
        return;
    sys_fcntl(r->hidden, F_SETFD, FD_CLOEXEC);
    for (uint32_t i = 0; i < r->fds; i++)
        room_slot_make(room, (int)fds[i]);
    short_lock_take(&room->tables, &saved);
    struct file *file = room_file_find(room, r->dev, r->ino);
    if (!file)
        file = room_file_add(room, r->dev, r->ino);
    struct owner *owner = file ? room_owner_add(room, file, OWNER_RECORD) : NULL;
    if (owner) {
        owner->hidden = r->hidden;
        owner->access = r->access;
        owner->shared = r->shared != 0;
        if (owner->shared) {
            file->process_owner = owner;
            atomic_store(&file->treatment, LOCK_RULE_PROCESS);
        }
        adopt_fds(room, owner, r, fds);
        owner_open(owner);
    }
    short_lock_give(&room->tables, &saved);
    if (owner) {
        owner->published = holder_publish(r->dev, r->ino, r->hidden);
        owner->shown = picture_take(r->dev, r->ino, OWNER_RECORD);
        adopt_ranges(room, owner, r, ranges);
    }
}

static void adopt_from(int fd) {
    struct stat st;
    struct buffer b = {0};
    int seals = sys_fcntl(fd, F_GET_SEALS, 0);
    if (seals < 0 || !(seals & F_SEAL_WRITE) || sys_fstat(fd, &st) < 0 ||
        st.st_size < (off_t)sizeof(struct head) || st.st_size > (off_t)BUFFER_BYTES)
        return;
    b.used = (size_t)st.st_size;
    b.bytes = sys_mmap(b.used, PROT_READ, MAP_PRIVATE, fd, 0);
    if (!b.bytes)
        return;
    const struct head *head = (const struct head *)b.bytes;
    struct room *room = NULL;
    if (head->magic == MAGIC && head->pid == sys_getpid() && describe_wanted())
        room = room_begin();
    const int64_t *fds;
    const struct held *ranges;
    size_t at = sizeof *head;
    for (const struct record *r; room && (r = next_record(&b, &at, &fds, &ranges));)
        adopt_one(room, r, fds, ranges);
    bool ours = head->magic == MAGIC;
    sys_munmap(b.bytes, b.used);
    if (ours)
        sys_close(fd);
}

void handover_adopt(const char *value) {
    uint64_t fd;
    if (value && text_decimal(value, strlen(value), &fd) && fd <= INT32_MAX)
        adopt_from((int)fd);
}
