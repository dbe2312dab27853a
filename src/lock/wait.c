#include "lock/wait.h"

#include "base/real.h"
#include "base/scratch.h"
#include "lock/ancestor.h"
#include "lock/closing.h"
#include "lock/fdinfo.h"
#include "lock/hidden.h"
#include "lock/holders.h"
#include "lock/picture.h"
#include "lock/ring.h"
#include "lock/trace.h"
#include "lock/waiters.h"
#include "report/stack.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

/* ---- What a waiting thread holds ---- */

struct holds {
    struct room *room;
    pid_t tid;
    struct wait_hold *items;
    uint32_t count, capacity;
};

static struct wait_lock wait_lock_of(const struct owner *owner, const struct file *file,
                                     uint64_t start, uint64_t end, uint8_t type) {
    return (struct wait_lock){.dev = file->dev,
                              .ino = file->ino,
                              .owner = wait_owner_key(owner->number),
                              .range = {start, end},
                              .lock_class = owner->class == OWNER_FLOCK ? WAIT_FLOCK : WAIT_RECORD,
                              .type = type};
}

static void add_holds(struct holds *holds, const struct file *file, const struct owner *owner,
                      int carrier) {
    for (uint32_t i = 0; i < owner->ranges.count; i++) {
        const struct held *held = &owner->ranges.items[i];
        if (held->tid != holds->tid)
            continue;
        if (holds->count < holds->capacity)
            holds->items[holds->count] = (struct wait_hold){
                wait_lock_of(owner, file, held->start, held->end, held->type), carrier};
        holds->count++;
    }
}

static int carrier_of(const struct file *file, const struct owner *owner) {
    if (owner->hidden >= 0)
        return owner->hidden;
    for (const struct description *d = file->descriptions; d; d = d->next_in_file)
        if (atomic_load(&d->owners[owner->class]) == owner)
            return d->first_fd;
    return -1;
}

static void collect_from_file(struct holds *holds, struct file *file) {
    for (struct owner *o = file->owners, *next; o; o = next) {
        next = o->next_in_file;
        if (o->ranges.count == 0)
            continue;
        enum turn turn = owner_enter(o);
        if (turn != TURN_GONE) {
            add_holds(holds, file, o, carrier_of(file, o));
            closing_leave_owner(holds->room, o, turn);
        }
    }
}

/* Counts all, keeps those for which there is room. */
static void collect(struct holds *holds) {
    struct sys_sigset saved;
    struct room *room = holds->room;
    holds->count = 0;
    short_lock_take(&room->tables, &saved);
    for (int bucket = 0; bucket < FILE_BUCKETS; bucket++)
        for (struct file *file = room->buckets[bucket], *next; file; file = next) {
            next = file->next;
            collect_from_file(holds, file);
        }
    short_lock_give(&room->tables, &saved);
}

/* The list lies in a mapping of its own while it is needed; it may be any length. */
static void holds_begin(struct holds *holds, struct room *room, pid_t tid) {
    *holds = (struct holds){.room = room, .tid = tid};
    collect(holds);
    uint32_t wanted = holds->count + 16;
    if (holds->count == 0)
        return;
    holds->items = scratch_begin(wanted * sizeof *holds->items);
    if (!holds->items)
        return;
    holds->capacity = wanted;
    collect(holds);
}

static void holds_end(struct holds *holds) {
    scratch_end(holds->items, holds->capacity * sizeof *holds->items);
}

static bool hold_at(void *context, uint32_t index, struct wait_hold *hold) {
    struct holds *holds = context;
    if (index == 0) /* the wait is announced by now: what is released from here on is told anew */
        collect(holds);
    if (index >= holds->count || index >= holds->capacity)
        return false;
    *hold = holds->items[index];
    return true;
}

/* ---- The wait in the kernel ---- */

/* What a cancellation or a jump must not leave behind. */
struct wait_in_kernel {
    const struct waiting *waiting;
    struct wait_ticket ticket;
    /* Of a wait that has not ended: that it is long, and that it is for an ancestor. */
    struct log_place record, ancestor_record;
    /* That it closes a ring, which the kernel may find too and refuse. */
    struct wait_cycle *cycle; /* in scratch memory; NULL: none */
    struct log_place cycle_record;
    struct picture_wait *shown;
    struct finding_holder holder;
    stack_id stack;               /* where the lock was asked for; 0: not captured */
    struct wait_in_kernel *outer; /* a wait of this thread that a handler interrupted */
    /* Of a wait with a limit. */
    int timer; /* plus one; 0: none */
    bool is_masked;
    struct sys_sigset mask; /* the program's, while all signals are blocked */
};

__thread struct wait_in_kernel *wait_here;

/* What became of the ring is known at the end; should the program be killed before, it waited. */
static void report_cycle(struct wait_in_kernel *k, enum event_action action) {
    const struct waiting *w = k->waiting;
    struct wait_cycle *cycle = k->cycle;
    if (!cycle)
        return;
    k->cycle = NULL;
    log_take_back(&k->cycle_record);
    finding_deadlock(w->request, w->description->file, cycle, action, NULL, NULL);
    scratch_end(cycle, sizeof *cycle);
}

static void leave_wait(void *argument) {
    struct wait_in_kernel *w = argument;
    struct room *room = w->waiting->request->room;
    if (wait_here != w)
        return; /* left before, by a jump */
    wait_here = w->outer;
    wait_withdraw(&w->ticket);
    if (w->timer > 0)
        hidden_close(w->timer - 1);
    if (w->is_masked)
        sys_restore_signals(&w->mask);
    report_cycle(w, ACTION_WAITED);
    log_take_back(&w->record);
    log_take_back(&w->ancestor_record);
    picture_end_wait(w->shown);
    w->shown = NULL;
    finding_holder_end(&w->holder);
    atomic_fetch_sub(&room->waiting, 1);
    if (owner_leave(w->waiting->owner, TURN_GUEST))
        closing_finish_owner(room, w->waiting->owner);
}

static struct flock lock_of(const struct request *q) {
    return (struct flock){.l_type = q->type == RANGE_WRITE ? F_WRLCK : F_RDLCK,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)q->range.start,
                          .l_len = (off_t)range_length(q->range.start, q->range.end)};
}

/* One try without waiting. */
static int try_now(const struct waiting *w) {
    struct flock lock = lock_of(w->request);
    int operation = w->request->type == RANGE_WRITE ? LOCK_EX : LOCK_SH;
    switch (w->kind) {
    case WAIT_HIDDEN:
        return sys_fcntl(w->owner->hidden, F_OFD_SETLK, (long)&lock);
    case WAIT_POSIX:
        return sys_fcntl(w->request->fd, F_SETLK, (long)&lock);
    case WAIT_OFD:
        return sys_fcntl(w->request->fd, F_OFD_SETLK, (long)&lock);
    default:
        return (int)sys_call3(SYS_flock, w->request->fd, operation | LOCK_NB, 0);
    }
}

/* libc's own calls: they are the cancellation points. */
static int wait_now(const struct waiting *w) {
    struct flock lock = lock_of(w->request);
    int operation = w->request->type == RANGE_WRITE ? LOCK_EX : LOCK_SH;
    int saved = errno, result;
    switch (w->kind) {
    case WAIT_HIDDEN:
        result = real(fcntl)(w->owner->hidden, F_OFD_SETLKW, &lock);
        break;
    case WAIT_POSIX:
        result = real(fcntl)(w->request->fd, F_SETLKW, &lock);
        break;
    case WAIT_OFD:
        result = real(fcntl)(w->request->fd, F_OFD_SETLKW, &lock);
        break;
    default:
        result = real(flock)(w->request->fd, operation);
        break;
    }
    if (result < 0)
        result = -errno;
    errno = saved;
    return result;
}

/* Watching changes nothing, a wait's length neither. */
static bool has_timeout(void) {
    return settings.lock_timeout_ns > 0 && settings.lock_mode == LOCKS_REPAIR;
}

enum { HANDLERS_RESTART = 1, HANDLERS_END = 2 }; /* bits: with SA_RESTART, and without */

/* libc's own two signals, for pthread_cancel and setuid, are none of the program's. */
#define OF_LIBC (UINT64_C(3) << 31)

/* Which sorts of handlers may run in this thread. */
static unsigned handlers_for(const struct sys_sigset *blocked) {
    unsigned found = 0;
    for (int sig = 1; sig <= 64; sig++) {
        struct sys_action action;
        if (((blocked->bits | OF_LIBC) >> (sig - 1) & 1) != 0 ||
            sys_sigaction(sig, NULL, &action) < 0 || action.handler == SIG_DFL ||
            action.handler == SIG_IGN)
            continue;
        found |= (action.flags & SA_RESTART) != 0 ? HANDLERS_RESTART : HANDLERS_END;
    }
    return found;
}

/* Pauses until the timer expires. Does a handler end the wait meanwhile? Signals are blocked before and afterwards. poll
 * lets them in and waits in one step, so that none is missed between two pauses; but it ends with EINTR whichever handler
 * ran. So where there are handlers of both sorts the pause is a read: that goes on after a handler with SA_RESTART and ends
 * with EINTR after one without, as the wait itself would, and misses one that runs just before it. */
static bool pause_is_ended(struct wait_in_kernel *k) {
    bool by_read = handlers_for(&k->mask) == (HANDLERS_RESTART | HANDLERS_END);
    struct pollfd expired = {.fd = k->timer - 1, .events = POLLIN};
    struct sys_sigset mask = k->mask;
    uint64_t expirations;
    long got;
    k->is_masked = false; /* a handler that jumps out jumps with the mask that it has */
    if (by_read) {
        sys_restore_signals(&mask);
        got = sys_read(k->timer - 1, &expirations, sizeof expirations);
        sys_block_signals(&mask);
    } else {
        got = sys_call6(SYS_ppoll, (long)&expired, 1, 0, (long)&mask, SYS_SIGSET_BYTES, 0);
    }
    k->is_masked = true;
    /* A program without such a handler was interrupted by libc's own signals. */
    return got == -EINTR && (by_read || (handlers_for(&k->mask) & HANDLERS_END) != 0);
}

static int make_timer(void) {
    struct sys_sigset saved;
    sys_block_signals(&saved);
    hidden_begin();
    int timer = (int)sys_call3(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC, 0);
    if (timer >= 0)
        timer = hidden_move(timer);
    hidden_end();
    sys_restore_signals(&saved);
    return timer;
}

/* lock-timeout: tries, with pauses that double up to a twentieth of a second. */
static int wait_until_timeout(struct wait_in_kernel *k, int64_t started) {
    const struct waiting *w = k->waiting;
    int64_t pause = 1000 * 1000, end = started + settings.lock_timeout_ns;
    k->timer = make_timer() + 1;
    if (k->timer <= 0)
        return wait_now(w);
    int result;
    sys_block_signals(&k->mask);
    k->is_masked = true;
    while ((result = try_now(w)) == -EAGAIN) {
        int64_t left = end - now(CLOCK_MONOTONIC);
        if (left <= 0) {
            result = w->kind == WAIT_FLOCK_CALL ? -EWOULDBLOCK : -EDEADLK;
            break;
        }
        int64_t next = pause < left ? pause : left;
        struct itimerspec spec = {.it_value = {next / SECOND, next % SECOND}};
        sys_call6(SYS_timerfd_settime, k->timer - 1, 0, (long)&spec, 0, 0, 0);
        bool is_ended = pause_is_ended(k);
        pthread_testcancel();
        if (is_ended) {
            result = -EINTR;
            break;
        }
        pause = pause * 2 < SECOND / 20 ? pause * 2 : SECOND / 20;
    }
    k->is_masked = false;
    sys_restore_signals(&k->mask);
    return result;
}

/* ---- Who holds it, and what is said about it ---- */

static pid_t holder_of(const struct waiting *w) {
    struct flock lock = lock_of(w->request);
    struct file *file = w->description->file;
    struct byte_range range;
    if (w->kind == WAIT_FLOCK_CALL)
        return holder_find_flock(file->dev, file->ino, w->request->type);
    int fd = w->kind == WAIT_HIDDEN ? w->owner->hidden : w->request->fd;
    int cmd = w->kind == WAIT_POSIX ? F_GETLK : F_OFD_GETLK;
    if (sys_fcntl(fd, cmd, (long)&lock) < 0 || lock.l_type == F_UNLCK)
        return 0;
    if (lock.l_pid > 0 || range_from_flock(0, lock.l_start, lock.l_len, &range) < 0)
        return lock.l_pid;
    return holder_find(file->dev, file->ino, &range,
                       lock.l_type == F_WRLCK ? RANGE_WRITE : RANGE_READ);
}

/* The file that is locked now may no longer be the one that its name stands for. */
static bool is_stale(const struct waiting *w) {
    struct stat st, named;
    char link[32];
    bool other = false;
    if (sys_fstat(w->request->fd, &st) < 0)
        return false;
    if (st.st_nlink == 0)
        return true;
    char *path = scratch_begin(SETTINGS_PATH_MAX);
    finding_link(link, sizeof link, w->request->fd);
    if (path && sys_readlinkat(AT_FDCWD, link, path, SETTINGS_PATH_MAX - 1) > 0 && path[0] == '/')
        other = sys_fstatat(AT_FDCWD, path, &named, 0) == 0 &&
                (named.st_ino != st.st_ino || named.st_dev != st.st_dev);
    scratch_end(path, SETTINGS_PATH_MAX);
    return other;
}

static void report_stale(const struct waiting *w) {
    atomic_store(&w->description->gone, true);
    finding_stale(w->request, w->description);
}

/* What is known of the holder, and since when it is waited for. */
struct wait_end {
    const struct finding_holder *holder;
    enum ancestry ancestry; /* when the wait began */
    int64_t began;
};

static enum ancestry ancestry_now(pid_t holder) {
    if (!holder_proc_is_ours())
        return ANCESTRY_NONE;
    return ancestry_of((pid_t)sys_call3(SYS_getppid, 0, 0, 0), holder);
}

static void report_ancestor(const struct waiting *w, const struct wait_end *end, int64_t since,
                            enum ancestry ancestry, struct log_place *provisional) {
    finding_ancestor(
        w->request, w->description->file, end->holder, since,
        ancestry == ANCESTRY_HANGS
            ? "the holder is an ancestor of the process that waits, and waits for it to "
              "end in turn: neither ever will"
            : "the holder is an ancestor of the process that waits; if it waits for it "
              "in turn, neither will ever end",
        provisional);
}

static bool gave_up(int result, int64_t lasted) {
    return has_timeout() && lasted >= settings.lock_timeout_ns &&
           (result == -EDEADLK || result == -EWOULDBLOCK);
}

static void report_end(struct wait_in_kernel *k, int result, const struct wait_end *end) {
    const struct waiting *w = k->waiting;
    struct file *file = w->description->file;
    int64_t lasted = now(CLOCK_MONOTONIC) - end->began;
    int64_t since = now(CLOCK_REALTIME) - lasted;
    bool timed_out = gave_up(result, lasted);
    report_cycle(k, result == -EDEADLK && !timed_out ? ACTION_REFUSED : ACTION_WAITED);
    bool was_long = settings.wait_warn_ns > 0 && lasted >= settings.wait_warn_ns;
    if (timed_out)
        finding_about_process(EVENT_LOCK_TIMEOUT, ACTION_REFUSED, w->request, file, end->holder,
                              since,
                              "the wait was given up after the limit that lock-timeout sets");
    else if (was_long)
        finding_about_process(EVENT_LONG_WAIT, ACTION_WAITED, w->request, file, end->holder, since,
                              "the wait lasted longer than the limit that wait-warn sets");
    /* Where it was sure from the beginning it was said then. */
    if (end->ancestry == ANCESTRY_ANCESTOR && (timed_out || was_long))
        report_ancestor(w, end, since,
                        result == 0 ? ANCESTRY_ANCESTOR : ancestry_now(end->holder->pid), NULL);
    if (result == 0 && is_stale(w))
        report_stale(w);
}

/* ---- The whole ---- */

static bool publish(struct wait_in_kernel *k, struct holds *holds) {
    const struct waiting *w = k->waiting;
    const struct request *q = w->request;
    struct wait_request request = {
        .want = wait_lock_of(w->owner, w->description->file, q->range.start, q->range.end,
                             (uint8_t)q->type),
        .hold_at = hold_at,
        .context = holds,
        .since_ns = now(CLOCK_REALTIME),
        .pid = sys_getpid(),
        .tid = owner_tid(),
        .fd = q->fd,
        .stack = stack_capture(q->caller->return_address, q->caller->frame)};
    sys_call3(SYS_prctl, PR_GET_NAME, (long)request.thread, 0);
    return wait_publish(&k->ticket, &request) == 0;
}

static bool may_refuse(const struct waiting *w) {
    return w->kind == WAIT_HIDDEN && !finding_program_hands_over();
}

/* Looks for a cycle. 0: wait; 1: the lock is granted after all; -EDEADLK: refused. */
static int settle_cycle(struct wait_in_kernel *k, struct wait_cycle **cycle, bool *deadlock) {
    const struct waiting *w = k->waiting;
    *deadlock = false;
    if (!wait_scan(&k->ticket, *cycle))
        return 0;
    /* A holder may have let go while the cycle was read. */
    int again = try_now(w);
    if (again == 0)
        return 1;
    *deadlock = true;
    bool refuse = may_refuse(w);
    bool may_kernel = w->kind == WAIT_POSIX;
    finding_deadlock(w->request, w->description->file, *cycle,
                     refuse ? ACTION_REFUSED : ACTION_WAITED, NULL,
                     may_kernel ? &k->cycle_record : NULL);
    if (may_kernel) {
        k->cycle = *cycle;
        *cycle = NULL;
    }
    return refuse ? -EDEADLK : 0;
}

static int prepare(struct wait_in_kernel *k, bool *deadlock) {
    struct holds holds;
    struct wait_cycle *cycle = scratch_begin(sizeof *cycle);
    holds_begin(&holds, k->waiting->request->room, owner_tid());
    int result = 0;
    *deadlock = false;
    if (publish(k, &holds) && cycle)
        result = settle_cycle(k, &cycle, deadlock);
    holds_end(&holds);
    scratch_end(cycle, sizeof *cycle);
    return result;
}

static void report_own_lock(const struct waiting *w) {
    struct met met;
    enum owner_class class = (enum owner_class)w->owner->class;
    if (find_conflict(w->request->room, w->description->file, w->owner, class, &w->request->range,
                      w->request->type, &met))
        finding(EVENT_SELF_LOCK, ACTION_WAITED, w->request, w->description->file, &met);
}

static void show(struct wait_in_kernel *k) {
    const struct waiting *w = k->waiting;
    const struct request *q = w->request;
    if (!settings.out[0])
        return;
    struct picture_request request = finding_picture_request(q, w->description->file);
    request.stack = k->stack = stack_capture(q->caller->return_address, q->caller->frame);
    request.since_ns = now(CLOCK_REALTIME);
    k->shown = picture_begin_wait(&request);
}

/* A program that is killed in the wait has said so before. That an ancestor holds the lock is a
 * finding at once only where the ancestor cannot release it; many a parent does, soon. */
static void record_begin(struct wait_in_kernel *k, const struct wait_end *end) {
    const struct waiting *w = k->waiting;
    int64_t since = now(CLOCK_REALTIME);
    if (!settings.out[0])
        return;
    if (settings.wait_warn_ns > 0)
        finding_wait_begins(w->request, w->description->file, end->holder, since, &k->record);
    if (end->holder->pid > 0 && w->kind != WAIT_HIDDEN && w->kind != WAIT_POSIX)
        finding_if_leaked(w->request, w->description->file, end->holder);
    if (end->ancestry == ANCESTRY_HANGS)
        report_ancestor(w, end, since, end->ancestry, NULL);
    else if (end->ancestry == ANCESTRY_ANCESTOR && settings.wait_warn_ns > 0)
        report_ancestor(w, end, since, end->ancestry, &k->ancestor_record);
}

static void trace_end_of(const struct wait_in_kernel *k, enum trace_operation operation,
                         const struct traced_wait *wait) {
    const struct waiting *w = k->waiting;
    trace_wait(operation, w->request, w->description->file, w->owner, k->stack, wait);
}

/* A ring through processes that wait for their children. It is told and not refused, for it is another's
 * lock that we judge by what its holder does at this moment. */
static void report_ring(const struct wait_in_kernel *k, pid_t holder) {
    const struct waiting *w = k->waiting;
    const struct request *q = w->request;
    struct wait_cycle *cycle = scratch_begin(sizeof *cycle);
    if (!cycle)
        return;
    struct wait_party *here = &cycle->parties[0];
    *here = (struct wait_party){.pid = sys_getpid(),
                                .tid = owner_tid(),
                                .fd = q->fd,
                                .stack = k->stack,
                                .since_ns = now(CLOCK_REALTIME),
                                .want = wait_lock_of(w->owner, w->description->file, q->range.start,
                                                     q->range.end, (uint8_t)q->type)};
    sys_call3(SYS_prctl, PR_GET_NAME, (long)here->thread, 0);
    if (holder_of(w) == holder && ring_find(cycle, k->shown, holder))
        finding_deadlock(q, w->description->file, cycle, ACTION_WAITED,
                         "each waits for a lock whose holder waits for the next one to end", NULL);
    scratch_end(cycle, sizeof *cycle);
}

int wait_for_lock(const struct waiting *w) {
    struct wait_in_kernel k = {.waiting = w, .outer = wait_here};
    struct wait_end end = {.holder = &k.holder, .began = now(CLOCK_MONOTONIC)};
    int64_t began = settings.trace ? trace_time() : 0;
    bool deadlock;
    int result;
    if (!owner_pin(w->owner))
        return -ESRCH;
    atomic_fetch_add(&w->request->room->waiting, 1);
    wait_here = &k;
    pthread_cleanup_push(leave_wait, &k);
    result = prepare(&k, &deadlock);
    if (result == 0) {
        if (!deadlock)
            report_own_lock(w);
        show(&k);
        pid_t holder = holder_of(w);
        if (settings.out[0])
            finding_holder_begin(&k.holder, w->request, w->description->file, holder);
        end.ancestry = ancestry_now(holder);
        picture_set_holder(k.shown, holder, end.ancestry);
        if (settings.trace)
            trace_end_of(&k, TRACE_WAIT_BEGAN, &(struct traced_wait){began, holder, 0});
        if (!deadlock && end.ancestry == ANCESTRY_NONE && k.shown)
            report_ring(&k, holder);
        record_begin(&k, &end);
        result = has_timeout() ? wait_until_timeout(&k, end.began) : wait_now(w);
        if (settings.trace)
            trace_end_of(&k, TRACE_WAIT_ENDED, &(struct traced_wait){0, holder, result});
        log_take_back(&k.record);
        log_take_back(&k.ancestor_record);
        report_end(&k, result, &end);
    }
    pthread_cleanup_pop(1);
    return result == 1 ? 0 : result;
}

void wait_jumped_out(void) {
    while (wait_here)
        leave_wait(wait_here);
}

void wait_holds_changed(struct room *room, int32_t tid) {
    struct holds holds;
    if (!wait_any())
        return;
    holds_begin(&holds, room, tid);
    wait_republish(tid, hold_at, &holds);
    holds_end(&holds);
}
