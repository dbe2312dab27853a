#include "lock/holders.h"

#include "base/proc.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "base/text.h"
#include "lock/hidden.h"
#include "lock/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

/* A file's entries lie in one bucket, which lies in one page. */
#define BUCKET 32
#define BUCKETS (SHARED_HOLDERS / BUCKET)

/* A full bucket is looked through for the dead, a few entries each time, from another place each
 * time. */
#define DEATH_CHECKS 4

/* What holder_find was asked. */
struct question {
    uint64_t dev;
    uint64_t ino;
    struct byte_range range;
    uint64_t type;
};

/* ---- This process ---- */

static _Atomic int32_t self_pid; /* 0: not asked yet */
static _Atomic uint32_t self_namespace;
static _Atomic bool proc_is_ours; /* /proc counts processes as getpid does */

static bool is_number(const char *text, size_t length, pid_t number) {
    uint64_t value;
    return text_decimal(text, length, &value) && value == (uint64_t)number;
}

static pid_t ask_self(void) {
    pid_t pid = sys_getpid();
    struct stat st;
    char name[24];
    ssize_t length = sys_readlinkat(AT_FDCWD, "/proc/self", name, sizeof name);
    atomic_store(&proc_is_ours, length > 0 && is_number(name, (size_t)length, pid));
    int found = sys_fstatat(AT_FDCWD, "/proc/self/ns/pid", &st, 0);
    atomic_store(&self_namespace, found == 0 ? (uint32_t)st.st_ino : 0);
    atomic_store(&self_pid, pid);
    return pid;
}

static inline pid_t self(void) {
    pid_t pid = atomic_load(&self_pid);
    return pid != 0 ? pid : ask_self();
}

uint32_t holder_namespace(void) {
    self();
    return atomic_load(&self_namespace);
}

bool holder_proc_is_ours(void) {
    self();
    return atomic_load(&proc_is_ours);
}

pid_t holder_self_in_proc(void) {
    pid_t pid = self();
    return atomic_load(&proc_is_ours) ? pid : 0;
}

static int64_t now(void) {
    struct timespec time = {0};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- The table ---- */

static uint64_t mix(uint64_t value) {
    value *= UINT64_C(0x9e3779b97f4a7c15);
    return value ^ value >> 29;
}

static struct holder_entry *bucket_of(uint64_t dev, uint64_t ino) {
    size_t bucket = mix(mix(ino) + dev) % BUCKETS;
    size_t bytes = BUCKET * sizeof(struct holder_entry);
    return shared_page(SHARED_HOLDERS_AT + bucket * bytes, bytes);
}

static pid_t tenant_pid(uint64_t tenant) {
    return (pid_t)(tenant & INT32_MAX);
}

/* False: another was faster. */
static bool take_entry(struct holder_entry *entry, uint64_t tenant) {
    uint64_t mine = ((tenant >> 32) + 1) << 32 | (uint32_t)self();
    return atomic_compare_exchange_strong(&entry->tenant, &tenant, mine);
}

static bool is_leftover(const struct holder_entry *entry, uint64_t dev, uint64_t ino, int hidden) {
    return tenant_pid(entry->tenant) == self() && entry->hidden == (uint32_t)hidden &&
           entry->ino == ino && entry->dev == dev && entry->pid_namespace == holder_namespace();
}

static struct holder_entry *take_free(struct holder_entry *bucket, uint64_t dev, uint64_t ino,
                                      int hidden) {
    for (int i = 0; i < BUCKET; i++) {
        uint64_t tenant = atomic_load(&bucket[i].tenant);
        /* An image before an exec of this process had it. */
        bool leftover = tenant_pid(tenant) != 0 && is_leftover(&bucket[i], dev, ino, hidden);
        if ((tenant_pid(tenant) == 0 || leftover) && take_entry(&bucket[i], tenant))
            return &bucket[i];
    }
    return NULL;
}

static bool is_dead(pid_t pid) {
    return sys_kill(pid, 0) == -ESRCH;
}

static struct holder_entry *take_from_dead(struct holder_entry *bucket) {
    static _Atomic uint32_t next;
    for (int i = 0; i < DEATH_CHECKS; i++) {
        struct holder_entry *entry = &bucket[atomic_fetch_add(&next, 1) % BUCKET];
        uint64_t tenant = atomic_load(&entry->tenant);
        pid_t pid = tenant_pid(tenant);
        if (pid != self() && entry->pid_namespace == holder_namespace() && is_dead(pid) &&
            take_entry(entry, tenant))
            return entry;
    }
    return NULL;
}

struct holder_entry *holder_publish(uint64_t dev, uint64_t ino, int hidden) {
    struct holder_entry *bucket = bucket_of(dev, ino);
    if (bucket == NULL)
        return NULL;
    struct holder_entry *entry = take_free(bucket, dev, ino, hidden);
    if (entry == NULL)
        entry = take_from_dead(bucket);
    if (entry == NULL)
        return NULL;
    uint32_t seq = atomic_load(&entry->seq) | 1;
    atomic_store(&entry->seq, seq);
    atomic_store_explicit(&entry->dev, dev, memory_order_release);
    atomic_store_explicit(&entry->ino, ino, memory_order_release);
    atomic_store_explicit(&entry->pid_namespace, holder_namespace(), memory_order_release);
    atomic_store_explicit(&entry->hidden, (uint32_t)hidden, memory_order_release);
    atomic_store_explicit(&entry->count, 0, memory_order_release);
    atomic_store_explicit(&entry->seq, seq + 1, memory_order_release);
    return entry;
}

void holder_withdraw(struct holder_entry *entry) {
    if (entry == NULL)
        return;
    uint64_t tenant = atomic_load(&entry->tenant);
    if (tenant_pid(tenant) != self())
        return;
    atomic_store_explicit(&entry->count, 0, memory_order_release);
    atomic_compare_exchange_strong(&entry->tenant, &tenant, tenant & ~(uint64_t)UINT32_MAX);
}

/* ---- Asking the kernel ---- */

/* How a lock's range must lie to the one that is asked about. */
enum match { OVERLAPS, EQUALS };

static bool is_asked_for(const struct fdinfo_lock *lock, const struct question *question,
                         enum fdinfo_class lock_class, enum match match) {
    const struct byte_range *range = &question->range;
    if (lock->inode != question->ino || lock->lock_class != lock_class ||
        lock->type != question->type)
        return false;
    return match == EQUALS ? lock->start == range->start && lock->end == range->end
                           : range_overlaps(lock->start, lock->end, range->start, range->end);
}

static enum holder_answer read_answer(int fdinfo, const struct question *question,
                                      enum fdinfo_class lock_class, enum match match) {
    struct fdinfo_parser parser = {.prefixed = true};
    struct fdinfo_lock lock;
    char chunk[1024];
    /* 16 MiB: more than a hundred thousand locks. */
    for (int chunks = 0; chunks < 16384; chunks++) {
        ssize_t got = sys_read(fdinfo, chunk, sizeof chunk);
        if (got <= 0)
            return got == 0 ? HOLDER_NO : HOLDER_CANNOT_TELL;
        for (const char *at = chunk; fdinfo_next(&parser, &at, chunk + got, &lock);)
            if (is_asked_for(&lock, question, lock_class, match))
                return HOLDER_YES;
    }
    return HOLDER_CANNOT_TELL;
}

/* Inside the gate of hidden.h. */
static enum holder_answer ask(pid_t pid, int fd, const struct question *question,
                              enum fdinfo_class lock_class, enum match match) {
    char name[64];
    struct text path;
    if (!atomic_load(&proc_is_ours) || pid <= 0 || fd < 0)
        return HOLDER_CANNOT_TELL;
    text_begin(&path, name, sizeof name);
    text_add(&path, "/proc/");
    text_add_decimal(&path, (uint64_t)pid);
    text_add(&path, "/fdinfo/");
    text_add_decimal(&path, (uint64_t)fd);
    int fdinfo = sys_openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
    if (fdinfo < 0)
        return fdinfo == -ENOENT || fdinfo == -ESRCH ? HOLDER_NO : HOLDER_CANNOT_TELL;
    enum holder_answer answer = read_answer(fdinfo, question, lock_class, match);
    sys_close(fdinfo);
    return answer;
}

static enum holder_answer ask_for_itself(pid_t pid, int fd, const struct question *question,
                                         enum fdinfo_class lock_class, enum match match) {
    hidden_begin();
    enum holder_answer answer = ask(pid, fd, question, lock_class, match);
    hidden_end();
    return answer;
}

enum holder_answer holder_ask(pid_t pid, int fd, uint64_t ino, const struct byte_range *range,
                              enum range_type type, enum fdinfo_class lock_class) {
    struct question question = {0, ino, *range, type};
    self();
    return ask_for_itself(pid, fd, &question, lock_class, OVERLAPS);
}

/* ---- Holders met before ---- */

struct answer {
    uint64_t tenant; /* 0: not from the table */
    uint32_t entry;
    uint32_t seq;
    int32_t pid; /* 0: none */
    int32_t fd;
    int64_t trusted_until;
};

/* Each question has one place, where the last one stays. Written by who finds seq even and makes it
 * odd; whoever finds it odd does without. */
#define MET 64
struct met {
    struct question question;
    struct answer answer;
};
#define MET_WORDS (sizeof(struct met) / 8)
static struct {
    _Atomic uint64_t seq;
    _Atomic uint64_t words[MET_WORDS];
} met_before[MET];

static unsigned met_place(const struct question *question) {
    uint64_t hash = mix(question->ino + mix(question->dev + question->type));
    return mix(hash + question->range.start + mix(question->range.end)) % MET;
}

static bool is_same_question(const struct question *one, const struct question *other) {
    return one->ino == other->ino && one->dev == other->dev && one->type == other->type &&
           one->range.start == other->range.start && one->range.end == other->range.end;
}

static bool recall(const struct question *question, struct answer *answer) {
    unsigned place = met_place(question);
    struct met met;
    uint64_t seq = atomic_load_explicit(&met_before[place].seq, memory_order_acquire);
    shared_load(met_before[place].words, &met, MET_WORDS);
    if (seq % 2 != 0 || atomic_load_explicit(&met_before[place].seq, memory_order_relaxed) != seq ||
        !is_same_question(&met.question, question) || met.answer.pid == 0)
        return false;
    *answer = met.answer;
    return true;
}

static void remember(const struct question *question, const struct answer *answer) {
    struct met met = {*question, *answer};
    unsigned place = met_place(question);
    uint64_t seq = atomic_load(&met_before[place].seq);
    if (seq % 2 != 0 || !atomic_compare_exchange_strong(&met_before[place].seq, &seq, seq + 1))
        return;
    shared_store(met_before[place].words, &met, MET_WORDS);
    atomic_store_explicit(&met_before[place].seq, seq + 2, memory_order_release);
}

void holders_after_fork(void) {
    atomic_store(&self_pid, 0);
    /* Another thread of the parent may have been writing one. */
    for (int i = 0; i < MET; i++)
        if (atomic_load_explicit(&met_before[i].seq, memory_order_relaxed) % 2 != 0)
            atomic_store(&met_before[i].seq, 0);
}

/* ---- Answers from the table ---- */

struct snapshot {
    uint64_t tenant, dev, ino;
    struct byte_range range;
    uint32_t seq, pid_namespace, count, type;
    int hidden;
};

/* False: it changes all the time, or its writer was stopped in the middle. */
static bool snapshot(const struct holder_entry *entry, struct snapshot *s) {
    for (int tries = 0; tries < 100; tries++) {
        s->seq = atomic_load_explicit(&entry->seq, memory_order_acquire);
        s->tenant = atomic_load_explicit(&entry->tenant, memory_order_acquire);
        s->dev = atomic_load_explicit(&entry->dev, memory_order_acquire);
        s->ino = atomic_load_explicit(&entry->ino, memory_order_acquire);
        s->range.start = atomic_load_explicit(&entry->start, memory_order_acquire);
        s->range.end = atomic_load_explicit(&entry->end, memory_order_acquire);
        s->pid_namespace = atomic_load_explicit(&entry->pid_namespace, memory_order_acquire);
        s->hidden = (int)atomic_load_explicit(&entry->hidden, memory_order_acquire);
        s->count = atomic_load_explicit(&entry->count, memory_order_acquire);
        s->type = atomic_load_explicit(&entry->type, memory_order_acquire);
        if (s->seq % 2 == 0 && s->seq == atomic_load_explicit(&entry->seq, memory_order_relaxed))
            return true;
    }
    return false;
}

static bool says_exactly(const struct snapshot *s, const struct question *question) {
    return s->count == 1 && s->type == question->type && s->range.start == question->range.start &&
           s->range.end == question->range.end;
}

static bool is_about(const struct snapshot *s, const struct question *question) {
    return s->ino == question->ino && s->dev == question->dev && tenant_pid(s->tenant) != 0 &&
           tenant_pid(s->tenant) != self() && s->pid_namespace != 0 &&
           s->pid_namespace == holder_namespace();
}

/* Does the entry that gave this answer a moment ago still give it? */
static bool still_says(const struct answer *answer, const struct question *question) {
    struct snapshot s;
    const struct holder_entry *bucket = bucket_of(question->dev, question->ino);
    return bucket != NULL && snapshot(&bucket[answer->entry % BUCKET], &s) &&
           s.tenant == answer->tenant && is_about(&s, question) &&
           (s.seq == answer->seq || says_exactly(&s, question)) && now() < answer->trusted_until &&
           !is_dead(answer->pid);
}

static bool confirm_entry(const struct snapshot *s, const struct question *question, bool exact) {
    enum holder_answer answer =
        ask_for_itself(tenant_pid(s->tenant), s->hidden, question, FDINFO_OFD, EQUALS);
    return answer == HOLDER_YES ||
           (answer == HOLDER_CANNOT_TELL && exact && !is_dead(tenant_pid(s->tenant)));
}

/* exact: only entries that say the very range; otherwise only those that may hold it among others.
 */
static pid_t find_in_bucket(const struct holder_entry *bucket, const struct question *question,
                            bool exact) {
    for (uint32_t i = 0; i < BUCKET; i++) {
        struct snapshot s;
        bool stable = snapshot(&bucket[i], &s);
        bool says = stable && says_exactly(&s, question);
        bool unclear = !stable || s.count > 1;
        if (!is_about(&s, question) || (exact ? !says : !unclear) ||
            !confirm_entry(&s, question, exact))
            continue;
        struct answer answer = {.tenant = s.tenant,
                                .entry = i,
                                .seq = s.seq,
                                .pid = tenant_pid(s.tenant),
                                .fd = s.hidden,
                                .trusted_until = now() + HOLDER_TRUST_MS * 1000000};
        remember(question, &answer);
        return answer.pid;
    }
    return -1;
}

static pid_t find_published(const struct question *question) {
    const struct holder_entry *bucket = bucket_of(question->dev, question->ino);
    if (bucket == NULL)
        return -1;
    pid_t pid = find_in_bucket(bucket, question, true);
    return pid > 0 ? pid : find_in_bucket(bucket, question, false);
}

/* ---- The search through /proc ---- */

#define PROCESSES_MAX 32768

/* Too large for a handler's stack. */
struct search {
    const struct question *question;
    enum fdinfo_class lock_class;
    enum match match;
    uint32_t descriptors; /* looked at */
    int fd;               /* the one that holds the lock */
    _Alignas(PROC_ENTRIES_ALIGN) char names[16384];
    uint32_t process_count;
    pid_t processes[PROCESSES_MAX];
};

static bool is_the_file(int directory, int fd, const struct question *question) {
    char digits[24];
    struct text name;
    struct statx st;
    text_begin(&name, digits, sizeof digits);
    text_add_decimal(&name, (uint64_t)fd);
    /* Not synced: a descriptor on a file server that does not answer must not stop the search. */
    return sys_call6(SYS_statx, directory, (long)digits, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
                     STATX_INO, (long)&st, 0) == 0 &&
           st.stx_ino == question->ino &&
           makedev(st.stx_dev_major, st.stx_dev_minor) == question->dev;
}

static bool search_descriptors(struct search *search, int directory, pid_t pid) {
    const struct question *question = search->question;
    ssize_t size;
    while ((size = sys_getdents(directory, search->names, sizeof search->names)) > 0) {
        ssize_t at = 0;
        for (int fd; (fd = proc_next_number(search->names, size, &at)) >= 0;) {
            if (search->descriptors++ >= HOLDER_SEARCH_MAX)
                return false;
            if (is_the_file(directory, fd, question) &&
                ask(pid, fd, question, search->lock_class, search->match) == HOLDER_YES) {
                search->fd = fd;
                return true;
            }
        }
    }
    return false;
}

static int open_descriptors(pid_t pid) {
    char name[64];
    struct text path;
    text_begin(&path, name, sizeof name);
    text_add(&path, "/proc/");
    text_add_decimal(&path, (uint64_t)pid);
    text_add(&path, "/fd");
    return sys_openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0);
}

static bool search_process(struct search *search, pid_t pid) {
    if (pid == self())
        return false;
    int directory = open_descriptors(pid);
    if (directory < 0)
        return false;
    bool found = search_descriptors(search, directory, pid);
    sys_close(directory);
    return found;
}

static pid_t parent_of(pid_t pid) {
    struct proc_stat stat;
    proc_stat(pid, &stat);
    return stat.parent;
}

static void list_processes(struct search *search) {
    int proc = sys_openat(AT_FDCWD, "/proc", O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0);
    ssize_t size;
    if (proc < 0)
        return;
    while ((size = sys_getdents(proc, search->names, sizeof search->names)) > 0) {
        ssize_t at = 0;
        for (int pid; (pid = proc_next_number(search->names, size, &at)) > 0;)
            if (search->process_count < PROCESSES_MAX)
                search->processes[search->process_count++] = pid;
    }
    sys_close(proc);
}

#define GENERATIONS_MAX 8

/* Whoever is started by a process with the descriptor has it too, mostly for a moment and without
 * knowing. So the holder is the one furthest up. */
static pid_t search_upwards(struct search *search, pid_t found) {
    pid_t pid = found;
    for (int depth = 0; depth < GENERATIONS_MAX; depth++) {
        pid = parent_of(pid);
        if (pid <= 1 || !search_process(search, pid))
            break;
        found = pid;
    }
    return found;
}

static pid_t search_all(struct search *search) {
    /* Who holds what we ask for is often who started us. */
    pid_t pid = (pid_t)sys_call3(SYS_getppid, 0, 0, 0);
    for (int depth = 0; depth < GENERATIONS_MAX && pid > 1; depth++, pid = parent_of(pid))
        if (search_process(search, pid))
            return search_upwards(search, pid);
    /* The kernel lists them by number. Those that started last come first: they may have to do with
     * us; and the kernel's own threads, which hold nothing, come last. */
    list_processes(search);
    for (uint32_t i = search->process_count; i-- > 0;)
        if (search->descriptors < HOLDER_SEARCH_MAX && search_process(search, search->processes[i]))
            return search_upwards(search, search->processes[i]);
    return -1;
}

/* Where an answer is remembered: answers about flock are no answers about records. */
#define ABOUT_FLOCK (UINT64_C(1) << 32)
static struct question place_of(const struct question *question, enum fdinfo_class lock_class) {
    struct question place = *question;
    place.type |= lock_class == FDINFO_FLOCK ? ABOUT_FLOCK : 0;
    return place;
}

static pid_t find_in_proc(const struct question *question, enum fdinfo_class lock_class) {
    struct question place = place_of(question, lock_class);
    if (!atomic_load(&proc_is_ours))
        return -1;
    struct search *search = scratch_begin(sizeof *search);
    if (search == NULL)
        return -1;
    search->question = question;
    search->lock_class = lock_class;
    search->match = EQUALS;
    hidden_begin();
    pid_t pid = search_all(search);
    hidden_end();
    if (pid > 0) {
        struct answer answer = {.pid = pid, .fd = search->fd};
        remember(&place, &answer);
    }
    scratch_end(search, sizeof *search);
    return pid > 0 ? pid : -1;
}

static enum holder_answer look_through(pid_t pid, const struct question *question,
                                       enum fdinfo_class lock_class, int *fd) {
    self();
    struct search *search = atomic_load(&proc_is_ours) ? scratch_begin(sizeof *search) : NULL;
    if (search == NULL)
        return HOLDER_CANNOT_TELL;
    search->question = question;
    search->lock_class = lock_class;
    search->match = OVERLAPS;
    hidden_begin();
    bool found = search_process(search, pid);
    hidden_end();
    *fd = search->fd;
    scratch_end(search, sizeof *search);
    return found ? HOLDER_YES : HOLDER_NO;
}

enum holder_answer holder_ask_process(pid_t pid, uint64_t dev, uint64_t ino,
                                      const struct byte_range *range, enum range_type type,
                                      enum fdinfo_class lock_class) {
    struct question question = {dev, ino, *range, type};
    int fd;
    return look_through(pid, &question, lock_class, &fd);
}

int holder_descriptor_of(pid_t pid, uint64_t dev, uint64_t ino, const struct byte_range *range,
                         enum range_type type, enum fdinfo_class lock_class) {
    struct question question = {dev, ino, *range, type};
    int fd;
    return look_through(pid, &question, lock_class, &fd) == HOLDER_YES ? fd : -1;
}

pid_t holder_find(uint64_t dev, uint64_t ino, const struct byte_range *range,
                  enum range_type type) {
    struct question question = {dev, ino, *range, type};
    struct answer answer;
    self();
    bool met = recall(&question, &answer);
    if (met && answer.tenant != 0 && still_says(&answer, &question))
        return answer.pid;
    if (met && answer.tenant == 0 &&
        ask_for_itself(answer.pid, answer.fd, &question, FDINFO_OFD, EQUALS) == HOLDER_YES)
        return answer.pid;
    pid_t pid = find_published(&question);
    return pid > 0 ? pid : find_in_proc(&question, FDINFO_OFD);
}

/* Does the kernel list it as lying on this device? Some file systems tell stat another one. */
static bool is_on(const struct fdinfo_lock *lock, uint64_t dev) {
    return makedev(lock->dev_major, lock->dev_minor) == dev;
}

/* One that lives must have the file open, unless that cannot be seen. Who has ended may have had it. */
static bool may_have_taken(pid_t pid, const struct question *question) {
    return is_dead(pid) || look_through(pid, question, FDINFO_FLOCK, &(int){0}) != HOLDER_NO;
}

static bool is_flock_against(const struct fdinfo_lock *lock, enum range_type wanted) {
    return lock->lock_class == FDINFO_FLOCK && !lock->waiting &&
           (lock->type == RANGE_WRITE || wanted == RANGE_WRITE);
}

/* The flock lock on the file which keeps out one of the wanted type, as the kernel lists it; in another pid namespace
 * it lists none. Where none is listed on this device, the first one on a file of the same inode number, if whoever took
 * it may have meant this file. False: none. */
static bool find_flock(uint64_t dev, uint64_t ino, enum range_type wanted,
                       struct fdinfo_lock *found) {
    char chunk[1024];
    struct fdinfo_parser parser = {0};
    struct fdinfo_lock lock;
    bool is_found = false, is_sure = false;
    int fd = sys_openat(AT_FDCWD, "/proc/locks", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    for (ssize_t got; !is_sure && (got = sys_read(fd, chunk, sizeof chunk)) > 0;)
        for (const char *at = chunk; !is_sure && fdinfo_next(&parser, &at, chunk + got, &lock);) {
            if (lock.inode != ino || !is_flock_against(&lock, wanted))
                continue;
            is_sure = is_on(&lock, dev);
            if (is_sure || !is_found)
                *found = lock;
            is_found = true;
        }
    sys_close(fd);
    struct question question = {dev, ino, {0, RANGE_MAX}, found->type};
    return is_sure || (is_found && may_have_taken(found->pid, &question));
}

pid_t holder_flock_taker(uint64_t dev, uint64_t ino, enum range_type wanted) {
    struct fdinfo_lock lock = {0};
    return find_flock(dev, ino, wanted, &lock) && lock.pid > 0 ? lock.pid : 0;
}

pid_t holder_find_flock(uint64_t dev, uint64_t ino, enum range_type wanted) {
    struct question question = {dev, ino, {0, RANGE_MAX}, RANGE_WRITE};
    struct answer answer;
    struct fdinfo_lock lock = {0};
    pid_t taker = 0;
    if (find_flock(dev, ino, wanted, &lock)) {
        taker = lock.pid > 0 ? lock.pid : 0;
        question.type = lock.type;
    }
    struct question place = place_of(&question, FDINFO_FLOCK);
    self();
    if (taker > 0 && !is_dead(taker))
        return taker;
    if (recall(&place, &answer) &&
        ask_for_itself(answer.pid, answer.fd, &question, FDINFO_FLOCK, EQUALS) == HOLDER_YES)
        return answer.pid;
    pid_t found = find_in_proc(&question, FDINFO_FLOCK);
    return found > 0 ? found : taker;
}
