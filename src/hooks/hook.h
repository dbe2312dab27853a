/* What every hook shares: how it is exported and how it answers.
 *
 * A hook turns the call into a question to a room, passes it on, and keeps errno. It has no state.
 */
#ifndef RACESHIM_HOOKS_HOOK_H
#define RACESHIM_HOOKS_HOOK_H

#include "base/real.h"
#include "lock/describe.h"

#include <errno.h>

#define HOOK __attribute__((visibility("default")))

/* Another exported name for a hook: some programs and libraries call libc by its older names. */
#define HOOK_ALIAS(name, target)                                                                   \
    extern __typeof__(target) name                                                                 \
        __attribute__((alias(#target), copy(target), visibility("default")))

/* The caller's place, for the stack of a finding. To be used in the hook itself. */
#define CALLER (&(const struct caller){__builtin_return_address(0), __builtin_frame_address(0)})

static inline int answer(int result) {
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

#endif
