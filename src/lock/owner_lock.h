/* Entering and leaving an owner: who may change its ranges, and when its hidden descriptor may go.
 *
 * The state word:   | tid of who is alone in it : 32 | users : 24 | flags : 8 |
 *
 *   alone    nobody else changes the ranges; held across one system call that does not block
 *   guest    the owner stays, but its ranges may be changed by another: the caller only uses the
 *            hidden descriptor, and the ranges are UNSURE until they are read back from the kernel
 *   waiting  a guest that leaves the ranges in peace (a wait in the kernel)
 *
 * CLOSING is set by who took the last descriptor away. From then on nobody enters; the last user to
 * leave, or the closer if there is none, finishes the owner. So exactly one does.
 *
 * Async-signal-safe, and nobody waits for ever: a handler that interrupts its own thread's turn
 * becomes a guest at once, everyone else after a bounded number of tries. A handler that jumps out
 * of a turn leaves the word taken; the same thread's next turn finds that its frame is gone and
 * takes it over.
 */
#ifndef RACESHIM_LOCK_OWNER_LOCK_H
#define RACESHIM_LOCK_OWNER_LOCK_H

#include "base/owner.h"
#include "lock/room.h"

#define OWNER_CLOSING UINT64_C(1)
#define OWNER_UNSURE UINT64_C(2)
#define OWNER_FLAGS UINT64_C(0xff)
#define OWNER_USER UINT64_C(0x100)
#define OWNER_USERS (UINT64_C(0xffffff) << 8)

enum turn { TURN_GONE, TURN_ALONE, TURN_GUEST };

enum turn owner_enter_slow(struct owner *owner, uint64_t state);

static inline enum turn owner_enter(struct owner *owner) {
    uint64_t tid = (uint64_t)owner_tid() << 32;
    uint64_t state = atomic_load_explicit(&owner->state, memory_order_relaxed);
    if (__builtin_expect(state >> 32 == 0 && !(state & OWNER_CLOSING), 1) &&
        __builtin_expect(atomic_compare_exchange_strong_explicit(
                             &owner->state, &state, (state + OWNER_USER) | tid,
                             memory_order_acquire, memory_order_relaxed),
                         1)) {
        owner->turn_frame = (uintptr_t)__builtin_frame_address(0);
        return TURN_ALONE;
    }
    return owner_enter_slow(owner, state);
}

/* Keeps the owner in being during a wait. False: it is closing. */
bool owner_pin(struct owner *owner);

/* True: the caller was the last user of a closing owner and must finish it (closing.h). */
static inline bool owner_leave(struct owner *owner, enum turn turn) {
    uint64_t mine = OWNER_USER;
    if (turn == TURN_ALONE) {
        owner->turn_frame = 0;
        mine += (uint64_t)owner_tid() << 32;
    }
    uint64_t state = atomic_fetch_sub_explicit(&owner->state, mine, memory_order_acq_rel) - mine;
    return __builtin_expect((state & OWNER_CLOSING) && !(state & OWNER_USERS), 0);
}

/* Says that the ranges may no longer be what the kernel has. */
static inline void owner_doubt(struct owner *owner) {
    atomic_fetch_or(&owner->state, OWNER_UNSURE);
}

static inline bool owner_is_unsure(struct owner *owner) {
    return atomic_load(&owner->state) & OWNER_UNSURE;
}

/* Nobody enters from now on. True: nobody is in it, the caller must finish it. */
bool owner_begin_closing(struct owner *owner);

/* Makes a recycled owner enterable. */
void owner_open(struct owner *owner);

#endif
