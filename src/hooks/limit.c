/* The soft limit on open files: above it the hidden descriptors live. When the program raises it,
 * they move first, so that the program finds every number up to its new limit free. */
#include "hooks/hook.h"

#include "lock/closing.h"
#include "lock/hidden.h"

/* Another thread's first lock may have raised the limit for an instant: that is not the program's.
 */
#define GETRLIMIT(name, type)                                                                      \
    HOOK int name(__rlimit_resource_t resource, struct type *limit) {                              \
        if (__builtin_expect(resource != RLIMIT_NOFILE, 0))                                        \
            return real(name)(resource, limit);                                                    \
        for (;;) {                                                                                 \
            uint32_t seen = hidden_limit_stable();                                                 \
            int result = real(name)(resource, limit);                                              \
            if (!hidden_limit_changed(seen))                                                       \
                return result;                                                                     \
        }                                                                                          \
    }

GETRLIMIT(getrlimit, rlimit)
GETRLIMIT(getrlimit64, rlimit64)
HOOK_ALIAS(__getrlimit, getrlimit);

#define SETRLIMIT(name, type)                                                                      \
    HOOK int name(__rlimit_resource_t resource, const struct type *limit) {                        \
        int result = real(name)(resource, limit);                                                  \
        if (result == 0 && resource == RLIMIT_NOFILE && limit) {                                   \
            int saved = errno;                                                                     \
            closing_make_way_below(limit->rlim_cur);                                               \
            errno = saved;                                                                         \
        }                                                                                          \
        return result;                                                                             \
    }

SETRLIMIT(setrlimit, rlimit)
SETRLIMIT(setrlimit64, rlimit64)

#define PRLIMIT(name, type)                                                                        \
    HOOK int name(pid_t pid, __rlimit_resource_t resource, const struct type *limit,               \
                  struct type *old) {                                                              \
        bool own = resource == RLIMIT_NOFILE && (pid == 0 || pid == getpid());                     \
        uint32_t seen = own ? hidden_limit_stable() : 0;                                           \
        int result = real(name)(pid, resource, limit, old);                                        \
        while (own && !limit && hidden_limit_changed(seen)) {                                      \
            seen = hidden_limit_stable();                                                          \
            result = real(name)(pid, resource, limit, old);                                        \
        }                                                                                          \
        if (own && result == 0 && limit) {                                                         \
            int saved = errno;                                                                     \
            closing_make_way_below(limit->rlim_cur);                                               \
            errno = saved;                                                                         \
        }                                                                                          \
        return result;                                                                             \
    }

PRLIMIT(prlimit, rlimit)
PRLIMIT(prlimit64, rlimit64)
