#include "env/contenders.h"

#include "env/family.h"
#include "env/tell.h"
#include "env/view.h"

#include <string.h>

/* Guarded by env_lock. */
static struct contention contention;
static struct scope *contenders; /* those that live */
static struct scope *in_slot[SLOTS];
static uint32_t slots_used = 1; /* slot 0 is nobody's */

static uint32_t slot_of(const struct scope *scope) {
    return atomic_load_explicit(&scope->slot, memory_order_relaxed);
}

const struct write *contenders_view(const struct scope *scope, const struct variable *variable) {
    return rule_view(&contention, scope, variable->writes);
}

bool contenders_see(const struct scope *scope, const struct variable *variable,
                    const struct write *write) {
    return rule_sees(&contention, scope, variable->writes, write);
}

/* ---- Pins ---- */

static pin pin_of(const struct scope *scope, const struct variable *variable) {
    const struct write *seen = contenders_view(scope, variable);
    if (seen == variable->writes)
        return NULL;
    char *entry = seen ? seen->entry : variable->base;
    return entry ? entry : PIN_ABSENT;
}

static void refresh(const struct scope *scope, struct variable *variable) {
    if (names_kept_apart(variable) &&
        !names_set_pin(variable, slot_of(scope), pin_of(scope, variable)))
        tell_degraded(TELL_NO_MEMORY, NULL);
}

void contenders_refresh(struct variable *variable) {
    for (const struct scope *scope = contenders; scope; scope = scope->next_contender)
        refresh(scope, variable);
}

void contenders_hide(struct variable *variable, bool began) {
    for (const struct scope *scope = contenders; scope; scope = scope->next_contender)
        if ((began || !names_pin(variable, slot_of(scope))) &&
            !contenders_see(scope, variable, variable->writes))
            refresh(scope, variable);
}

void contenders_show(struct variable *variable) {
    for (const struct scope *scope = contenders; scope; scope = scope->next_contender)
        if (names_pin(variable, slot_of(scope)) &&
            contenders_see(scope, variable, variable->writes))
            refresh(scope, variable);
}

void contenders_refresh_all_but(const struct variable *except) {
    for (struct variable *v = contenders ? names_written() : NULL; v; v = v->next_written)
        if (v != except)
            contenders_refresh(v);
}

static void refresh_all_of(const struct scope *scope) {
    for (struct variable *v = names_written(); v; v = v->next_written)
        refresh(scope, v);
}

static void unpin_all_of(const struct scope *scope) {
    for (struct variable *v = names_written(); v; v = v->next_written)
        names_set_pin(v, slot_of(scope), NULL);
}

bool contenders_has_pins(const struct scope *scope) {
    for (struct variable *v = scope->contended ? names_written() : NULL; v; v = v->next_written)
        if (names_pin(v, slot_of(scope)))
            return true;
    return false;
}

/* ---- Slots ---- */

static bool take_slot(struct scope *scope) {
    if (slot_of(scope))
        return true;
    uint32_t slot = 1;
    while (slot < slots_used && in_slot[slot])
        slot++;
    if (slot == SLOTS) {
        tell_degraded(TELL_TOO_MANY_SCOPES, NULL);
        return false;
    }
    if (slot == slots_used)
        slots_used++;
    in_slot[slot] = scope;
    atomic_store_explicit(&scope->slot, slot, memory_order_release);
    return true;
}

static void give_slot(struct scope *scope) {
    in_slot[slot_of(scope)] = NULL;
    atomic_store_explicit(&scope->slot, 0, memory_order_relaxed);
}

/* ---- Pairs ---- */

static void set_bit(uint32_t row, uint32_t column, bool value) {
    uint64_t *word = &contention.bits[row][column / 64], bit = UINT64_C(1) << column % 64;
    *word = value ? *word | bit : *word & ~bit;
}

static void join_contenders(struct scope *scope) {
    scope->previous_contender = NULL;
    scope->next_contender = contenders;
    if (contenders)
        contenders->previous_contender = scope;
    contenders = scope;
    atomic_fetch_add_explicit(&view_attention, 1, memory_order_release);
}

static void leave_contenders(struct scope *scope) {
    unpin_all_of(scope);
    if (scope->next_contender)
        scope->next_contender->previous_contender = scope->previous_contender;
    if (scope->previous_contender)
        scope->previous_contender->next_contender = scope->next_contender;
    else
        contenders = scope->next_contender;
    atomic_fetch_sub_explicit(&view_attention, 1, memory_order_release);
}

static void one_more(struct scope *scope) {
    if (scope->contended++ == 0 && scope->lives)
        join_contenders(scope);
}

static void one_less(struct scope *scope) {
    if (--scope->contended == 0 && scope->lives)
        leave_contenders(scope);
}

static bool begin_pair(struct scope *a, struct scope *b) {
    if (!slot_of(a) || !slot_of(b) || rule_contended(&contention, a, b))
        return false;
    set_bit(slot_of(a), slot_of(b), true);
    set_bit(slot_of(b), slot_of(a), true);
    one_more(a);
    one_more(b);
    return true;
}

static bool is_on_side(const struct scope *scope, const struct scope *side,
                       const struct scope *other) {
    return scope && scope->lives && rule_on_side(scope, side, other);
}

bool contenders_have_begun(const struct scope *a, const struct scope *b) {
    return rule_contended(&contention, a, b);
}

bool contenders_begin(struct scope *a, struct scope *b) {
    struct scope *side_a = rule_side(a, b), *side_b = rule_side(b, a);
    bool began = false;
    if (rule_contended(&contention, a, b) || !take_slot(side_a) || !take_slot(side_b))
        return false;
    for (uint32_t i = 1; i < slots_used; i++)
        for (uint32_t j = 1; is_on_side(in_slot[i], side_a, side_b) && j < slots_used; j++)
            if (is_on_side(in_slot[j], side_b, side_a))
                began |= begin_pair(in_slot[i], in_slot[j]);
    return began;
}

/* With somebody who lives, or does it still see something else than `environ`? */
static bool contends(const struct scope *scope) {
    for (uint32_t slot = 1; scope->contended && slot < slots_used; slot++)
        if (in_slot[slot] && in_slot[slot]->lives &&
            rule_contended(&contention, scope, in_slot[slot]))
            return true;
    return contenders_has_pins(scope);
}

/* It contends with the same, and so sees the same. */
void contenders_begin_within(struct scope *scope, struct scope *starter) {
    if (!contends(starter) || !take_slot(scope))
        return;
    scope->in = starter;
    for (uint32_t slot = 1; slot < slots_used; slot++)
        if (in_slot[slot] && rule_contended(&contention, starter, in_slot[slot]))
            begin_pair(scope, in_slot[slot]);
    refresh_all_of(scope);
}

void contenders_end(struct scope *scope) {
    for (uint32_t slot = 1; slot < slots_used; slot++)
        if (in_slot[slot] && in_slot[slot]->in == scope)
            in_slot[slot]->in = scope->in;
    scope->in = NULL;
    if (scope->contended)
        leave_contenders(scope);
}

void contenders_forget(struct scope *scope) {
    if (!slot_of(scope))
        return;
    for (uint32_t slot = 1; slot < slots_used; slot++)
        if (in_slot[slot] && rule_contended(&contention, scope, in_slot[slot])) {
            set_bit(slot_of(scope), slot, false);
            set_bit(slot, slot_of(scope), false);
            one_less(in_slot[slot]);
        }
    give_slot(scope);
}

/* Does the scope know by another write too that it has a value of its own beside that enemy's (rule_sees)? */
static bool knows_otherwise(const struct scope *scope, const struct scope *enemy,
                            const struct write *newest, const struct write *write) {
    for (; newest; newest = newest->next)
        if (newest != write && rule_maker(newest) &&
            rule_contended(&contention, rule_maker(newest), enemy) && rule_heard(scope, newest))
            return true;
    return false;
}

/* Is the write all by which the scope knows that it has a value of its own beside one of the maker's enemies? */
static bool is_the_only_sign(const struct scope *scope, const struct write *newest,
                             const struct write *write) {
    const struct scope *maker = rule_maker(write);
    for (uint32_t slot = 1; maker && slot < slots_used; slot++)
        if (in_slot[slot] && rule_contended(&contention, maker, in_slot[slot]) &&
            !knows_otherwise(scope, in_slot[slot], newest, write))
            return true;
    return false;
}

/* The last that it has heard of: it may hand that on to one who sees nothing newer. */
static bool is_the_last_heard(const struct scope *scope, const struct write *newest,
                              const struct write *write) {
    while (newest != write && !rule_heard(scope, newest))
        newest = newest->next;
    return newest == write;
}

/* Who ends or is joined hands on all that he has heard. */
static bool is_wanted(const struct write *newest, const struct write *write) {
    for (const struct scope *scope = family_youngest(); scope; scope = scope->older)
        if ((scope->lives || scope->joinable) && rule_heard(scope, write) &&
            (is_the_last_heard(scope, newest, write) || is_the_only_sign(scope, newest, write)))
            return true;
    return false;
}

/* A living maker may come to contend over what he wrote last. */
bool contenders_are_past(const struct variable *variable, const struct write *write) {
    const struct scope *maker = rule_maker(write);
    if ((maker && maker->lives) || !rule_is_past(&contention, NULL, variable->writes, write))
        return false;
    const struct scope *scope = contenders;
    while (scope && rule_is_past(&contention, scope, variable->writes, write))
        scope = scope->next_contender;
    return scope == NULL && !is_wanted(variable->writes, write);
}

void contenders_clear(void) {
    for (struct variable *v = names_written(); v; v = v->next_written)
        for (uint32_t slot = 1; slot < slots_used; slot++)
            names_set_pin(v, slot, NULL);
    for (uint32_t slot = 1; slot < slots_used; slot++)
        if (in_slot[slot]) {
            in_slot[slot]->contended = 0;
            in_slot[slot]->in = NULL;
            give_slot(in_slot[slot]);
        }
    memset(contention.bits, 0, slots_used * sizeof contention.bits[0]);
    for (; contenders; contenders = contenders->next_contender)
        atomic_fetch_sub_explicit(&view_attention, 1, memory_order_release);
    slots_used = 1;
}
