#include "env/view.h"

#include "base/loaded.h"
#include "env/array.h"
#include "env/layer.h"
#include "env/names.h"
#include "env/rule.h"
#include "env/tell.h"
#include "env/thread.h"

#include <string.h>

_Atomic unsigned view_attention;

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

/* A pin is set before `environ` gets what it hides, and taken off after `environ` has what it no longer hides. So
 * who finds none before his look at `environ` and none after it has not seen what he must not see, unless it came and
 * went meanwhile; then its number has changed, and he looks again. */
static char *see(const struct env_thread *thread, const struct variable *variable) {
    for (;;) {
        uint64_t before = atomic_load_explicit(&variable->latest, memory_order_acquire);
        char *entry;
        if (other_entry(thread, variable, &entry))
            return entry;
        entry = array_find(variable->name, variable->length);
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

char *view_find(const char *name, size_t length, const struct caller *caller) {
    struct variable *variable = names_find(name, length);
    struct env_thread *thread = variable ? thread_known() : NULL;
    if (!thread)
        return array_find(name, length);
    char *entry = see(thread, variable);
    if (may_be_told(thread, variable))
        tell_read(thread, variable, false, caller);
    return entry;
}

char *view_get(const char *name, const struct caller *caller) {
    size_t length = strlen(name);
    char *entry = length ? view_find(name, length, caller) : NULL;
    return entry ? entry + length + 1 : NULL;
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

size_t view_differences_max(void) {
    return is_attentive() ? names_count() : 0;
}

size_t view_differences(struct view_difference *differences, size_t max) {
    const struct env_thread *thread = is_attentive() ? thread_known() : NULL;
    size_t count = 0;
    for (struct variable *v = thread ? names_all() : NULL; v && count < max; v = v->next) {
        char *entry;
        if (differs(thread, v, &entry))
            differences[count++] = (struct view_difference){v->name, v->length, entry};
    }
    return count;
}

void view_program_starts(const struct caller *caller) {
    if (tell_has_kept())
        tell_kept(caller);
    struct env_thread *thread = is_attentive() && settings.out[0] ? thread_known() : NULL;
    for (struct variable *v = thread ? names_all() : NULL; v; v = v->next)
        if (may_be_told(thread, v))
            tell_read(thread, v, true, caller);
}
