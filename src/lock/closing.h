/* Closing: what a descriptor's end means for the locks that its description holds.
 *
 *     struct closing closing;
 *     if (!closing_begin(&closing, fd, &caller))
 *         ... one of the hidden descriptors: the program has no such number (EBADF) ...
 *     result = the real close;
 *     closing_end(&closing, closed);
 *
 * The descriptor is taken off its description before the real close and the locks are released
 * after it, as the kernel does: so a lock is never released while what fclose flushes is not yet
 * written, and a number that another thread gets during the close is that thread's.
 *
 * Async-signal-safe. In a vfork child, or where nothing is tracked, both do nothing.
 */
#ifndef RACESHIM_LOCK_CLOSING_H
#define RACESHIM_LOCK_CLOSING_H

#include "lock/describe.h"
#include "lock/findings.h"
#include "lock/owner_lock.h"

struct closing {
    struct room *room;               /* NULL: nothing to do at the end */
    struct description *description; /* NULL: was not tracked */
    const struct caller *caller;
    int fd;
    bool last; /* no other descriptor of the description is left */
    bool lost; /* POSIX drops `met` here */
    uint64_t dev, ino;
    struct met met;
};

bool closing_begin_tracked(struct closing *closing, struct room *room, int fd,
                           const struct caller *caller);

/* caller NULL: nobody's call; no finding is made of it. */
static inline bool closing_begin(struct closing *closing, int fd, const struct caller *caller) {
    closing->room = NULL;
    struct room *room = room_here();
    return __builtin_expect(room == NULL, 1) || closing_begin_tracked(closing, room, fd, caller);
}

void closing_end_tracked(struct closing *closing, bool closed);

static inline void closing_end(struct closing *closing, bool closed) {
    if (__builtin_expect(closing->room != NULL, 0))
        closing_end_tracked(closing, closed);
}

/* Is it a regular file's, repaired, whose real close waits for nothing that a signal would end? Then
 * signals may be held off from before the beginning to the end. */
bool closing_is_brief(struct room *room, int fd);

/* Ends an owner that owner_leave or owner_begin_closing handed over: closes the hidden descriptor.
 */
void closing_finish_owner(struct room *room, struct owner *owner);

/* owner_leave for those who hold `tables`; finishes the owner if it must be. */
void closing_leave_owner(struct room *room, struct owner *owner, enum turn turn);

/* Every tracked descriptor in first..last (inclusive) is closed; so the caller need only close what
 * is not tracked, and not the hidden ones. */
void closing_range(unsigned first, unsigned last, const struct caller *caller);

/* Takes the hidden descriptor out of the way of a number that the program wants for itself, or of a
 * soft limit that it raises to `soft`. */
void closing_make_way(int wanted);
void closing_make_way_below(unsigned long soft);

#endif
