#include "env/rule.h"

#include <string.h>

static const struct hearer *find_hearer(const struct scope *scope, const struct write *write) {
    const struct hearer *hearer = write->hearers;
    while (hearer && hearer->scope != scope)
        hearer = hearer->next;
    return hearer;
}

bool rule_heard(const struct scope *scope, const struct write *write) {
    if (!write->hearers || find_hearer(scope, write))
        return true;
    for (; scope->parent; scope = scope->parent) {
        const struct hearer *hearer = find_hearer(scope->parent, write);
        if (hearer && hearer->since < scope->started)
            return true;
    }
    return false;
}

bool rule_contended(const struct contention *contention, const struct scope *a,
                    const struct scope *b) {
    uint32_t row = atomic_load_explicit(&a->slot, memory_order_relaxed);
    uint32_t column = atomic_load_explicit(&b->slot, memory_order_relaxed);
    return contention->bits[row][column / 64] >> column % 64 & 1;
}

/* Has the scope heard of another value of the variable, by somebody who contended with the maker of this one? */
static bool has_its_own(const struct contention *contention, const struct scope *scope,
                        const struct write *newest, const struct scope *maker) {
    for (; newest; newest = newest->next) {
        const struct scope *other = rule_maker(newest);
        if (other && rule_contended(contention, other, maker) && rule_heard(scope, newest))
            return true;
    }
    return false;
}

bool rule_sees(const struct contention *contention, const struct scope *scope,
               const struct write *newest, const struct write *write) {
    const struct scope *maker = rule_maker(write);
    return !maker || !rule_contended(contention, scope, maker) || rule_heard(scope, write) ||
           (!maker->lives && !has_its_own(contention, scope, newest, maker));
}

const struct write *rule_view(const struct contention *contention, const struct scope *scope,
                              const struct write *newest) {
    const struct write *write = newest;
    while (write && !rule_sees(contention, scope, newest, write))
        write = write->next;
    return write;
}

const struct write *rule_made(const struct scope *scope, const struct write *newest) {
    while (newest && rule_maker(newest) != scope)
        newest = newest->next;
    return newest;
}

bool rule_same_value(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool rule_clash(const struct write *newest, const struct write *other) {
    const struct scope *writer = rule_maker(newest), *maker = rule_maker(other);
    return writer && maker && maker != writer && maker->lives &&
           !rule_same_value(newest->entry, other->entry) && !rule_heard(writer, other);
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

/* Has somebody whom it started since then heard of the write by that? */
static bool has_passed_on(const struct hearer *hearer) {
    const struct scope *child = hearer->scope->children;
    while (child && child->started < hearer->since)
        child = child->next_sibling;
    return child != NULL;
}

bool rule_replaces(const struct write *newer, const struct write *older) {
    for (const struct hearer *hearer = older->hearers; hearer; hearer = hearer->next) {
        const struct scope *scope = hearer->scope;
        if ((scope->lives || scope->joinable || has_passed_on(hearer)) &&
            !find_hearer(scope, newer))
            return false;
    }
    return true;
}

/* Nobody begins to contend with who has ended, and what was heard is never unheard. */
static bool is_seen_for_ever(const struct contention *contention, const struct scope *scope,
                             const struct write *write) {
    const struct scope *maker = rule_maker(write);
    if (!maker || !scope)
        return !maker || !maker->lives;
    return rule_heard(scope, write) || (!maker->lives && !rule_contended(contention, scope, maker));
}

bool rule_is_past(const struct contention *contention, const struct scope *scope,
                  const struct write *newest, const struct write *write) {
    const struct scope *maker = rule_maker(write);
    for (const struct write *newer = newest; newer != write; newer = newer->next)
        if (is_seen_for_ever(contention, scope, newer))
            return true;
    return scope && maker && !maker->lives && !rule_sees(contention, scope, newest, write);
}
