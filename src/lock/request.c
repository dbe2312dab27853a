#include "lock/request.h"

#include "base/user_memory.h"
#include "lock/closing.h"
#include "lock/findings.h"
#include "lock/holders.h"
#include "lock/model.h"
#include "lock/picture.h"
#include "lock/trace.h"
#include "lock/wait.h"
#include "report/stack.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static int64_t coarse_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What the program's struct says, in absolute bytes. The caller's own offset counts, not the hidden
 * descriptor's. */
static int absolute_range(int fd, const struct flock *lock, struct byte_range *range) {
    int64_t base = 0;
    struct stat st;
    if (lock->l_whence == SEEK_CUR) {
        base = sys_lseek(fd, 0, SEEK_CUR);
        if (base < 0)
            return (int)base;
    } else if (lock->l_whence == SEEK_END) {
        int result = sys_fstat(fd, &st);
        if (result < 0)
            return result;
        base = st.st_size;
    }
    return range_from_flock(base, lock->l_start, lock->l_len, range);
}

static struct flock kernel_lock(short type, const struct byte_range *range) {
    return (struct flock){.l_type = type,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)range->start,
                          .l_len = (off_t)range_length(range->start, range->end)};
}

static int ask(const struct request *q, const struct owner *owner, int cmd, struct flock *lock) {
    if (owner->hidden >= 0)
        return sys_fcntl(owner->hidden, cmd == F_GETLK ? F_OFD_GETLK : F_OFD_SETLK, (long)lock);
    return sys_fcntl(q->fd, cmd, (long)lock);
}

struct held request_held(const struct request *q) {
    return (struct held){.start = q->range.start,
                         .end = q->range.end,
                         .since_ns = coarse_now(),
                         .tid = owner_tid(),
                         .stack = stack_capture(q->caller->return_address, q->caller->frame),
                         .fd = q->fd,
                         .type = (uint8_t)q->type};
}

/* ---- Locking ---- */

/* Another thread's lock on the same description, if the request covers one. */
static bool note_other_thread(const struct request *q, const struct owner *owner, struct met *met) {
    if (owner->shared)
        return false; /* connections in several threads share the process's locks by design */
    const struct held *other = model_other_thread(owner, &q->range, q->type, owner_tid());
    if (!other)
        return false;
    *met = (struct met){.held = *other, .fd = other->fd};
    return true;
}

/* One try that does not wait, and the account of it. -ESRCH: the owner is gone, look again.
 * *other_thread: `met` was another thread's; *stack: of the lock that was granted. */
static int try_lock(const struct request *q, struct owner *owner, bool *other_thread,
                    struct met *met, stack_id *stack) {
    struct flock lock = kernel_lock(q->type == RANGE_WRITE ? F_WRLCK : F_RDLCK, &q->range);
    enum turn turn = owner_enter(owner);
    if (turn == TURN_GONE)
        return -ESRCH;
    if (turn == TURN_ALONE)
        model_make_room(q->room, owner, &q->range);
    int result = ask(q, owner, F_SETLK, &lock);
    if (result == 0 && turn == TURN_ALONE) {
        struct held held = request_held(q);
        *stack = held.stack;
        *other_thread = note_other_thread(q, owner, met);
        model_locked(owner, &held);
    }
    if (owner_leave(owner, turn))
        closing_finish_owner(q->room, owner);
    return result;
}

/* The descriptor was closed by another thread while the lock was granted: the kernel would say
 * EBADF and keep nothing. */
static int check_still_open(const struct request *q, struct description *d, struct owner *owner,
                            bool waited) {
    struct flock unlock = kernel_lock(F_UNLCK, &q->range);
    if (__builtin_expect(room_description(q->room, q->fd) == d, 1)) {
        describe_seen(q->room, q->fd);
        return 0;
    }
    if (owner->hidden >= 0 && owner_pin(owner)) {
        ask(q, owner, F_SETLK, &unlock);
        owner_doubt(owner);
        if (owner_leave(owner, TURN_GUEST))
            closing_finish_owner(q->room, owner);
    }
    /* What waited sees the kernel's answer; else it is as if the call had come after the close. */
    return waited ? -EBADF : -ESRCH;
}

/* In the kernel's view another description of this process holds it: refused where it was repaired,
 * granted where it is only watched. */
static bool met_own_lock(const struct request *q, struct description *d, struct owner *owner,
                         struct met *met) {
    uint32_t mine = owner ? 1 : 0;
    return atomic_load_explicit(&d->file->owner_count, memory_order_relaxed) > mine &&
           find_conflict(q->room, d->file, owner, OWNER_RECORD, &q->range, q->type, met);
}

static int refused(const struct request *q, struct description *d, struct owner *owner, int error) {
    struct met met;
    if (error == -EINVAL && owner->hidden >= 0) {
        describe_give_up(q->room, d, owner, q->fd,
                         "the file system or kernel has no description-owned locks, so they stay "
                         "POSIX locks",
                         q->caller);
        return REQUEST_PASS;
    }
    if ((error == -EAGAIN || error == -EACCES) && met_own_lock(q, d, owner, &met))
        finding(EVENT_SELF_LOCK, ACTION_DENIED, q, d->file, &met);
    trace(TRACE_REFUSED, q, d->file, owner, 0, error);
    return error;
}

static int set_lock(struct request *q, struct description *d, struct owner *owner, bool wait) {
    struct met met, other;
    bool other_thread = false;
    stack_id stack = 0;
    bool watched = owner->hidden < 0;
    bool own = watched && met_own_lock(q, d, owner, &met);
    int result = try_lock(q, owner, &other_thread, &other, &stack);
    bool waited = result == -EAGAIN && wait;
    if (waited) {
        struct waiting w = {q, d, owner, watched ? WAIT_POSIX : WAIT_HIDDEN};
        result = wait_for_lock(&w);
        if (result == 0) {
            enum turn turn = owner_enter(owner);
            if (turn == TURN_ALONE) {
                struct held held = request_held(q);
                stack = held.stack;
                model_make_room(q->room, owner, &q->range);
                model_locked(owner, &held);
            }
            if (turn != TURN_GONE && owner_leave(owner, turn))
                closing_finish_owner(q->room, owner);
        }
    } else if (result < 0 && result != -ESRCH) {
        return refused(q, d, owner, result);
    }
    if (result < 0)
        return result;
    trace(TRACE_GRANTED, q, d->file, owner, stack, 0);
    if (owner->shown) {
        picture_tell_stack(stack);
        if (wait)
            finding_if_inverted(q, d->file, owner->shown, stack);
    }
    if (own) /* repaired, a thread would wait here for itself */
        finding(wait && met.held.tid == owner_tid() ? EVENT_SELF_DEADLOCK : EVENT_SELF_LOCK,
                ACTION_GRANTED, q, d->file, &met);
    if (other_thread) {
        wait_holds_changed(q->room, other.held.tid);
        finding(EVENT_SHARED_DESCRIPTION, ACTION_GRANTED, q, d->file, &other);
    }
    if (__builtin_expect(atomic_load_explicit(&d->gone, memory_order_relaxed), 0))
        finding_stale(q, d);
    return check_still_open(q, d, owner, waited);
}

/* ---- Unlocking ---- */

/* POSIX unlocks for the whole process: the model of the other descriptions follows. */
static void unlock_others(const struct request *q, struct file *file, struct owner *self) {
    struct sys_sigset saved;
    short_lock_take(&q->room->tables, &saved);
    for (struct owner *o = file->owners, *next; o; o = next) {
        next = o->next_in_file;
        if (o == self || o->class != OWNER_RECORD || o->hidden >= 0)
            continue;
        enum turn turn = owner_enter(o);
        if (turn == TURN_ALONE)
            model_unlocked(o, &q->range);
        if (turn != TURN_GONE)
            closing_leave_owner(q->room, o, turn);
    }
    short_lock_give(&q->room->tables, &saved);
}

static int unlock(struct request *q, struct description *d, struct owner *owner) {
    struct flock lock = kernel_lock(F_UNLCK, &q->range);
    struct file *file = d->file;
    struct met met;
    bool foreign = atomic_load_explicit(&file->owner_count, memory_order_relaxed) > 1 &&
                   atomic_load_explicit(&file->held, memory_order_relaxed) > 0 &&
                   find_overlap(q->room, file, owner, &q->range, &met);
    enum turn turn = owner_enter(owner);
    if (turn == TURN_GONE)
        return -ESRCH;
    int32_t taker = 0;
    if (turn == TURN_ALONE) {
        model_make_room(q->room, owner, &q->range);
        const struct held *held = model_other_thread(owner, &q->range, RANGE_WRITE, owner_tid());
        taker = held ? held->tid : 0;
    }
    int result = ask(q, owner, F_SETLK, &lock);
    if (result == 0 && turn == TURN_ALONE)
        model_unlocked(owner, &q->range);
    if (owner_leave(owner, turn))
        closing_finish_owner(q->room, owner);
    describe_seen(q->room, q->fd);
    trace(TRACE_UNLOCKED, q, file, owner, 0, result);
    if (__builtin_expect(taker != 0, 0))
        wait_holds_changed(q->room, taker);
    if (result == 0 && foreign) {
        finding(EVENT_FOREIGN_UNLOCK, met.hidden ? ACTION_KEPT : ACTION_LOST, q, file, &met);
        if (owner->hidden < 0)
            unlock_others(q, file, owner);
    }
    return result;
}

/* A description that never locked has no owner, unless the file's locks belong to the process. */
static struct owner *owner_if_any(const struct request *q, struct description *d) {
    struct owner *owner = atomic_load(&d->owners[OWNER_RECORD]);
    if (owner || !__atomic_load_n(&d->file->process_owner, __ATOMIC_RELAXED))
        return owner;
    return describe_owner(q->room, d, q->fd, &q->range, q->caller);
}

/* The description holds nothing; only POSIX, where the file is left to it, unlocks others' locks.
 */
static int unlock_without(struct request *q, struct description *d) {
    struct flock lock = kernel_lock(F_UNLCK, &q->range);
    struct met met;
    bool foreign = find_overlap(q->room, d->file, NULL, &q->range, &met);
    int result = sys_fcntl(q->fd, F_SETLK, (long)&lock);
    if (result == 0 && foreign) {
        finding(EVENT_FOREIGN_UNLOCK, met.hidden ? ACTION_KEPT : ACTION_LOST, q, d->file, &met);
        unlock_others(q, d->file, NULL);
    }
    return result;
}

/* ---- Asking ---- */

static void name_the_holder(struct request *q, struct description *d, struct owner *owner,
                            struct flock *answer) {
    struct met met;
    struct byte_range range;
    if (range_from_flock(0, answer->l_start, answer->l_len, &range) < 0)
        return;
    enum range_type type = answer->l_type == F_WRLCK ? RANGE_WRITE : RANGE_READ;
    uint32_t mine = owner ? 1 : 0;
    if (d && atomic_load(&d->file->owner_count) > mine &&
        find_exact(q->room, d->file, owner, &range, type, &met)) {
        answer->l_pid = sys_getpid();
        finding(EVENT_SELF_LOCK, ACTION_DENIED, q, d->file, &met);
        return;
    }
    struct stat st;
    if (!d && sys_fstat(q->fd, &st) < 0)
        return;
    pid_t pid = d ? holder_find(d->file->dev, d->file->ino, &range, type)
                  : holder_find(st.st_dev, st.st_ino, &range, type);
    if (pid > 0)
        answer->l_pid = pid;
}

static int query(struct request *q, struct description *d, struct flock *user, short type) {
    struct flock answer = kernel_lock(type, &q->range);
    struct owner *owner = d ? owner_if_any(q, d) : NULL;
    int result;
    if (owner && owner_pin(owner)) {
        result = ask(q, owner, F_GETLK, &answer);
        if (owner_leave(owner, TURN_GUEST))
            closing_finish_owner(q->room, owner);
    } else {
        result = sys_fcntl(q->fd, F_GETLK, (long)&answer);
    }
    if (result < 0)
        return result;
    struct flock before = *user; /* the look at the memory may overwrite it */
    if (!user_writable(user, sizeof *user))
        return -EFAULT;
    if (answer.l_type == F_UNLCK) {
        before.l_type = F_UNLCK;
        *user = before;
        return 0;
    }
    if (answer.l_pid == -1)
        name_the_holder(q, d, owner, &answer);
    *user = answer;
    return 0;
}

/* ---- The way in ---- */

static bool well_formed(int cmd, const struct flock *lock) {
    bool locks = lock->l_type == F_RDLCK || lock->l_type == F_WRLCK;
    bool whence =
        lock->l_whence == SEEK_SET || lock->l_whence == SEEK_CUR || lock->l_whence == SEEK_END;
    return whence && (locks || (lock->l_type == F_UNLCK && cmd != F_GETLK));
}

/* Locks that belong to the process are taken through a descriptor that may be able to do more than
 * the caller's. */
static bool may(const struct description *d, const struct request *q) {
    return d->access == O_RDWR || d->access == (q->type == RANGE_WRITE ? O_WRONLY : O_RDONLY);
}

/* A first lock takes several short locks: all of them with signals held off once. False: the
 * descriptor cannot be described. */
static bool find_owner(struct request *q, struct description **d, struct owner **owner) {
    struct sys_sigset saved;
    bool first = room_description(q->room, q->fd) == NULL;
    if (first)
        signals_hold(&saved);
    *d = describe_for_lock(q->room, q->fd);
    *owner = *d ? describe_owner(q->room, *d, q->fd, &q->range, q->caller) : NULL;
    if (first)
        signals_release(&saved);
    return *d != NULL;
}

/* How often a handler or another thread may change what the number stands for during one call. */
#define TRIES 64

static int lock_or_wait(struct request *q, bool wait) {
    for (int tries = 0; tries < TRIES; tries++) {
        struct description *d;
        struct owner *owner;
        if (!find_owner(q, &d, &owner))
            return REQUEST_PASS;
        if (!owner && room_description(q->room, q->fd) != d)
            continue;
        if (!owner)
            return REQUEST_PASS;
        q->owner = owner;
        if (owner->shared && !may(d, q))
            return -EBADF;
        int result = set_lock(q, d, owner, wait);
        if (result != -ESRCH)
            return result;
    }
    return REQUEST_PASS;
}

static int unlock_if_known(struct request *q) {
    for (int tries = 0; tries < TRIES; tries++) {
        struct description *d = describe(q->room, q->fd, DESCRIBE_BESIDE);
        struct owner *owner = d ? owner_if_any(q, d) : NULL;
        int result = !d ? REQUEST_PASS : owner ? unlock(q, d, owner) : unlock_without(q, d);
        if (result != -ESRCH)
            return result;
    }
    return REQUEST_PASS;
}

int request_record_lock_checked(int fd, int cmd, struct flock *lock, const struct caller *caller) {
    struct request q = {.fd = fd, .caller = caller};
    bool locks = cmd != F_GETLK && lock->l_type != F_UNLCK;
    if (!describe_wanted() || owner_is_vfork_child() || !well_formed(cmd, lock))
        return REQUEST_PASS;
    if (cmd == F_GETLK && settings.lock_mode == LOCKS_WATCH)
        return REQUEST_PASS;
    q.room = locks ? room_begin() : room_here();
    if (!q.room && cmd == F_GETLK)
        q.room = room_begin();
    if (!q.room) {
        if (locks && !atomic_load(&room_foreign) && !owner_is_guest())
            finding_degraded(fd, NULL, "no memory for the tables, so locks stay POSIX locks",
                             caller);
        return REQUEST_PASS;
    }
    int result = absolute_range(fd, lock, &q.range);
    if (result < 0)
        return REQUEST_PASS; /* the kernel says which error comes first */
    q.type = lock->l_type == F_WRLCK ? RANGE_WRITE : RANGE_READ;
    if (cmd == F_GETLK)
        return query(&q, describe(q.room, fd, DESCRIBE_ALWAYS), lock, lock->l_type);
    return locks ? lock_or_wait(&q, cmd == F_SETLKW) : unlock_if_known(&q);
}

int request_record_lock(int fd, int cmd, struct flock *lock, const struct caller *caller) {
    if (!describe_wanted() || !user_readable(lock, sizeof *lock))
        return REQUEST_PASS;
    if (cmd == F_GETLK)
        return request_record_lock_checked(fd, cmd, lock, caller);
    struct flock copy = *lock;
    return request_record_lock_checked(fd, cmd, &copy, caller);
}

int request_lockf(int fd, int cmd, off_t length, const struct caller *caller) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = length};
    int result;
    switch (cmd) {
    case F_TEST:
        lock.l_type = F_RDLCK;
        result = request_record_lock_checked(fd, F_GETLK, &lock, caller);
        return result < 0 ? result : lock.l_type == F_UNLCK ? 0 : -EACCES;
    case F_ULOCK:
        lock.l_type = F_UNLCK;
        return request_record_lock_checked(fd, F_SETLK, &lock, caller);
    case F_LOCK:
        return request_record_lock_checked(fd, F_SETLKW, &lock, caller);
    case F_TLOCK:
        return request_record_lock_checked(fd, F_SETLK, &lock, caller);
    default:
        return REQUEST_PASS;
    }
}
