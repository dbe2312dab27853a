/* Requests: what the program asks of record locks, and what it is told.
 *
 * Each function answers 0 or -errno, or REQUEST_PASS: nothing of ours, make the real call as it is.
 * All are as async-signal-safe and thread-safe as the calls they answer; the waiting ones are
 * cancellation points and return -EINTR as the kernel does.
 */
#ifndef RACESHIM_LOCK_REQUEST_H
#define RACESHIM_LOCK_REQUEST_H

#include "lock/describe.h"
#include "lock/findings.h"

#include <fcntl.h>
#include <limits.h>

#define REQUEST_PASS INT_MIN

/* fcntl with F_SETLK, F_SETLKW, F_GETLK. `lock` is the program's pointer, not looked at yet. */
int request_record_lock(int fd, int cmd, struct flock *lock, const struct caller *caller);

/* The same with a struct flock of our own, as lockf makes it. */
int request_record_lock_checked(int fd, int cmd, struct flock *lock, const struct caller *caller);

/* lockf. */
int request_lockf(int fd, int cmd, off_t length, const struct caller *caller);

/* F_OFD_SETLK and F_OFD_SETLKW: the real call's result is returned, and kept account of. */
int request_description_lock(int fd, int cmd, struct flock *lock, const struct caller *caller);

/* flock: as above. */
int request_flock(int fd, int operation, const struct caller *caller);

/* What a request that is granted now holds. */
struct held request_held(const struct request *request);

#endif
