/* Whose memory is this? Who runs: the process that owns our tables, a copy of it, or a vfork child
 * that borrows them.
 *
 *   the owner        made the tables; may read and write them
 *   a forked child   has a copy. The tables lie in memory that the kernel wipes at fork (room.h), so the
 *                    child finds them empty, whatever another thread was doing
 *   a vfork child    runs in its parent's memory with its parent's thread pointer. Only getpid tells;
 *                    owner_borrowed is set by our vfork before the child exists
 *
 * Everything here is async-signal-safe.
 */
#ifndef RACESHIM_BASE_OWNER_H
#define RACESHIM_BASE_OWNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* More than 0 in a vfork child of this thread; the parent takes it back when it runs again. */
extern __thread int32_t owner_borrowed __attribute__((tls_model("initial-exec")));

/* How deep this thread is in signals_hold (short_lock.h). */
extern __thread uint32_t owner_held_signals __attribute__((tls_model("initial-exec")));

/* This thread's id, cached; 0 means not asked yet. */
extern __thread pid_t owner_tid_cache __attribute__((tls_model("initial-exec")));

static inline bool owner_is_vfork_child(void) {
    return __builtin_expect(owner_borrowed > 0, 0);
}

/* The process that once let another one run in its memory (clone with CLONE_VM, other than for a
 * thread); 0: none did. From then on every hook asks who runs, with a system call. */
extern _Atomic pid_t owner_lender;
void owner_lend_memory(void);
bool owner_is_guest_slow(void);

static inline bool owner_is_guest(void) {
    return __builtin_expect(atomic_load_explicit(&owner_lender, memory_order_relaxed) != 0, 0) &&
           owner_is_guest_slow();
}

pid_t owner_tid_ask(void);

static inline pid_t owner_tid(void) {
    pid_t tid = owner_tid_cache;
    return __builtin_expect(tid != 0, 1) ? tid : owner_tid_ask();
}

/* In a forked child: forget what was cached for the parent. */
void owner_after_fork(void);

#endif
