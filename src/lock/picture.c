#include "lock/picture.h"

#include "base/loaded.h"
#include "base/owner.h"
#include "base/proc.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "base/text.h"
#include "lock/findings.h"
#include "lock/hidden.h"
#include "lock/holders.h"
#include "lock/mapped_file.h"
#include "report/stack_file.h"

#include <string.h>
#include <sys/prctl.h>

/* ---- The file ---- */

enum { PICTURE_NONE, PICTURE_MAKING, PICTURE_THERE, PICTURE_FAILED };
static _Atomic uint32_t state;
/* Written by who turned the state to MAKING, read by who finds it THERE. */
static struct mapped_file file;
static _Atomic uint64_t usable[MAPPED_WORDS(PICTURE_BYTES)];

static bool map_picture(void) {
    if (!mapped_file_of_session(&file, PICTURE_NAME, O_NONBLOCK, PICTURE_BYTES, usable))
        return false;
    struct picture_head *head = (struct picture_head *)file.base;
    atomic_store(&head->version, PICTURE_VERSION);
    atomic_store(&head->magic, PICTURE_MAGIC);
    return true;
}

/* NULL: there is none. A thread that comes while another one maps it does without. */
static char *base_here(void) {
    uint32_t now = atomic_load_explicit(&state, memory_order_acquire);
    if (now == PICTURE_NONE && settings.out[0] != '\0' &&
        atomic_compare_exchange_strong(&state, &now, PICTURE_MAKING)) {
        now = map_picture() ? PICTURE_THERE : PICTURE_FAILED;
        atomic_store_explicit(&state, now, memory_order_release);
    }
    return now == PICTURE_THERE ? file.base : NULL;
}

static bool touch(const void *at, size_t size) {
    return mapped_file_touch(&file, (size_t)((const char *)at - file.base), size);
}

/* ---- Processes ---- */

static _Atomic uint64_t self; /* the owner word of this process; 0: not entered yet */

static bool is_same_process(pid_t pid, uint64_t started) {
    return started != 0 && proc_started(pid) == started;
}

/* Nobody can be asked about a process of another namespace: it counts as alive. */
static bool is_dead(const struct picture_process *process) {
    pid_t pid = picture_pid(atomic_load(&process->tenant));
    return process->pid_namespace == holder_namespace() && holder_proc_is_ours() &&
           !is_same_process(pid, process->started);
}

/* Its number in our namespace; 0: it has none that can be found. */
static pid_t number_here(const struct picture_process *process) {
    pid_t pid = picture_pid(atomic_load(&process->tenant));
    if (process->pid_namespace == holder_namespace())
        return pid;
    if (process->proc_pid > 0 && is_same_process(process->proc_pid, process->started))
        return holder_proc_is_ours() ? process->proc_pid : 0;
    return proc_find(pid, process->started);
}

static void read_command(char *command, size_t size) {
    int fd = sys_openat(AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    ssize_t got = fd >= 0 ? sys_read(fd, command, size - 2) : 0;
    if (fd >= 0)
        sys_close(fd);
    memset(command + (got > 0 ? got : 0), 0, size - (size_t)(got > 0 ? got : 0));
}

static void read_link(const char *link, char *path, size_t size) {
    ssize_t length = sys_readlinkat(AT_FDCWD, link, path, size - 1);
    path[length > 0 ? length : 0] = '\0';
}

static void describe_self(struct picture_process *process, pid_t pid) {
    char number[24];
    uint64_t value = 0;
    ssize_t length = sys_readlinkat(AT_FDCWD, "/proc/self", number, sizeof number);
    process->proc_pid =
        length > 0 && text_decimal(number, (size_t)length, &value) ? (int32_t)value : 0;
    process->pid_namespace = holder_namespace();
    process->parent = (int32_t)sys_call3(SYS_getppid, 0, 0, 0);
    process->started = proc_started(process->proc_pid > 0 ? process->proc_pid : pid);
    read_link("/proc/self/exe", process->exe, sizeof process->exe);
    read_link("/proc/self/cwd", process->cwd, sizeof process->cwd);
    read_command(process->command, sizeof process->command);
}

/* A place that is free, or was this process's before an exec, or a dead one's. */
static bool enter_at(struct picture_process *process, pid_t pid, uint64_t *generation) {
    if (!touch(process, sizeof *process))
        return false;
    uint64_t tenant = atomic_load(&process->tenant);
    bool ours = picture_pid(tenant) == pid && process->pid_namespace == holder_namespace();
    if (tenant != 0 && !ours && !is_dead(process))
        return false;
    *generation = (tenant >> 32) + 1;
    if (*generation > UINT32_MAX)
        *generation = 1;
    if (!atomic_compare_exchange_strong(&process->tenant, &tenant,
                                        *generation << 32 | (uint32_t)pid))
        return false;
    describe_self(process, pid);
    atomic_store(&process->ready, (uint32_t)*generation);
    return true;
}

#define ENTER_TRIES 64

static uint64_t enter(char *base) {
    pid_t pid = sys_getpid();
    uint64_t generation;
    for (uint32_t i = 0; i < ENTER_TRIES; i++) {
        uint32_t place = ((uint32_t)pid + i) % PICTURE_PROCESSES;
        uint64_t none = 0;
        if (!enter_at(picture_process_at(base, place), pid, &generation))
            continue;
        uint64_t owner = generation << 32 | (place + 1);
        /* Of two threads that enter at once the second one's place stays unused. */
        return atomic_compare_exchange_strong(&self, &none, owner) ? owner : none;
    }
    return 0;
}

static uint64_t self_here(char *base) {
    uint64_t owner = atomic_load_explicit(&self, memory_order_relaxed);
    return owner != 0 ? owner : enter(base);
}

/* May another one have this place? */
static bool is_abandoned(char *base, uint64_t owner) {
    struct picture_process *process = picture_process_of(base, owner);
    return process == NULL || is_dead(process);
}

/* ---- Holds ---- */

/* Those of this process, for the order of locks; what finds no room is in no order. */
#define MINE_MAX 64
static struct picture_hold *_Atomic mine_here[MINE_MAX];
_Atomic uint32_t picture_hold_count;

static void keep_mine(struct picture_hold *hold) {
    for (unsigned i = 0; i < MINE_MAX; i++) {
        struct picture_hold *none = NULL;
        if (atomic_load_explicit(&mine_here[i], memory_order_relaxed) == NULL &&
            atomic_compare_exchange_strong(&mine_here[i], &none, hold)) {
            atomic_fetch_add_explicit(&picture_hold_count, 1, memory_order_relaxed);
            return;
        }
    }
}

static void forget_mine(struct picture_hold *hold) {
    for (unsigned i = 0; i < MINE_MAX; i++) {
        struct picture_hold *it = hold;
        if (atomic_load_explicit(&mine_here[i], memory_order_relaxed) == hold &&
            atomic_compare_exchange_strong(&mine_here[i], &it, NULL)) {
            atomic_fetch_sub_explicit(&picture_hold_count, 1, memory_order_relaxed);
            return;
        }
    }
}

/* In a full bucket so many are asked whether their process still lives. */
#define DEATH_CHECKS 4

static struct picture_hold *bucket_of(char *base, uint64_t dev, uint64_t ino) {
    return picture_hold_at(base, picture_bucket(dev, ino) * PICTURE_BUCKET);
}

struct picture_hold *picture_take(uint64_t dev, uint64_t ino, uint32_t lock_class) {
    char *base = base_here();
    uint64_t mine = base ? self_here(base) : 0;
    struct picture_hold *bucket = mine != 0 ? bucket_of(base, dev, ino) : NULL;
    unsigned checks = 0;
    if (!bucket || !touch(bucket, PICTURE_BUCKET * sizeof *bucket))
        return NULL;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < PICTURE_BUCKET; i++) {
            struct picture_hold *hold = &bucket[i];
            uint64_t owner = atomic_load(&hold->owner);
            if (owner != 0 &&
                (round == 0 || checks++ >= DEATH_CHECKS || !is_abandoned(base, owner)))
                continue;
            atomic_store_explicit(&hold->count, 0, memory_order_relaxed);
            if (!atomic_compare_exchange_strong(&hold->owner, &owner, mine))
                continue;
            atomic_store_explicit(&hold->dev, dev, memory_order_release);
            atomic_store_explicit(&hold->ino, ino, memory_order_release);
            atomic_store_explicit(&hold->lock_class, lock_class, memory_order_release);
            keep_mine(hold);
            return hold;
        }
    return NULL;
}

void picture_give(struct picture_hold *hold) {
    if (hold == NULL)
        return;
    uint64_t mine = atomic_load_explicit(&self, memory_order_relaxed);
    forget_mine(hold);
    atomic_store_explicit(&hold->count, 0, memory_order_release);
    atomic_compare_exchange_strong(&hold->owner, &mine, 0);
}

/* ---- Stacks ---- */

_Atomic uint64_t picture_stacks_told[PICTURE_TOLD_WORDS];
static _Atomic uint32_t told_end; /* words from here on are zero */

static void name_file(const char *prefix, char *name, size_t size, uint64_t owner) {
    struct text text;
    text_begin(&text, name, size);
    text_add(&text, prefix);
    text_add_decimal(&text, owner & UINT32_MAX);
    text_add_char(&text, '.');
    text_add_decimal(&text, owner >> 32);
}

static void name_stacks(char name[static 48], uint64_t owner) {
    name_file(PICTURE_STACKS_NAME, name, 48, owner);
}

bool picture_name_file(const char *prefix, char *name, size_t size) {
    char *base = base_here();
    uint64_t owner = base ? self_here(base) : 0;
    if (owner != 0)
        name_file(prefix, name, size, owner);
    return owner != 0;
}

void picture_tell_stack_slow(uint32_t stack) {
    char name[48];
    uint64_t owner = atomic_load(&self);
    uint32_t word = stack / 64 % PICTURE_TOLD_WORDS;
    if (owner == 0 || owner_is_vfork_child())
        return;
    uint32_t end = atomic_load(&told_end);
    while (end <= word && !atomic_compare_exchange_weak(&told_end, &end, word + 1))
        ;
    if (atomic_fetch_or(&picture_stacks_told[word], UINT64_C(1) << stack % 64) >> stack % 64 & 1)
        return;
    name_stacks(name, owner);
    hidden_begin();
    stack_file_add(name, stack);
    hidden_end();
}

void picture_after_fork(void) {
    uint32_t end = atomic_exchange(&told_end, 0);
    for (uint32_t i = 0; i < end; i++)
        atomic_store_explicit(&picture_stacks_told[i], 0, memory_order_relaxed);
    for (unsigned i = 0; i < MINE_MAX; i++)
        atomic_store_explicit(&mine_here[i], NULL, memory_order_relaxed);
    atomic_store(&picture_hold_count, 0);
    atomic_store(&self, 0);
    if (atomic_load(&state) == PICTURE_MAKING)
        atomic_store(&state, PICTURE_NONE);
}

/* ---- Waits ---- */

static void describe_wait(struct picture_wait *wait, const struct picture_request *request) {
    char link[32];
    uint32_t seq = (atomic_load(&wait->seq) | 1) + 2;
    atomic_store(&wait->seq, seq);
    atomic_store(&wait->holder, 0);
    atomic_store(&wait->ancestry, ANCESTRY_NONE);
    atomic_store(&wait->told, 0);
    wait->lock_class = request->lock_class;
    wait->type = request->type;
    wait->fd = request->fd;
    wait->tid = request->tid;
    wait->stack = request->stack;
    wait->dev = request->dev;
    wait->ino = request->ino;
    wait->start = request->range.start;
    wait->end = request->range.end;
    wait->since = request->since_ns;
    sys_call3(SYS_prctl, PR_GET_NAME, (long)wait->thread, 0);
    finding_link(link, sizeof link, request->fd);
    read_link(link, wait->path, sizeof wait->path);
    atomic_store(&wait->seq, seq + 1);
}

struct picture_wait *picture_begin_wait(const struct picture_request *request) {
    char *base = base_here();
    uint64_t mine = base ? self_here(base) : 0;
    unsigned checks = 0;
    if (mine == 0)
        return NULL;
    picture_tell_stack(request->stack);
    for (unsigned i = 0; i < PICTURE_WAITS; i++) {
        struct picture_wait *wait = picture_wait_at(base, ((uint32_t)mine * 8 + i) % PICTURE_WAITS);
        if (!touch(wait, sizeof *wait))
            return NULL;
        uint64_t owner = atomic_load(&wait->owner);
        if (owner != 0 && (checks++ >= DEATH_CHECKS || !is_abandoned(base, owner)))
            continue;
        if (!atomic_compare_exchange_strong(&wait->owner, &owner, mine))
            continue;
        describe_wait(wait, request);
        return wait;
    }
    return NULL;
}

void picture_set_holder(struct picture_wait *wait, pid_t holder, enum ancestry ancestry) {
    if (wait == NULL)
        return;
    atomic_store(&wait->ancestry, ancestry);
    atomic_store(&wait->holder, holder);
}

void picture_end_wait(struct picture_wait *wait) {
    uint64_t mine = atomic_load(&self);
    if (wait != NULL)
        atomic_compare_exchange_strong(&wait->owner, &mine, 0);
}

/* ---- What others wait for ---- */

uint32_t picture_place_of(const struct picture_wait *wait) {
    return (uint32_t)(wait - picture_wait_at(file.base, 0));
}

bool picture_may_tell_ring(uint32_t place) {
    return atomic_exchange(&picture_wait_at(file.base, place)->told, 1) == 0;
}

static void read_wait(const struct picture_wait *wait, struct picture_waiting *waiting) {
    *waiting = (struct picture_waiting){.place = picture_place_of(wait),
                                        .tid = wait->tid,
                                        .holder = atomic_load(&wait->holder),
                                        .fd = wait->fd,
                                        .since_ns = wait->since,
                                        .dev = wait->dev,
                                        .ino = wait->ino,
                                        .range = {wait->start, wait->end},
                                        .type = (uint8_t)wait->type,
                                        .lock_class = wait->lock_class};
    memcpy(waiting->thread, wait->thread, sizeof waiting->thread);
}

bool picture_waiting_at(uint32_t place, struct picture_waiting *waiting) {
    char *base = base_here();
    const struct picture_wait *wait = base ? picture_wait_at(base, place) : NULL;
    if (!wait || !touch(wait, sizeof *wait))
        return false;
    uint64_t owner = atomic_load(&wait->owner);
    uint32_t seq = atomic_load(&wait->seq);
    if (owner == 0 || owner == atomic_load(&self) || seq % 2 != 0)
        return false;
    read_wait(wait, waiting);
    const struct picture_process *process = picture_process_of(base, owner);
    if (!process || process->pid_namespace != holder_namespace() || is_dead(process))
        return false;
    waiting->pid = number_here(process);
    return atomic_load(&wait->owner) == owner && atomic_load(&wait->seq) == seq;
}

/* ---- What others hold ---- */

struct glimpse {
    uint64_t owner, dev, ino, start, end;
    int64_t since;
    uint32_t lock_class, count, type, stack;
    int32_t fd, tid;
};

static bool glance(const struct picture_hold *hold, struct glimpse *g) {
    for (int tries = 0; tries < 100; tries++) {
        uint32_t seq = atomic_load_explicit(&hold->seq, memory_order_acquire);
        g->owner = atomic_load_explicit(&hold->owner, memory_order_acquire);
        g->dev = atomic_load_explicit(&hold->dev, memory_order_acquire);
        g->ino = atomic_load_explicit(&hold->ino, memory_order_acquire);
        g->lock_class = atomic_load_explicit(&hold->lock_class, memory_order_acquire);
        g->count = atomic_load_explicit(&hold->count, memory_order_acquire);
        g->start = atomic_load_explicit(&hold->start, memory_order_acquire);
        g->end = atomic_load_explicit(&hold->end, memory_order_acquire);
        g->since = atomic_load_explicit(&hold->since, memory_order_acquire);
        g->type = atomic_load_explicit(&hold->type, memory_order_acquire);
        g->fd = atomic_load_explicit(&hold->fd, memory_order_acquire);
        g->tid = atomic_load_explicit(&hold->tid, memory_order_acquire);
        g->stack = atomic_load_explicit(&hold->stack, memory_order_acquire);
        if (seq % 2 == 0 && seq == atomic_load_explicit(&hold->seq, memory_order_relaxed))
            return true;
    }
    return false;
}

static bool keeps_out(const struct glimpse *g, const struct picture_request *request) {
    bool flocks = request->lock_class == OWNER_FLOCK;
    return g->owner != 0 && g->count != 0 && g->dev == request->dev && g->ino == request->ino &&
           (g->lock_class == OWNER_FLOCK) == flocks &&
           (g->type == RANGE_WRITE || request->type == RANGE_WRITE) &&
           (g->count > 1 ||
            range_overlaps(g->start, g->end, request->range.start, request->range.end));
}

/* How well a hold fits what is known. */
enum fit { FIT_NONE, FIT_LEFTOVER, FIT_POSSIBLE, FIT_IT };

static enum fit fit_of(char *base, const struct glimpse *g, pid_t pid, pid_t taker) {
    struct picture_process *process = picture_process_of(base, g->owner);
    if (process == NULL || g->owner == atomic_load(&self))
        return FIT_NONE;
    if (pid > 0 && number_here(process) == pid)
        return FIT_IT;
    if (is_dead(process))
        return g->lock_class != OWNER_RECORD && pid > 0 &&
                       (taker == 0 || taker == picture_pid(atomic_load(&process->tenant)))
                   ? FIT_LEFTOVER
                   : FIT_NONE;
    return pid > 0 ? FIT_NONE : FIT_POSSIBLE;
}

/* The environment that the process was started with names this session's directory. */
#define ENVIRONMENT_MAX ((size_t)256 << 10)

static bool is_of_session(pid_t pid) {
    char wanted[SETTINGS_PATH_MAX + 8];
    struct text text;
    bool found = false;
    char *bytes = scratch_begin(ENVIRONMENT_MAX);
    ssize_t got = bytes ? proc_read(pid, "/environ", bytes, ENVIRONMENT_MAX) : 0;
    text_begin(&text, wanted, sizeof wanted);
    text_add(&text, "out=");
    text_add_escaped(&text, settings.out);
    for (ssize_t at = 0; at < got && !found; at += (ssize_t)strlen(bytes + at) + 1)
        found = strncmp(bytes + at, "RACESHIM=", 9) == 0 && strstr(bytes + at, wanted);
    scratch_end(bytes, ENVIRONMENT_MAX);
    return found;
}

/* Starts are told in clock ticks. */
#define TICK_NS INT64_C(10000000)

/* Another program than the one that took the lock, started in this session after that. A process
 * that only forks, as a daemon does at its start, takes its lock along on purpose; a shell had its
 * descriptor before flock(1) locked it. */
static bool has_inherited(const struct glimpse *g, const struct picture_process *taker, pid_t pid) {
    char link[64], exe[sizeof taker->exe];
    struct text text;
    text_begin(&text, link, sizeof link);
    text_add(&text, "/proc/");
    text_add_decimal(&text, (uint64_t)pid);
    text_add(&text, "/exe");
    read_link(link, exe, sizeof exe);
    return exe[0] != '\0' && strcmp(exe, taker->exe) != 0 && pid != taker->parent &&
           proc_started_at(pid) + TICK_NS > g->since && is_of_session(pid);
}

static void describe_holder(char *base, const struct glimpse *g, enum fit fit, pid_t pid,
                            struct picture_holder *holder) {
    const struct picture_process *process = picture_process_of(base, g->owner);
    char name[48];
    holder->since_ns = g->since;
    if (!process)
        return;
    name_stacks(name, g->owner);
    if (!stack_file_find(name, g->stack, holder->stack, sizeof holder->stack))
        holder->stack[0] = '\0';
    if (fit == FIT_LEFTOVER) {
        holder->taker = picture_pid(atomic_load(&process->tenant));
        holder->leaked = has_inherited(g, process, pid);
        return;
    }
    holder->pid = pid > 0 ? pid : number_here(process);
    if (process->pid_namespace != holder_namespace())
        holder->ns_pid = picture_pid(atomic_load(&process->tenant));
    holder->tid = holder->ns_pid == 0 ? g->tid : 0;
    holder->fd = g->fd;
    memcpy(holder->command, process->command, sizeof holder->command);
    memset(holder->command + sizeof holder->command - 2, 0, 2);
}

bool picture_find_holder(const struct picture_request *request, pid_t pid,
                         struct picture_holder *holder) {
    char *base = base_here();
    struct picture_hold *bucket = base ? bucket_of(base, request->dev, request->ino) : NULL;
    struct glimpse best = {0};
    enum fit best_fit = FIT_NONE;
    *holder = (struct picture_holder){.pid = pid, .fd = -1};
    if (!bucket || !touch(bucket, PICTURE_BUCKET * sizeof *bucket))
        return false;
    for (unsigned i = 0; i < PICTURE_BUCKET; i++) {
        struct glimpse g;
        if (!glance(&bucket[i], &g) || !keeps_out(&g, request))
            continue;
        enum fit fit = fit_of(base, &g, pid, request->taker);
        if (fit > best_fit || (fit == best_fit && fit != FIT_NONE && g.since > best.since)) {
            best = g;
            best_fit = fit;
        }
    }
    if (best_fit == FIT_NONE)
        return false;
    describe_holder(base, &best, best_fit, pid, holder);
    return true;
}

/* ---- In which order ---- */

struct order {
    uint64_t held_dev, held_ino, wanted_dev, wanted_ino;
    uint8_t holds, wants;
};

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t key_of(const struct order *o) {
    uint64_t key = mix(mix(mix(mix(1, o->held_dev), o->held_ino), o->wanted_dev), o->wanted_ino);
    key = mix(key, (uint64_t)o->holds << 1 | o->wants);
    return key ? key : 1;
}

/* Orders that this process has taken down, a word each; a loop that nests the same locks again and
 * again stops here. */
#define KNOWN_ORDERS 64
static _Atomic uint64_t known_orders[KNOWN_ORDERS];

static bool is_known(uint64_t key) {
    return atomic_exchange_explicit(&known_orders[key % KNOWN_ORDERS], key, memory_order_relaxed) ==
           key;
}

#define ORDER_TRIES 16

static bool is_order(const struct picture_order *entry, const struct order *o) {
    return atomic_load(&entry->ready) != 0 && entry->held_dev == o->held_dev &&
           entry->held_ino == o->held_ino && entry->wanted_dev == o->wanted_dev &&
           entry->wanted_ino == o->wanted_ino && entry->holds == o->holds &&
           entry->wants == o->wants;
}

static struct picture_order *find_order(char *base, const struct order *o) {
    uint64_t key = key_of(o);
    for (uint32_t i = 0; i < ORDER_TRIES; i++) {
        struct picture_order *entry = picture_order_at(base, (uint32_t)(key + i) % PICTURE_ORDERS);
        if (!touch(entry, sizeof *entry) || atomic_load(&entry->key) == 0)
            return NULL;
        if (atomic_load(&entry->key) == key && is_order(entry, o))
            return entry;
    }
    return NULL;
}

static void add_order(char *base, const struct order *o, const struct picture_request *request) {
    uint64_t key = key_of(o);
    for (uint32_t i = 0; i < ORDER_TRIES; i++) {
        struct picture_order *entry = picture_order_at(base, (uint32_t)(key + i) % PICTURE_ORDERS);
        uint64_t none = 0;
        if (!touch(entry, sizeof *entry) || atomic_load(&entry->key) == key)
            return;
        if (!atomic_compare_exchange_strong(&entry->key, &none, key))
            continue;
        entry->held_dev = o->held_dev;
        entry->held_ino = o->held_ino;
        entry->wanted_dev = o->wanted_dev;
        entry->wanted_ino = o->wanted_ino;
        entry->holds = o->holds;
        entry->wants = o->wants;
        entry->owner = atomic_load(&self);
        entry->stack = request->stack;
        entry->tid = request->tid;
        atomic_store(&entry->ready, 1);
        return;
    }
}

/* Who holds the one and wants the other excludes, and is excluded by, who does it the other way
 * round. */
static struct picture_order *find_inverse(char *base, const struct order *o) {
    for (unsigned types = 0; types < 4; types++) {
        struct order inverse = {o->wanted_dev, o->wanted_ino, o->held_dev,
                                o->held_ino,   types >> 1,    types & 1};
        bool excludes = (o->holds == RANGE_WRITE || inverse.wants == RANGE_WRITE) &&
                        (inverse.holds == RANGE_WRITE || o->wants == RANGE_WRITE);
        struct picture_order *entry = excludes ? find_order(base, &inverse) : NULL;
        if (entry)
            return entry;
    }
    return NULL;
}

void picture_describe_order(const struct picture_order *entry, struct picture_holder *other) {
    const struct picture_process *process = picture_process_of(file.base, entry->owner);
    char name[48];
    *other = (struct picture_holder){.fd = -1};
    name_stacks(name, entry->owner);
    if (!stack_file_find(name, entry->stack, other->stack, sizeof other->stack))
        other->stack[0] = '\0';
    if (!process)
        return;
    other->pid = picture_pid(atomic_load(&process->tenant));
    other->tid = entry->tid;
    memcpy(other->command, process->command, sizeof other->command);
    memset(other->command + sizeof other->command - 2, 0, 2);
}

bool picture_note_order(struct picture_hold *hold, const struct picture_request *request,
                        struct picture_inversion *inversion) {
    char *base = base_here();
    bool found = false;
    for (unsigned i = 0; base && i < MINE_MAX; i++) {
        struct picture_hold *other = atomic_load_explicit(&mine_here[i], memory_order_relaxed);
        struct glimpse g;
        if (!other || other == hold || !glance(other, &g) || g.count == 0 ||
            g.tid != request->tid || (g.ino == request->ino && g.dev == request->dev))
            continue;
        struct order o = {g.dev,        g.ino,           request->dev,
                          request->ino, (uint8_t)g.type, (uint8_t)request->type};
        if (is_known(key_of(&o)))
            continue;
        struct picture_order *inverse = found ? NULL : find_inverse(base, &o);
        add_order(base, &o, request);
        if (inverse) {
            *inversion = (struct picture_inversion){g.fd, inverse};
            found = true;
        }
    }
    return found;
}
