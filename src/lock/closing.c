#include "lock/closing.h"

#include "lock/hidden.h"
#include "lock/holders.h"
#include "lock/owner_lock.h"
#include "lock/trace.h"
#include "lock/wait.h"
#include "report/log.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static struct description *closing_mark(struct description *d) {
    return (struct description *)((uintptr_t)d | SLOT_CLOSING);
}

/* Does POSIX drop locks of this process when the descriptor goes? Those of every other description,
 * and the description's own when a copy of the descriptor stays. */
static void note_loss(struct closing *c, struct room *room, struct file *file,
                      const struct description *dying) {
    struct byte_range all = {0, RANGE_MAX};
    const struct owner *own = dying ? atomic_load(&dying->owners[OWNER_RECORD]) : NULL;
    c->lost = c->caller && atomic_load(&file->held) != 0 &&
              find_overlap_locked(room, file, c->last ? own : NULL, &all, &c->met) &&
              atomic_load(&file->treatment) != LOCK_RULE_OFF;
    c->dev = file->dev;
    c->ino = file->ino;
}

/* The process holds locks somewhere: is this descriptor another one of such a file? */
static void begin_unknown(struct closing *c, struct room *room, int fd) {
    struct stat st;
    struct sys_sigset saved;
    /* A loop that closes every number, open or not, must not pay for a look at each: once it has
     * gone on for a while, its numbers are no longer looked at. */
    static _Atomic int bad_run, last_bad;
    bool running = atomic_load_explicit(&bad_run, memory_order_relaxed) > 64 &&
                   atomic_load_explicit(&last_bad, memory_order_relaxed) == fd - 1;
    if (running || sys_fstat(fd, &st) < 0) {
        atomic_store_explicit(&last_bad, fd, memory_order_relaxed);
        atomic_fetch_add_explicit(&bad_run, 1, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&bad_run, 0, memory_order_relaxed);
    short_lock_take(&room->tables, &saved);
    struct file *file = room_file_find(room, st.st_dev, st.st_ino);
    if (file) {
        c->last = true;
        note_loss(c, room, file, NULL);
    }
    short_lock_give(&room->tables, &saved);
    if (c->lost)
        c->room = room;
}

static void begin_known(struct closing *c, struct room *room, int fd, struct description *d) {
    struct sys_sigset saved;
    short_lock_take(&room->tables, &saved);
    if (room_description(room, fd) == d) {
        room_detach(room, fd, closing_mark(d));
        c->room = room;
        c->description = d;
        c->last = d->fds == 0;
        note_loss(c, room, d->file, d);
    }
    short_lock_give(&room->tables, &saved);
}

struct search {
    struct room *room;
    int fd;
};

static void attach_copy(void *context, int other) {
    const struct search *search = context;
    if (other != search->fd && !hidden_is(other) && room_is_free(search->room, other))
        describe_if_copy(search->room, search->fd, other);
}

/* The last descriptor that is known goes. Others may stand for the description that were never
 * seen. */
static void look_for_copies(struct room *room, int fd, struct description *d) {
    struct search search = {room, fd};
    bool marked = atomic_exchange(&room_slot(room, fd)->copied, false);
    if (d->fds == 1 && (atomic_exchange(&d->copied, false) || marked))
        room_each_open(attach_copy, &search);
}

bool closing_begin_tracked(struct closing *c, struct room *room, int fd,
                           const struct caller *caller) {
    if (owner_is_vfork_child())
        return true;
    if (hidden_is(fd))
        return false;
    *c = (struct closing){.caller = caller, .fd = fd};
    struct description *d = room_description(room, fd);
    if (d) {
        look_for_copies(room, fd, d);
        begin_known(c, room, fd, d);
    } else if (caller && atomic_load_explicit(&room->owner_total, memory_order_relaxed) != 0)
        begin_unknown(c, room, fd);
    return true;
}

static void unlock_all(const struct owner *owner) {
    struct flock all = {.l_type = F_UNLCK};
    sys_fcntl(owner->hidden, F_OFD_SETLK, (long)&all);
}

/* Wants `tables`. */
static void finish_owner(struct room *room, struct owner *owner) {
    struct file *file = owner->file;
    int hidden = owner->hidden;
    /* Where the file's other locks are POSIX's, this close would drop them: the descriptor stays,
     * empty. */
    bool keep = atomic_load(&file->unrepaired);
    room_owner_drop(room, owner);
    room_file_drop_if_unused(room, file);
    if (hidden >= 0 && !keep)
        hidden_close(hidden);
}

bool closing_is_brief(struct room *room, int fd) {
    const struct description *d = room_description(room, fd);
    const struct owner *owner = d ? atomic_load(&d->owners[OWNER_RECORD]) : NULL;
    return owner && owner->hidden >= 0;
}

void closing_finish_owner(struct room *room, struct owner *owner) {
    struct sys_sigset saved;
    short_lock_take(&room->tables, &saved);
    finish_owner(room, owner);
    short_lock_give(&room->tables, &saved);
}

void closing_leave_owner(struct room *room, struct owner *owner, enum turn turn) {
    if (owner_leave(owner, turn))
        finish_owner(room, owner);
}

/* Wants `tables`. True: the owner has no description left. */
static bool leave_owner(struct description *d, struct owner *owner) {
    if (--owner->descriptions != 0)
        return false;
    if (d->file->process_owner == owner)
        d->file->process_owner = NULL;
    return true;
}

/* Wants `tables`. Another thread whose lock this was may wait: it is returned, 0 for none. */
static int32_t release_owner(struct room *room, struct owner *owner) {
    int32_t taker = owner->ranges.count != 0 ? owner->ranges.items[0].tid : 0;
    bool alone = owner_begin_closing(owner);
    if (owner->hidden >= 0 && owner_is_unsure(owner))
        unlock_all(owner);
    if (owner->ranges.count != 0) {
        /* Said to the kernel although the descriptor goes: a child made by a fork that we did not
         * see may hold a copy of it, or a thread may wait in it. */
        if (owner->hidden >= 0)
            unlock_all(owner);
        if (owner->class == OWNER_RECORD)
            atomic_fetch_sub(&owner->file->held, 1);
    }
    trace_closed(owner);
    if (owner->published)
        holder_withdraw(owner->published);
    picture_give(owner->shown);
    if (alone)
        finish_owner(room, owner);
    return taker == owner_tid() ? 0 : taker;
}

static void end_description(struct room *room, struct description *d) {
    struct sys_sigset saved;
    int32_t takers[OWNER_CLASSES] = {0};
    struct file *file = d->file;
    short_lock_take(&room->tables, &saved);
    for (int class = 0; class < OWNER_CLASSES; class ++) {
        struct owner *owner = atomic_load(&d->owners[class]);
        if (owner && leave_owner(d, owner))
            takers[class] = release_owner(room, owner);
    }
    room_description_drop(room, d);
    room_file_drop_if_unused(room, file);
    short_lock_give(&room->tables, &saved);
    for (int class = 0; class < OWNER_CLASSES; class ++)
        if (takers[class] != 0)
            wait_holds_changed(room, takers[class]);
}

/* POSIX dropped every lock of this process on the file: the model of those that were left to it
 * follows. */
static void forget_posix_locks(struct room *room, uint64_t dev, uint64_t ino) {
    struct sys_sigset saved;
    struct byte_range all = {0, RANGE_MAX};
    short_lock_take(&room->tables, &saved);
    struct file *file = room_file_find(room, dev, ino);
    for (struct owner *o = file ? file->owners : NULL, *next; o; o = next) {
        next = o->next_in_file;
        if (o->class != OWNER_RECORD || o->hidden >= 0)
            continue;
        enum turn turn = owner_enter(o);
        if (turn == TURN_ALONE && o->ranges.count != 0) {
            trace_closed(o);
            range_set_unlock(&o->ranges, &all);
            atomic_fetch_sub(&file->held, 1);
        }
        if (turn != TURN_GONE)
            closing_leave_owner(room, o, turn);
    }
    short_lock_give(&room->tables, &saved);
}

static void report_loss(struct closing *c) {
    struct file file = {.dev = c->dev, .ino = c->ino};
    struct request request = {.room = c->room,
                              .fd = c->fd,
                              .type = (enum range_type)c->met.held.type,
                              .range = {c->met.held.start, c->met.held.end},
                              .caller = c->caller};
    finding(EVENT_LOCK_LOST, c->met.hidden ? ACTION_KEPT : ACTION_LOST, &request, &file, &c->met);
}

void closing_end_tracked(struct closing *c, bool closed) {
    struct room *room = c->room;
    struct slot *slot = room_slot(room, c->fd);
    struct description *d = c->description;
    struct sys_sigset saved;
    if (!closed) { /* dup2 failed: the number is still what it was */
        if (!d)
            return;
        short_lock_take(&room->tables, &saved);
        if (atomic_load(&slot->description) == closing_mark(d))
            room_attach(room, d, c->fd);
        short_lock_give(&room->tables, &saved);
        return;
    }
    if (c->lost)
        report_loss(c);
    if (c->lost && !c->met.hidden)
        forget_posix_locks(room, c->dev, c->ino);
    if (!d)
        return;
    /* Another thread may have got the number by now, and locked through it. */
    struct description *mark = closing_mark(d);
    atomic_compare_exchange_strong(&slot->description, &mark, NULL);
    if (c->last)
        end_description(room, d);
}

struct untracked {
    struct room *room;
    unsigned first, last;
    const struct caller *caller;
};

static void note_untracked(void *context, int fd) {
    struct untracked *u = context;
    if ((unsigned)fd < u->first || (unsigned)fd > u->last || room_description(u->room, fd) ||
        hidden_is(fd))
        return;
    struct closing closing = {.caller = u->caller, .fd = fd};
    begin_unknown(&closing, u->room, fd);
    closing_end(&closing, true);
}

void closing_range(unsigned first, unsigned last, const struct caller *caller) {
    struct room *room = room_here();
    if (!room || owner_is_vfork_child())
        return;
    /* Descriptors that are not tracked may stand for files that are: for the record alone. */
    struct untracked untracked = {room, first, last, caller};
    if (atomic_load(&room->owner_total) != 0)
        room_each_open(note_untracked, &untracked);
    unsigned top = (room->top_chunk + 1) * SLOTS_PER_CHUNK - 1;
    for (unsigned fd = first; fd <= last && fd <= top; fd++) {
        if (!atomic_load(&room->chunks[fd / SLOTS_PER_CHUNK])) {
            fd |= SLOTS_PER_CHUNK - 1;
            continue;
        }
        struct closing closing;
        if (!room_description(room, (int)fd) || !closing_begin(&closing, (int)fd, caller))
            continue;
        sys_close((int)fd);
        closing_end(&closing, true);
    }
}

/* Moves one owner's hidden descriptor above the soft limit as it is now. */
static void move_owner(struct room *room, struct owner *owner) {
    enum turn turn = owner_enter(owner);
    if (turn == TURN_ALONE && owner->hidden >= 0) {
        int old = owner->hidden;
        hidden_begin();
        int copy = sys_fcntl(old, F_DUPFD_CLOEXEC, 0);
        int moved = copy < 0 ? copy : hidden_move(copy);
        hidden_end();
        if (moved >= 0) {
            owner->hidden = moved;
            hidden_close(old);
        }
    }
    if (turn != TURN_GONE)
        closing_leave_owner(room, owner, turn);
}

static void move_owners_of(struct room *room, struct file *file, int first, unsigned long limit) {
    for (struct owner *o = file->owners, *next; o; o = next) {
        next = o->next_in_file;
        if (o->hidden >= first && (unsigned long)o->hidden < limit)
            move_owner(room, o);
    }
}

static void make_way(int first, unsigned long limit) {
    struct room *room = room_here();
    struct sys_sigset saved;
    if (!room || owner_is_vfork_child())
        return;
    short_lock_take(&room->tables, &saved);
    for (int bucket = 0; bucket < FILE_BUCKETS; bucket++)
        for (struct file *file = room->buckets[bucket], *next_file; file; file = next_file) {
            next_file = file->next;
            move_owners_of(room, file, first, limit);
        }
    short_lock_give(&room->tables, &saved);
}

void closing_make_way(int wanted) {
    if (!hidden_is(wanted))
        return;
    if (log_descriptor() == wanted)
        log_release_descriptor();
    else
        make_way(wanted, (unsigned long)wanted + 1);
}

void closing_make_way_below(unsigned long soft) {
    hidden_limit_was_set();
    if (!hidden_below(soft))
        return;
    log_release_descriptor();
    make_way(0, soft);
}
