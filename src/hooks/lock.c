/* fcntl, lockf and flock. */
#include "base/sys.h"
#include "hooks/hook.h"

#include "lock/closing.h"
#include "lock/hidden.h"
#include "lock/relief.h"
#include "lock/request.h"

#include <pthread.h>

#ifndef F_DUPFD_CLOEXEC
#define F_DUPFD_CLOEXEC 1030
#endif

/* A lock pays for each frame on its way: these have none of their own. */
#define INLINE static inline __attribute__((always_inline))

INLINE int fcntl_lock(int fd, int cmd, void *arg, const struct caller *caller) {
    if (cmd == F_SETLKW)
        pthread_testcancel();
    int saved = errno;
    int result = request_record_lock(fd, cmd, arg, caller);
    if (result == REQUEST_PASS)
        return real(fcntl)(fd, cmd, arg);
    errno = saved;
    return answer(result);
}

static int fcntl_description_lock(int fd, int cmd, void *arg, const struct caller *caller) {
    if (cmd == F_OFD_SETLKW)
        pthread_testcancel();
    int saved = errno;
    int result = request_description_lock(fd, cmd, arg, caller);
    if (result == REQUEST_PASS)
        return real(fcntl)(fd, cmd, arg);
    errno = saved;
    return answer(result);
}

/* The lowest number that was asked for may be a hidden descriptor's: it goes elsewhere. */
static bool was_in_the_way(int copy, int lowest, const struct caller *caller) {
    int hidden = hidden_lent() && copy > lowest ? hidden_next(lowest, copy - 1) : -1;
    if (hidden < 0)
        return false;
    sys_close(copy);
    closing_make_way(hidden);
    return !hidden_is(hidden) || relief_give_back(caller);
}

static int fcntl_copy(int fd, int cmd, void *arg, const struct caller *caller) {
    int copy;
    do
        copy = real(fcntl)(fd, cmd, arg);
    while (__builtin_expect(copy < 0, 0)
               ? errno == EMFILE && hidden_lent() && relief_give_back(caller)
               : was_in_the_way(copy, (int)(intptr_t)arg, caller));
    if (copy >= 0)
        describe_copy(fd, copy);
    return copy;
}

INLINE int fcntl_any(int fd, int cmd, void *arg, const struct caller *caller) {
    if (__builtin_expect(hidden_is(fd), 0) && room_here())
        return answer(-EBADF);
    switch (cmd) {
    case F_SETLK:
    case F_SETLKW:
    case F_GETLK:
        return fcntl_lock(fd, cmd, arg, caller);
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return fcntl_description_lock(fd, cmd, arg, caller);
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return fcntl_copy(fd, cmd, arg, caller);
    default:
        return real(fcntl)(fd, cmd, arg);
    }
}

int hook_fcntl(int fd, int cmd, void *arg, const struct caller *caller) {
    return fcntl_any(fd, cmd, arg, caller);
}

HOOK_REST int fcntl_rest(int fd, int cmd, void *arg) {
    return fcntl_any(fd, cmd, arg, CALLER);
}

_Static_assert(F_GETFD == 1 && F_SETFD == 2 && F_GETFL == 3 && F_SETFL == 4,
               "the commonest commands stand together");

/* The third argument is passed on as it came: whatever its type, and whether it is there or not, it
 * takes one register. So the hook need not be variadic, which would cost a frame. */
#define FCNTL(symbol, name, hook)                                                                  \
    HOOK int hook(int fd, int cmd, void *arg) __asm__(#symbol);                                    \
    HOOK int hook(int fd, int cmd, void *arg) {                                                    \
        if (__builtin_expect(cmd < F_GETFD || cmd > F_SETFL, 0) || hidden_any())                   \
            return fcntl_rest(fd, cmd, arg);                                                       \
        return real(name)(fd, cmd, arg);                                                           \
    }

FCNTL(fcntl, fcntl, fcntl_here)
FCNTL(fcntl64, fcntl64, fcntl64_here)
FCNTL(__fcntl, fcntl, fcntl_by_old_name)

#define LOCKF(name)                                                                                \
    HOOK int name(int fd, int cmd, off_t length) {                                                 \
        if (cmd == F_LOCK)                                                                         \
            pthread_testcancel();                                                                  \
        int saved = errno;                                                                         \
        int result = request_lockf(fd, cmd, length, CALLER);                                       \
        if (result == REQUEST_PASS)                                                                \
            return real(name)(fd, cmd, length);                                                    \
        errno = saved;                                                                             \
        return answer(result);                                                                     \
    }

LOCKF(lockf)
LOCKF(lockf64)

int hook_flock(int fd, int operation, const struct caller *caller) {
    int saved = errno;
    int result = request_flock(fd, operation, caller);
    if (result == REQUEST_PASS)
        return real(flock)(fd, operation);
    errno = saved;
    return answer(result);
}

HOOK int flock(int fd, int operation) {
    return hook_flock(fd, operation, CALLER);
}
