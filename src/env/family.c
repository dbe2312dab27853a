#include "env/family.h"

#include "env/contenders.h"
#include "env/pool.h"

#include <string.h>

/* Guarded by env_lock. */
static struct pool scopes;
static struct scope *youngest;
static uint64_t number;

uint64_t family_number(void) {
    return ++number;
}

static void descend(struct scope *child, struct scope *parent) {
    child->parent = parent;
    child->previous_sibling = NULL;
    child->next_sibling = parent ? parent->children : NULL;
    if (child->next_sibling)
        child->next_sibling->previous_sibling = child;
    if (parent)
        parent->children = child;
}

static void leave_parent(struct scope *child) {
    if (child->next_sibling)
        child->next_sibling->previous_sibling = child->previous_sibling;
    if (child->previous_sibling)
        child->previous_sibling->next_sibling = child->next_sibling;
    else if (child->parent)
        child->parent->children = child->next_sibling;
}

static void be_born(struct scope *scope) {
    scope->lives = true;
    scope->born = scope->started = family_number();
    scope->younger = NULL;
    scope->older = youngest;
    if (youngest)
        youngest->younger = scope;
    youngest = scope;
}

static void leave_generations(const struct scope *scope) {
    if (scope->older)
        scope->older->younger = scope->younger;
    if (scope->younger)
        scope->younger->older = scope->older;
    else if (youngest == scope)
        youngest = scope->older;
}

struct scope *family_add(struct scope *parent) {
    struct scope *scope = pool_take(&scopes, sizeof *scope);
    if (!scope)
        return NULL;
    scope->uses = 1;
    be_born(scope);
    descend(scope, parent);
    return scope;
}

void family_keep(struct scope *scope) {
    scope->uses++;
}

void family_release(struct scope *scope) {
    if (--scope->uses)
        return;
    contenders_forget(scope);
    leave_parent(scope);
    leave_generations(scope);
    for (struct scope *child; (child = scope->children);) {
        leave_parent(child);
        child->started = scope->started;
        descend(child, scope->parent);
    }
    pool_give(&scopes, scope);
}

struct scope *family_heir(const struct scope *scope) {
    struct scope *heir = scope->parent;
    while (heir && !heir->lives)
        heir = heir->parent;
    return heir;
}

bool family_was_born_between(uint64_t after, uint64_t before) {
    const struct scope *scope = youngest;
    while (scope && scope->born > before)
        scope = scope->older;
    return scope && scope->born > after;
}

void family_begin(struct scope *only) {
    memset(only, 0, sizeof *only);
    only->uses = 1;
    youngest = NULL;
    be_born(only);
}
