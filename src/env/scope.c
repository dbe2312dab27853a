#include "env/scope.h"

#include "env/array.h"
#include "env/pool.h"
#include "env/thread.h"
#include "env/view.h"

#include <string.h>

/* All of these are guarded by env_lock. */
static struct contention contention;
static struct pool scopes, stakes, writes;
static struct scope *contenders;
static struct scope *youngest;
static struct scope *in_slot[SLOTS];
static uint32_t slots_used = 1; /* slot 0 is nobody's */
static uint64_t number;

uint64_t scope_number(void) {
    return ++number;
}

/* ---- The tree of scopes ---- */

static void descend(struct scope *child, struct scope *parent) {
    child->parent = parent;
    child->previous_sibling = NULL;
    child->next_sibling = parent ? parent->children : NULL;
    if (child->next_sibling)
        child->next_sibling->previous_sibling = child;
    if (parent)
        parent->children = child;
}

static void leave_family(struct scope *child) {
    if (child->next_sibling)
        child->next_sibling->previous_sibling = child->previous_sibling;
    if (child->previous_sibling)
        child->previous_sibling->next_sibling = child->next_sibling;
    else if (child->parent)
        child->parent->children = child->next_sibling;
}

static void be_born(struct scope *scope) {
    scope->born = scope->started = scope_number();
    scope->younger = NULL;
    scope->older = youngest;
    if (youngest)
        youngest->younger = scope;
    youngest = scope;
}

static void leave_generations(struct scope *scope) {
    if (scope->older)
        scope->older->younger = scope->younger;
    if (scope->younger)
        scope->younger->older = scope->older;
    else if (youngest == scope)
        youngest = scope->older;
}

static bool was_born_between(uint64_t after, uint64_t before) {
    const struct scope *scope = youngest;
    while (scope && scope->born > before)
        scope = scope->older;
    return scope && scope->born > after;
}

/* One user less. Whom nobody remembers is left out of the tree: his children descend from his parent by the branch
 * that he began. */
void scope_release(struct scope *scope) {
    if (--scope->uses)
        return;
    leave_family(scope);
    leave_generations(scope);
    for (struct scope *child; (child = scope->children);) {
        leave_family(child);
        child->started = scope->started;
        descend(child, scope->parent);
    }
    pool_give(&scopes, scope);
}

void scope_keep(struct scope *scope) {
    scope->uses++;
}

static struct scope *heir_of(const struct scope *scope) {
    struct scope *heir = scope->parent;
    while (heir && !heir->lives)
        heir = heir->parent;
    return heir;
}

/* ---- Pins ---- */

static uint32_t slot_of(const struct scope *scope) {
    return atomic_load_explicit(&scope->slot, memory_order_relaxed);
}

static pin pin_of(const struct scope *scope, const struct variable *variable) {
    const struct write *newest = variable->writes;
    const struct write *seen = rule_view(&contention, scope, newest);
    if (seen == newest)
        return NULL;
    char *entry = seen ? seen->entry : variable->base;
    return entry ? entry : PIN_ABSENT;
}

const struct write *scope_view(const struct scope *scope, const struct variable *variable) {
    return names_kept_apart(variable) ? rule_view(&contention, scope, variable->writes)
                                      : rule_last(scope, variable->writes);
}

const struct write *scope_hidden(const struct scope *scope, const struct variable *variable) {
    const struct write *newest = variable->writes;
    if (!newest)
        return NULL;
    bool seen = names_kept_apart(variable) ? rule_visible(&contention, scope, newest)
                                           : rule_heard(scope, newest) || !rule_lives(newest);
    return seen ? NULL : newest;
}

static void refresh(const struct scope *scope, struct variable *variable) {
    names_set_pin(variable, slot_of(scope), pin_of(scope, variable));
}

static void refresh_contenders(struct variable *variable) {
    for (const struct scope *scope = contenders; scope; scope = scope->next_contender)
        refresh(scope, variable);
}

static void refresh_who_sees(struct variable *variable, const struct write *write, bool sees) {
    for (const struct scope *scope = contenders; scope; scope = scope->next_contender)
        if (rule_visible(&contention, scope, write) == sees)
            refresh(scope, variable);
}

static void refresh_all_but(const struct variable *except) {
    for (struct variable *v = names_all(); v; v = v->next)
        if (v->writes && v != except && names_kept_apart(v))
            refresh_contenders(v);
}

static void refresh_all_of(const struct scope *scope) {
    for (struct variable *v = names_all(); v; v = v->next)
        if (v->writes && names_kept_apart(v))
            refresh(scope, v);
}

static void unpin_all_of(const struct scope *scope) {
    for (struct variable *v = names_all(); v; v = v->next)
        names_set_pin(v, slot_of(scope), NULL);
}

/* ---- Slots and pairs ---- */

static void take_slot(struct scope *scope) {
    if (slot_of(scope))
        return;
    uint32_t slot = 1;
    while (slot < slots_used && in_slot[slot])
        slot++;
    if (slot == SLOTS)
        return;
    if (slot == slots_used)
        slots_used++;
    in_slot[slot] = scope;
    atomic_store_explicit(&scope->slot, slot, memory_order_release);
}

static void give_slot(struct scope *scope) {
    if (!slot_of(scope))
        return;
    unpin_all_of(scope);
    in_slot[slot_of(scope)] = NULL;
    atomic_store_explicit(&scope->slot, 0, memory_order_relaxed);
}

static void set_pair(uint32_t a, uint32_t b, bool contend) {
    uint64_t bit_a = UINT64_C(1) << a % 64, bit_b = UINT64_C(1) << b % 64;
    if (contend) {
        contention.bits[a][b / 64] |= bit_b;
        contention.bits[b][a / 64] |= bit_a;
    } else {
        contention.bits[a][b / 64] &= ~bit_b;
        contention.bits[b][a / 64] &= ~bit_a;
    }
}

static void one_more(struct scope *scope) {
    if (scope->contends++)
        return;
    scope->previous_contender = NULL;
    scope->next_contender = contenders;
    if (contenders)
        contenders->previous_contender = scope;
    contenders = scope;
    atomic_fetch_add_explicit(&view_attention, 1, memory_order_release);
}

static void one_less(struct scope *scope) {
    if (--scope->contends)
        return;
    unpin_all_of(scope);
    if (scope->next_contender)
        scope->next_contender->previous_contender = scope->previous_contender;
    if (scope->previous_contender)
        scope->previous_contender->next_contender = scope->next_contender;
    else
        contenders = scope->next_contender;
    atomic_fetch_sub_explicit(&view_attention, 1, memory_order_release);
}

static void set_disputed(struct variable *variable, bool disputed) {
    if (atomic_load_explicit(&variable->disputed, memory_order_relaxed) == disputed)
        return;
    atomic_store_explicit(&variable->disputed, disputed, memory_order_relaxed);
    atomic_fetch_add_explicit(&view_attention, disputed ? 1 : -1, memory_order_release);
}

/* Do they begin to contend now? They cannot where there is no slot for one of them. */
static bool begin_pair(struct scope *a, struct scope *b) {
    if (!slot_of(a) || !slot_of(b) || rule_contend(&contention, a, b))
        return false;
    set_pair(slot_of(a), slot_of(b), true);
    one_more(a);
    one_more(b);
    return true;
}

static void end_pairs(struct scope *scope) {
    uint32_t slot = slot_of(scope);
    for (uint32_t other = 1; scope->contends && other < slots_used; other++)
        if (in_slot[other] && rule_contend(&contention, scope, in_slot[other])) {
            set_pair(slot, other, false);
            one_less(in_slot[other]);
            one_less(scope);
        }
}

/* ---- Beginning ---- */

/* Who is started by a contender sees what its starter sees: it contends with the same. */
static void begin_within(struct scope *scope, struct scope *starter) {
    take_slot(scope);
    if (!slot_of(scope))
        return;
    scope->in = starter;
    for (uint32_t other = 1; other < slots_used; other++)
        if (in_slot[other] && rule_contend(&contention, starter, in_slot[other]))
            begin_pair(scope, in_slot[other]);
    refresh_all_of(scope);
}

struct scope *scope_enter(struct scope *starter) {
    struct scope *scope = pool_take(&scopes, sizeof *scope);
    if (!scope)
        return NULL;
    scope->lives = true;
    scope->uses = 1;
    be_born(scope);
    descend(scope, starter);
    if (starter && scope_contends(starter))
        begin_within(scope, starter);
    return scope;
}

/* ---- Writes ---- */

static bool give_stake(struct write *write, struct scope *scope) {
    if (rule_owns(scope, write))
        return true;
    struct stake *stake = pool_take(&stakes, sizeof *stake);
    if (!stake)
        return false;
    stake->scope = scope;
    scope->uses++;
    scope->owns = true;
    struct stake **at = &write->stakes;
    while (*at)
        at = &(*at)->next;
    *at = stake;
    return true;
}

static void forget(struct write *write) {
    for (struct stake *stake; (stake = write->stakes);) {
        write->stakes = stake->next;
        scope_release(stake->scope);
        pool_give(&stakes, stake);
    }
    thread_release(write->by);
    pool_give(&writes, write);
}

static struct write *make_write(struct env_thread *by, char *entry, stack_id stack) {
    struct write *write = pool_take(&writes, sizeof *write);
    if (!write)
        return NULL;
    thread_keep(by);
    write->by = by;
    write->entry = entry;
    write->stack = stack;
    write->number = scope_number();
    clock_gettime(CLOCK_REALTIME_COARSE, &write->since);
    if (!by->scope) {
        write->for_all = true;
    } else if (!give_stake(write, by->scope)) {
        forget(write);
        return NULL;
    }
    return write;
}

/* Forgets what newer writes of this scope stand for (NULL: of nobody). Who is born between two writes has heard of the
 * older, if he descends from whom it belongs to or will belong to. */
static void prune(struct variable *variable, const struct scope *owner) {
    const struct write *newer = NULL;
    for (struct write **at = &variable->writes; *at;) {
        struct write *write = *at;
        if (newer && rule_replaces(newer, write) &&
            !was_born_between(write->number, newer->number)) {
            *at = write->next;
            forget(write);
            continue;
        }
        if (owner ? rule_owns(owner, write) : write->for_all)
            newer = write;
        at = &write->next;
    }
}

/* Both sides begin to contend, whoever is on them. */
static bool begin_contention(struct scope *a, struct scope *b) {
    struct scope *side_a = rule_side(a, b), *side_b = rule_side(b, a);
    bool began = begin_pair(side_a, side_b);
    for (uint32_t i = 1; i < slots_used; i++)
        for (uint32_t j = 1;
             in_slot[i] && rule_on_side(in_slot[i], side_a, side_b) && j < slots_used; j++)
            if (in_slot[j] && rule_on_side(in_slot[j], side_b, side_a))
                began |= begin_pair(in_slot[i], in_slot[j]);
    return began;
}

static bool clash(struct scope *scope, struct scope *other, struct variable *variable) {
    if (names_kept_apart(variable))
        return !rule_contend(&contention, scope, other) && begin_contention(scope, other);
    set_disputed(variable, true);
    return false;
}

/* A living scope meets all others in the variable. Does it begin to contend with one? */
static bool meet(struct scope *scope, struct variable *variable) {
    const struct write *his = rule_last(scope, variable->writes);
    bool began = false;
    for (const struct write *w = his ? variable->writes : NULL; w; w = w->next)
        for (const struct stake *stake = w->stakes; stake; stake = stake->next) {
            struct scope *other = stake->scope;
            if (other->lives && rule_last(other, variable->writes) == w &&
                rule_clash(scope, his, other, w))
                began |= clash(scope, other, variable);
        }
    return began;
}

static bool meet_everywhere(struct scope *scope) {
    bool began = false;
    take_slot(scope);
    for (struct variable *v = names_all(); v; v = v->next)
        began |= meet(scope, v);
    return began;
}

void scope_write_begin(struct scope_write *w, struct variable *variable, char *entry,
                       struct env_thread *by, stack_id stack) {
    w->variable = variable;
    if (!variable->writes)
        variable->base = array_find(variable->name, variable->length);
    w->write = make_write(by, entry, stack);
    if (!w->write)
        return;
    w->write->next = variable->writes;
    variable->writes = w->write;
    if (by->scope)
        take_slot(by->scope);
    if (by->scope && meet(by->scope, variable))
        refresh_all_but(variable);
    if (names_kept_apart(variable))
        refresh_who_sees(variable, w->write, false);
    atomic_store_explicit(&variable->latest, w->write->number, memory_order_release);
}

void scope_write_end(struct scope_write *w) {
    if (!w->write)
        return;
    if (names_kept_apart(w->variable))
        refresh_who_sees(w->variable, w->write, true);
    prune(w->variable, w->write->by->scope);
}

void scope_write_failed(struct scope_write *w) {
    if (!w->write)
        return;
    struct write **at = &w->variable->writes;
    while (*at != w->write)
        at = &(*at)->next;
    *at = w->write->next;
    forget(w->write);
    if (names_kept_apart(w->variable))
        refresh_contenders(w->variable);
}

/* ---- Ends and joins ---- */

/* What was `owner`'s becomes the other's too; NULL: everyone's. */
static void pass_on(const struct scope *owner, struct scope *to) {
    for (struct variable *v = names_all(); v; v = v->next) {
        for (struct write *write = v->writes; write; write = write->next)
            if (rule_owns(owner, write) && (!to || !give_stake(write, to)))
                write->for_all = true;
        prune(v, to);
    }
}

/* What it wrote is known to those within it as it was before; they are now in what it was in. */
static void leave_members(struct scope *scope) {
    for (uint32_t slot = 1; slot < slots_used; slot++) {
        struct scope *member = in_slot[slot];
        if (!member || member->in != scope)
            continue;
        if (scope->owns)
            pass_on(scope, member);
        member->in = scope->in;
    }
}

/* The heir begins to contend before the ended one's contentions are over, so that nobody sees in between what it
 * must not see. */
void scope_leave(struct scope *scope) {
    scope->lives = false;
    leave_members(scope);
    if (scope->owns) {
        struct scope *heir = heir_of(scope);
        pass_on(scope, heir);
        if (heir)
            meet_everywhere(heir);
    }
    end_pairs(scope);
    if (scope->owns)
        refresh_all_but(NULL);
    give_slot(scope);
    scope_release(scope);
}

void scope_inherit(struct scope *scope, const struct scope *ended) {
    pass_on(ended, scope);
    meet_everywhere(scope);
    refresh_all_but(NULL);
}

void scope_forget_all(struct scope *left) {
    for (struct variable *v = names_all(); v; v = v->next) {
        for (struct write *write; (write = v->writes);) {
            v->writes = write->next;
            forget(write);
        }
        v->base = NULL;
        set_disputed(v, false);
    }
    end_pairs(left);
    give_slot(left);
    left->in = NULL;
}

void scope_after_fork(struct scope *left) {
    for (struct variable *v = names_all(); v; v = v->next) {
        v->writes = NULL;
        v->base = NULL;
        atomic_store_explicit(&v->disputed, false, memory_order_relaxed);
        for (uint32_t slot = 1; slot < slots_used; slot++)
            names_set_pin(v, slot, NULL);
    }
    memset(contention.bits, 0, slots_used * sizeof contention.bits[0]);
    memset(in_slot, 0, slots_used * sizeof in_slot[0]);
    slots_used = 1;
    contenders = NULL;
    memset(left, 0, sizeof *left);
    left->lives = true;
    left->uses = 1;
    youngest = NULL;
    be_born(left);
}
