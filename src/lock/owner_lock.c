#include "lock/owner_lock.h"

#include "base/sys.h"

#include <errno.h>

/* The word says that this thread is alone in it. Is it, with this call from a signal handler above?
 * Or did a handler jump out of that turn? On the ordinary stack a live turn lies above (at a higher
 * address than) everything that was called since. */
static bool turn_was_left(const struct owner *owner) {
    stack_t alternate;
    long result = sys_call3(SYS_sigaltstack, 0, (long)&alternate, 0);
    if (result < 0 || (alternate.ss_flags & SS_ONSTACK))
        return false;
    return owner->turn_frame != 0 && (uintptr_t)__builtin_frame_address(0) > owner->turn_frame;
}

static enum turn enter_as_guest(struct owner *owner, uint64_t state) {
    do {
        if (state & OWNER_CLOSING)
            return TURN_GONE;
    } while (
        !atomic_compare_exchange_weak(&owner->state, &state, (state + OWNER_USER) | OWNER_UNSURE));
    return TURN_GUEST;
}

enum turn owner_enter_slow(struct owner *owner, uint64_t state) {
    uint64_t self = (uint64_t)owner_tid();
    for (unsigned tries = 0; tries < 2000; tries++) {
        if (state & OWNER_CLOSING)
            return TURN_GONE;
        uint64_t holder = state >> 32;
        if (holder == self) {
            if (!turn_was_left(owner))
                return enter_as_guest(owner, state);
            owner_doubt(owner);
            atomic_fetch_sub(&owner->state, (self << 32) + OWNER_USER);
        } else if (holder == 0) {
            if (atomic_compare_exchange_weak(&owner->state, &state,
                                             (state + OWNER_USER) | self << 32)) {
                owner->turn_frame = (uintptr_t)__builtin_frame_address(0);
                return TURN_ALONE;
            }
            continue;
        } else if (tries > 200) {
            sys_sched_yield();
        }
        state = atomic_load(&owner->state);
    }
    /* A thread that was cancelled in its turn does not come back. */
    if (state >> 32 != 0 && sys_tgkill(sys_getpid(), (pid_t)(state >> 32), 0) == -ESRCH &&
        atomic_compare_exchange_strong(&owner->state, &state,
                                       ((state - OWNER_USER) & UINT32_MAX) | OWNER_UNSURE))
        state = atomic_load(&owner->state);
    return enter_as_guest(owner, state);
}

bool owner_pin(struct owner *owner) {
    uint64_t state = atomic_load(&owner->state);
    do {
        if (state & OWNER_CLOSING)
            return false;
    } while (!atomic_compare_exchange_weak(&owner->state, &state, state + OWNER_USER));
    return true;
}

bool owner_begin_closing(struct owner *owner) {
    return !(atomic_fetch_or(&owner->state, OWNER_CLOSING) & OWNER_USERS);
}

void owner_open(struct owner *owner) {
    atomic_fetch_and(&owner->state, ~OWNER_FLAGS);
}
