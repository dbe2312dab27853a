#include "env/tell.h"

#include "base/layout.h"
#include "base/loaded.h"
#include "base/owner.h"
#include "base/sys.h"
#include "env/array.h"
#include "env/layer.h"
#include "env/lock.h"
#include "env/memory.h"
#include "env/scope.h"
#include "env/strings.h"
#include "report/keyed_hash.h"
#include "report/log.h"

#include <errno.h>
#include <string.h>

/* A value and how it came to be; `entry` NULL: the variable is not there. */
struct version {
    char *entry;
    struct event_value value;
    const struct env_thread *by;
    pid_t pid; /* of whose process; 0: this one */
    uint64_t number;
    struct timespec since;
    stack_id stack;
    bool own;
};

static void of_write(struct version *version, const struct write *write) {
    *version = (struct version){.entry = write->entry,
                                .by = write->by,
                                .number = write->number,
                                .since = write->since,
                                .stack = write->stack};
}

static void of_item(struct version *version, const struct layer_item *item) {
    *version = (struct version){.entry = atomic_load_explicit(&item->entry, memory_order_relaxed),
                                .by = item->by,
                                .number = item->number,
                                .since = item->since,
                                .stack = item->stack};
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

/* A string of the program's may be gone without env_lock. */
static const char *lasting(const char *entry, const char *text) {
    size_t length = (size_t)(text - entry);
    if (strings_has(entry) || length == 0)
        return text;
    const char *kept = strings_keep(entry, length - 1, text);
    return kept ? kept + length : NULL;
}

/* Under env_lock. */
static struct event_value value_of(const char *entry) {
    struct event_value value = {.set = entry != NULL};
    if (entry) {
        const char *text = strchrnul(entry, '=');
        text += *text == '=';
        value.length = strlen(text);
        value.hash = keyed_hash(text, value.length);
        value.text = settings.show_values ? lasting(entry, text) : NULL;
    }
    return value;
}

/* The process whose threads these are: a vfork child is none of them. */
static pid_t process_here(void) {
    return owner_is_vfork_child() ? sys_getppid() : sys_getpid();
}

static struct event_party party_of(const struct version *version) {
    const struct env_thread *by = version->by;
    pid_t pid = version->pid ? version->pid : process_here();
    struct event_party party = {.pid = by ? pid : 0,
                                .tid = by ? by->tid : 0,
                                .fd = -1,
                                .since = version->since,
                                .stack = version->stack,
                                .value = &version->value};
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

static struct told *place_in(struct told *told, const struct variable *variable, const void *site) {
    return &told[(variable->hash ^ (uintptr_t)site ^ (uintptr_t)site >> 5) % TOLD];
}

static bool was_told(const struct env_thread *thread, const struct variable *variable,
                     const void *site) {
    if (!thread->told)
        return false;
    const struct told *told = place_in(thread->told, variable, site);
    return told->variable == variable && told->site == site &&
           told->latest == atomic_load_explicit(&variable->latest, memory_order_relaxed);
}

/* Under env_lock, with signals blocked: what to say, in `event` and what it points to. */
static bool find_out(struct env_thread *thread, struct variable *variable, bool program,
                     const void *site, struct version *mine, struct version *theirs,
                     enum event_kind *kind) {
    look_at_own(thread, variable, mine);
    struct told *told = program ? NULL : thread_told(thread);
    if (told)
        *place_in(told, variable, site) = (struct told){
            variable, atomic_load_explicit(&variable->latest, memory_order_relaxed), site};
    if (!look_at_others(thread, variable, theirs) || !judge(variable, program, mine, theirs, kind))
        return false;
    mine->value = value_of(mine->entry);
    theirs->value = value_of(theirs->entry);
    return true;
}

static void say(const struct variable *variable, enum event_kind kind, const struct version *mine,
                const struct version *theirs, const struct caller *caller) {
    struct event_party here = {.pid = process_here(),
                               .tid = owner_tid(),
                               .fd = -1,
                               .since = mine->since,
                               .stack = stack_capture(caller->return_address, caller->frame),
                               .value = &mine->value};
    struct event_party there = party_of(theirs);
    struct event event = {.kind = kind,
                          .action = names_kept_apart(variable) ? ACTION_ISOLATED : ACTION_NONE,
                          .var = variable->name,
                          .here = &here,
                          .there = &there};
    log_event(&event);
}

void tell_read(struct env_thread *thread, struct variable *variable, bool program,
               const struct caller *caller) {
    if (!caller || !settings.out[0] || !thread->scope ||
        (!program && was_told(thread, variable, caller->return_address)))
        return;
    int saved = errno;
    struct sys_sigset signals;
    struct version mine, theirs;
    enum event_kind kind = EVENT_ENV_HIDDEN;
    sys_block_signals(&signals);
    if (env_lock()) {
        bool worth =
            find_out(thread, variable, program, caller->return_address, &mine, &theirs, &kind);
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
        mine.value = value_of(mine.entry);
        theirs.value = value_of(theirs.entry);
        theirs.pid = sys_getppid();
        *more = (struct kept){kept, v, kind, mine, theirs};
        kept = more;
    }
}

EVERY_PROCESS bool tell_has_kept(void) {
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

/* Guarded by env_lock; sites are never given back. */
#define SITES_MAX 4096
#define SITE_CHAINS 256
struct site {
    struct site *next;
    stack_id stack;
    const char *name;
    uint64_t count;
    uint64_t told;
};
static struct site *sites[SITE_CHAINS];
static unsigned site_count;

static struct site *site_of(const char *name, stack_id stack) {
    struct site **at = &sites[stack % SITE_CHAINS];
    while (*at && (*at)->stack != stack)
        at = &(*at)->next;
    if (*at || site_count == SITES_MAX || !(*at = env_memory(sizeof **at)))
        return *at;
    site_count++;
    (*at)->stack = stack;
    (*at)->name = name;
    return *at;
}

static struct tell_site take_untold(struct site *site) {
    struct tell_site untold = {site->stack, site->name, site->count - site->told, {.set = false}};
    site->told = site->count;
    return untold;
}

void tell_count_write(const char *name, const char *entry, stack_id stack,
                      struct tell_site *untold) {
    struct site *site = settings.out[0] ? site_of(name, stack) : NULL;
    if (site && ++site->count >= 2 * site->told && !owner_is_vfork_child()) {
        *untold = take_untold(site);
        untold->value = value_of(entry);
    }
}

EVERY_PROCESS void tell_unsafe_write(const struct tell_site *site) {
    if (site->times == 0)
        return;
    int saved = errno;
    struct event_party here = {.pid = sys_getpid(),
                               .tid = owner_tid(),
                               .fd = -1,
                               .stack = site->stack,
                               .value = &site->value};
    clock_gettime(CLOCK_REALTIME, &here.since);
    struct event event = {
        .kind = EVENT_ENV_UNSAFE_WRITE, .action = ACTION_NONE, .var = site->name, .here = &here};
    log_events(&event, site->times);
    errno = saved;
}

/* The record is there, so all of it but the count is what it was. */
EVERY_PROCESS void tell_counts(void) {
    for (unsigned chain = 0; site_count && chain < SITE_CHAINS; chain++) {
        struct tell_site untold = {.times = 0};
        struct site *site = NULL;
        do {
            if (!env_lock_try())
                return;
            for (site = sites[chain]; site && site->count == site->told;)
                site = site->next;
            if (site)
                untold = take_untold(site);
            env_unlock();
            if (site)
                tell_unsafe_write(&untold);
        } while (site);
    }
}

void tell_after_fork(void) {
    for (unsigned chain = 0; site_count && chain < SITE_CHAINS; chain++)
        for (struct site *site = sites[chain]; site; site = site->next)
            site->count = site->told = 0;
}

void tell_degraded(enum tell_reason reason, const struct caller *caller) {
    static const char *const reasons[TELL_REASONS] = {
        [TELL_NO_MEMORY] = "no memory to keep threads' views of the environment apart",
        [TELL_TOO_MANY_SCOPES] =
            "more threads contend over the environment at a time than can be kept apart",
        [TELL_NO_KEY] = "no key of thread-specific data: nobody tells when a thread has ended",
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
