/* A lock for short critical sections, held with every signal blocked.
 *
 * The rules: no libc call runs under one, and no system call that waits for another process or thread; what
 * is opened or closed under one lies in /proc or is the library's own. The order of the locks stands in
 * doc/design.md. So waiters may yield until the holder is done. All zero is unlocked, so memory that fork wipes
 * comes up unlocked in the child.
 *
 * Async-signal-safe: a handler cannot run on the holder's thread while it holds one.
 */
#ifndef RACESHIM_BASE_SHORT_LOCK_H
#define RACESHIM_BASE_SHORT_LOCK_H

#include "base/owner.h"
#include "base/sys.h"

#include <stdatomic.h>

/* Holds every signal of this thread off, libc's own included. Pairs nest, and only the outermost
 * one costs system calls, so that a call which needs several locks is wrapped in one. */
static inline void signals_hold(struct sys_sigset *saved) {
    /* A vfork child may end inside, and its parent would count on. */
    if (owner_is_vfork_child() || owner_held_signals == 0)
        sys_block_signals(saved);
    if (!owner_is_vfork_child())
        owner_held_signals++;
}

static inline void signals_release(const struct sys_sigset *saved) {
    if (owner_is_vfork_child() || --owner_held_signals == 0)
        sys_restore_signals(saved);
}

struct short_lock {
    _Atomic uint32_t taken;
};

/* For those who have blocked signals already. */
static inline void short_lock_take_quiet(struct short_lock *lock) {
    for (unsigned spins = 0; atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire);
         spins++)
        if (spins > 1000)
            sys_pause(50 * 1000); /* a holder of lower real-time priority must get its turn */
        else if (spins > 100)
            sys_sched_yield();
}

static inline void short_lock_give_quiet(struct short_lock *lock) {
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
}

static inline void short_lock_take(struct short_lock *lock, struct sys_sigset *saved) {
    signals_hold(saved);
    short_lock_take_quiet(lock);
}

static inline void short_lock_give(struct short_lock *lock, const struct sys_sigset *saved) {
    short_lock_give_quiet(lock);
    signals_release(saved);
}

#endif
