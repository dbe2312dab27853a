/* Scopes: what threads write to the process's environment, and who hears of it.
 *
 * The rule is rule.h's; the pins are contenders.h's: they are set before `environ` gets what they hide, and taken off after it
 * has what they no longer hide. Everything wants env_lock.
 */
#ifndef RACESHIM_ENV_SCOPE_H
#define RACESHIM_ENV_SCOPE_H

#include "env/family.h"
#include "env/names.h"
#include "env/rule.h"

#include <stdbool.h>

struct env_thread;

/* The scope of a thread that `starter` starts, or nobody that is known (NULL). NULL: no memory. */
struct scope *scope_enter(struct scope *starter);
/* Its thread has ended: who started it is told of all that it has heard. */
void scope_leave(struct scope *scope);
/* Its thread was joined by that one's. */
void scope_joined(const struct scope *ended, struct scope *by);

/* A write that is on its way to `environ`. */
struct scope_write {
    struct variable *variable;
    struct write *write; /* NULL: no memory, nobody knows of it */
    struct write was;    /* what it was, if it is the last one written anew: its `by` is not NULL */
};

/* Records the write and pins what it must not show; then the caller changes `environ`; then scope_write_end, or
 * scope_write_failed. `entry` NULL: removed. */
void scope_write_begin(struct scope_write *w, struct variable *variable, char *entry,
                       struct env_thread *by, stack_id stack);
void scope_write_end(struct scope_write *w);
void scope_write_failed(struct scope_write *w);

/* The write that the scope sees; NULL: what was there before all. Of a variable that is not kept apart: that it should see,
 * its own last one. */
const struct write *scope_view(const struct scope *scope, const struct variable *variable);
/* The newest write, if the scope must not see it, or should not; NULL otherwise. */
const struct write *scope_hidden(const struct scope *scope, const struct variable *variable);

/* One thread is left, whose scope this is. As soon as it sees what `environ` has, nothing need be known of any write. */
void scope_is_alone(struct scope *left);

/* In a forked child, of whose scope this is: the same, with all other scopes gone. */
void scope_after_fork(struct scope *left);

#endif
