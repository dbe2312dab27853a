#include "env/scope.h"

#include "env/array.h"
#include "env/contenders.h"
#include "env/pool.h"
#include "env/strings.h"
#include "env/tell.h"
#include "env/thread.h"
#include "env/view.h"

/* Guarded by env_lock. */
static struct pool hearers, writes;

const struct write *scope_view(const struct scope *scope, const struct variable *variable) {
    return names_kept_apart(variable) ? contenders_view(scope, variable)
                                      : rule_made(scope, variable->writes);
}

const struct write *scope_hidden(const struct scope *scope, const struct variable *variable) {
    const struct write *newest = variable->writes;
    if (!newest)
        return NULL;
    bool seen = names_kept_apart(variable) ? contenders_see(scope, variable, newest)
                                           : rule_heard(scope, newest);
    return seen ? NULL : newest;
}

struct scope *scope_enter(struct scope *starter) {
    struct scope *scope = family_add(starter);
    if (scope && starter)
        contenders_begin_within(scope, starter);
    return scope;
}

/* ---- One write ---- */

static bool add_hearer(struct write *write, struct scope *scope) {
    struct hearer *hearer = pool_take(&hearers, sizeof *hearer);
    if (!hearer)
        return false;
    hearer->scope = scope;
    hearer->write = write;
    hearer->since = family_number();
    hearer->next_own = scope->heard;
    if (scope->heard)
        scope->heard->previous_own = hearer;
    scope->heard = hearer;
    family_keep(scope);
    struct hearer **at = &write->hearers;
    while (*at)
        at = &(*at)->next;
    *at = hearer;
    return true;
}

static void give_hearer(struct hearer *hearer) {
    struct scope *scope = hearer->scope;
    if (hearer->next_own)
        hearer->next_own->previous_own = hearer->previous_own;
    if (hearer->previous_own)
        hearer->previous_own->next_own = hearer->next_own;
    else
        scope->heard = hearer->next_own;
    pool_give(&hearers, hearer);
    family_release(scope);
}

static void forget(struct write *write) {
    for (struct hearer *hearer; (hearer = write->hearers);) {
        write->hearers = hearer->next;
        give_hearer(hearer);
    }
    thread_release(write->by);
    pool_give(&writes, write);
}

static void fill(struct write *write, char *entry, stack_id stack) {
    write->entry = entry;
    write->stack = stack;
    write->number = family_number();
    clock_gettime(CLOCK_REALTIME_COARSE, &write->since);
}

static struct write *make(struct env_thread *by, char *entry, stack_id stack) {
    struct write *write = pool_take(&writes, sizeof *write);
    if (!write)
        return NULL;
    thread_keep(by);
    write->by = by;
    fill(write, entry, stack);
    if (!by->scope || add_hearer(write, by->scope))
        return write;
    forget(write);
    return NULL;
}

/* ---- A variable's writes ---- */

/* How many are kept without a look at everyone who may still need them. */
#define WRITES_KEPT 16

static void forget_those_past(struct variable *variable) {
    uint32_t left = 0;
    for (struct write **at = &variable->writes; *at;) {
        struct write *write = *at;
        if (contenders_are_past(variable, write)) {
            *at = write->next;
            forget(write);
            continue;
        }
        left++;
        at = &write->next;
    }
    variable->writes_wanted = left > WRITES_KEPT / 2 ? 2 * left : WRITES_KEPT;
}

static bool is_replaced(const struct write *older, const struct write *newer) {
    return rule_maker(older) == rule_maker(newer) && rule_replaces(newer, older) &&
           !family_has_branch_between(older->number, newer->number);
}

/* The newest write is there; its maker's older ones are not needed. */
static void prune(struct variable *variable) {
    const struct write *newer = variable->writes;
    uint32_t count = 1;
    for (struct write **at = &variable->writes->next; *at; count++) {
        struct write *write = *at;
        if (is_replaced(write, newer)) {
            *at = write->next;
            forget(write);
            continue;
        }
        if (rule_maker(write) == rule_maker(newer))
            newer = write;
        at = &write->next;
    }
    if (count > (variable->writes_wanted ? variable->writes_wanted : WRITES_KEPT))
        forget_those_past(variable);
}

static void set_disputed(struct variable *variable, bool disputed) {
    if (atomic_load_explicit(&variable->disputed, memory_order_relaxed) == disputed)
        return;
    atomic_store_explicit(&variable->disputed, disputed, memory_order_relaxed);
    view_watch(disputed ? 1 : -1);
}

/* The newest write's maker meets all others, each by what it wrote last. Does it begin to contend with one? */
static bool meet(struct variable *variable) {
    static uint64_t meetings;
    const struct write *newest = variable->writes;
    struct scope *writer = rule_maker(newest);
    bool began = false, apart = names_kept_apart(variable);
    meetings++;
    for (const struct write *w = writer ? newest->next : NULL; w; w = w->next) {
        struct scope *maker = rule_maker(w);
        bool is_last = maker && maker->met != meetings;
        if (is_last)
            maker->met = meetings;
        if (!is_last || (apart && contenders_have_begun(writer, maker)) || !rule_clash(newest, w))
            continue;
        if (apart)
            began |= contenders_begin(writer, maker);
        else
            set_disputed(variable, true);
    }
    return began;
}

/* What `environ` has of the variable is about to go, and some may go on seeing it: it is what the last write has come
 * to, for the program may have changed the array itself. A string of the program's own may not be there for long. */
static void keep_what_is_there(struct variable *variable, struct write *last) {
    if (last && atomic_load_explicit(&view_attention, memory_order_relaxed) == 0 &&
        (!last->entry || strings_has(last->entry)))
        return;
    char *entry = array_find(variable->name, variable->length);
    if (entry && !strings_has(entry)) {
        char *kept = strings_keep(variable->name, variable->length, entry + variable->length + 1);
        entry = kept ? kept : entry;
    }
    if (last)
        last->entry = entry;
    else
        variable->base = entry;
}

/* Will the last write be of no interest to anybody, because the same thread writes anew? Then neither is its value. */
static bool is_over(const struct write *last, const struct write *newer) {
    return last && atomic_load_explicit(&view_attention, memory_order_relaxed) == 0 &&
           is_replaced(last, newer);
}

/* Does the thread write anew what it alone has written, and was nobody started since? Then a write more would come to the
 * same as this one with another value: most writes beside other threads are such. */
static bool is_written_anew(const struct write *last, const struct env_thread *by) {
    return last && !last->next && last->by == by && last->hearers && !last->hearers->next &&
           last->hearers->scope == by->scope &&
           atomic_load_explicit(&view_attention, memory_order_relaxed) == 0 &&
           !family_has_branch_between(last->number, UINT64_MAX);
}

static void write_anew(struct scope_write *w, char *entry, stack_id stack) {
    w->was = *w->write;
    fill(w->write, entry, stack);
    w->write->hearers->since = family_number();
}

void scope_write_begin(struct scope_write *w, struct variable *variable, char *entry,
                       struct env_thread *by, stack_id stack) {
    struct write *last = variable->writes;
    w->variable = variable;
    w->was.by = NULL;
    if (is_written_anew(last, by)) {
        w->write = last;
        write_anew(w, entry, stack);
        atomic_store_explicit(&variable->latest, last->number, memory_order_release);
        return;
    }
    w->write = make(by, entry, stack);
    if (!w->write) {
        tell_degraded(TELL_NO_MEMORY, NULL);
        return;
    }
    bool over = is_over(last, w->write);
    if (!over)
        keep_what_is_there(variable, last);
    w->write->next = last;
    variable->writes = w->write;
    names_add_written(variable);
    bool began = meet(variable);
    if (began && over)
        keep_what_is_there(variable, last);
    if (began)
        contenders_refresh_all_but(variable);
    contenders_hide(variable, began);
    atomic_store_explicit(&variable->latest, w->write->number, memory_order_release);
}

void scope_write_end(struct scope_write *w) {
    if (!w->write || w->was.by)
        return;
    contenders_show(w->variable);
    prune(w->variable);
}

void scope_write_failed(struct scope_write *w) {
    if (!w->write)
        return;
    /* Its hearer hears of it later than it did, but has started nobody in between. */
    if (w->was.by) {
        *w->write = w->was;
        return;
    }
    w->variable->writes = w->write->next;
    forget(w->write);
    contenders_refresh(w->variable);
}

/* ---- Ends and joins ---- */

static void tell(struct write *write, struct scope *to) {
    if (!rule_heard(to, write) && !add_hearer(write, to))
        tell_degraded(TELL_NO_MEMORY, NULL);
}

/* What it has heard as the child of somebody, its heir has heard from that one. */
static void tell_heir(const struct scope *scope, struct scope *heir) {
    for (const struct hearer *hearer = scope->heard; hearer; hearer = hearer->next_own)
        tell(hearer->write, heir);
}

void scope_leave(struct scope *scope) {
    struct scope *heir = family_heir(scope);
    bool contended = scope->contended != 0;
    contenders_end(scope);
    scope->lives = false;
    if (heir)
        tell_heir(scope, heir);
    if (contended || scope->heard)
        contenders_refresh_all_but(NULL);
    family_release(scope);
}

void scope_joined(const struct scope *ended, struct scope *by) {
    if (family_heir(ended) == by)
        return; /* it was told when the other one ended */
    for (struct variable *v = names_written(); v; v = v->next_written)
        for (struct write *write = v->writes; write; write = write->next)
            if (rule_heard(ended, write))
                tell(write, by);
    contenders_refresh_all_but(NULL);
}

/* ---- Nobody else ---- */

void scope_is_alone(struct scope *left) {
    if (contenders_has_pins(left))
        return;
    contenders_clear();
    for (struct variable *v = names_written(); v; v = v->next_written) {
        for (struct write *write; (write = v->writes);) {
            v->writes = write->next;
            forget(write);
        }
        v->base = NULL;
        set_disputed(v, false);
    }
    names_clear_written();
}

/* What others knew is not given back: it may have been in the midst of a change. */
void scope_after_fork(struct scope *left) {
    contenders_clear();
    for (struct variable *v = names_written(); v; v = v->next_written) {
        v->writes = NULL;
        v->base = NULL;
        set_disputed(v, false);
    }
    names_clear_written();
    family_begin(left);
}
