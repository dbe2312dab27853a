#include "env/tell.h"

#include "base/loaded.h"
#include "base/owner.h"
#include "base/sys.h"
#include "env/array.h"
#include "env/layer.h"
#include "env/lock.h"
#include "env/memory.h"
#include "env/scope.h"
#include "report/keyed_hash.h"
#include "report/log.h"

#include <errno.h>
#include <string.h>

/* A value and how it came to be; `entry` NULL: the variable is not there. */
struct version {
    char *entry;
    const struct env_thread *by;
    uint64_t number;
    struct timespec since;
    stack_id stack;
    bool own;
};

static void of_write(struct version *version, const struct write *write) {
    *version =
        (struct version){write->entry, write->by, write->number, write->since, write->stack, false};
}

static void of_item(struct version *version, const struct layer_item *item) {
    *version = (struct version){atomic_load_explicit(&item->entry, memory_order_relaxed),
                                item->by,
                                item->number,
                                item->since,
                                item->stack,
                                false};
}

/* What the thread sees. */
static void look_at_own(const struct env_thread *thread, const struct variable *variable,
                        struct version *mine) {
    const struct layer_item *item =
        layer_item_in_chain(atomic_load_explicit(&thread->layer, memory_order_relaxed), variable);
    if (item) {
        of_item(mine, item);
        mine->own = true;
        return;
    }
    const struct write *seen =
        thread->scope ? scope_view(thread->scope, variable) : variable->writes;
    if (seen) {
        of_write(mine, seen);
        mine->own = rule_maker(seen) == thread->scope;
        return;
    }
    *mine = (struct version){
        .entry = variable->writes ? variable->base : array_find(variable->name, variable->length)};
}

/* The last value that a living thread gave it and this thread does not see. */
static bool look_at_others(const struct env_thread *thread, const struct variable *variable,
                           struct version *theirs) {
    const struct write *write = thread->scope ? scope_hidden(thread->scope, variable) : NULL;
    const struct layer_item *item =
        layer_item_elsewhere(variable, atomic_load_explicit(&thread->layer, memory_order_relaxed));
    if (item && (!write || write->number < item->number))
        of_item(theirs, item);
    else if (write)
        of_write(theirs, write);
    return item || write;
}

static struct event_value value_of(const char *entry) {
    struct event_value value = {.set = entry != NULL};
    if (entry) {
        const char *text = strchrnul(entry, '=');
        text += *text == '=';
        value.length = strlen(text);
        value.hash = keyed_hash(text, value.length);
        value.text = settings.show_values ? text : NULL;
    }
    return value;
}

static struct event_party party_of(const struct version *version, const struct event_value *value) {
    const struct env_thread *by = version->by;
    struct event_party party = {.pid = by ? by->pid : 0,
                                .tid = by ? by->tid : 0,
                                .fd = -1,
                                .since = version->since,
                                .stack = version->stack,
                                .value = value};
    if (by && !by->lives)
        memcpy(party.thread, by->name, sizeof party.thread);
    return party;
}

/* Is it worth telling? `kind` says what it is. */
static bool judge(const struct variable *variable, bool program, const struct version *mine,
                  const struct version *theirs, enum event_kind *kind) {
    if (rule_same_value(mine->entry, theirs->entry))
        return false;
    if (mine->own && mine->number < theirs->number) {
        *kind = program ? EVENT_ENV_CHILD : EVENT_ENV_CLOBBER;
        return true;
    }
    *kind = EVENT_ENV_HIDDEN;
    return names_kept_apart(variable);
}

static struct told *place_in(struct told *told, const struct variable *variable, bool program) {
    return &told[(variable->hash ^ (program ? TOLD / 2 : 0)) % TOLD];
}

static bool was_told(const struct env_thread *thread, const struct variable *variable,
                     bool program) {
    if (!thread->told)
        return false;
    const struct told *told = place_in(thread->told, variable, program);
    return told->variable == variable && told->program == program &&
           told->latest == atomic_load_explicit(&variable->latest, memory_order_relaxed);
}

/* Under env_lock, with signals blocked: what to say, in `event` and what it points to. */
static bool find_out(struct env_thread *thread, struct variable *variable, bool program,
                     struct version *mine, struct version *theirs, enum event_kind *kind) {
    look_at_own(thread, variable, mine);
    struct told *told = thread_told(thread);
    if (told)
        *place_in(told, variable, program) = (struct told){
            variable, atomic_load_explicit(&variable->latest, memory_order_relaxed), program};
    return look_at_others(thread, variable, theirs) && judge(variable, program, mine, theirs, kind);
}

static void say(const struct variable *variable, enum event_kind kind, const struct version *mine,
                const struct version *theirs, const struct caller *caller) {
    struct event_value my_value = value_of(mine->entry), their_value = value_of(theirs->entry);
    struct event_party here = {.pid = sys_getpid(),
                               .tid = owner_tid(),
                               .fd = -1,
                               .since = mine->since,
                               .stack = stack_capture(caller->return_address, caller->frame),
                               .value = &my_value};
    struct event_party there = party_of(theirs, &their_value);
    struct event event = {.kind = kind,
                          .action = names_kept_apart(variable) ? ACTION_ISOLATED : ACTION_NONE,
                          .var = variable->name,
                          .here = &here,
                          .there = &there};
    log_event(&event);
}

void tell_read(struct env_thread *thread, struct variable *variable, bool program,
               const struct caller *caller) {
    if (!caller || !settings.out[0] || !thread->scope || was_told(thread, variable, program) ||
        owner_is_vfork_child())
        return;
    int saved = errno;
    struct sys_sigset signals;
    struct version mine, theirs;
    enum event_kind kind = EVENT_ENV_HIDDEN;
    sys_block_signals(&signals);
    if (env_lock()) {
        bool worth = find_out(thread, variable, program, &mine, &theirs, &kind);
        env_unlock();
        if (worth)
            say(variable, kind, &mine, &theirs, caller);
    }
    sys_restore_signals(&signals);
    errno = saved;
}

/* ---- Programs that a forked child starts ---- */

struct kept {
    struct kept *next;
    const struct variable *variable;
    enum event_kind kind;
    struct version mine, theirs;
};

/* Changed by the only thread of a forked child. */
static struct kept *kept;

void tell_keep_for_child(struct env_thread *thread) {
    kept = NULL;
    for (struct variable *v = settings.out[0] && thread->scope ? names_all() : NULL; v;
         v = v->next) {
        struct version mine, theirs;
        enum event_kind kind;
        look_at_own(thread, v, &mine);
        if (!look_at_others(thread, v, &theirs) || !judge(v, true, &mine, &theirs, &kind))
            continue;
        struct kept *more = env_memory(sizeof *more);
        if (!more)
            return;
        *more = (struct kept){kept, v, kind, mine, theirs};
        kept = more;
    }
}

bool tell_has_kept(void) {
    return kept != NULL;
}

/* What the child has changed itself is as it wants it. */
void tell_kept(const struct caller *caller) {
    int saved = errno;
    for (; kept; kept = kept->next) {
        const struct variable *v = kept->variable;
        const struct version *passed_on = names_kept_apart(v) ? &kept->mine : &kept->theirs;
        if (rule_same_value(passed_on->entry, array_find(v->name, v->length)))
            say(v, kept->kind, &kept->mine, &kept->theirs, caller);
    }
    errno = saved;
}

/* ---- Changes beside other threads ---- */

#define SITES 4096
/* The stacks that were told of, and one more. */
static _Atomic stack_id sites[SITES];

static bool is_new_site(stack_id stack) {
    stack_id key = stack + 1;
    for (uint32_t i = 0; i < SITES; i++) {
        _Atomic stack_id *site = &sites[(key * UINT32_C(2654435761) + i) % SITES];
        stack_id none = 0;
        if (atomic_load_explicit(site, memory_order_relaxed) == key)
            return false;
        if (atomic_compare_exchange_strong(site, &none, key))
            return true;
        if (none == key)
            return false;
    }
    return false;
}

void tell_unsafe_write(const char *name, size_t length, const char *entry, stack_id stack) {
    char bytes[256];
    if (!settings.out[0] || !is_new_site(stack) || owner_is_vfork_child())
        return;
    int saved = errno;
    length = length < sizeof bytes ? length : sizeof bytes - 1;
    memcpy(bytes, name, length);
    bytes[length] = '\0';
    struct event_value value = value_of(entry);
    struct event_party here = {
        .pid = sys_getpid(), .tid = owner_tid(), .fd = -1, .stack = stack, .value = &value};
    clock_gettime(CLOCK_REALTIME, &here.since);
    struct event event = {
        .kind = EVENT_ENV_UNSAFE_WRITE, .action = ACTION_NONE, .var = bytes, .here = &here};
    log_event(&event);
    errno = saved;
}

void tell_degraded(enum tell_reason reason, const struct caller *caller) {
    static const char *const reasons[TELL_REASONS] = {
        [TELL_NO_MEMORY] = "no memory to keep threads' views of the environment apart",
        [TELL_TOO_MANY_SCOPES] =
            "more threads change the environment at a time than can be kept apart",
    };
    static atomic_flag told[TELL_REASONS];
    if (!settings.out[0] || owner_is_vfork_child() || atomic_flag_test_and_set(&told[reason]))
        return;
    int saved = errno;
    struct event_party here = {.pid = sys_getpid(), .tid = owner_tid(), .fd = -1};
    if (caller)
        here.stack = stack_capture(caller->return_address, caller->frame);
    struct event event = {
        .kind = EVENT_DEGRADED, .action = ACTION_NONE, .detail = reasons[reason], .here = &here};
    log_event(&event);
    errno = saved;
}
