/* Who contends, and who sees which write: the rule of doc/design.md, and nothing else.
 *
 * Pure: it looks at what it is given, and changes nothing. Async-signal-safe.
 */
#ifndef RACESHIM_ENV_RULE_H
#define RACESHIM_ENV_RULE_H

#include "report/stack.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Scopes that have written, at a time; slot 0 is nobody's. One beyond them contends with nobody. */
#define SLOTS 1024

/* Which slots contend: a symmetric matrix of bits. */
struct contention {
    uint64_t bits[SLOTS][SLOTS / 64];
};

/* What a thread sees, and whose writes are its own. It lives while its thread does, and is remembered while a write is
 * known that was its own. */
struct scope {
    struct scope
        *parent; /* who started it, or started who started it; NULL: nobody who is remembered */
    uint64_t started; /* that start's number in the order of all writes and starts */
    _Atomic uint32_t
        slot; /* 0: neither writes nor contends yet. Its own thread reads it without a lock */
    bool lives;
    bool owns;         /* a write is, or was, its own */
    uint32_t contends; /* with so many others */
    uint32_t uses;     /* by stakes, by a thread that may be joined, and as long as it lives */
    struct scope *in;  /* who started it while contending, and lives; NULL: nobody */
    struct scope *children, *next_sibling, *previous_sibling;
    struct scope *next_contender, *previous_contender;
    uint64_t born; /* `started`, until it stands for one that is left out */
    struct scope *younger, *older;
};

/* A scope that a write belongs to, or belonged to when the scope ended. */
struct stake {
    struct stake *next;
    struct scope *scope;
};

/* The value that somebody gave a variable. */
struct write {
    struct write *next;   /* the write before it, of the same variable */
    struct stake *stakes; /* the first is that of who made it */
    bool for_all;         /* its scope left it to nobody */
    struct env_thread *by;
    uint64_t number; /* in the order of all writes and starts */
    char *entry;     /* NAME=value; NULL: removed */
    struct timespec since;
    stack_id stack;
};

/* Is the write the scope's own? */
bool rule_owns(const struct scope *scope, const struct write *write);

/* Does the scope know of it whatever happens: is it its own, everyone's, or was it made by somebody from whom the scope
 * descends, before that descent began? */
bool rule_heard(const struct scope *scope, const struct write *write);

/* Was `scope` started, or was who started it, by `starter` while that one contended? */
bool rule_is_in(const struct scope *scope, const struct scope *starter);

/* Who contends when these two do: `scope`, or the outermost one that it is in and the other is not. */
struct scope *rule_side(struct scope *scope, const struct scope *other);

/* Is `scope` on that side? Whoever is in a side is, unless the other side is in it too: then it stands alone. */
bool rule_on_side(const struct scope *scope, const struct scope *side,
                  const struct scope *other_side);

/* Does it belong to a scope that lives? */
bool rule_lives(const struct write *write);

bool rule_contend(const struct contention *contention, const struct scope *a,
                  const struct scope *b);

/* May the scope see this write? */
bool rule_visible(const struct contention *contention, const struct scope *scope,
                  const struct write *write);

/* Of a variable's writes, newest first, the one that the scope sees; NULL: what was there before them. */
const struct write *rule_view(const struct contention *contention, const struct scope *scope,
                              const struct write *newest);

/* Of a variable's writes, newest first, the scope's last; NULL: none is its own. */
const struct write *rule_last(const struct scope *scope, const struct write *newest);

/* Do two scopes begin to contend over these, each the last of one of them? */
bool rule_clash(const struct scope *one, const struct write *his, const struct scope *other,
                const struct write *theirs);

/* Of two writes of a variable: does whoever owns the older one own the newer one too? Then nobody needs the older who did
 * not begin between the two. */
bool rule_replaces(const struct write *newer, const struct write *older);

/* Removal is a value. */
bool rule_same_value(const char *a, const char *b);

#endif
