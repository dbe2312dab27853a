/* What raceshim.h finds when the library is there. */
#include "hooks/hook.h"

#include "env/entered.h"

#include <stdint.h>

extern int raceshim_scope_enter(struct entered *scope);
extern int raceshim_scope_leave(struct entered *scope);

/* The frame of the caller's, or its own: both are told from those further down. */
HOOK int raceshim_scope_enter(struct entered *scope) {
    return answer(entered_begin(scope, __builtin_frame_address(0)));
}

HOOK int raceshim_scope_leave(struct entered *scope) {
    return answer(entered_end(scope, __builtin_frame_address(0)));
}
