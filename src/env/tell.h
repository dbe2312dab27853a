/* Findings: what the environment room has to say, put together for the report room.
 *
 * Called by the thread that they are about. They keep errno, and block signals while they look, under env_lock; in a handler
 * that interrupted a holder they say nothing, and the next occasion does. In a vfork child they say nothing.
 */
#ifndef RACESHIM_ENV_TELL_H
#define RACESHIM_ENV_TELL_H

#include "base/caller.h"
#include "env/names.h"
#include "env/thread.h"

/* The thread read the variable, or starts a program with it, and `environ` has another thread's value of it: did it see
 * that (watch), or its own view (isolated)? `program`: it starts one. */
void tell_read(struct env_thread *thread, struct variable *variable, bool program,
               const struct caller *caller);

/* In a forked child, of this thread: what there would be to tell should the child start a program is kept until it does,
 * because the child forgets whose values they are. */
void tell_keep_for_child(struct env_thread *thread);
bool tell_has_kept(void);
void tell_kept(const struct caller *caller);

/* The environment was changed while other threads live. */
void tell_unsafe_write(const char *name, size_t length, const char *entry, stack_id stack);

/* The room could not do what its mode says. Once for each reason. */
enum tell_reason { TELL_NO_MEMORY, TELL_TOO_MANY_SCOPES, TELL_REASONS };
void tell_degraded(enum tell_reason reason, const struct caller *caller);

#endif
