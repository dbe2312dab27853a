#include "env/view.h"

#include "base/layout.h"
#include "base/loaded.h"
#include "env/array.h"
#include "env/layer.h"
#include "env/names.h"
#include "env/rule.h"
#include "env/tell.h"
#include "env/thread.h"

#include <string.h>

_Atomic unsigned view_attention, view_watched;

static pin pin_of(const struct env_thread *thread, const struct variable *variable) {
    uint32_t slot =
        thread->scope ? atomic_load_explicit(&thread->scope->slot, memory_order_acquire) : 0;
    return slot ? names_pin(variable, slot) : NULL;
}

/* What the thread sees in place of `environ`'s entry. False: nothing. */
static bool other_entry(const struct env_thread *thread, const struct variable *variable,
                        char **entry) {
    if (layer_find(atomic_load_explicit(&thread->layer, memory_order_acquire), variable, entry))
        return true;
    pin pin = names_kept_apart(variable) ? pin_of(thread, variable) : NULL;
    if (pin)
        *entry = pin == PIN_ABSENT ? NULL : pin;
    return pin != NULL;
}

static char *find_in_environ(const char *name, size_t length) {
    if (name[length] != '\0')
        return array_find(name, length);
    char *value = array_get(name);
    return value ? value - length - 1 : NULL;
}

/* A pin is set before `environ` gets what it hides, and taken off after `environ` has what it no longer hides. So
 * who finds none before his look at `environ` and none after it has not seen what he must not see, unless it came and
 * went meanwhile; then its number has changed, and he looks again. */
static char *see(const struct env_thread *thread, const struct variable *variable) {
    for (;;) {
        uint64_t before = atomic_load_explicit(&variable->latest, memory_order_acquire);
        char *entry;
        if (other_entry(thread, variable, &entry))
            return entry;
        entry = find_in_environ(variable->name, variable->length);
        if (atomic_load_explicit(&variable->latest, memory_order_acquire) == before &&
            !other_entry(thread, variable, &(char *){NULL}))
            return entry;
    }
}

static bool may_be_told(const struct env_thread *thread, const struct variable *variable) {
    return atomic_load_explicit(&variable->layers, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&variable->disputed, memory_order_relaxed) ||
           pin_of(thread, variable);
}

/* A variable is in the table before `environ` gets what is to be hidden: who has not found it looks whether another one
 * has come since. */
char *view_find(const char *name, size_t length, const struct caller *caller) {
    struct env_thread *thread = thread_known();
    for (;;) {
        uint32_t count = names_count();
        struct variable *variable = thread ? names_find(name, length) : NULL;
        if (variable) {
            char *entry = see(thread, variable);
            if (may_be_told(thread, variable))
                tell_read(thread, variable, false, caller);
            return entry;
        }
        char *entry = find_in_environ(name, length);
        if (!thread || names_count() == count)
            return entry;
    }
}

char *view_get(const char *name, const struct caller *caller) {
    size_t length = strlen(name);
    char *entry = length ? view_find(name, length, caller) : NULL;
    return entry ? entry + length + 1 : NULL;
}

/* A scope has its slot before `environ` gets what is to be hidden from it: who has none after his look has seen nothing
 * of that. */
static bool is_unconcerned(const struct env_thread *thread) {
    return !thread ||
           (atomic_load_explicit(&view_watched, memory_order_relaxed) == 0 &&
            !atomic_load_explicit(&thread->layer, memory_order_relaxed) &&
            (!thread->scope || !atomic_load_explicit(&thread->scope->slot, memory_order_acquire)));
}

char *view_correct(const char *name, char *found, const struct caller *caller) {
    return is_unconcerned(thread_known()) ? found : view_get(name, caller);
}

char *view_below_layers(const struct env_thread *thread, const struct variable *variable) {
    pin pin = names_kept_apart(variable) ? pin_of(thread, variable) : NULL;
    if (pin)
        return pin == PIN_ABSENT ? NULL : pin;
    return array_find(variable->name, variable->length);
}

/* ---- Programs ---- */

static bool is_attentive(void) {
    return atomic_load_explicit(&view_attention, memory_order_acquire) != 0;
}

static bool differs(const struct env_thread *thread, const struct variable *variable,
                    char **entry) {
    return other_entry(thread, variable, entry) &&
           !rule_same_value(*entry, array_find(variable->name, variable->length));
}

/* Changed by the only thread of a forked child. */
static _Atomic bool any_before_fork;

void view_keep_for_child(const struct view_difference *differences, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct variable *v = names_find(differences[i].name, differences[i].length);
        if (!v)
            continue;
        v->before_fork = true;
        v->was = array_find(v->name, v->length);
        v->seen = differences[i].entry;
        atomic_store_explicit(&any_before_fork, true, memory_order_relaxed);
    }
}

EVERY_PROCESS void view_forget_fork(const char *name, size_t length) {
    if (!atomic_load_explicit(&any_before_fork, memory_order_relaxed))
        return;
    struct variable *v = names_find(name, length);
    if (v)
        v->before_fork = false;
}

static bool may_differ(void) {
    return is_attentive() || atomic_load_explicit(&any_before_fork, memory_order_relaxed);
}

size_t view_differences_max(void) {
    return may_differ() ? names_count() : 0;
}

static bool find_difference(const struct env_thread *thread, const struct variable *v,
                            struct view_difference *d) {
    char *entry;
    *d = (struct view_difference){.name = v->name, .length = v->length};
    if (differs(thread, v, &entry)) {
        d->entry = entry;
        return true;
    }
    if (!v->before_fork)
        return false;
    entry = array_find(v->name, v->length);
    d->entry = rule_same_value(entry, v->was) ? v->seen : entry;
    d->before_fork = true;
    d->was = v->was;
    return true;
}

size_t view_differences(struct view_difference *differences, size_t max) {
    const struct env_thread *thread = may_differ() ? thread_known() : NULL;
    size_t count = 0;
    for (struct variable *v = thread ? names_all() : NULL; v && count < max; v = v->next)
        count += find_difference(thread, v, &differences[count]);
    return count;
}

void view_program_starts(const struct caller *caller) {
    tell_counts();
    if (tell_has_kept())
        tell_kept(caller);
    struct env_thread *thread = is_attentive() && settings.out[0] ? thread_known() : NULL;
    for (struct variable *v = thread ? names_all() : NULL; v; v = v->next)
        if (may_be_told(thread, v))
            tell_read(thread, v, true, caller);
}
