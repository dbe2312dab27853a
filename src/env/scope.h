/* Scopes: the writes of threads that share the process's environment, and what contenders see in place of others'.
 *
 * The rule is rule.h's; here it is applied: pins are set before `environ` gets what they hide, and taken off after it has
 * what they no longer hide. Everything wants env_lock.
 */
#ifndef RACESHIM_ENV_SCOPE_H
#define RACESHIM_ENV_SCOPE_H

#include "env/names.h"
#include "env/rule.h"

#include <stdbool.h>

struct env_thread;

/* The scope of a thread that `starter` starts, or nobody that is known (NULL). NULL: no memory. */
struct scope *scope_enter(struct scope *starter);
/* Its thread has ended: its writes are left to its heir. */
void scope_leave(struct scope *scope);

/* The next number in the order of writes and starts. */
uint64_t scope_number(void);

/* A write that is on its way to `environ`. */
struct scope_write {
    struct variable *variable;
    struct write *write; /* NULL: no memory, nobody knows of it */
};

/* Records the write and pins what it must not show; then the caller changes `environ`; then scope_write_end, or
 * scope_write_failed. `entry` NULL: removed. */
void scope_write_begin(struct scope_write *w, struct variable *variable, char *entry,
                       struct env_thread *by, stack_id stack);
void scope_write_end(struct scope_write *w);
void scope_write_failed(struct scope_write *w);

/* What belongs to a scope, or did when it ended, belongs to this one too. */
void scope_inherit(struct scope *scope, const struct scope *ended);

/* The write that the scope sees; NULL: what was there before all. Of a variable that is not kept apart: that it should see,
 * its own last one. */
const struct write *scope_view(const struct scope *scope, const struct variable *variable);
/* The newest write, if the scope must not see it, or should not; NULL otherwise. */
const struct write *scope_hidden(const struct scope *scope, const struct variable *variable);

/* Somebody remembers the scope, or no longer does. */
void scope_keep(struct scope *scope);
void scope_release(struct scope *scope);

/* One thread is left, whose scope this is: nobody contends, and nothing need be known of any write. */
void scope_forget_all(struct scope *left);

/* In a forked child, of whose scope this is: the same, with all other scopes gone. */
void scope_after_fork(struct scope *left);

/* Does it contend with anybody? */
static inline bool scope_contends(const struct scope *scope) {
    return scope->contends != 0;
}

#endif
