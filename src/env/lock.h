/* The lock of the environment room: one for every change of `environ` and of what is known about it.
 *
 * Readers never take it. A writer holds it for less than a microsecond and makes no system call but for memory
 * and the clock. It does not block signals: like libc's own, the calls that change the environment are not
 * async-signal-safe. But where libc would wait for itself for ever - a signal handler that interrupted a holder
 * on its own thread - env_lock says so, and the call fails with ENOMEM. Those who only look (a finding in
 * getenv) try, and go without.
 *
 * Order: it is taken with none of the library's other locks held, and under it only the log's and the stack
 * room's own bounded ones are taken, never those of the lock room.
 *
 * Fork: taken before it where that is possible within a tenth of a second, so that the child finds the room whole;
 * env_lock_after_fork frees it in the child in any case. A holder that a fork without handlers left behind, or that
 * a handler jumped out of, is found out by who waits for it.
 */
#ifndef RACESHIM_ENV_LOCK_H
#define RACESHIM_ENV_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Not zero in its lower half: somebody holds it. For env_lock_jumped alone. */
extern _Atomic uint64_t env_lock_word;

/* False: this very thread holds it already (or somebody who died as the holder and whose id was given to another
 * thread: then after ten seconds). */
bool env_lock(void);
/* False: somebody holds it. */
bool env_lock_try(void);
void env_unlock(void);

/* Round a fork. */
void env_lock_before_fork(void);
void env_lock_after_fork_parent(void);
void env_lock_after_fork_child(void);

/* Before a longjmp of this thread's: what it may jump out of is made whole and given back. True: it was held. */
bool env_lock_jumped_slow(void);
static inline bool env_lock_jumped(void) {
    uint64_t word = atomic_load_explicit(&env_lock_word, memory_order_relaxed);
    return __builtin_expect((uint32_t)word != 0, 0) && env_lock_jumped_slow();
}

#endif
