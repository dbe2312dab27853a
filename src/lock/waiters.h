/* Who waits for which lock while holding which others: finds the waits that can never end, among
 * threads and among the processes of one user.
 *
 * A thread that is about to wait in the kernel publishes what it wants and what it holds, then
 * looks for a cycle, then waits:
 *
 *     struct wait_ticket ticket = {0};
 *     wait_publish(&ticket, &request);
 *     if (wait_scan(&ticket, cycle) && the lock, tried once more without waiting, is still refused)
 *         result = -EDEADLK;
 *     else
 *         ... wait in the kernel ...
 *     wait_withdraw(&ticket);          before anything that was held or gained is released
 *
 * States of a slot:
 *
 *     idle --publish--> writing --> waiting <--republish--> rewriting
 *      ^                             |   |
 *      |<---------withdraw-----------'   '--scan finds a cycle--> doomed
 *      '<---------withdraw------------------------------------------'
 *
 * Each cycle has exactly one victim. At least one: who publishes last of its members sees the
 * others (each publishes, then a full fence, then looks). At most one: who found a cycle looks
 * again while it holds the referee's byte, and leaves the graph (doomed) before it gives that back,
 * so the next one finds the cycle cut. Only who found a cycle takes that byte; everyone else
 * neither waits for another process nor makes one wait.
 *
 * Which slot belongs to which process: byte i of the shared file is locked, through a hidden
 * description, by the process that has slot i. The kernel drops the lock when the process ends,
 * however it ends, so what it left behind is known to be nobody's. Slots once taken stay the
 * process's; its threads share them by a bitmap in its own memory.
 *
 * What is found in shared memory is confirmed before it counts: each member must be unchanged from
 * before the search until after it, its process alive, and each lock of another process confirmed
 * by its fdinfo where that can be read.
 *
 * Where nothing can be shared, the slots lie in the process's own memory: cycles among its threads
 * are still found.
 *
 * All functions are async-signal-safe, and nothing waits without a bound. A process that never
 * waits never comes here.
 */
#ifndef RACESHIM_LOCK_WAITERS_H
#define RACESHIM_LOCK_WAITERS_H

#include "lock/shared.h"
#include "lock/wait_graph.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A lock held by the thread that waits, and the descriptor that carries it in the kernel (-1:
 * cannot be asked). */
struct wait_hold {
    struct wait_lock lock;
    int carrier;
};

/* The index-th lock that the waiting thread took last; false behind the last one. It is called with
 * all signals blocked and no lock of this file's held, with indexes 0, 1, 2, ... At index 0 the
 * wait is already announced: a list made then misses nothing that a later wait_republish would not
 * tell, one made before may miss a release. */
typedef bool wait_hold_at(void *context, uint32_t index, struct wait_hold *hold);

struct wait_request {
    struct wait_lock want;
    wait_hold_at *hold_at; /* NULL: holds nothing */
    void *context;
    int64_t since_ns;
    pid_t pid;
    pid_t tid;
    int fd;
    uint32_t stack; /* means something in this process only */
    char thread[16];
};

/* All zero: nothing is published. */
struct wait_ticket {
    uint32_t place; /* the slot's index + 1 */
};

#define WAIT_CYCLE_MAX 32

struct wait_party {
    pid_t pid; /* 0: in a pid namespace that is not ours */
    pid_t tid;
    int fd;
    uint32_t stack; /* 0 for another process */
    int64_t since_ns;
    char thread[16];
    struct wait_lock want;
    struct wait_lock hold; /* its lock that blocks the party before it (for the first: the last) */
};

/* parties[0] is the one who asked, each waits for the next and the last for the first. About 5 KiB:
 * not for a handler's stack. */
struct wait_cycle {
    uint32_t length; /* of the whole cycle */
    uint32_t count;  /* parties that are told: at most WAIT_CYCLE_MAX */
    struct wait_party parties[WAIT_CYCLE_MAX];
};

/* What tells this process's owners from those of others; never 0, another one in each forked child.
 */
uint32_t wait_process_key(void);

/* For struct wait_lock: the key of this process's owner of that number. */
static inline uint64_t wait_owner_key(uint32_t number) {
    return (uint64_t)wait_process_key() << 32 | number;
}

/* Can the waits of other processes be seen? (False also before the first wait.) */
bool wait_sees_others(void);

/* 0, or -errno: nothing is published, the wait goes unseen. Locks that find no room are left out: a
 * cycle through them is not found. */
int wait_publish(struct wait_ticket *ticket, const struct wait_request *request);

/* true: this wait can never end, the cycle is in *cycle, and the others count on its being given
 * up: they no longer see it. false: no cycle, or none that needs this one to give way; others see
 * the wait. May be asked again any number of times; the same cycle is told once. A ticket with
 * nothing published has none. */
bool wait_scan(const struct wait_ticket *ticket, struct wait_cycle *cycle);

/* The wait has ended, in whatever way. */
void wait_withdraw(struct wait_ticket *ticket);

/* Does any thread of this process wait? One load. */
extern _Atomic uint32_t wait_published;
static inline bool wait_any(void) {
    return atomic_load_explicit(&wait_published, memory_order_relaxed) != 0;
}

/* Locks of a thread of this process that waits were released or taken over by another thread: they
 * are asked for anew. Nothing happens if that thread does not wait. */
void wait_republish(pid_t tid, wait_hold_at *hold_at, void *context);

/* In a forked child, before any other of these and after hidden_after_fork_child. */
void waiters_after_fork(void);

#endif
