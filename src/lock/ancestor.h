/* Is the process that holds a lock an ancestor of the one that waits for it, and does it wait for it
 * in turn? Asked of /proc when a wait begins and when it has ended. Async-signal-safe.
 */
#ifndef RACESHIM_LOCK_ANCESTOR_H
#define RACESHIM_LOCK_ANCESTOR_H

#include <sys/types.h>

enum ancestry {
    ANCESTRY_NONE,     /* it is no ancestor, or that cannot be told */
    ANCESTRY_ANCESTOR, /* it is one; what it does is not known to hang on us */
    ANCESTRY_HANGS     /* it, and everyone between it and us, has one thread, and that waits for a
                          child: the lock can be released by nobody before we end */
};

/* parent: of who waits. Numbers are those of this process's /proc. */
enum ancestry ancestry_of(pid_t parent, pid_t holder);

#endif
