#include "lock/ring.h"

#include "base/proc.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "lock/ancestor.h"
#include "lock/holders.h"
#include "lock/room.h"

#include <string.h>

/* Waits that are looked at, and members of a ring. */
#define WAITS_MAX 256
#define RING_MAX 8

struct search {
    struct wait_cycle *cycle;
    pid_t parent; /* of this process */
    uint32_t count;
    struct picture_waiting waits[WAITS_MAX];
    bool is_member[WAITS_MAX];
};

static bool has_one_thread(pid_t pid, pid_t *parent) {
    struct proc_stat process;
    if (proc_stat(pid, &process) != 0 || process.threads != 1)
        return false;
    *parent = process.parent;
    return true;
}

static void collect(struct search *search) {
    for (uint32_t place = 0; place < PICTURE_WAITS && search->count < WAITS_MAX; place++)
        search->count += picture_waiting_at(place, &search->waits[search->count]);
}

/* Can the process not release a lock before the wait has ended: is it the one that waits, or waits
 * for it to end? */
static bool hangs_on(pid_t holder, const struct picture_waiting *wait) {
    pid_t parent;
    return has_one_thread(wait->pid, &parent) &&
           (wait->pid == holder || ancestry_of(parent, holder) == ANCESTRY_HANGS);
}

/* Who was granted the lock is shown as one that waits for a moment longer. */
static bool still_waits(const struct picture_waiting *wait) {
    enum range_type type = wait->type;
    pid_t holder = wait->lock_class == OWNER_FLOCK
                       ? holder_find_flock(wait->dev, wait->ino, type)
                       : holder_find(wait->dev, wait->ino, &wait->range, type);
    return holder > 0 && holder != wait->pid;
}

static bool hangs_on_us(const struct search *search, pid_t holder) {
    return holder == sys_getpid() || ancestry_of(search->parent, holder) == ANCESTRY_HANGS;
}

static struct wait_party party_of(const struct picture_waiting *wait) {
    struct wait_party party = {
        .pid = wait->pid,
        .tid = wait->tid,
        .fd = wait->fd,
        .since_ns = wait->since_ns,
        .want = {.dev = wait->dev, .ino = wait->ino, .range = wait->range, .type = wait->type}};
    memcpy(party.thread, wait->thread, sizeof party.thread);
    return party;
}

/* Follows the waits on which the holder of the last member's lock hangs. */
static bool follow(struct search *search, pid_t holder, uint32_t members) {
    for (uint32_t i = 0; i < search->count; i++) {
        const struct picture_waiting *wait = &search->waits[i];
        if (search->is_member[i] || wait->holder <= 0 || !hangs_on(holder, wait) ||
            !still_waits(wait))
            continue;
        search->is_member[i] = true;
        search->cycle->parties[members] = party_of(wait);
        search->cycle->count = search->cycle->length = members + 1;
        if (hangs_on_us(search, wait->holder) ||
            (members + 1 < RING_MAX && follow(search, wait->holder, members + 1)))
            return true;
        search->is_member[i] = false;
    }
    return false;
}

/* The place that all who find the ring agree on. */
static uint32_t first_place(const struct search *search, uint32_t mine) {
    uint32_t first = mine;
    for (uint32_t i = 0; i < search->count; i++)
        if (search->is_member[i] && search->waits[i].place < first)
            first = search->waits[i].place;
    return first;
}

bool ring_find(struct wait_cycle *cycle, const struct picture_wait *mine, pid_t holder) {
    pid_t parent, parent_of_holder;
    if (holder <= 0 || !holder_proc_is_ours() || !has_one_thread(sys_getpid(), &parent) ||
        !has_one_thread(holder, &parent_of_holder))
        return false;
    struct search *search = scratch_begin(sizeof *search);
    if (!search)
        return false;
    search->cycle = cycle;
    search->parent = parent;
    collect(search);
    bool found = follow(search, holder, 1) &&
                 picture_may_tell_ring(first_place(search, picture_place_of(mine)));
    scratch_end(search, sizeof *search);
    return found;
}
