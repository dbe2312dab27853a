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

static void line_up(struct scope *scope, struct scope *younger, struct scope *older) {
    scope->younger = younger;
    scope->older = older;
    if (older)
        older->younger = scope;
    if (younger)
        younger->older = scope;
    else
        youngest = scope;
}

static void be_born(struct scope *scope) {
    scope->lives = true;
    scope->started = family_number();
    line_up(scope, NULL, youngest);
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
    for (struct scope *child; (child = scope->children);) {
        leave_parent(child);
        descend(child, scope->parent);
        leave_generations(child);
        child->started = scope->started;
        line_up(child, scope->younger, scope);
    }
    leave_generations(scope);
    pool_give(&scopes, scope);
}

void family_await_join(struct scope *scope) {
    scope->joinable = true;
    family_keep(scope);
}

void family_await_join_no_more(struct scope *scope) {
    scope->joinable = false;
    family_release(scope);
}

struct scope *family_heir(const struct scope *scope) {
    struct scope *heir = scope->parent;
    while (heir && !heir->lives)
        heir = heir->parent;
    return heir;
}

struct scope *family_youngest(void) {
    return youngest;
}

bool family_has_branch_between(uint64_t after, uint64_t before) {
    const struct scope *scope = youngest;
    while (scope && scope->started > before)
        scope = scope->older;
    return scope && scope->started > after;
}

void family_begin(struct scope *only) {
    memset(only, 0, sizeof *only);
    only->uses = 1;
    youngest = NULL;
    be_born(only);
}
