#include "env/rule.h"

#include <string.h>

bool rule_owns(const struct scope *scope, const struct write *write) {
    const struct stake *stake = write->stakes;
    while (stake && stake->scope != scope)
        stake = stake->next;
    return stake != NULL;
}

bool rule_heard(const struct scope *scope, const struct write *write) {
    if (write->for_all || rule_owns(scope, write))
        return true;
    for (; scope->parent; scope = scope->parent)
        if (write->number < scope->started && rule_owns(scope->parent, write))
            return true;
    return false;
}

bool rule_lives(const struct write *write) {
    const struct stake *stake = write->stakes;
    while (stake && !stake->scope->lives)
        stake = stake->next;
    return stake != NULL;
}

bool rule_is_in(const struct scope *scope, const struct scope *starter) {
    scope = scope->in;
    while (scope && scope != starter)
        scope = scope->in;
    return scope != NULL;
}

struct scope *rule_side(struct scope *scope, const struct scope *other) {
    while (scope->in && scope->in != other && !rule_is_in(other, scope->in))
        scope = scope->in;
    return scope;
}

bool rule_on_side(const struct scope *scope, const struct scope *side,
                  const struct scope *other_side) {
    return scope == side || (rule_is_in(scope, side) && !rule_is_in(other_side, side));
}

bool rule_contend(const struct contention *contention, const struct scope *a,
                  const struct scope *b) {
    uint32_t row = atomic_load_explicit(&a->slot, memory_order_relaxed);
    uint32_t column = atomic_load_explicit(&b->slot, memory_order_relaxed);
    return a->contends && b->contends && (contention->bits[row][column / 64] >> column % 64 & 1);
}

bool rule_visible(const struct contention *contention, const struct scope *scope,
                  const struct write *write) {
    for (const struct stake *stake = write->stakes; stake; stake = stake->next)
        if (stake->scope->lives && !rule_contend(contention, scope, stake->scope))
            return true;
    return rule_heard(scope, write);
}

const struct write *rule_view(const struct contention *contention, const struct scope *scope,
                              const struct write *newest) {
    while (newest && !rule_visible(contention, scope, newest))
        newest = newest->next;
    return newest;
}

const struct write *rule_last(const struct scope *scope, const struct write *newest) {
    while (newest && !rule_owns(scope, newest))
        newest = newest->next;
    return newest;
}

bool rule_same_value(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool rule_clash(const struct scope *one, const struct write *his, const struct scope *other,
                const struct write *theirs) {
    return one != other && !rule_same_value(his->entry, theirs->entry) &&
           !rule_heard(one, theirs) && !rule_heard(other, his);
}

bool rule_replaces(const struct write *newer, const struct write *older) {
    if (older->for_all && !newer->for_all)
        return false;
    for (const struct stake *stake = older->stakes; stake; stake = stake->next)
        if (stake->scope->lives && !rule_owns(stake->scope, newer))
            return false;
    return true;
}
