/* F_OFD_SETLK and flock: the program itself asks for locks that belong to the description. They are
 * the kernel's alone; here is only kept account of them, so that findings can name them. */
#include "lock/request.h"

#include "base/owner.h"
#include "base/user_memory.h"
#include "lock/closing.h"
#include "lock/findings.h"
#include "lock/model.h"
#include "lock/picture.h"
#include "lock/trace.h"
#include "lock/wait.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

struct native {
    struct request request;
    struct description *description;
    struct owner *owner;
    enum wait_kind kind;
    bool unlock;
    bool wait;
};

/* The kernel said yes. */
static void keep_account(const struct native *n) {
    const struct request *q = &n->request;
    struct met met;
    bool shared = false;
    stack_id stack = 0;
    enum turn turn = owner_enter(n->owner);
    if (turn == TURN_GONE)
        return;
    if (turn == TURN_ALONE) {
        const struct held *other =
            n->unlock ? NULL : model_other_thread(n->owner, &q->range, q->type, owner_tid());
        if (other) {
            shared = true;
            met = (struct met){.held = *other, .fd = other->fd};
        }
        model_make_room(q->room, n->owner, &q->range);
        if (n->unlock) {
            model_unlocked(n->owner, &q->range);
        } else {
            struct held held = request_held(q);
            stack = held.stack;
            model_locked(n->owner, &held);
        }
    }
    if (owner_leave(n->owner, turn))
        closing_finish_owner(q->room, n->owner);
    trace(n->unlock ? TRACE_UNLOCKED : TRACE_GRANTED, q, n->description->file, n->owner, stack, 0);
    if (stack != 0 && n->owner->shown) {
        picture_tell_stack(stack);
        if (n->wait)
            finding_if_inverted(q, n->description->file, n->owner->shown, stack);
    }
    if (!n->unlock && atomic_load(&n->description->gone))
        finding_stale(q, n->description);
    if (shared)
        finding(EVENT_SHARED_DESCRIPTION, ACTION_GRANTED, q, n->description->file, &met);
}

static void report_conflict(const struct native *n) {
    struct met met;
    if (find_conflict(n->request.room, n->description->file, n->owner,
                      (enum owner_class)n->owner->class, &n->request.range, n->request.type, &met))
        finding(EVENT_SELF_LOCK, ACTION_DENIED, &n->request, n->description->file, &met);
}

static int finish(struct native *n, int result) {
    if (result == -EAGAIN && n->wait) {
        struct waiting w = {&n->request, n->description, n->owner, n->kind};
        result = wait_for_lock(&w);
    } else if (result == -EAGAIN) {
        report_conflict(n);
        trace(TRACE_REFUSED, &n->request, n->description->file, n->owner, 0, result);
    }
    if (result == 0)
        keep_account(n);
    return result;
}

/* False: nothing is to be watched here. */
static bool begin(struct native *n, int fd, enum owner_class class, const struct caller *caller) {
    n->request.fd = fd;
    n->request.caller = caller;
    if (!describe_wanted() || owner_is_vfork_child())
        return false;
    /* An unlock of a lock that is not known is no finding, but an operation: the lock may be another
     * process's, with whom the description is shared. */
    bool only_known = n->unlock && !settings.trace;
    n->request.room = only_known ? room_here() : room_begin();
    if (!n->request.room)
        return false;
    n->description = only_known ? describe(n->request.room, fd, DESCRIBE_KNOWN)
                                : describe_for_lock(n->request.room, fd);
    if (!n->description)
        return false;
    n->owner = describe_native_owner(n->request.room, n->description, fd, class);
    n->request.owner = n->owner;
    return n->owner != NULL;
}

int request_description_lock(int fd, int cmd, struct flock *lock, const struct caller *caller) {
    struct native n = {.kind = WAIT_OFD, .wait = cmd == F_OFD_SETLKW};
    if (!describe_wanted() || !user_readable(lock, sizeof *lock))
        return REQUEST_PASS;
    struct flock copy = *lock;
    n.unlock = copy.l_type == F_UNLCK;
    n.request.type = copy.l_type == F_WRLCK ? RANGE_WRITE : RANGE_READ;
    if (copy.l_pid != 0 || copy.l_whence != SEEK_SET ||
        range_from_flock(0, copy.l_start, copy.l_len, &n.request.range) < 0 ||
        !begin(&n, fd, OWNER_OFD, caller))
        return REQUEST_PASS;
    return finish(&n, sys_fcntl(fd, F_OFD_SETLK, (long)&copy));
}

int request_flock(int fd, int operation, const struct caller *caller) {
    struct native n = {.kind = WAIT_FLOCK_CALL, .wait = !(operation & LOCK_NB)};
    int what = operation & ~LOCK_NB;
    if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
        return REQUEST_PASS;
    n.unlock = what == LOCK_UN;
    n.request.type = what == LOCK_EX ? RANGE_WRITE : RANGE_READ;
    n.request.range = (struct byte_range){0, RANGE_MAX};
    if (!begin(&n, fd, OWNER_FLOCK, caller))
        return REQUEST_PASS;
    return finish(&n, (int)sys_call3(SYS_flock, fd, what | LOCK_NB, 0));
}
