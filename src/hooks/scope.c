/* What raceshim.h finds when the library is there. */
#define RACESHIM_LIBRARY
#include "raceshim.h"

#include "hooks/hook.h"

#include "env/entered.h"

_Static_assert(sizeof(raceshim_scope) == sizeof(struct entered), "opaque is what it stands for");

/* This frame lies right below the caller's, so that it tells which of two callers is further down. */
HOOK int raceshim_scope_enter(raceshim_scope *scope) {
    return answer(entered_begin((struct entered *)scope, __builtin_frame_address(0)));
}

HOOK int raceshim_scope_leave(raceshim_scope *scope) {
    return answer(entered_end((struct entered *)scope, __builtin_frame_address(0)));
}
