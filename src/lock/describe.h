/* From a descriptor to its description, its file, and the owner of its record locks.
 *
 * A descriptor is known by its number only as long as nothing can have happened to it unseen;
 * before a lock is taken through it, describe_for_lock looks at it again (ticks.h says when it need
 * not).
 */
#ifndef RACESHIM_LOCK_DESCRIBE_H
#define RACESHIM_LOCK_DESCRIBE_H

#include "base/caller.h"
#include "lock/room.h"

/* What to do with a descriptor that stands for no known description: nothing; make one if another
 * one of its file is known; make one. */
enum describing { DESCRIBE_KNOWN, DESCRIBE_BESIDE, DESCRIBE_ALWAYS };

/* The description that this descriptor stands for. If it is not known yet it is looked for among
 * the descriptions of its file. NULL: not known, cannot be known (no regular file, no memory), or
 * no descriptor at all. */
struct description *describe(struct room *room, int fd, enum describing how);

/* The same before a lock: what the number stands for is looked at again. */
struct description *describe_for_lock(struct room *room, int fd);

/* The number was just used for what it was known as. */
void describe_seen(struct room *room, int fd);

/* The owner of the description's record locks, made at the first lock. NULL: the file's locks are
 * left alone (rule `off`), or there is no memory. The range tells files whose locks belong to the
 * process. */
struct owner *describe_owner(struct room *room, struct description *description, int fd,
                             const struct byte_range *range, const struct caller *caller);

/* The owner for locks that the program itself asked to be owned by the description. */
struct owner *describe_native_owner(struct room *room, struct description *description, int fd,
                                    enum owner_class class);

/* If both stand for the same description, the other descriptor becomes known. */
void describe_if_copy(struct room *room, int fd, int other);

/* A copy of a descriptor was made by dup and the like. */
void describe_copy_known(struct room *room, int fd, int copy);
static inline void describe_copy(int fd, int copy) {
    struct room *room = room_here();
    if (__builtin_expect(room != NULL, 0))
        describe_copy_known(room, fd, copy);
}

/* The file turned out not to bear description-owned locks: its locks are POSIX's from now on. */
void describe_give_up(struct room *room, struct description *description, struct owner *owner,
                      int fd, const char *why, const struct caller *caller);

/* The owner's locks became POSIX's for an exec that failed: takes them back to a private
 * description, with an instant between. fd stands for one of its descriptions. */
void describe_repair_again(struct owner *owner, int fd);

/* Is there something to repair or to watch? False with locks=off. */
static inline bool describe_wanted(void) {
    return settings.lock_mode != LOCKS_OFF;
}

#endif
