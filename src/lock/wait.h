/* Waiting for a lock: what happens between the kernel's first "no" and the end of the wait.
 *
 *     refused once --> published, cycle looked for --> the kernel's own wait --> granted
 *                              |                            |        '--> EINTR, cancelled
 *                              '--> EDEADLK                 '--> given up after lock-timeout
 *
 * The wait itself is one blocking system call, so signals, SA_RESTART, cancellation and the order
 * of waiters are the kernel's. A wait of a class that is only watched is never refused.
 */
#ifndef RACESHIM_LOCK_WAIT_H
#define RACESHIM_LOCK_WAIT_H

#include "lock/findings.h"
#include "lock/owner_lock.h"

enum wait_kind {
    WAIT_HIDDEN, /* F_OFD_SETLKW on the hidden descriptor */
    WAIT_POSIX,  /* F_SETLKW on the program's */
    WAIT_OFD,    /* F_OFD_SETLKW on the program's */
    WAIT_FLOCK_CALL
};

struct waiting {
    const struct request *request;
    struct description *description;
    struct owner *owner;
    enum wait_kind kind;
};

/* Waits until the lock is granted (0) or the wait ends in another way (-EINTR, -EDEADLK, ...).
 * -ESRCH: the owner is gone. Not inside a turn. A cancellation point. */
int wait_for_lock(const struct waiting *waiting);

/* A lock of that thread was released or taken over by another thread of this process: if it waits,
 * what it holds is told anew. */
void wait_holds_changed(struct room *room, int32_t tid);

/* A signal handler may be jumping out of this thread's wait: it is no longer seen by others. If the
 * jump stays within the handler the wait goes on unseen. */
void wait_jumped_out(void);
extern __thread struct wait_in_kernel *wait_here __attribute__((tls_model("initial-exec")));

#endif
