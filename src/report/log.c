/* Who writes, and where.
 *
 * The owner of the log is one process; `owner` says which. Its records go into one file, under
 * `taken`, a lock that is held with signals blocked and tried for a bounded time. The state lies in
 * memory that the kernel wipes in a forked child, so a child that no hook saw finds no owner and
 * begins anew.
 *
 * Who runs in the owner's memory without being it (a vfork child, a raw clone), or cannot have the
 * lock because its holder hangs in a dead file system, writes its record apart: into a file of its
 * own, without looking whether it is known, LOG_APART_MAX times at most.
 *
 *     no owner --first finding--> owned --fork--> no owner, in the child
 *
 * The first finding must be of `maker`, the process that set the log up or that log_after_fork told
 * us of; or, if the log was owned since then, of anyone: then the memory was wiped by a fork that
 * nobody saw. A vfork child is neither.
 */
#include "report/log.h"

#include "base/layout.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "base/text.h"
#include "report/record.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

struct known {
    uint64_t fingerprint; /* 0: free */
    uint64_t count;
    uint64_t count_at; /* where in the file the count stands */
};

/* The line of a provisional record, or the blanks that are left of one. */
struct slot {
    uint64_t at;
    uint32_t size; /* with the newline; 0: no such line */
    uint16_t gap;  /* bytes before it: see append_line */
    bool taken;
};

#define KNOWN_SLOTS 16384
_Static_assert(LOG_KNOWN_MAX <= KNOWN_SLOTS * 3 / 4, "probing must end soon");

struct log {
    _Atomic pid_t owner; /* 0: nobody yet */
    _Atomic uint32_t taken;
    /* The rest is guarded by `taken`. */
    _Atomic int kept;    /* the hidden descriptor plus one; 0: none. Read without the lock */
    bool begun;          /* the file exists */
    uint32_t number;     /* of the file */
    uint32_t generation; /* how many files were begun: a number may come again */
    uint64_t dev, ino;
    uint64_t end; /* where the next record goes */
    uint32_t records;
    uint32_t known_count;
    struct known too_many;
    struct slot slots[LOG_PROVISIONAL_MAX];
    struct record_writer writer;
    struct known known[KNOWN_SLOTS];
};

static const char *log_directory; /* NULL: nothing is recorded */
static struct log_host log_host;
static struct log *_Atomic log_mapped;
static _Atomic bool log_is_wiped;  /* by the kernel, in a forked child */
static _Atomic pid_t log_maker;    /* may be the first owner */
static _Atomic bool log_was_owned; /* by this process or one that it is a copy of */
static _Atomic uint32_t log_apart; /* records written apart */

/* ---- Settings ---- */

#define DIRECTORY_MAX 4096

/* Absolute, and without a slash at the end? */
EVERY_PROCESS static bool is_plain(const char *dir) {
    const char *last = dir;
    for (const char *at = dir; *at != '\0'; at++)
        last = at;
    return dir[0] == '/' && (*last != '/' || last == dir);
}

/* "LINK/" names what a link leads to; without its slashes O_NOFOLLOW sees the link. */
static const char *absolute(const char *dir) {
    static char path[DIRECTORY_MAX];
    struct text text;
    size_t used = strlen(dir);
    long length = 1;
    while (used > 1 && dir[used - 1] == '/')
        used--;
    if (dir[0] != '/')
        length = sys_call3(SYS_getcwd, (long)path, sizeof path, 0);
    if (length <= 0 || (dir[0] != '/' && path[0] != '/'))
        return dir;
    text_begin(&text, path + length - 1, sizeof path - (size_t)length + 1);
    if (dir[0] != '/')
        text_add_char(&text, '/');
    text_add_bytes(&text, dir, used);
    return text.cut ? dir : path;
}

EVERY_PROCESS void log_open_settings(const char *dir, const struct log_host *host) {
    log_directory = dir && dir[0] ? is_plain(dir) ? dir : absolute(dir) : NULL;
    log_host = host ? *host : (struct log_host){0};
    atomic_store(&log_maker, sys_getpid());
}

/* ---- The file ---- */

/* A directory of ours that nobody else may write to. */
int log_open_directory(void) {
    struct stat st;
    if (!log_directory)
        return -ENOENT;
    int fd = sys_openat(AT_FDCWD, log_directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    if (sys_fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == sys_geteuid() &&
        (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return fd;
    sys_close(fd);
    return -EACCES;
}

static void file_name(char name[static 48], pid_t pid, uint32_t number) {
    struct text text;
    text_begin(&text, name, 48);
    text_add_decimal(&text, (uint64_t)pid);
    text_add_char(&text, '.');
    text_add_decimal(&text, number);
    text_add(&text, ".jsonl");
}

#define NUMBER_MAX 100000

/* The first file of this process's that does not exist yet. */
static int create_file(int directory, pid_t pid, uint32_t *number) {
    char name[48];
    for (uint32_t n = 0; n < NUMBER_MAX; n++) {
        file_name(name, pid, n);
        int fd =
            sys_openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            sys_call3(SYS_fchmod, fd, 0600, 0); /* whatever the program's umask is */
            *number = n;
        }
        if (fd != -EEXIST)
            return fd;
    }
    return -EEXIST;
}

enum whose { OURS, OURS_REMOVED, FOREIGN };

/* The number may have been closed by a system call that nobody saw, and be the program's by now. */
static enum whose whose_file(const struct log *log, int fd) {
    struct stat st;
    if (sys_fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_dev != log->dev ||
        st.st_ino != log->ino)
        return FOREIGN;
    return st.st_nlink > 0 ? OURS : OURS_REMOVED;
}

static int open_again(const struct log *log, int directory) {
    char name[48];
    file_name(name, atomic_load(&log->owner), log->number);
    int fd = sys_openat(directory, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0 || whose_file(log, fd) == OURS)
        return fd;
    sys_close(fd);
    return -ENOENT;
}

/* A file that was removed takes its records along: what comes again is written again. */
static int begin_file(struct log *log, int directory) {
    struct stat st;
    int fd = create_file(directory, atomic_load(&log->owner), &log->number);
    if (fd < 0)
        return fd;
    if (sys_fstat(fd, &st) != 0) {
        sys_close(fd);
        return -EIO;
    }
    if (log->known_count > 0)
        memset(log->known, 0, sizeof log->known);
    log->known_count = 0;
    log->too_many = (struct known){0};
    memset(log->slots, 0, sizeof log->slots);
    log->generation++;
    log->dev = st.st_dev;
    log->ino = st.st_ino;
    log->end = 0;
    log->begun = true;
    return fd;
}

static void close_kept(struct log *log) {
    int fd = atomic_exchange(&log->kept, 0) - 1;
    if (fd >= 0 && log_host.close)
        log_host.close(fd);
    else if (fd >= 0)
        sys_close(fd);
}

static int open_named(struct log *log) {
    int directory = log_open_directory();
    if (directory < 0)
        return directory;
    int fd = log->begun ? open_again(log, directory) : -ENOENT;
    if (fd == -ENOENT)
        fd = begin_file(log, directory);
    sys_close(directory);
    return fd;
}

/* Opens the file and keeps the descriptor if it can be hidden. */
static int open_and_hide(struct log *log) {
    if (log_host.begin)
        log_host.begin();
    int fd = open_named(log);
    if (fd >= 0 && (fd = log_host.hide(fd)) >= 0)
        atomic_store(&log->kept, fd + 1);
    if (log_host.end)
        log_host.end();
    return fd;
}

/* The descriptor to write to, -errno if there is none. Give it back by close_file. */
static int open_file(struct log *log) {
    int fd = atomic_load(&log->kept) - 1;
    if (fd >= 0) {
        enum whose whose = whose_file(log, fd);
        if (whose == OURS)
            return fd;
        if (whose == OURS_REMOVED)
            close_kept(log);
        atomic_store(&log->kept, 0);
    }
    fd = log_host.hide ? open_and_hide(log) : -EMFILE;
    return fd >= 0 ? fd : open_named(log);
}

static void close_file(struct log *log, int fd) {
    if (fd >= 0 && atomic_load(&log->kept) - 1 != fd)
        sys_close(fd);
}

bool log_may_write_up_to(uint64_t end) {
    struct rlimit limit;
    return sys_getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
           end <= limit.rlim_cur;
}

/* Writes a whole line or nothing that a reader would notice. */
static bool write_line(int fd, char *line, size_t length, uint64_t at) {
    if (!log_may_write_up_to(at + length))
        return false;
    ssize_t written = sys_pwrite(fd, line, length, (off_t)at);
    if (written == (ssize_t)length)
        return true;
    if (written > 0 && sys_ftruncate(fd, (off_t)at) != 0) {
        memset(line, ' ', (size_t)written);
        line[written - 1] = '\n';
        sys_pwrite(fd, line, (size_t)written, (off_t)at);
    }
    return false;
}

/* SIGKILL ends a write between two pages, with the first of them written. So a line lies in one
 * page, whatever the machine's size of pages is: one that would not begins the next, behind blanks,
 * which JSON allows before a value. Of one that is longer than a page what was written may be left, without a newline.
 *
 * Takes the writer's line, and returns where it begins, or -1. */
static int64_t append_line(struct log *log, int fd, size_t length) {
    char *line = log->writer.line;
    size_t used = log->end % RECORD_PAGE;
    size_t gap = used > 0 && used + length > RECORD_PAGE ? RECORD_PAGE - used : 0;
    if (gap > 0) {
        memmove(line + gap, line, length);
        memset(line, ' ', gap);
    }
    if (!write_line(fd, line, gap + length, log->end))
        return -1;
    log->end += gap + length;
    return (int64_t)(log->end - length);
}

/* ---- Findings that are known ---- */

/* The finding's slot, or the free one where it belongs. */
static struct known *find_known(struct log *log, uint64_t fingerprint) {
    for (uint32_t i = (uint32_t)fingerprint;; i++) {
        struct known *known = &log->known[i % KNOWN_SLOTS];
        if (known->fingerprint == fingerprint || known->fingerprint == 0)
            return known;
    }
}

static void write_count(struct known *known, int fd, uint64_t more) {
    char number[LOG_COUNT_WIDTH];
    known->count += more;
    json_padded_number(number, known->count, sizeof number);
    if (log_may_write_up_to(known->count_at + sizeof number))
        sys_pwrite(fd, number, sizeof number, (off_t)known->count_at);
}

static void write_new(struct log *log, int fd, const struct event *event, struct known *known,
                      uint64_t fingerprint) {
    size_t count_at;
    size_t length = record_write(&log->writer, event, &count_at);
    int64_t at = append_line(log, fd, length);
    if (at < 0)
        return;
    if (known)
        *known = (struct known){fingerprint, 1, (uint64_t)at + count_at};
    log->records++;
}

static void write_too_many(struct log *log, int fd, uint64_t times) {
    static const struct event event = {
        .kind = EVENT_DEGRADED,
        .detail = "the log is full: this record counts the findings that were not written",
    };
    if (log->too_many.fingerprint == 0) {
        write_new(log, fd, &event, &log->too_many, 1);
        times--;
    }
    if (log->too_many.fingerprint && times > 0)
        write_count(&log->too_many, fd, times);
}

static void record(struct log *log, const struct event *event, uint64_t times) {
    int fd = open_file(log);
    if (fd < 0)
        return;
    uint64_t fingerprint = record_fingerprint(event);
    struct known *known = find_known(log, fingerprint);
    if (known->fingerprint)
        write_count(known, fd, times);
    else if (log->records >= LOG_RECORDS_MAX)
        write_too_many(log, fd, times);
    else if (log->known_count < LOG_KNOWN_MAX) {
        write_new(log, fd, event, known, fingerprint);
        log->known_count += known->fingerprint != 0;
        if (known->fingerprint && times > 1)
            write_count(known, fd, times - 1);
    } else
        write_new(log, fd, event, NULL, 0);
    close_file(log, fd);
}

/* ---- Provisional records ---- */

/* So that a line's bytes suffice for the next one, which differs by some digits. */
#define SLOT_UNIT ((size_t)1024)
_Static_assert(RECORD_LINE_MAX % SLOT_UNIT == 0, "a padded line must fit");

/* Blanks that are long enough, or else a slot for a new line; NULL if all are taken. */
static struct slot *find_slot(struct log *log, size_t length) {
    struct slot *unused = NULL;
    for (uint32_t i = 0; i < LOG_PROVISIONAL_MAX; i++) {
        struct slot *slot = &log->slots[i];
        if (slot->size >= length && !slot->taken)
            return slot;
        if (slot->size == 0 && !unused)
            unused = slot;
    }
    return unused;
}

/* JSON allows blanks before the last brace. */
static void pad_line(char *line, size_t length, size_t size) {
    memset(line + length - 2, ' ', size - length);
    memcpy(line + size - 2, "}\n", 2);
}

/* The blanks become part of the next line. Of a slot that cannot be overwritten at once, see append_line, they stay a line
 * of their own, which alone is spoilt then. */
static bool blank_line(struct log *log, int fd, const struct slot *slot) {
    size_t left = slot->size <= RECORD_PAGE ? slot->size : slot->size - 1;
    uint64_t at = slot->at;
    if (!log_may_write_up_to(at + left))
        return false;
    memset(log->writer.line, ' ', left);
    while (left > 0) {
        ssize_t written = sys_pwrite(fd, log->writer.line, left, (off_t)at);
        if (written <= 0)
            return false;
        left -= (size_t)written;
        at += (uint64_t)written;
    }
    return true;
}

/* Over blanks; a part of it must not stay, and what follows must. */
static bool overwrite_line(struct log *log, int fd, const struct slot *slot) {
    if (!log_may_write_up_to(slot->at + slot->size))
        return false;
    ssize_t written = sys_pwrite(fd, log->writer.line, slot->size, (off_t)slot->at);
    if (written > 0 && written < (ssize_t)slot->size)
        blank_line(log, fd, slot);
    return written == (ssize_t)slot->size;
}

static void write_provisional(struct log *log, int fd, const struct event *event,
                              struct log_place *place) {
    size_t count_at;
    size_t length = record_write(&log->writer, event, &count_at);
    struct slot *slot = find_slot(log, length);
    if (!slot)
        return;
    if (slot->size > 0) {
        pad_line(log->writer.line, length, slot->size);
        if (!overwrite_line(log, fd, slot))
            return;
    } else {
        size_t size = (length + SLOT_UNIT - 1) / SLOT_UNIT * SLOT_UNIT;
        pad_line(log->writer.line, length, size);
        uint64_t end = log->end;
        int64_t at = append_line(log, fd, size);
        if (at < 0)
            return;
        *slot = (struct slot){(uint64_t)at, (uint32_t)size, (uint16_t)((uint64_t)at - end), false};
    }
    slot->taken = true;
    *place = (struct log_place){sys_getpid(), log->generation, (uint32_t)(slot - log->slots)};
}

/* Where the file ends without the blanks at its end. */
static uint64_t end_without_blanks(const struct log *log) {
    uint64_t end = log->end;
    for (uint32_t i = 0; i < LOG_PROVISIONAL_MAX;) {
        const struct slot *slot = &log->slots[i++];
        if (slot->size > 0 && !slot->taken && slot->at + slot->size == end) {
            end = slot->at - slot->gap;
            i = 0;
        }
    }
    return end;
}

static void take_back(struct log *log, int fd, struct slot *slot) {
    slot->taken = false;
    uint64_t end = end_without_blanks(log);
    if (end == log->end || sys_ftruncate(fd, (off_t)end) != 0) {
        slot->taken = !blank_line(log, fd, slot);
        return;
    }
    log->end = end;
    for (uint32_t i = 0; i < LOG_PROVISIONAL_MAX; i++)
        if (log->slots[i].at >= end)
            log->slots[i] = (struct slot){0};
}

/* ---- Apart ---- */

static void record_apart(const struct event *event) {
    if (atomic_fetch_add(&log_apart, 1) >= LOG_APART_MAX) {
        atomic_fetch_sub(&log_apart, 1);
        return;
    }
    struct record_writer *writer = scratch_begin(sizeof *writer);
    int directory = writer ? log_open_directory() : -ENOMEM;
    uint32_t number;
    int fd = directory >= 0 ? create_file(directory, sys_getpid(), &number) : directory;
    if (fd >= 0) {
        size_t count_at;
        size_t length = record_write(writer, event, &count_at);
        write_line(fd, writer->line, length, 0);
        sys_close(fd);
    }
    if (directory >= 0)
        sys_close(directory);
    scratch_end(writer, sizeof *writer);
}

/* ---- Owner and lock ---- */

static struct log *log_here(void) {
    struct log *log = atomic_load_explicit(&log_mapped, memory_order_acquire);
    if (log)
        return log;
    struct log *none = NULL;
    log = sys_mmap(sizeof *log, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (!log)
        return NULL;
    atomic_store(&log_is_wiped, sys_madvise(log, sizeof *log, MADV_WIPEONFORK) == 0);
    if (!atomic_compare_exchange_strong(&log_mapped, &none, log)) {
        sys_munmap(log, sizeof *log);
        return none;
    }
    return log;
}

static bool is_ours(struct log *log) {
    pid_t pid = sys_getpid();
    pid_t owner = atomic_load(&log->owner);
    if (owner == 0 && (atomic_load(&log_was_owned) || atomic_load(&log_maker) == pid) &&
        atomic_compare_exchange_strong(&log->owner, &owner, pid)) {
        atomic_store(&log_was_owned, true);
        return true;
    }
    return owner == pid;
}

/* A record takes some 20 us; a holder may be preempted for a while. After a tenth of a second it
 * hangs. */
static bool take(struct log *log) {
    for (unsigned tries = 0; tries < 300; tries++) {
        if (!atomic_exchange_explicit(&log->taken, 1, memory_order_acquire))
            return true;
        if (tries < 200)
            sys_sched_yield();
        else
            sys_pause(1000 * 1000);
    }
    return false;
}

static void give(struct log *log) {
    atomic_store_explicit(&log->taken, 0, memory_order_release);
}

/* The process's log, taken, with signals blocked; NULL, with signals blocked too: it cannot be had. */
static struct log *enter(struct sys_sigset *saved) {
    sys_block_signals(saved);
    struct log *log = log_here();
    return log && is_ours(log) && take(log) ? log : NULL;
}

static void leave(struct log *log, const struct sys_sigset *saved) {
    if (log)
        give(log);
    sys_restore_signals(saved);
}

void log_event(const struct event *event) {
    log_events(event, 1);
}

void log_events(const struct event *event, uint64_t times) {
    struct sys_sigset saved;
    if (!log_directory)
        return;
    struct log *log = enter(&saved);
    if (log)
        record(log, event, times);
    else
        record_apart(event);
    leave(log, &saved);
}

bool log_first(uint64_t number) {
    char name[32];
    struct text text;
    int directory = log_open_directory();
    if (directory < 0)
        return false;
    text_begin(&text, name, sizeof name);
    text_add(&text, "said.");
    text_add_hex(&text, number, 16);
    int fd =
        sys_openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        sys_close(fd);
    sys_close(directory);
    return fd != -EEXIST;
}

/* The place is written and forgotten with signals blocked: a cancellation, or a jump out of a
 * handler, finds it as the file is. */
void log_provisional(const struct event *event, struct log_place *place) {
    struct sys_sigset saved;
    *place = (struct log_place){0};
    if (!log_directory)
        return;
    struct log *log = enter(&saved);
    if (log) {
        int fd = open_file(log);
        if (fd >= 0)
            write_provisional(log, fd, event, place);
        close_file(log, fd);
    }
    leave(log, &saved);
}

void log_take_back(struct log_place *place) {
    struct sys_sigset saved;
    struct log *log = atomic_load_explicit(&log_mapped, memory_order_acquire);
    if (place->generation == 0 || !log)
        return;
    sys_block_signals(&saved);
    if (place->pid == sys_getpid() && is_ours(log) && take(log)) {
        int fd = open_file(log);
        if (fd >= 0 && place->generation == log->generation)
            take_back(log, fd, &log->slots[place->slot]);
        close_file(log, fd);
        give(log);
    }
    *place = (struct log_place){0};
    sys_restore_signals(&saved);
}

EVERY_PROCESS void log_after_fork(void) {
    struct log *log = atomic_load(&log_mapped);
    atomic_store(&log_maker, sys_getpid());
    atomic_store(&log_was_owned, false); /* or a vfork child could come before us */
    atomic_store(&log_apart, 0);
    /* Where the kernel does not wipe it, it is wiped here; an unseen fork then writes apart. */
    if (log && !atomic_load(&log_is_wiped))
        sys_madvise(log, sizeof *log, MADV_DONTNEED);
}

void log_release_descriptor(void) {
    struct sys_sigset saved;
    struct log *log = atomic_load_explicit(&log_mapped, memory_order_acquire);
    if (!log || !is_ours(log))
        return;
    sys_block_signals(&saved);
    if (take(log)) {
        close_kept(log);
        give(log);
    }
    sys_restore_signals(&saved);
}

int log_descriptor(void) {
    struct log *log = atomic_load_explicit(&log_mapped, memory_order_acquire);
    return log ? atomic_load(&log->kept) - 1 : -1;
}
