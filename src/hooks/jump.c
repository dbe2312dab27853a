/* Jumps out of signal handlers. A handler that interrupts a wait, or a change of the environment, may never return to
 * it; others must not count on a wait that is over, nor wait for that change. */
#include "hooks/hook.h"

#include "env/lock.h"
#include "lock/wait.h"

#include <setjmp.h>

#define JUMP(name)                                                                                 \
    HOOK void name(struct __jmp_buf_tag buffer[1], int value) {                                    \
        if (__builtin_expect(wait_here != NULL, 0))                                                \
            wait_jumped_out();                                                                     \
        env_lock_jumped();                                                                         \
        real(name)(buffer, value);                                                                 \
        __builtin_unreachable();                                                                   \
    }

JUMP(longjmp)
JUMP(_longjmp)
JUMP(siglongjmp)
JUMP(__longjmp_chk)
