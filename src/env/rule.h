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

/* What a thread sees, and what it made. It lives while its thread does, and is remembered while a write of its is. */
struct scope {
    struct scope
        *parent; /* who started it, or started who started it; NULL: nobody who is remembered */
    uint64_t started;      /* that start's number in the order of all that happens here */
    _Atomic uint32_t slot; /* 0: has never contended. Its own thread reads it without a lock */
    bool lives;
    bool joinable;      /* its thread, which lives or has ended */
    uint32_t contended; /* with so many others that are remembered */
    uint32_t uses;      /* by writes, by a thread that may be joined, and as long as it lives */
    struct scope *in;   /* who started it while contending, and lives; NULL: nobody */
    struct scope *children, *next_sibling, *previous_sibling;
    struct scope *next_contender, *previous_contender;
    struct scope *younger, *older; /* of all that are remembered, by `started` */
    uint64_t met;                  /* the last meeting that it was at (scope.c) */
    struct hearer *heard;          /* what it made or was told of */
};

/* A scope that has heard of a write: its maker, or one that was told of it. */
struct hearer {
    struct hearer *next; /* of the write */
    struct scope *scope;
    struct write *write;
    uint64_t since;
    struct hearer *next_own, *previous_own; /* of the scope */
};

/* The value that somebody gave a variable. */
struct write {
    struct write *next; /* the write before it, of the same variable */
    struct hearer *
        hearers; /* the first is its maker; none: a thread past its end made it, and everyone sees it */
    struct env_thread *by;
    uint64_t number;
    char *entry; /* NAME=value; NULL: removed */
    struct timespec since;
    stack_id stack;
};

static inline struct scope *rule_maker(const struct write *write) {
    return write->hearers ? write->hearers->scope : NULL;
}

/* Has the scope heard of it: as its maker, when it was started by one who had, or when it was told? It sees it then,
 * whatever happens. */
bool rule_heard(const struct scope *scope, const struct write *write);

/* Have the two ever contended? */
bool rule_contended(const struct contention *contention, const struct scope *a,
                    const struct scope *b);

/* Does the scope see this one of a variable's writes? */
bool rule_sees(const struct contention *contention, const struct scope *scope,
               const struct write *newest, const struct write *write);

/* Of a variable's writes, newest first, the one that counts for the scope; NULL: what was there before them. */
const struct write *rule_view(const struct contention *contention, const struct scope *scope,
                              const struct write *newest);

/* Of a variable's writes, newest first, the last one that the scope made; NULL: none. */
const struct write *rule_made(const struct scope *scope, const struct write *newest);

/* Does the maker of this write, the newest of a variable, begin to contend with the maker of that one? */
bool rule_clash(const struct write *newest, const struct write *other);

/* Was `scope` started, or was who started it, by `starter` while that one contended? */
bool rule_is_in(const struct scope *scope, const struct scope *starter);

/* Who contends when these two do: `scope`, or the outermost one that it is in and the other is not. */
struct scope *rule_side(struct scope *scope, const struct scope *other);

/* Is `scope` on that side? Whoever is in a side is, unless the other side is in it too: then it stands alone. */
bool rule_on_side(const struct scope *scope, const struct scope *side,
                  const struct scope *other_side);

/* Of two writes of one maker: does nobody need the older, unless he was born between the two? */
bool rule_replaces(const struct write *newer, const struct write *older);

/* Can the scope never again see the write, whoever contends with whom and whoever ends? `scope` NULL: one that has never
 * contended. */
bool rule_is_past(const struct contention *contention, const struct scope *scope,
                  const struct write *newest, const struct write *write);

/* Removal is a value. */
bool rule_same_value(const char *a, const char *b);

#endif
