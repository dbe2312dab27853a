#include "lock/relief.h"

#include "lock/closing.h"
#include "lock/findings.h"
#include "lock/holders.h"
#include "lock/owner_lock.h"

#include <limits.h>

static struct owner *lent_owner(struct file *file, int limit) {
    struct owner *o = file->owners;
    while (o && (o->hidden < 0 || o->hidden >= limit))
        o = o->next_in_file;
    return o;
}

static struct file *lent_file(struct room *room, int limit) {
    for (int bucket = 0; bucket < FILE_BUCKETS; bucket++)
        for (struct file *file = room->buckets[bucket]; file; file = file->next)
            if (lent_owner(file, limit))
                return file;
    return NULL;
}

/* Takes the locks that the model knows as POSIX locks, through one of the description's
 * descriptors. */
static void lock_as_posix(const struct file *file, const struct owner *owner) {
    for (const struct description *d = file->descriptions; d; d = d->next_in_file) {
        if (atomic_load(&d->owners[OWNER_RECORD]) != owner || d->first_fd < 0)
            continue;
        for (uint32_t i = 0; i < owner->ranges.count; i++) {
            const struct held *held = &owner->ranges.items[i];
            struct flock lock = {.l_type = held->type == RANGE_WRITE ? F_WRLCK : F_RDLCK,
                                 .l_start = (off_t)held->start,
                                 .l_len = (off_t)range_length(held->start, held->end)};
            sys_fcntl(d->first_fd, F_SETLK, (long)&lock);
        }
    }
}

/* All of a file's private descriptions go before its first POSIX lock comes: closing one afterwards
 * would drop it. Wants `tables`. */
static void give_back_file(struct room *room, struct file *file) {
    atomic_store(&file->unrepaired, true);
    for (struct owner *o = file->owners, *next; o; o = next) {
        next = o->next_in_file;
        int hidden = o->hidden;
        enum turn turn = hidden >= 0 ? owner_enter(o) : TURN_GONE;
        if (turn == TURN_GONE)
            continue;
        holder_withdraw(o->published);
        o->published = NULL;
        o->hidden = -1;
        hidden_close(hidden);
        closing_leave_owner(room, o, turn);
    }
    for (struct owner *o = file->owners; o; o = o->next_in_file)
        if (o->class == OWNER_RECORD)
            lock_as_posix(file, o);
}

bool relief_give_back(const struct caller *caller) {
    struct room *room = room_here();
    struct rlimit limit;
    struct sys_sigset saved;
    struct file copy;
    if (!room || owner_is_vfork_child() || sys_getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    int below = limit.rlim_cur < INT_MAX ? (int)limit.rlim_cur : INT_MAX;
    short_lock_take(&room->tables, &saved);
    struct file *file = lent_file(room, below);
    if (file) {
        give_back_file(room, file);
        copy = (struct file){.dev = file->dev, .ino = file->ino};
    }
    short_lock_give(&room->tables, &saved);
    if (file)
        finding_degraded(
            -1, &copy,
            "the program needed the descriptor's number: its locks became POSIX locks; "
            "a soft limit on open files (RLIMIT_NOFILE) below the hard one makes room",
            caller);
    return file != NULL;
}
