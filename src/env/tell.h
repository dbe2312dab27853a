/* Findings: what the environment room has to say, put together for the report room.
 *
 * Called by the thread that they are about. They keep errno, and block signals while they look, under env_lock; in a handler
 * that interrupted a holder they say nothing, and the next occasion does.
 */
#ifndef RACESHIM_ENV_TELL_H
#define RACESHIM_ENV_TELL_H

#include "base/caller.h"
#include "env/names.h"
#include "env/thread.h"
#include "report/event.h"

/* The thread read the variable, or starts a program with it, and `environ` has another thread's value of it: did it see
 * that (watch), or its own view (isolated)? `program`: it starts one. */
void tell_read(struct env_thread *thread, struct variable *variable, bool program,
               const struct caller *caller);

/* In a forked child, of this thread: what there would be to tell should the child start a program is kept until it does,
 * because the child forgets whose values they are. */
void tell_keep_for_child(struct env_thread *thread);
bool tell_has_kept(void);
void tell_kept(const struct caller *caller);

/* The environment was changed while other threads live, by a call from this place. Such calls may come very often, so they
 * are counted in memory; the record's count follows whenever there are twice as many as it says, when a program is
 * started, and at exit. */
struct tell_site {
    stack_id stack;
    const char *name; /* of the variable that it changed first */
    uint64_t times;   /* so many more are to be recorded now; 0: none */
    struct event_value value;
};
/* Wants env_lock. `name` lasts; `entry` is what the variable was changed to, NULL: removed. `untold` is left alone unless
 * there is something to be recorded now. */
void tell_count_write(const char *name, const char *entry, stack_id stack,
                      struct tell_site *untold);
void tell_unsafe_write(const struct tell_site *site);
/* Brings all counts up to date. Takes env_lock; where that is taken nothing is done. */
void tell_counts(void);
/* In a forked child, whose records are its own. */
void tell_after_fork(void);

/* The room could not do what its mode says. Once for each reason. */
enum tell_reason { TELL_NO_MEMORY, TELL_TOO_MANY_SCOPES, TELL_NO_KEY, TELL_REASONS };
void tell_degraded(enum tell_reason reason, const struct caller *caller);

#endif
