#include "lock/hidden.h"

#include "base/sys.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>

/* Numbers lie close together above the soft limit of the first one, so a window of this many is
 * plenty. Untouched pages of it cost nothing. */
#define WINDOW (1u << 20)
#define WORD_BITS 64
/* Above the highest number wanted: F_DUPFD takes the lowest free one. */
#define HEADROOM 4096

static _Atomic uint64_t bits[WINDOW / WORD_BITS];
static _Atomic uint32_t window_start; /* 0: no window yet. Set once. */
static _Atomic uint32_t window_used;  /* words that ever had a bit */
_Atomic uint32_t hidden_count;

static _Atomic uint32_t making;
static _Atomic uint32_t forking;
static __thread bool forking_here __attribute__((tls_model("initial-exec")));

/* Some lie below the soft limit: the program may want their numbers. */
static _Atomic bool lent;

/* Where the limit cannot be raised, its upper half is used, but of a very large table not so much
 * that each fork must copy it; small tables are left to the program. */
#define LENT_LIMIT 256
#define LENT_FROM 32768

/* The lowest number that was lent last; 0: none, or the limit was set since. Another process may set
 * it unseen, too: if it is lower then, the number is refused and the limit asked for again; if it
 * is higher, a borrowed number is as good as before. */
static _Atomic uint32_t lent_from;

/* One instant of a raised limit at a time, or one thread would restore what another raised. */
static _Atomic uint32_t limit_taken;
/* Odd while the limit is raised: what is read then is not the program's. */
static _Atomic uint32_t limit_changes;

/* About a tenth of a second. */
static bool bounded_wait(_Atomic uint32_t *value) {
    for (unsigned tries = 0; atomic_load(value) != 0; tries++) {
        if (tries > 3000)
            return false;
        if (tries > 1000)
            sys_pause(50 * 1000);
        else
            sys_sched_yield();
    }
    return true;
}

void hidden_begin(void) {
    if (forking_here) { /* a fork handler of the program's: nobody else can copy what it makes */
        atomic_fetch_add(&making, 1);
        return;
    }
    for (int tries = 0;; tries++) {
        atomic_fetch_add(&making, 1);
        if (atomic_load(&forking) == 0 || tries > 0)
            return;
        atomic_fetch_sub(&making, 1);
        bounded_wait(&forking);
    }
}

void hidden_end(void) {
    atomic_fetch_sub(&making, 1);
}

void hidden_before_fork(void) {
    forking_here = true;
    atomic_fetch_add(&forking, 1);
    bounded_wait(&making);
}

void hidden_after_fork_parent(void) {
    forking_here = false;
    atomic_fetch_sub(&forking, 1);
}

static bool place_of(int fd, uint32_t *word, uint64_t *bit) {
    uint32_t start = atomic_load_explicit(&window_start, memory_order_acquire);
    if (start == 0 || fd < 0 || (uint32_t)fd < start || (uint32_t)fd - start >= WINDOW)
        return false;
    *word = ((uint32_t)fd - start) / WORD_BITS;
    *bit = UINT64_C(1) << (((uint32_t)fd - start) % WORD_BITS);
    return true;
}

static uint32_t window_open(uint32_t start) {
    uint32_t none = 0;
    atomic_compare_exchange_strong(&window_start, &none, start & ~(uint32_t)(WORD_BITS - 1));
    return atomic_load(&window_start);
}

static bool remember(int fd) {
    uint32_t word;
    uint64_t bit;
    if (!place_of(fd, &word, &bit))
        return false;
    uint32_t used = atomic_load(&window_used);
    while (used <= word && !atomic_compare_exchange_weak(&window_used, &used, word + 1))
        ;
    atomic_fetch_or(&bits[word], bit);
    atomic_fetch_add(&hidden_count, 1);
    return true;
}

/* Raises the soft limit far enough for one more number above it. */
static bool raise_limit(const struct rlimit *old) {
    rlim_t room = HEADROOM + atomic_load(&hidden_count) * 2;
    struct rlimit raised = {old->rlim_cur + room, old->rlim_max};
    static _Atomic bool refused; /* only the privileged may go beyond the hard limit */
    if (raised.rlim_cur > old->rlim_max)
        raised.rlim_cur = old->rlim_max;
    if (raised.rlim_cur <= old->rlim_cur) {
        if (atomic_load_explicit(&refused, memory_order_relaxed))
            return false;
        raised.rlim_cur = raised.rlim_max = old->rlim_cur + room;
    }
    atomic_fetch_add(&limit_changes, 1);
    if (sys_setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return true;
    atomic_fetch_add(&limit_changes, 1);
    atomic_store_explicit(&refused, true, memory_order_relaxed);
    return false;
}

static void restore_limit(const struct rlimit *old) {
    sys_setrlimit(RLIMIT_NOFILE, old);
    atomic_fetch_add(&limit_changes, 1);
}

uint32_t hidden_limit_stable(void) {
    for (unsigned tries = 0;; tries++) {
        uint32_t seen = atomic_load(&limit_changes);
        if (!(seen & 1) || tries > 4000)
            return seen;
        if (tries > 2000)
            sys_pause(50 * 1000);
        else
            sys_sched_yield();
    }
}

bool hidden_limit_changed(uint32_t seen) {
    return atomic_load(&limit_changes) != seen;
}

static bool take_limit(void) {
    while (atomic_exchange(&limit_taken, 1))
        if (!bounded_wait(&limit_taken))
            return false;
    return true;
}

static int copy_from(int fd, uint32_t lowest) {
    uint32_t start = window_open(lowest + WORD_BITS);
    return sys_fcntl(fd, F_DUPFD_CLOEXEC, start > lowest ? (long)start : (long)lowest);
}

static int lend(int fd, uint32_t lowest) {
    int moved = copy_from(fd, lowest);
    atomic_store_explicit(&lent_from, moved >= 0 ? lowest : 0, memory_order_relaxed);
    atomic_store_explicit(&lent, moved >= 0 || atomic_load(&lent), memory_order_relaxed);
    return moved;
}

static int move_above(int fd) {
    struct rlimit limit;
    uint32_t lowest = atomic_load_explicit(&lent_from, memory_order_relaxed);
    int moved = lowest != 0 ? lend(fd, lowest) : -EMFILE;
    if (moved >= 0)
        return moved;
    if (!take_limit())
        return -EMFILE;
    if (sys_getrlimit(RLIMIT_NOFILE, &limit) < 0)
        moved = -EMFILE;
    else if (limit.rlim_cur <= INT_MAX - 2 * HEADROOM && raise_limit(&limit)) {
        moved = copy_from(fd, (uint32_t)limit.rlim_cur);
        restore_limit(&limit);
    } else if (limit.rlim_cur >= LENT_LIMIT) {
        moved =
            lend(fd, (uint32_t)(limit.rlim_cur / 2 < LENT_FROM ? limit.rlim_cur / 2 : LENT_FROM));
    } else {
        moved = -EMFILE;
    }
    atomic_store(&limit_taken, 0);
    return moved;
}

void hidden_limit_was_set(void) {
    atomic_store_explicit(&lent_from, 0, memory_order_relaxed);
}

bool hidden_lent(void) {
    return atomic_load_explicit(&lent, memory_order_relaxed) && hidden_any();
}

int hidden_move(int fd) {
    int moved = move_above(fd);
    sys_close(fd);
    if (moved >= 0 && !remember(moved)) {
        sys_close(moved);
        return -EMFILE;
    }
    return moved;
}

int hidden_open(const char *path, int flags) {
    struct rlimit limit;
    int fd = sys_openat(AT_FDCWD, path, flags, 0);
    /* Every number of the program's is taken: the file is opened above them. */
    if (fd == -EMFILE && take_limit()) {
        if (sys_getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= INT_MAX - 2 * HEADROOM &&
            raise_limit(&limit)) {
            fd = sys_openat(AT_FDCWD, path, flags, 0);
            restore_limit(&limit);
        }
        atomic_store(&limit_taken, 0);
    }
    return fd < 0 ? fd : hidden_move(fd);
}

bool hidden_adopt(int fd) {
    window_open((uint32_t)fd);
    return remember(fd);
}

static bool forget(int fd) {
    uint32_t word;
    uint64_t bit;
    if (!place_of(fd, &word, &bit) || !(atomic_fetch_and(&bits[word], ~bit) & bit))
        return false;
    atomic_fetch_sub(&hidden_count, 1);
    return true;
}

void hidden_close(int fd) {
    /* The bit goes first: between the two a fork copies a descriptor that the child does not close,
     * where the other order could make the child close a number that is the program's by then. */
    hidden_begin();
    forget(fd);
    sys_close(fd);
    hidden_end();
}

bool hidden_is_one(int fd) {
    uint32_t word;
    uint64_t bit;
    return place_of(fd, &word, &bit) &&
           (atomic_load_explicit(&bits[word], memory_order_relaxed) & bit) != 0;
}

int hidden_next(int from, int last) {
    uint32_t start = atomic_load(&window_start);
    if (!hidden_any() || last < from || (uint32_t)last < start)
        return -1;
    if (from < 0 || (uint32_t)from < start)
        from = (int)start;
    for (uint32_t at = (uint32_t)from - start; at / WORD_BITS < atomic_load(&window_used);) {
        uint64_t word = atomic_load(&bits[at / WORD_BITS]) >> (at % WORD_BITS);
        if (word) {
            uint32_t found = start + at + (uint32_t)__builtin_ctzll(word);
            return found <= (uint32_t)last ? (int)found : -1;
        }
        at = (at / WORD_BITS + 1) * WORD_BITS;
    }
    return -1;
}

bool hidden_below(unsigned long soft) {
    int first = hidden_next(0, INT_MAX);
    return first >= 0 && (unsigned long)first < soft;
}

/* Closes first..last; one call where the kernel has it (5.9). */
static void close_run(int first, int last) {
    if (sys_close_range((unsigned)first, (unsigned)last, 0) == 0)
        return;
    for (int fd = first; fd <= last; fd++)
        sys_close(fd);
}

void hidden_after_fork_child(bool keep) {
    int first = -1, last = -1;
    atomic_store(&making, 0);
    atomic_store(&forking, 0);
    forking_here = false;
    atomic_store(&limit_taken, 0);
    if (atomic_load(&window_used) == 0)
        return;
    for (int fd = hidden_next(0, INT_MAX); fd >= 0; fd = hidden_next(fd + 1, INT_MAX)) {
        if (first >= 0 && fd != last + 1) {
            if (!keep)
                close_run(first, last);
            first = -1;
        }
        if (first < 0)
            first = fd;
        last = fd;
    }
    if (first >= 0 && !keep)
        close_run(first, last);
    for (uint32_t word = 0; word < atomic_load(&window_used); word++)
        atomic_store_explicit(&bits[word], 0, memory_order_relaxed);
    atomic_store(&window_used, 0);
    atomic_store(&window_start, 0);
    atomic_store(&hidden_count, 0);
    atomic_store(&lent, false);
    atomic_store(&lent_from, 0);
}
