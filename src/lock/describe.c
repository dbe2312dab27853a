#include "lock/describe.h"

#include "base/scratch.h"
#include "base/text.h"
#include "base/ticks.h"
#include "lock/closing.h"
#include "lock/findings.h"
#include "lock/hidden.h"
#include "lock/holders.h"
#include "lock/owner_lock.h"
#include "lock/picture.h"
#include "lock/trace.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#define F_SAME_DESCRIPTION (1024 + 3) /* F_DUPFD_QUERY, Linux 6.10 */

/* SQLite's lock bytes: one pending, one reserved, 510 shared, from the first GiB on. Its
 * connections keep one table of locks per file and process, and take and release through any
 * descriptor. */
#define SQLITE_FIRST UINT64_C(0x40000000)
#define SQLITE_LAST (SQLITE_FIRST + 511)

/* ---- Same description or not ---- */

enum comparison { COMPARE_BY_QUERY, COMPARE_BY_KCMP, COMPARE_BY_MARK };
static _Atomic uint8_t comparison;

/* The signal that a description sends for F_SETSIG is the description's own. Set through one
 * descriptor and seen through the other, it says that they are one; regular files never send it. */
static bool same_by_mark(int a, int b) {
    int old = sys_fcntl(a, F_GETSIG, 0);
    if (old < 0 || sys_fcntl(b, F_GETSIG, 0) != old)
        return false;
    int mark = old == SIGURG ? SIGIO : SIGURG;
    if (sys_fcntl(a, F_SETSIG, mark) < 0)
        return false;
    bool same = sys_fcntl(b, F_GETSIG, 0) == mark;
    sys_fcntl(a, F_SETSIG, old);
    return same;
}

/* Wants `tables`, which keeps the marks of two threads apart. Linux 6.10 answers the first
 * question; container filters may forbid the second. */
static bool same_description(int a, int b) {
    uint8_t way = atomic_load_explicit(&comparison, memory_order_relaxed);
    if (way == COMPARE_BY_QUERY) {
        int result = sys_fcntl(a, F_SAME_DESCRIPTION, b);
        if (result >= 0 || result == -EBADF)
            return result == 1;
        way = COMPARE_BY_KCMP;
    }
    if (way == COMPARE_BY_KCMP) {
        pid_t pid = sys_getpid();
        long result = sys_call6(SYS_kcmp, pid, pid, KCMP_FILE, a, b, 0);
        if (result >= 0 || result == -EBADF)
            return result == 0;
        way = COMPARE_BY_MARK;
    }
    atomic_store_explicit(&comparison, way, memory_order_relaxed);
    return same_by_mark(a, b);
}

/* ---- Looking a descriptor up ---- */

/* The treatment depends on the path; asking for a path costs more than opening the file. A file
 * that was treated before and has not changed since is still at its path (a rename changes ctime).
 */
#define REMEMBERED 64
#define NO_RULE 0x80 /* beside enum lock_treatment: the rules were asked and say nothing */
static struct remembered {
    uint64_t dev, ino;
    struct timespec changed;
    uint8_t treatment;
} remembered[REMEMBERED]; /* guarded by the room's `tables` */

static struct remembered *remembered_place(uint64_t dev, uint64_t ino) {
    return &remembered[(ino ^ dev) % REMEMBERED];
}

/* Wants `tables`. */
static struct file *add_file(struct room *room, const struct stat *st) {
    struct file *file = room_file_add(room, st->st_dev, st->st_ino);
    const struct remembered *r = remembered_place(st->st_dev, st->st_ino);
    if (!file)
        return NULL;
    file->changed = st->st_ctim;
    file->special = !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode);
    if (r->ino == st->st_ino && r->dev == st->st_dev && r->changed.tv_sec == st->st_ctim.tv_sec &&
        r->changed.tv_nsec == st->st_ctim.tv_nsec)
        file->by_path = r->treatment;
    return file;
}

/* Wants `tables`. */
static struct description *find_same(struct room *room, struct file *file, int fd) {
    for (struct description *d = file->descriptions; d; d = d->next_in_file)
        if (d->first_fd >= 0 && same_description(fd, d->first_fd)) {
            room_attach(room, d, fd);
            return d;
        }
    return NULL;
}

static struct description *describe_unknown(struct room *room, int fd, enum describing how,
                                            const struct stat *st) {
    struct sys_sigset saved;
    struct description *d = NULL;
    int flags = how == DESCRIBE_KNOWN ? 0 : sys_fcntl(fd, F_GETFL, 0);
    if (flags < 0 || (flags & O_PATH) || !room_slot_make(room, fd))
        return NULL;
    short_lock_take(&room->tables, &saved);
    struct file *file = room_file_find(room, st->st_dev, st->st_ino);
    if (file)
        d = find_same(room, file, fd);
    if (!d && (how == DESCRIBE_ALWAYS || (how == DESCRIBE_BESIDE && file))) {
        if (!file)
            file = add_file(room, st);
        if (file)
            d = room_description_add(room, file, fd, flags & O_ACCMODE);
        if (d)
            d->gone = st->st_nlink == 0;
        if (!d && file)
            room_file_drop_if_unused(room, file);
    }
    short_lock_give(&room->tables, &saved);
    return d;
}

struct description *describe(struct room *room, int fd, enum describing how) {
    struct description *d = room_description(room, fd);
    struct stat st;
    if (d)
        return d;
    if (how != DESCRIBE_ALWAYS && atomic_load(&room->description_total) == 0)
        return NULL;
    if (sys_fstat(fd, &st) < 0)
        return NULL;
    return describe_unknown(room, fd, how, &st);
}

void describe_seen(struct room *room, int fd) {
    struct slot *slot = room_slot(room, fd);
    if (slot)
        __atomic_store_n(&slot->checked, ticks_now(), __ATOMIC_RELAXED);
}

struct description *describe_for_lock(struct room *room, int fd) {
    struct slot *slot = room_slot(room, fd);
    struct description *d = room_description(room, fd);
    struct stat st;
    if (!d)
        return describe(room, fd, DESCRIBE_ALWAYS);
    if (ticks_now() - __atomic_load_n(&slot->checked, __ATOMIC_RELAXED) < TICKS_MOMENT)
        return d;
    if (sys_fstat(fd, &st) == 0 && st.st_ino == d->file->ino && st.st_dev == d->file->dev)
        return d;
    /* The number was closed, and perhaps opened again, without any of our hooks seeing it. */
    struct closing closing;
    if (closing_begin(&closing, fd, NULL))
        closing_end(&closing, true);
    return describe(room, fd, DESCRIBE_ALWAYS);
}

void describe_if_copy(struct room *room, int fd, int other) {
    struct sys_sigset saved;
    struct description *d = room_description(room, fd);
    if (!d || !room_slot_make(room, other))
        return;
    short_lock_take(&room->tables, &saved);
    if (room_description(room, fd) == d && room_is_free(room, other) && same_description(fd, other))
        room_attach(room, d, other);
    short_lock_give(&room->tables, &saved);
}

void describe_copy_known(struct room *room, int fd, int copy) {
    struct sys_sigset saved;
    struct description *d = room_description(room, fd);
    if (!d) {
        room_mark_copied(room, fd);
        room_mark_copied(room, copy);
    }
    if (!d || !room_slot_make(room, copy))
        return;
    short_lock_take(&room->tables, &saved);
    if (room_description(room, fd) == d && room_is_free(room, copy))
        room_attach(room, d, copy);
    short_lock_give(&room->tables, &saved);
}

/* ---- Which treatment ---- */

static uint8_t treatment_by_path(int fd) {
    char link[32];
    char *path = scratch_begin(SETTINGS_PATH_MAX);
    enum lock_treatment found = LOCK_RULE_NONE;
    finding_link(link, sizeof link, fd);
    if (path && sys_readlinkat(AT_FDCWD, link, path, SETTINGS_PATH_MAX - 1) > 0)
        found = rules_lock_treatment(&rules, path, rules.count ? loaded_program() : NULL);
    scratch_end(path, SETTINGS_PATH_MAX);
    return found == LOCK_RULE_NONE ? NO_RULE : (uint8_t)found;
}

static uint8_t decide_treatment(struct room *room, struct file *file, int fd) {
    struct sys_sigset saved;
    if (file->by_path != LOCK_RULE_NONE)
        return file->by_path;
    uint8_t treatment = treatment_by_path(fd);
    short_lock_take(&room->tables, &saved);
    file->by_path = treatment;
    *remembered_place(file->dev, file->ino) =
        (struct remembered){file->dev, file->ino, file->changed, treatment};
    short_lock_give(&room->tables, &saved);
    return treatment;
}

static bool in_sqlites_bytes(const struct byte_range *range) {
    return range->start >= SQLITE_FIRST && range->end <= SQLITE_LAST;
}

static enum lock_treatment treatment_of(struct room *room, struct file *file, int fd,
                                        const struct byte_range *range) {
    uint8_t treatment = atomic_load(&file->treatment);
    if (treatment != LOCK_RULE_NONE)
        return treatment;
    treatment = decide_treatment(room, file, fd);
    if (treatment == NO_RULE)
        treatment = in_sqlites_bytes(range) ? LOCK_RULE_PROCESS : LOCK_RULE_DESCRIPTION;
    uint8_t none = LOCK_RULE_NONE;
    return atomic_compare_exchange_strong(&file->treatment, &none, treatment) ? treatment : none;
}

/* ---- Making the private description ---- */

/* File systems that may hand locks to a server which does not tell a description's from a
 * process's. Asked once per device. */
static bool owners_are_told_apart(int fd, uint64_t dev) {
    static _Atomic uint64_t good_dev, bad_dev;
    struct statfs fs;
    if (atomic_load_explicit(&good_dev, memory_order_relaxed) == dev)
        return true;
    if (atomic_load_explicit(&bad_dev, memory_order_relaxed) == dev)
        return false;
    if (sys_call3(SYS_fstatfs, fd, (long)&fs, 0) < 0)
        return true;
    switch ((unsigned long)fs.f_type) {
    case FUSE_SUPER_MAGIC:
    case V9FS_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
        atomic_store(&bad_dev, dev);
        return false;
    default:
        atomic_store(&good_dev, dev);
        return true;
    }
}

static const char *why_not(int error) {
    switch (error) {
    case -EACCES:
    case -EPERM:
        return "the process may no longer open the file, so its locks stay POSIX locks";
    case -EMFILE:
        return "no room for hidden descriptors above the soft limit on open files (RLIMIT_NOFILE), "
               "so "
               "the file's locks stay POSIX locks; a soft limit below the hard one makes room";
    case -ENFILE:
    case -ENOMEM:
        return "the system has no descriptor or memory left, so the file's locks stay POSIX locks";
    case -ENOENT:
        return "/proc is not mounted, so locks stay POSIX locks";
    case -EISDIR:
        return "not a regular file, so its locks stay POSIX locks";
    case -EOPNOTSUPP:
        return "the file system may not tell a description's locks from a process's, so they stay "
               "POSIX locks";
    case -EINVAL:
        return "the file system or kernel has no description-owned locks, so they stay POSIX locks";
    default:
        return "the file could not be opened a second time, so its locks stay POSIX locks";
    }
}

/* By the process's number: "self" is a link, and following it costs a fifth of the open. */
static void private_link(char *link, size_t size, int fd) {
    struct text text;
    pid_t pid = holder_self_in_proc();
    if (pid == 0) {
        finding_link(link, size, fd);
        return;
    }
    text_begin(&text, link, size);
    text_add(&text, "/proc/");
    text_add_decimal(&text, (uint64_t)pid);
    text_add(&text, "/fd/");
    text_add_decimal(&text, (uint64_t)fd);
}

/* A description of our own for the file behind fd, hidden. Or -errno. Wants signals blocked: a
 * thread that is cancelled, or jumps, in the middle of it would keep others waiting. */
static int open_private(int fd, int access, uint64_t dev, uint64_t ino) {
    char link[48];
    struct stat st;
    private_link(link, sizeof link, fd);
    if (!owners_are_told_apart(fd, dev))
        return -EOPNOTSUPP;
    hidden_begin();
    int opened = hidden_open(link, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    hidden_end();
    if (opened >= 0 && (sys_fstat(opened, &st) < 0 || st.st_ino != ino || st.st_dev != dev)) {
        hidden_close(opened); /* the number became another file's meanwhile */
        return -EBADF;
    }
    return opened;
}

/* ---- Owners ---- */

/* Wants `tables`. The owner that is there already. */
static struct owner *join_owner(struct description *d, enum owner_class class, bool shared) {
    struct owner *owner = atomic_load(&d->owners[class]);
    if (owner || !shared || !d->file->process_owner)
        return owner;
    owner = d->file->process_owner;
    owner->descriptions++;
    atomic_store(&d->owners[class], owner);
    return owner;
}

/* Wants signals blocked. Publishes a new owner in the tables, or finds that another thread was
 * faster. Returns the owner that counts; *lost is the descriptor that is not needed then. */
static struct owner *install(struct room *room, struct description *d, int fd,
                             enum owner_class class, int hidden, bool shared, int *lost) {
    short_lock_take_quiet(&room->tables);
    struct owner *owner = NULL;
    *lost = hidden;
    /* A handler or another thread may have put another description onto the number: then this one
     * may be gone, and its place another's. */
    if (room_description(room, fd) == d)
        owner = join_owner(d, class, shared);
    if (!owner && room_description(room, fd) == d &&
        (owner = room_owner_add(room, d->file, class))) {
        owner->hidden = hidden;
        owner->access = d->access;
        owner->shared = shared;
        owner->descriptions = 1;
        if (shared)
            d->file->process_owner = owner;
        owner_open(owner);
        atomic_store_explicit(&d->owners[class], owner, memory_order_release);
        *lost = -1;
    }
    short_lock_give_quiet(&room->tables);
    return owner;
}

static bool take_ranges(const struct owner *owner, int hidden) {
    bool all = true;
    for (uint32_t i = 0; i < owner->ranges.count; i++) {
        const struct held *held = &owner->ranges.items[i];
        struct flock lock = {.l_type = held->type == RANGE_WRITE ? F_WRLCK : F_RDLCK,
                             .l_start = (off_t)held->start,
                             .l_len = (off_t)range_length(held->start, held->end)};
        all &= sys_fcntl(hidden, F_OFD_SETLK, (long)&lock) == 0;
    }
    return all;
}

/* The process's private description was opened for reading, and now a lock for writing comes
 * through a descriptor that may write. The new one takes the read locks beside the old one (they do
 * not conflict) before that goes, so that the file is never unlocked. Wants a turn. */
static void widen(struct owner *owner, int fd) {
    int wider = open_private(fd, O_RDWR, owner->file->dev, owner->file->ino);
    if (wider < 0)
        return;
    if (!take_ranges(owner, wider)) {
        hidden_close(wider);
        return;
    }
    int old = owner->hidden;
    owner->hidden = wider;
    owner->access = O_RDWR;
    hidden_close(old);
}

static void share_access(struct owner *owner, struct description *d, int fd) {
    struct sys_sigset saved;
    if (owner->hidden < 0 || owner->access == O_RDWR || owner->access == d->access)
        return;
    signals_hold(&saved);
    enum turn turn = owner_enter(owner);
    if (turn == TURN_ALONE && owner->access != O_RDWR)
        widen(owner, fd);
    if (turn != TURN_GONE && owner_leave(owner, turn))
        closing_finish_owner(room_here(), owner);
    signals_release(&saved);
}

static void show(struct owner *owner, int fd) {
    if (!owner || owner->shown)
        return;
    owner->shown = picture_take(owner->file->dev, owner->file->ino, owner->class);
    trace_file(fd, owner->file->dev, owner->file->ino);
}

static struct owner *make_owner(struct room *room, struct description *d, int fd, bool repair,
                                bool shared, const struct caller *caller) {
    int hidden = -1, lost = -1;
    struct sys_sigset saved;
    const char *why = NULL;
    signals_hold(&saved);
    if (repair && !(shared && d->file->process_owner)) {
        hidden =
            d->file->special ? -EISDIR : open_private(fd, d->access, d->file->dev, d->file->ino);
        if (hidden < 0) {
            /* From here on the file is POSIX's: closing a private description of it would drop the
             * process's POSIX locks. */
            atomic_store(&d->file->unrepaired, true);
            why = why_not(hidden);
            hidden = -1;
        }
    }
    struct owner *owner = install(room, d, fd, OWNER_RECORD, hidden, shared, &lost);
    if (lost >= 0)
        hidden_close(lost);
    if (owner && owner->hidden >= 0 && !owner->published)
        owner->published = holder_publish(d->file->dev, d->file->ino, owner->hidden);
    show(owner, fd);
    signals_release(&saved);
    if (why)
        finding_degraded(fd, d->file, why, caller);
    return owner;
}

struct owner *describe_owner(struct room *room, struct description *d, int fd,
                             const struct byte_range *range, const struct caller *caller) {
    struct owner *owner = atomic_load_explicit(&d->owners[OWNER_RECORD], memory_order_acquire);
    if (__builtin_expect(owner != NULL, 1))
        return owner;
    enum lock_treatment treatment = treatment_of(room, d->file, fd, range);
    if (treatment == LOCK_RULE_OFF)
        return NULL;
    bool repair = settings.lock_mode == LOCKS_REPAIR && treatment != LOCK_RULE_WATCH &&
                  !atomic_load(&d->file->unrepaired);
    bool shared = treatment == LOCK_RULE_PROCESS;
    owner = make_owner(room, d, fd, repair, shared, caller);
    if (owner && shared)
        share_access(owner, d, fd);
    return owner;
}

struct owner *describe_native_owner(struct room *room, struct description *d, int fd,
                                    enum owner_class class) {
    struct owner *owner = atomic_load_explicit(&d->owners[class], memory_order_acquire);
    struct sys_sigset saved;
    int lost;
    if (owner)
        return owner;
    signals_hold(&saved);
    owner = install(room, d, fd, class, -1, false, &lost);
    show(owner, fd);
    signals_release(&saved);
    return owner;
}

void describe_repair_again(struct owner *owner, int fd) {
    struct flock all = {.l_type = F_UNLCK};
    int hidden = open_private(fd, owner->access, owner->file->dev, owner->file->ino);
    if (hidden < 0)
        return;
    sys_fcntl(fd, F_SETLK, (long)&all);
    if (!take_ranges(owner, hidden))
        owner_doubt(owner);
    owner->hidden = hidden;
    /* As long as another owner's locks are POSIX's, closing a private description would drop them. */
    for (const struct owner *o = owner->file->owners; o; o = o->next_in_file)
        if (o->class == OWNER_RECORD && o->hidden < 0)
            return;
    atomic_store(&owner->file->unrepaired, false);
}

void describe_give_up(struct room *room, struct description *d, struct owner *owner, int fd,
                      const char *why, const struct caller *caller) {
    struct sys_sigset saved;
    atomic_store(&d->file->unrepaired, true);
    finding_degraded(fd, d->file, why, caller);
    short_lock_take(&room->tables, &saved);
    int hidden = owner->hidden;
    owner->hidden = -1;
    short_lock_give(&room->tables, &saved);
    if (hidden >= 0)
        hidden_close(hidden);
}
