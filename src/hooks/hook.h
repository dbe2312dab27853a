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

/* What a hook jumps to, as the last thing it does, when the call is one of those that matter: so the
 * others cost a test or two, without a frame of their own. */
#define HOOK_REST static __attribute__((noinline))

/* The caller's place, for the stack of a finding. To be used in the hook itself, or in what it jumps
 * to. */
#define CALLER (&(const struct caller){__builtin_return_address(0), __builtin_frame_address(0)})

/* The hooks that syscall() stands for too, with the program's place handed on. */
int hook_fcntl(int fd, int cmd, void *arg, const struct caller *caller);
int hook_flock(int fd, int operation, const struct caller *caller);
int hook_dup(int fd, const struct caller *caller);
int hook_dup2(int fd, int target, const struct caller *caller);
int hook_dup3(int fd, int target, int flags, const struct caller *caller);
int hook_close(int fd, const struct caller *caller);
int hook_close_range(unsigned first, unsigned last, int flags, const struct caller *caller);
int hook_execve(const char *path, char *const argv[], char *const envp[],
                const struct caller *caller);
int hook_execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags,
                  const struct caller *caller);

static inline int answer(int result) {
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

#endif
