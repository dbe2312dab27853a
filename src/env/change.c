#include "env/change.h"

#include "base/layout.h"
#include "base/loaded.h"
#include "env/array.h"
#include "env/layer.h"
#include "env/lock.h"
#include "env/names.h"
#include "env/scope.h"
#include "env/strings.h"
#include "env/tell.h"
#include "env/thread.h"
#include "env/view.h"

#include <errno.h>
#include <string.h>

extern char **__environ;

/* What a thread asks for. */
struct change {
    const char *name;
    size_t length;
    const char *value; /* NULL: `entry` is the program's own string, or it is a removal */
    size_t value_length;
    char *entry; /* NULL until it is made of the value, and for a removal */
    bool overwrite;
    stack_id stack;
};

static bool is_name(const char *name) {
    return name && *name && !strchr(name, '=');
}

/* Is there anybody who may write, or has ended and left this thread with something else than `environ` has? */
static bool is_shared(void) {
    return thread_has_company() || atomic_load_explicit(&view_attention, memory_order_relaxed) != 0;
}

/* Does it matter which thread writes? One that is not known yet is not alone. */
static bool is_between_threads(void) {
    if (is_shared())
        return true;
    const struct env_thread *thread = thread_known();
    return !thread || atomic_load_explicit(&thread->layer, memory_order_relaxed) != NULL ||
           (!thread_is_initial(thread) && (settings.env_mode == ENV_PRIVATE || rules.count != 0));
}

static stack_id stack_of(const struct caller *caller) {
    return settings.out[0] ? stack_capture(caller->return_address, caller->frame) : 0;
}

/* ---- To `environ`, with nobody about ---- */

static bool make_entry(struct change *change) {
    if (change->value)
        change->entry =
            strings_keep_sized(change->name, change->length, change->value, change->value_length);
    return change->entry != NULL;
}

static bool change_array(struct change *change) {
    if (!change->value && !change->entry)
        return array_remove(change->name, change->length, env_alone());
    if (!change->overwrite && array_find(change->name, change->length))
        return true;
    return make_entry(change) && array_put(change->entry, change->length);
}

/* ---- Between threads ---- */

static bool goes_to_layer(const struct env_thread *thread, const struct variable *variable) {
    if (!thread->scope)
        return false;
    switch (variable->treatment) {
    case ENV_RULE_PRIVATE:
        if (!thread_is_initial(thread))
            return true;
        /* fallthrough */
    case ENV_RULE_SCOPED:
        return layer_is_entered(atomic_load_explicit(&thread->layer, memory_order_relaxed));
    default:
        return false;
    }
}

static bool to_array(const struct variable *variable, char *entry) {
    return entry ? array_put(entry, variable->length)
                 : array_remove(variable->name, variable->length, env_alone());
}

static bool write_to_layer(struct env_thread *thread, struct variable *variable, char *entry,
                           stack_id stack) {
    struct layer *layer = atomic_load_explicit(&thread->layer, memory_order_relaxed);
    if (!layer || layer->owner != thread)
        layer = layer_push(thread, NULL);
    struct layer_item *item = layer ? layer_put(layer, variable, entry, thread, stack) : NULL;
    if (!item || !layer->in_environ)
        return item != NULL;
    if (!item->in_environ)
        item->below = array_find(variable->name, variable->length);
    item->in_environ = true;
    return to_array(variable, entry);
}

static bool write_to_array(struct env_thread *thread, struct variable *variable, char *entry,
                           stack_id stack) {
    struct scope_write write = {.write = NULL};
    bool recorded = is_shared();
    if (recorded)
        scope_write_begin(&write, variable, entry, thread, stack);
    bool done = to_array(variable, entry);
    if (recorded && done)
        scope_write_end(&write);
    else if (recorded)
        scope_write_failed(&write);
    if (recorded && thread->scope && !thread_has_company())
        scope_is_alone(thread->scope);
    return done;
}

/* Under env_lock. */
static bool write_for(struct env_thread *thread, struct variable *variable, char *entry,
                      stack_id stack) {
    return goes_to_layer(thread, variable) ? write_to_layer(thread, variable, entry, stack)
                                           : write_to_array(thread, variable, entry, stack);
}

static bool change_view(struct change *change, struct env_thread *thread, struct tell_site *site) {
    struct variable *variable = names_make(change->name, change->length);
    if (!thread || !variable) {
        tell_degraded(TELL_NO_MEMORY, NULL);
        return change_array(change);
    }
    bool removal = !change->value && !change->entry;
    if (!removal && !change->overwrite && view_find(change->name, change->length, NULL))
        return true;
    if (!removal && !make_entry(change))
        return false;
    bool done = write_for(thread, variable, change->entry, change->stack);
    if (done && thread_has_company())
        tell_count_write(variable->name, change->entry, change->stack, site);
    return done;
}

static int apply(struct change *change, const struct caller *caller) {
    bool between = is_between_threads();
    struct env_thread *thread = between ? thread_here() : NULL;
    struct tell_site site = {.times = 0};
    if (between)
        change->stack = stack_of(caller);
    if (!env_lock())
        return -ENOMEM;
    bool done = between ? change_view(change, thread, &site) : change_array(change);
    view_forget_fork(change->name, change->length);
    env_unlock();
    tell_unsafe_write(&site);
    return done ? 0 : -ENOMEM;
}

int change_set(const char *name, const char *value, int overwrite, const struct caller *caller) {
    if (!is_name(name))
        return -EINVAL;
    struct change change = {.name = name,
                            .length = strlen(name),
                            .value = value,
                            .value_length = strlen(value),
                            .overwrite = overwrite};
    return apply(&change, caller);
}

int change_put(char *string, const struct caller *caller) {
    struct change change = {
        .name = string, .length = strcspn(string, "="), .entry = string, .overwrite = true};
    return apply(&change, caller);
}

int change_unset(const char *name, const struct caller *caller) {
    if (!is_name(name))
        return -EINVAL;
    struct change change = {.name = name, .length = strlen(name)};
    return apply(&change, caller);
}

/* ---- clearenv: the removal of every name that is in `environ` or in what the thread sees ---- */

static bool remove_if_seen(struct env_thread *thread, struct variable *v, stack_id stack,
                           bool *seen) {
    if (!view_find(v->name, v->length, NULL))
        return true;
    *seen = true;
    return write_for(thread, v, NULL, stack);
}

/* What the thread sees at first is removed, be it in `environ` or not; and what it comes to see by that, for a removal may
 * begin a contention and bring back what was there before the other's writes. Each variable is removed twice at most. */
static bool clear_known(struct env_thread *thread, stack_id stack) {
    bool again = true;
    for (struct variable *v = names_all(); v; v = v->next)
        if (v->to_clear && !write_for(thread, v, NULL, stack))
            return false;
    while (again) {
        again = false;
        for (struct variable *v = names_all(); v; v = v->next)
            if (!remove_if_seen(thread, v, stack, &again))
                return false;
    }
    return true;
}

static void note_what_is_seen(void) {
    for (struct variable *v = names_all(); v; v = v->next)
        v->to_clear = view_find(v->name, v->length, NULL) != NULL;
}

/* Returns false where there is no memory. *left: something stays in `environ`, and this thread does not see it. */
static bool clear_array(struct env_thread *thread, stack_id stack, bool *left) {
    size_t at = 0;
    *left = false;
    for (char *entry; __environ && (entry = __environ[at]) != NULL;) {
        size_t length = names_length(entry);
        struct variable *v = entry[length] == '=' ? names_make(entry, length) : NULL;
        bool stays = !v || goes_to_layer(thread, v);
        if (v && !write_for(thread, v, NULL, stack))
            return false;
        if (v)
            v->to_clear = false;
        *left |= v && stays;
        at += stays;
    }
    return true;
}

static void note_what_is_in_environ(void) {
    for (size_t at = 0; __environ && __environ[at]; at++) {
        char *entry = __environ[at];
        size_t length = names_length(entry);
        struct variable *v = entry[length] == '=' ? names_make(entry, length) : NULL;
        if (v)
            v->to_clear = true;
    }
}

static bool all_goes_to_array(const struct env_thread *thread) {
    for (struct variable *v = names_all(); v; v = v->next)
        if (v->to_clear && goes_to_layer(thread, v))
            return false;
    return true;
}

/* The array is left as it is, for those who walk through it: no entry becomes NULL under their hands. Whether the removals
 * are recorded is asked once: another thread that ends meanwhile must not leave one begun and not ended. */
static void clear_at_once(struct env_thread *thread, stack_id stack) {
    struct scope_write write;
    bool recorded = is_shared();
    for (struct variable *v = names_all(); recorded && v; v = v->next)
        if (v->to_clear)
            scope_write_begin(&write, v, NULL, thread, stack);
    array_clear();
    for (struct variable *v = names_all(); v; v = v->next) {
        if (v->to_clear && recorded) {
            write = (struct scope_write){.variable = v, .write = v->writes};
            scope_write_end(&write);
        }
        v->to_clear = false;
    }
    if (recorded && thread->scope && !thread_has_company())
        scope_is_alone(thread->scope);
}

static bool clear_view(struct env_thread *thread, stack_id stack) {
    bool left;
    if (!thread) {
        array_clear();
        return true;
    }
    note_what_is_seen();
    note_what_is_in_environ();
    if (all_goes_to_array(thread)) {
        clear_at_once(thread, stack);
        return clear_known(thread, stack);
    }
    if (!clear_array(thread, stack, &left) || !clear_known(thread, stack))
        return false;
    if (!left)
        array_clear();
    return true;
}

FEW_PROCESSES int change_clear(const struct caller *caller) {
    bool between = is_between_threads();
    struct env_thread *thread = between ? thread_here() : NULL;
    struct tell_site site = {.times = 0};
    stack_id stack = between ? stack_of(caller) : 0;
    if (!env_lock())
        return -ENOMEM;
    bool done = true;
    if (between) {
        done = clear_view(thread, stack);
        if (thread_has_company())
            tell_count_write("*", NULL, stack, &site);
    } else {
        array_clear();
    }
    env_unlock();
    tell_unsafe_write(&site);
    return done ? 0 : -ENOMEM;
}
