/* The tree of scopes: who was started by whom, in which order. Wants env_lock. */
#ifndef RACESHIM_ENV_FAMILY_H
#define RACESHIM_ENV_FAMILY_H

#include "env/rule.h"

#include <stdbool.h>

/* The next number in the order of writes, starts, ends and joins. */
uint64_t family_number(void);

/* A living scope; `parent` NULL: of nobody who is remembered. NULL: no memory. */
struct scope *family_add(struct scope *parent);

/* Somebody remembers the scope, or no longer does. The last one's going takes it out of the tree: its children descend
 * from its parent then, by the branch that it began. */
void family_keep(struct scope *scope);
void family_release(struct scope *scope);

/* Its thread may be joined, which hands on what it has heard; or will not be, any more. */
void family_await_join(struct scope *scope);
void family_await_join_no_more(struct scope *scope);

/* Who is told when the scope ends: the nearest one that lives; NULL: none. */
struct scope *family_heir(const struct scope *scope);

/* All that are remembered, by their `older`. */
struct scope *family_youngest(void);

/* Does any scope that is remembered stand on a branch that was begun between these moments? */
bool family_has_branch_between(uint64_t after, uint64_t before);

/* This one is all that there is, and lives. */
void family_begin(struct scope *only);

#endif
