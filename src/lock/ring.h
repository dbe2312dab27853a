/* Rings of waits that go through processes which wait for a child to end: `flock a flock b` against
 * `flock b flock a`. Who holds a lock there waits for no lock itself, so waiters.h does not see them.
 *
 * It is asked of the session's picture and of /proc when a wait begins; of the waits of a ring the
 * last one to begin finds it, or the last ones. Async-signal-safe.
 */
#ifndef RACESHIM_LOCK_RING_H
#define RACESHIM_LOCK_RING_H

#include "lock/picture.h"
#include "lock/waiters.h"

#include <stdbool.h>

/* This thread waits for what `holder` holds: cycle->parties[0], which the caller has filled in, shown
 * in the picture as `mine`. True: it will wait for ever, and the others of the ring follow there; of
 * several who find the same ring one is told so. Only processes with one thread
 * count: another one might release the lock, or end the process. */
bool ring_find(struct wait_cycle *cycle, const struct picture_wait *mine, pid_t holder);

#endif
