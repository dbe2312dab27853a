/* What raceshim.h finds when the library is there. */
#include "hooks/hook.h"

#include "env/entered.h"

#include <stdint.h>

_Static_assert(sizeof(struct entered) == 8 * sizeof(uint64_t), "as opaque in raceshim.h");

/* Declared here alone: the header has functions of these names in every program. */
extern int raceshim_scope_enter(struct entered *scope);
extern int raceshim_scope_leave(struct entered *scope);

/* This frame lies right below the caller's, so that it tells which of two callers is further down. */
HOOK int raceshim_scope_enter(struct entered *scope) {
    return answer(entered_begin(scope, __builtin_frame_address(0)));
}

HOOK int raceshim_scope_leave(struct entered *scope) {
    return answer(entered_end(scope, __builtin_frame_address(0)));
}
