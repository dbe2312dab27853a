/* Hidden descriptors: the library's own, kept out of the program's way.
 *
 * They live above the soft RLIMIT_NOFILE, where no open, dup or close loop of the program reaches.
 * A descriptor can be made there only while the limit is higher, so the limit is raised for an
 * instant. Where it cannot be raised (the soft limit is the hard one) they lie in the upper half of
 * what the program may use, as long as it does not: when one of its calls finds no number free, a
 * descriptor is given back and the call made again (relief.h). Where the limit is small there is no
 * hidden descriptor (-EMFILE): the program's own open must never fail because of us.
 *
 * The set of them is a bitmap in ordinary memory: a forked child gets it, wiped though the tables
 * are, and closes them all before it does anything else. Bits are set and cleared by atomic
 * operations; no lock guards them.
 *
 * The gate keeps a fork from copying a descriptor that is not yet in the bitmap: who makes one is
 * counted, and who forks waits until nobody does, and the other way round. Both waits are bounded,
 * because a fork handler of the program may hold what the other one needs; after the bound the fork
 * goes on and the child may keep one copy until it execs.
 *
 * All functions are async-signal-safe.
 */
#ifndef RACESHIM_LOCK_HIDDEN_H
#define RACESHIM_LOCK_HIDDEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Round the making of a descriptor that will be hidden: from before its open to after hidden_move.
 */
void hidden_begin(void);
void hidden_end(void);

/* Moves fd, which is the library's, above the soft limit and closes the old number. Returns the new
 * number (close-on-exec), or -errno; then fd is closed all the same. */
int hidden_move(int fd);

/* Opens a file for the library and moves it there; also where the program has no number left.
 * Between hidden_begin and hidden_end, with signals blocked. */
int hidden_open(const char *path, int flags);

/* For who reads the limit: waits while it is raised; was it raised since? */
uint32_t hidden_limit_stable(void);
bool hidden_limit_changed(uint32_t seen);

/* The program set it. */
void hidden_limit_was_set(void);

/* Takes a number that came through exec into the set. False if it lies outside of what the set can
 * hold. */
bool hidden_adopt(int fd);

/* Closes one. */
void hidden_close(int fd);

extern _Atomic uint32_t hidden_count;
static inline bool hidden_any(void) {
    return __builtin_expect(atomic_load_explicit(&hidden_count, memory_order_relaxed) != 0, 0);
}

/* Is this number one of ours? */
bool hidden_is_one(int fd);
static inline bool hidden_is(int fd) {
    return hidden_any() && hidden_is_one(fd);
}

/* Do some lie below the soft limit, where the program may come to need them? */
bool hidden_lent(void);

/* The first one from `from` on, at most `last`; -1 if there is none. */
int hidden_next(int from, int last);

/* The program raises its soft limit to `soft`: can those below it move above? Moves none; the mover
 * is the table's owner, which knows who uses which. */
bool hidden_below(unsigned long soft);

void hidden_before_fork(void);
void hidden_after_fork_parent(void);
/* In the child: closes every copy and forgets it. keep: the child shares its parent's descriptor
 * table (CLONE_FILES), so the set is forgotten but nothing closed. */
void hidden_after_fork_child(bool keep);

#endif
