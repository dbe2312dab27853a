/* This process's part of the session's picture (picture_layout.h), and what it says of others.
 *
 * The file is made and mapped at the first lock or wait of a process that has a session directory;
 * one that never locks has nothing of it. Where it cannot be had, nothing is shown, and nothing else
 * changes.
 *
 * All functions are async-signal-safe and leave errno alone; none waits.
 */
#ifndef RACESHIM_LOCK_PICTURE_H
#define RACESHIM_LOCK_PICTURE_H

#include "lock/ancestor.h"
#include "lock/picture_layout.h"
#include "lock/range.h"

#include <stdbool.h>
#include <sys/types.h>

/* ---- What this process holds ---- */

/* A hold for an owner that has none yet; NULL: it is not shown. Not inside a turn. */
struct picture_hold *picture_take(uint64_t dev, uint64_t ino, uint32_t lock_class);
void picture_give(struct picture_hold *hold);

/* What the owner holds now. Belongs to every lock and unlock: a handful of stores to one line of the
 * cache. One caller at a time for a hold. */
static inline void picture_update(struct picture_hold *hold, const struct range_set *set) {
    if (hold == NULL)
        return;
    uint32_t seq = atomic_load_explicit(&hold->seq, memory_order_relaxed) | 1;
    atomic_store_explicit(&hold->seq, seq, memory_order_relaxed);
    if (set->count != 0) {
        const struct held *first = &set->items[0];
        atomic_store_explicit(&hold->start, first->start, memory_order_release);
        atomic_store_explicit(&hold->end, first->end, memory_order_release);
        atomic_store_explicit(&hold->since, first->since_ns, memory_order_release);
        atomic_store_explicit(&hold->type, first->type, memory_order_release);
        atomic_store_explicit(&hold->fd, first->fd, memory_order_release);
        atomic_store_explicit(&hold->tid, first->tid, memory_order_release);
        atomic_store_explicit(&hold->stack, first->stack, memory_order_release);
    }
    atomic_store_explicit(&hold->count, set->count, memory_order_release);
    atomic_store_explicit(&hold->seq, seq + 1, memory_order_release);
}

/* PREFIX and this process's place and generation: a name for a file of its own in the session. False:
 * it is not in the picture. */
bool picture_name_file(const char *prefix, char *name, size_t size);

/* How many holds this process has: owners that hold something, or did. One load. */
extern _Atomic uint32_t picture_hold_count;

/* Writes the stack into this process's file of stacks, unless that was done: others then know it by
 * its number. Two loads once it was. Not inside a turn. */
#define PICTURE_TOLD_WORDS (1 << 15) /* a bit for every stack_id there can be */
extern _Atomic uint64_t picture_stacks_told[PICTURE_TOLD_WORDS];
void picture_tell_stack_slow(uint32_t stack);
static inline void picture_tell_stack(uint32_t stack) {
    if (__builtin_expect(
            !(atomic_load_explicit(&picture_stacks_told[stack / 64 % PICTURE_TOLD_WORDS],
                                   memory_order_relaxed) >>
                  stack % 64 &
              1),
            0))
        picture_tell_stack_slow(stack);
}

/* ---- What it waits for ---- */

struct picture_request {
    uint64_t dev, ino;
    struct byte_range range;
    enum range_type type;
    uint32_t lock_class;
    int fd;
    pid_t tid;
    uint32_t stack;
    int64_t since_ns;
    pid_t taker; /* flock: who took the lock that is in the way, dead or alive; 0: not known */
};

struct picture_wait *picture_begin_wait(const struct picture_request *request);
void picture_set_holder(struct picture_wait *wait, pid_t holder, enum ancestry ancestry);
void picture_end_wait(struct picture_wait *wait);

/* ---- What others wait for ---- */

struct picture_waiting {
    uint32_t place;
    pid_t pid, tid;
    pid_t holder; /* of what it waits for; 0: not known */
    int fd;
    int64_t since_ns;
    uint64_t dev, ino;
    struct byte_range range;
    uint8_t type;        /* enum range_type */
    uint32_t lock_class; /* enum owner_class */
    char thread[16];
};

/* The wait at that place, 0 to PICTURE_WAITS - 1, if it is one of another process that lives and is
 * in the pid namespace of this one. */
bool picture_waiting_at(uint32_t place, struct picture_waiting *waiting);

uint32_t picture_place_of(const struct picture_wait *wait);

/* For the member of a ring that lies first: true for the first one who asks. */
bool picture_may_tell_ring(uint32_t place);

/* ---- What others hold ---- */

struct picture_holder {
    pid_t pid;    /* its number here; 0: it has none that can be found */
    pid_t ns_pid; /* in its own pid namespace, if that is another one; else 0 */
    pid_t tid;
    int fd;
    int64_t since_ns;
    /* Its program was started in this session with the descriptor, by or through a process that took
     * the lock and has ended. */
    bool leaked;
    pid_t taker;       /* who that was */
    char command[480]; /* words separated by NULs, ended by two */
    char stack[8192];  /* a JSON array of frames; "": not known */
};

/* The lock of another process which keeps this request out. pid: who holds it, if that is known
 * already (0 otherwise). Where its own hold is not in the picture, that of the taker, which has ended,
 * tells since when it is held: a descriptor may outlive the process that locked through it. */
bool picture_find_holder(const struct picture_request *request, pid_t pid,
                         struct picture_holder *holder);

/* ---- In which order ---- */

/* Two locks that were taken in both orders, by blocking requests that exclude each other. */
struct picture_inversion {
    int held_fd;                       /* of this thread's lock that is held meanwhile */
    const struct picture_order *other; /* the other order */
};

/* This thread was granted a lock that it would have waited for. Takes down, for the whole session,
 * that it came after each other one that the thread holds. True, once for each two files in this
 * process: they were taken in the other order too. hold: of the lock that was granted. */
bool picture_note_order(struct picture_hold *hold, const struct picture_request *request,
                        struct picture_inversion *inversion);

/* Who took them in that order; it may have ended. */
void picture_describe_order(const struct picture_order *order, struct picture_holder *who);

/* In a forked child. */
void picture_after_fork(void);

#endif
