#include "env/lock.h"

#include "base/owner.h"
#include "base/sys.h"
#include "env/array.h"

#include <errno.h>

/* Times it was taken : 32 | thread id of the holder, 0 if it is free : 32. */
_Atomic uint64_t env_lock_word;

/* This thread took it for a fork of its own. */
static __thread bool taken_for_fork;

#define HOLDER(state) ((pid_t)(uint32_t)(state))
#define TAKEN_BY(state, tid) ((((state) >> 32) + 1) << 32 | (uint32_t)(tid))
#define FREED(state) ((state) & ~(uint64_t)UINT32_MAX)

#define FORK_WAIT_NS (100 * 1000000L)
/* The longest wait for one that exists and does not move: its id may be that of a thread that died as the holder. */
#define WAIT_NS (10 * 1000000000L)
#define PAUSE_NS (50 * 1000L)
#define LOOK_EVERY_NS (5 * 1000000L)
/* Looks before the first pause, each after twice as long a time. Each look takes the lock's memory away from who holds
 * it; who pauses lets the other make many changes meanwhile, at the cost of each when alone. */
#define LOOKS 7

static pid_t own_tid(void) {
    /* Who shares memory without being a thread shares the cached id as well. */
    if (__builtin_expect(atomic_load_explicit(&owner_lender, memory_order_relaxed) != 0, 0))
        return sys_gettid();
    return owner_tid();
}

/* A vfork child, and who shares memory with another process, cannot tell by a thread's id. */
static bool is_gone(pid_t tid) {
    if (owner_is_vfork_child() || atomic_load_explicit(&owner_lender, memory_order_relaxed) != 0)
        return false;
    return sys_tgkill(sys_getpid(), tid, 0) == -ESRCH;
}

static bool take(uint64_t state, pid_t tid) {
    return atomic_compare_exchange_strong_explicit(&env_lock_word, &state, TAKEN_BY(state, tid),
                                                   memory_order_acquire, memory_order_relaxed);
}

static bool take_over(uint64_t state, pid_t tid) {
    if (!take(state, tid))
        return false;
    array_mend();
    return true;
}

static void linger(unsigned times) {
    for (; times > 0; times--)
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" ::: "memory");
#endif
}

/* Waits for at most so long for a holder that does not move. */
static bool wait_for(pid_t tid, long most_ns) {
    uint64_t seen = 0;
    long waited = 0;
    for (unsigned turn = 0;; turn++) {
        uint64_t state = atomic_load_explicit(&env_lock_word, memory_order_relaxed);
        if (HOLDER(state) == 0) {
            if (take(state, tid))
                return true;
            continue;
        }
        if (HOLDER(state) == tid)
            return false;
        if (state != seen) {
            seen = state;
            waited = 0;
        }
        if (turn < LOOKS) {
            linger(1u << turn);
        } else {
            if (waited % LOOK_EVERY_NS == 0 && is_gone(HOLDER(state)) && take_over(state, tid))
                return true;
            if (waited >= most_ns)
                return false;
            sys_pause(PAUSE_NS); /* a holder of lower real-time priority must get its turn */
            waited += PAUSE_NS;
        }
    }
}

bool env_lock(void) {
    pid_t tid = own_tid();
    uint64_t state = atomic_load_explicit(&env_lock_word, memory_order_relaxed);
    if (__builtin_expect(HOLDER(state) == 0, 1) && __builtin_expect(take(state, tid), 1))
        return true;
    return wait_for(tid, WAIT_NS);
}

bool env_lock_try(void) {
    uint64_t state = atomic_load_explicit(&env_lock_word, memory_order_relaxed);
    return HOLDER(state) == 0 && take(state, own_tid());
}

void env_unlock(void) {
    uint64_t state = atomic_load_explicit(&env_lock_word, memory_order_relaxed);
    atomic_store_explicit(&env_lock_word, FREED(state), memory_order_release);
}

void env_lock_before_fork(void) {
    taken_for_fork = env_lock_try() || wait_for(own_tid(), FORK_WAIT_NS);
}

void env_lock_after_fork_parent(void) {
    if (taken_for_fork)
        env_unlock();
    taken_for_fork = false;
}

/* A handler that interrupted a holder forks: the child's copy of that call goes on when the handler returns. */
void env_lock_after_fork_child(void) {
    uint64_t state = atomic_load_explicit(&env_lock_word, memory_order_relaxed);
    bool whole = taken_for_fork || HOLDER(state) == 0;
    taken_for_fork = false;
    if (!whole && HOLDER(state) == owner_tid_cache) {
        atomic_store_explicit(&env_lock_word, FREED(state) | (uint32_t)sys_gettid(),
                              memory_order_relaxed);
        return;
    }
    if (!whole)
        array_mend();
    atomic_store_explicit(&env_lock_word, FREED(state), memory_order_release);
}

bool env_lock_jumped_slow(void) {
    uint64_t state = atomic_load_explicit(&env_lock_word, memory_order_relaxed);
    if (HOLDER(state) == 0 || HOLDER(state) != own_tid())
        return false;
    array_mend();
    env_unlock();
    return true;
}
