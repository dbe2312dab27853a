/* Random sequences of lock operations, on POSIX record locks and on the kernel's own OFD locks
 * beside each other.
 *
 *   random_lock_sequences [--seed=S] [--count=N] [--verbose]
 *
 * Two processes open the subject file and the oracle file three times each. Every step does one
 * thing to both: to the subject by libc's ordinary names, to the oracle by raw system calls, with
 * F_OFD_SETLK for F_SETLK. Where a lock belongs to the open file description, all answers are
 * equal, and so are the kernel's two lists of locks at the end. Where it belongs to the process,
 * they differ.
 *
 * Sequence i of a run has the seed S + i, so --seed=S --count=1 repeats one; it prints its steps. A
 * sequence ends at its first difference. trace= digests every answer of the subject.
 *
 * Which process holds what is known to a third party, struct owner: F_OFD_GETLK names no process.
 */
#define _GNU_SOURCE
#include "base/sys.h"
#include "lock_probe.h"
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>

#define PROCESSES 2
#define DESCRIPTIONS 3
#define COPIES 3 /* descriptors of one description, at most */
#define OWNERS (PROCESSES * DESCRIPTIONS)
#define STEPS 12
#define TURNS_PER_SEQUENCE (STEPS + 5) /* open, open, the steps, compare, close, close */
#define RANGES_MAX (2 * STEPS)
#define LISTED_MAX 256
#define SECONDS_PER_SEQUENCE 30

enum step_kind {
    STEP_LOCK,
    STEP_QUERY,
    STEP_LOCKF,
    STEP_DUP,
    STEP_CLOSE,
    STEP_SEEK,
    STEP_TRUNCATE
};
enum door { DOOR_FCNTL, DOOR_FCNTL64, DOOR_SYSCALL, DOORS };
enum place { PLACE_STACK, PLACE_STATIC, PLACE_PAGE_END, PLACES };

/* One step, drawn before anything is done, by both processes alike. */
struct step {
    uint8_t kind, actor, description, copy;
    uint8_t over, to_description, to_copy; /* STEP_DUP: over an open descriptor, and which */
    uint8_t way;                           /* which of the calls that do the same */
    uint8_t place;                         /* of the struct flock */
    uint8_t waits;                         /* F_SETLKW or F_LOCK, if the lock is free */
    short type, whence;
    int64_t start, length;
    int32_t garbage; /* in l_pid */
};

struct range {
    int64_t start, end;
    short type;
};

/* What one description holds: as far as needed to tell whose lock the oracle has met. */
struct owner {
    int count;
    struct range held[RANGES_MAX];
};

struct answer {
    int result, error;
    struct flock lock;
};

/* The fields other than turn belong to the process whose turn it is. */
static struct shared {
    _Atomic uint32_t turn;
    _Atomic int sleepers;
    int differs; /* this sequence */
    uint64_t differences, steps_done, trace, first_seed, conflicts;
    pid_t pids[PROCESSES];
    struct owner owners[OWNERS];
} * shared;

static struct {
    uint64_t seed, count;
    int verbose;
} options = {.count = 1000};

/* This process. */
static int me;
static uint64_t sequence_seed;
static int subject[DESCRIPTIONS][COPIES], oracle[DESCRIPTIONS][COPIES]; /* -1: closed */
static int monitor[2] = {-1, -1}, proc_locks = -1;
static char file_names[2][64]; /* as /proc/locks writes them */
static struct flock static_place, *page_end_place;

static const char *const subject_path = "subject.data", *const oracle_path = "oracle.data";

/* ---- chance ---- */

static uint64_t random_state;

static uint64_t random_bits(void) {
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int chance(int percent) {
    return (int)(random_bits() % 100) < percent;
}

static unsigned pick(unsigned count) {
    return (unsigned)(random_bits() % count);
}

/* Mostly small numbers, which meet each other; sometimes the edges of what a file can have. */
static int64_t random_start(void) {
    static const int64_t edges[] = {
        INT64_MAX, INT64_MAX - 1, INT64_MAX - 2, INT64_MIN, INT64_MIN + 1, -1, INT64_C(1) << 40,
        -20};
    return chance(80) ? (int64_t)pick(8) : edges[pick(sizeof edges / sizeof *edges)];
}

static int64_t random_length(void) {
    static const int64_t edges[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX - 7, INT64_MIN, -1, -2,
                                    -5,        INT64_MIN + 1};
    if (chance(20))
        return 0;
    return chance(75) ? (int64_t)(1 + pick(5)) : edges[pick(sizeof edges / sizeof *edges)];
}

static short random_type(void) {
    static const short wrong[] = {3, -1, 77, F_RDLCK | 8, SHRT_MIN};
    if (chance(2))
        return wrong[pick(sizeof wrong / sizeof *wrong)];
    return chance(30) ? F_UNLCK : chance(50) ? F_RDLCK : F_WRLCK;
}

static short random_whence(void) {
    if (chance(2))
        return (short)(pick(2) ? -1 : 9);
    return (short)(chance(70) ? SEEK_SET : chance(60) ? SEEK_CUR : SEEK_END);
}

/* ---- drawing a sequence ---- */

/* Which descriptors are open when a step is drawn; no answer of the kernel's has a part in it. */
struct plan {
    uint8_t open[PROCESSES][DESCRIPTIONS][COPIES];
    uint8_t access[PROCESSES][DESCRIPTIONS];
    struct step steps[STEPS];
};

/* Draws an open descriptor of the process; false if it has none left. */
static int draw_descriptor(const struct plan *plan, struct step *step) {
    int total = 0;
    for (int d = 0; d < DESCRIPTIONS; d++)
        for (int copy = 0; copy < COPIES; copy++)
            total += plan->open[step->actor][d][copy];
    if (total == 0)
        return 0;
    unsigned index = pick((unsigned)total);
    for (int d = 0; d < DESCRIPTIONS; d++)
        for (int copy = 0; copy < COPIES; copy++)
            if (plan->open[step->actor][d][copy] && index-- == 0) {
                step->description = (uint8_t)d;
                step->copy = (uint8_t)copy;
                return 1;
            }
    return 0;
}

static int free_copy(const uint8_t open[COPIES]) {
    for (int copy = 0; copy < COPIES; copy++)
        if (!open[copy])
            return copy;
    return -1;
}

/* A new descriptor, if the description may have another; or one that goes over an open one, perhaps
 * itself. */
static void draw_dup(struct plan *plan, struct step *step) {
    uint8_t *copies = plan->open[step->actor][step->description];
    struct step target = *step;
    step->over = (uint8_t)chance(40);
    if (step->over)
        draw_descriptor(plan, &target);
    step->to_description = target.description;
    step->to_copy = target.copy;
    if (step->over && target.description == step->description)
        return;
    if (free_copy(copies) == -1) {
        step->over = 1;
        step->to_description = step->description;
        step->to_copy = step->copy;
        return;
    }
    if (step->over)
        plan->open[step->actor][target.description][target.copy] = 0;
    copies[free_copy(copies)] = 1;
}

static void draw_range(struct step *step) {
    step->type = random_type();
    step->whence = random_whence();
    step->start = random_start();
    step->length = random_length();
    step->garbage = (int32_t)random_bits();
    step->place = (uint8_t)pick(PLACES);
    step->way = (uint8_t)pick(256);
    step->waits = (uint8_t)chance(25);
}

static void draw_step(struct plan *plan, struct step *step) {
    static const uint8_t kinds[] = {STEP_LOCK,  STEP_LOCK,  STEP_LOCK, STEP_LOCK,  STEP_LOCK,
                                    STEP_QUERY, STEP_QUERY, STEP_DUP,  STEP_CLOSE, STEP_LOCKF};
    step->kind = kinds[pick(sizeof kinds)];
    if (chance(8))
        step->kind = chance(60) ? STEP_SEEK : STEP_TRUNCATE;
    step->actor = (uint8_t)pick(PROCESSES);
    draw_range(step);
    if (!draw_descriptor(plan, step) || chance(2)) {
        /* Any place of the table, most likely a closed one. */
        step->kind = chance(50) ? STEP_LOCK : STEP_QUERY;
        step->description = (uint8_t)pick(DESCRIPTIONS);
        step->copy = COPIES - 1;
    }
    if (step->kind == STEP_DUP)
        draw_dup(plan, step);
    if (step->kind == STEP_CLOSE)
        plan->open[step->actor][step->description][step->copy] = 0;
}

static void draw_plan(struct plan *plan, uint64_t seed) {
    random_state = seed;
    memset(plan, 0, sizeof *plan);
    for (int p = 0; p < PROCESSES; p++)
        for (int d = 0; d < DESCRIPTIONS; d++) {
            plan->open[p][d][0] = 1;
            plan->access[p][d] = (uint8_t)(chance(75) ? O_RDWR : chance(50) ? O_RDONLY : O_WRONLY);
        }
    for (int i = 0; i < STEPS; i++)
        draw_step(plan, &plan->steps[i]);
}

/* ---- whose turn it is ---- */

static void wait_turn(uint32_t mine) {
    uint32_t now;
    for (int spin = 0; spin < 300; spin++)
        if (atomic_load(&shared->turn) == mine)
            return;
    while ((now = atomic_load(&shared->turn)) != mine) {
        atomic_fetch_add(&shared->sleepers, 1);
        if (atomic_load(&shared->turn) == now)
            sys_call6(SYS_futex, (long)&shared->turn, FUTEX_WAIT, (long)now, 0, 0, 0);
        atomic_fetch_sub(&shared->sleepers, 1);
    }
}

static void end_turn(uint32_t mine) {
    atomic_store(&shared->turn, mine + 1);
    if (atomic_load(&shared->sleepers) > 0)
        sys_call6(SYS_futex, (long)&shared->turn, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

/* ---- who holds what ---- */

static void owner_add(struct owner *owner, struct range range) {
    must(owner->count < RANGES_MAX, "room for a range");
    owner->held[owner->count++] = range;
}

/* Neighbours of one type are one lock to the kernel. */
static void owner_merge(struct owner *owner, struct range range) {
    for (int i = 0; i < owner->count; i++) {
        struct range r = owner->held[i];
        int touch = (r.end == INT64_MAX || r.end + 1 >= range.start) &&
                    (range.end == INT64_MAX || range.end + 1 >= r.start);
        if (r.type != range.type || !touch)
            continue;
        range.start = r.start < range.start ? r.start : range.start;
        range.end = r.end > range.end ? r.end : range.end;
        owner->held[i] = owner->held[--owner->count];
        i = -1;
    }
    owner_add(owner, range);
}

static void owner_apply(struct owner *owner, struct range range) {
    struct owner old = *owner;
    owner->count = 0;
    for (int i = 0; i < old.count; i++) {
        struct range r = old.held[i];
        if (r.start < range.start)
            owner_add(owner, (struct range){r.start, r.end < range.start ? r.end : range.start - 1,
                                            r.type});
        if (r.end > range.end)
            owner_add(owner,
                      (struct range){r.start > range.end ? r.start : range.end + 1, r.end, r.type});
    }
    if (range.type != F_UNLCK)
        owner_merge(owner, range);
}

/* The bytes that the oracle has just granted, so there is no overflow. */
static struct range range_of(const struct step *step, int oracle_fd, short whence, int64_t start) {
    struct stat st;
    int64_t base = 0;
    if (whence == SEEK_CUR)
        base = sys_lseek(oracle_fd, 0, SEEK_CUR);
    else if (whence == SEEK_END && sys_fstat(oracle_fd, &st) == 0)
        base = st.st_size;
    struct range range = {base + start, INT64_MAX, step->type};
    if (step->length > 0)
        range.end = range.start + (step->length - 1);
    if (step->length < 0) {
        range.end = range.start - 1;
        range.start += step->length;
    }
    return range;
}

/* Does this process hold exactly the lock that the oracle has met? */
static int holds(int process, const struct flock *lock, int asker) {
    int64_t end = lock->l_len == 0 ? INT64_MAX : lock->l_start + lock->l_len - 1;
    for (int o = process * DESCRIPTIONS; o < (process + 1) * DESCRIPTIONS; o++)
        for (int i = 0; o != asker && i < shared->owners[o].count; i++) {
            const struct range *r = &shared->owners[o].held[i];
            if (r->start == lock->l_start && r->end == end && r->type == lock->l_type)
                return 1;
        }
    return 0;
}

/* ---- comparing ---- */

static const char *describe_lock(char *text, size_t size, const struct answer *answer) {
    const struct flock *l = &answer->lock;
    snprintf(text, size, "%d %s type=%d whence=%d start=%lld len=%lld pid=%ld", answer->result,
             answer->result == -1 ? strerrorname_np(answer->error) : "ok", l->l_type, l->l_whence,
             (long long)l->l_start, (long long)l->l_len, (long)l->l_pid);
    return text;
}

static void print_step(int index, const struct step *step, const struct answer *expected,
                       const struct answer *got) {
    static const char *const kinds[] = {"lock",  "query", "lockf",   "dup",
                                        "close", "seek",  "truncate"};
    char one[160], two[160], key[32];
    snprintf(key, sizeof key, "step_%d", index);
    fact(key, "%s process=%d description=%d.%d to=%d.%d over=%d way=%d waits=%d type=%d",
         kinds[step->kind], step->actor, step->description, step->copy, step->to_description,
         step->to_copy, step->over, step->way, step->waits, step->type);
    snprintf(key, sizeof key, "step_%d_range", index);
    fact(key, "whence=%d start=%lld length=%lld", step->whence, (long long)step->start,
         (long long)step->length);
    snprintf(key, sizeof key, "step_%d_oracle", index);
    fact(key, "%s", describe_lock(one, sizeof one, expected));
    snprintf(key, sizeof key, "step_%d_subject", index);
    fact(key, "%s", describe_lock(two, sizeof two, got));
}

static void report_difference(const char *what) {
    shared->differs = 1;
    if (shared->differences++ == 0)
        shared->first_seed = sequence_seed;
    if (shared->differences <= 5 || options.verbose)
        fact("difference", "seed %" PRIu64 ": %s", sequence_seed, what);
}

static void trace(uint64_t value) {
    shared->trace = (shared->trace ^ value) * UINT64_C(0x100000001b3);
    shared->trace ^= shared->trace >> 29;
}

static void trace_answer(const struct answer *answer, int met) {
    const struct flock *l = &answer->lock;
    trace((uint64_t)answer->result << 32 | (uint32_t)answer->error);
    trace((uint64_t)(uint16_t)l->l_type << 16 | (uint16_t)l->l_whence);
    trace((uint64_t)l->l_start);
    trace((uint64_t)l->l_len);
    trace(!met                          ? (uint64_t)l->l_pid
          : l->l_pid == shared->pids[0] ? 1
          : l->l_pid == shared->pids[1] ? 2
                                        : 3);
}

static int same_lock(const struct flock *a, const struct flock *b) {
    return a->l_type == b->l_type && a->l_whence == b->l_whence && a->l_start == b->l_start &&
           a->l_len == b->l_len;
}

/* given is what the struct held before the call; the oracle's differs from it in l_pid alone. */
static void compare(int index, const struct step *step, const struct answer *expected,
                    const struct answer *got, const struct flock *given) {
    const char *what = NULL;
    int met = step->kind == STEP_QUERY && got->result == 0 && got->lock.l_type != F_UNLCK;
    if (got->result != expected->result)
        what = "result";
    else if (got->result == -1 && got->error != expected->error)
        what = "errno";
    else if (!same_lock(&got->lock, &expected->lock))
        what = "range";
    else if (!met && got->lock.l_pid != given->l_pid)
        what = "l_pid written where nothing was met";
    else if (met &&
             !(got->lock.l_pid == shared->pids[0] &&
               holds(0, &got->lock, me * DESCRIPTIONS + step->description)) &&
             !(got->lock.l_pid == shared->pids[1] &&
               holds(1, &got->lock, me * DESCRIPTIONS + step->description)))
        what = "l_pid is not a holder's";
    shared->conflicts += (uint64_t)(met || (got->result == -1 && got->error == EAGAIN));
    trace_answer(got, met);
    if (options.verbose)
        print_step(index, step, expected, got);
    if (what == NULL)
        return;
    char text[64];
    snprintf(text, sizeof text, "step %d: %s", index, what);
    report_difference(text);
}

/* ---- one step ---- */

/* How the oracle answers F_SETLK or F_GETLK. OFD commands want no l_pid; and F_GETLK, unlike
 * F_OFD_GETLK, takes no F_UNLCK since Linux 6.6 and looks at the type before the range. */
static struct answer ask_oracle(const struct step *step, int command, short whence, int64_t start) {
    int fd = oracle[step->description][step->copy];
    const struct flock given = {
        .l_type = step->type, .l_whence = whence, .l_start = start, .l_len = step->length};
    struct answer answer = {.lock = given};
    int ofd = command == F_GETLK ? F_OFD_GETLK : F_OFD_SETLK;
    int result = sys_fcntl(fd, ofd, (long)&answer.lock);
    if (command == F_GETLK && step->type != F_RDLCK && step->type != F_WRLCK && result != -EBADF) {
        answer.lock = given;
        result = -EINVAL;
    }
    answer.result = result < 0 ? -1 : 0;
    answer.error = result < 0 ? -result : 0;
    if (result == 0 && command == F_SETLK)
        owner_apply(&shared->owners[me * DESCRIPTIONS + step->description],
                    range_of(step, fd, whence, start));
    return answer;
}

static int call_fcntl(const struct step *step, int fd, int command, void *argument) {
    switch (step->way % DOORS) {
    case DOOR_FCNTL:
        return fcntl(fd, command, argument);
    case DOOR_FCNTL64:
        return fcntl64(fd, command, argument);
    default:
        return (int)syscall(SYS_fcntl, fd, command, argument);
    }
}

static void do_lock(int index, const struct step *step) {
    int fd = subject[step->description][step->copy];
    int command = step->kind == STEP_QUERY ? F_GETLK : F_SETLK;
    struct flock given = {.l_type = step->type,
                          .l_whence = step->whence,
                          .l_start = step->start,
                          .l_len = step->length,
                          .l_pid = step->garbage};
    struct flock on_stack, *lock = step->place == PLACE_STACK    ? &on_stack
                                   : step->place == PLACE_STATIC ? &static_place
                                                                 : page_end_place;
    struct answer expected = ask_oracle(step, command, step->whence, step->start);
    /* What the oracle refuses would wait; nobody is there to end the wait. */
    if (command == F_SETLK && step->waits && expected.error != EAGAIN)
        command = F_SETLKW;
    *lock = given;
    errno = 0;
    struct answer got = {.result = call_fcntl(step, fd, command, lock)};
    got.error = errno;
    got.lock = *lock;
    compare(index, step, &expected, &got, &given);
}

static void do_lockf(int index, const struct step *step) {
    int fd = subject[step->description][step->copy];
    int function = step->garbage & 3; /* F_ULOCK, F_LOCK, F_TLOCK, F_TEST */
    struct step asked = *step;
    struct answer expected, got = {.result = 0};
    asked.type = function == F_ULOCK ? F_UNLCK : function == F_TEST ? F_RDLCK : F_WRLCK;
    expected = ask_oracle(&asked, function == F_TEST ? F_GETLK : F_SETLK, SEEK_CUR, 0);
    if (function == F_LOCK && expected.error == EAGAIN)
        function = F_TLOCK;
    if (function == F_TEST && expected.result == 0 && expected.lock.l_type != F_UNLCK) {
        expected.result = -1;
        expected.error = EACCES;
    }
    errno = 0;
    got.result =
        step->way & 1 ? lockf64(fd, function, step->length) : lockf(fd, function, step->length);
    got.error = errno;
    expected.lock = got.lock;
    compare(index, step, &expected, &got, &got.lock);
}

static int local_free_copy(int description) {
    for (int copy = 0; copy < COPIES; copy++)
        if (oracle[description][copy] == -1)
            return copy;
    return -1;
}

static void forget_if_last(int description) {
    for (int copy = 0; copy < COPIES; copy++)
        if (oracle[description][copy] != -1)
            return;
    shared->owners[me * DESCRIPTIONS + description].count = 0;
}

static int oracle_dup_over(int from, int to, int strict) {
    if (from == to)
        return strict ? -EINVAL : to;
    return (int)sys_call3(SYS_dup3, from, to, strict ? O_CLOEXEC : 0);
}

static int subject_dup(const struct step *step, int from) {
    switch (step->way % 4) {
    case 0:
        return dup(from);
    case 1:
        return (int)syscall(SYS_dup, from);
    default:
        return call_fcntl(step, from, step->way % 4 == 2 ? F_DUPFD : F_DUPFD_CLOEXEC, NULL);
    }
}

static void do_dup(int index, const struct step *step) {
    int from = subject[step->description][step->copy];
    int oracle_from = oracle[step->description][step->copy];
    int *to = &subject[step->to_description][step->to_copy];
    int *oracle_to = &oracle[step->to_description][step->to_copy];
    int strict = step->way & 1, number, oracle_number;
    errno = 0;
    if (!step->over)
        number = subject_dup(step, from);
    else
        number = strict ? dup3(from, *to, O_CLOEXEC) : dup2(from, *to);
    struct answer expected = {.result = 0}, got = {.result = number == -1 ? -1 : 0, .error = errno};
    oracle_number = step->over ? oracle_dup_over(oracle_from, *oracle_to, strict)
                               : (int)sys_call3(SYS_dup, oracle_from, 0, 0);
    if (oracle_number < 0)
        expected = (struct answer){.result = -1, .error = -oracle_number};
    if (number >= 0 && oracle_number >= 0 &&
        (!step->over || step->to_description != step->description)) {
        if (step->over) {
            *to = *oracle_to = -1;
            forget_if_last(step->to_description);
        }
        int copy = local_free_copy(step->description);
        subject[step->description][copy] = number;
        oracle[step->description][copy] = oracle_number;
    }
    compare(index, step, &expected, &got, &got.lock);
}

static int close_subject(int fd, int way) {
    switch (way % 3) {
    case 0:
        return close(fd);
    case 1:
        return close_range((unsigned)fd, (unsigned)fd, 0);
    default:
        return (int)syscall(SYS_close, fd);
    }
}

static void do_close(int index, const struct step *step) {
    int *fd = &subject[step->description][step->copy];
    int *oracle_fd = &oracle[step->description][step->copy];
    struct answer expected = {.result = sys_close(*oracle_fd)},
                  got = {.result = close_subject(*fd, step->way)};
    *fd = *oracle_fd = -1;
    forget_if_last(step->description);
    compare(index, step, &expected, &got, &got.lock);
}

static void do_move(int index, const struct step *step) {
    int fd = subject[step->description][step->copy];
    int oracle_fd = oracle[step->description][step->copy];
    int64_t size = step->start < 0 ? 5 : step->start > INT64_C(1) << 40 ? 100 : step->start;
    int64_t moved =
        step->kind == STEP_SEEK ? lseek(fd, step->start, step->whence) : ftruncate(fd, size);
    int64_t oracle_moved = step->kind == STEP_SEEK ? sys_lseek(oracle_fd, step->start, step->whence)
                                                   : sys_ftruncate(oracle_fd, size);
    struct answer expected = {.result = oracle_moved < 0 ? -1 : 0},
                  got = {.result = moved < 0 ? -1 : 0};
    compare(index, step, &expected, &got, &got.lock);
}

static void do_step(int index, const struct step *step) {
    shared->steps_done++;
    switch (step->kind) {
    case STEP_LOCK:
    case STEP_QUERY:
        do_lock(index, step);
        break;
    case STEP_LOCKF:
        do_lockf(index, step);
        break;
    case STEP_DUP:
        do_dup(index, step);
        break;
    case STEP_CLOSE:
        do_close(index, step);
        break;
    default:
        do_move(index, step);
    }
}

/* ---- the kernel's list ---- */

static int by_range(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->type - y->type;
}

struct table {
    int count;
    struct range ranges[LISTED_MAX];
};

/* "12: OFDLCK ADVISORY  WRITE -1 08:01:1234 0 EOF"; a "->" stands before those that wait. */
static void read_line(const char *line, struct table tables[2]) {
    char type[16], name[64], first[32], last[32];
    if (sscanf(line, "%*d: %*s %*s %15s %*d %63s %31s %31s", type, name, first, last) != 4)
        return;
    for (int file = 0; file < 2; file++)
        if (strcmp(name, file_names[file]) == 0 && tables[file].count < LISTED_MAX)
            tables[file].ranges[tables[file].count++] =
                (struct range){atoll(first), strcmp(last, "EOF") == 0 ? INT64_MAX : atoll(last),
                               strcmp(type, "READ") == 0 ? F_RDLCK : F_WRLCK};
}

/* Returns in how many pieces the kernel gave the list. Between two pieces, other programs may lock.
 */
static int read_tables(struct table tables[2]) {
    static char text[16 << 20];
    size_t filled = 0;
    ssize_t got;
    int pieces = 0;
    tables[0].count = tables[1].count = 0;
    must(sys_lseek(proc_locks, 0, SEEK_SET) == 0, "lseek in /proc/locks");
    while (filled + 1 < sizeof text &&
           (got = sys_read(proc_locks, text + filled, sizeof text - filled - 1)) > 0) {
        filled += (size_t)got;
        pieces++;
    }
    text[filled] = '\0';
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        read_line(line, tables);
    }
    for (int file = 0; file < 2; file++)
        qsort(tables[file].ranges, (size_t)tables[file].count, sizeof(struct range), by_range);
    return pieces;
}

static int same_tables(struct table tables[2]) {
    if (tables[0].count != tables[1].count)
        return 0;
    for (int i = 0; i < tables[0].count; i++)
        if (by_range(&tables[0].ranges[i], &tables[1].ranges[i]) != 0)
            return 0;
    return 1;
}

/* Where other programs lock all the time, the pieces fit together now and then only. */
static void compare_tables(void) {
    static struct table tables[2];
    static int patience = 20000;
    int pieces, attempts = 0, alike = 0;
    do {
        pieces = read_tables(tables);
        alike = same_tables(tables) ? alike + 1 : 0;
        if (alike > (pieces > 1)) /* pieces of two moments may seem alike once */
            return;
    } while (pieces > 1 && (++attempts < 1000 || patience-- > 0));
    report_difference("the kernel's lists of locks");
    for (int file = 0; file < 2 && options.verbose; file++)
        for (int i = 0; i < tables[file].count; i++)
            fact(file == 0 ? "subject_lock" : "oracle_lock", "%s %lld %lld",
                 lock_type_name(tables[file].ranges[i].type),
                 (long long)tables[file].ranges[i].start, (long long)tables[file].ranges[i].end);
}

static void check_empty(int file) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result = sys_fcntl(monitor[file], F_OFD_GETLK, (long)&lock);
    must(result == 0, "F_OFD_GETLK");
    if (lock.l_type != F_UNLCK)
        report_difference(file == 0 ? "a lock outlives every descriptor"
                                    : "the oracle's locks stay");
}

/* ---- one sequence ---- */

static void open_all(const struct plan *plan) {
    for (int d = 0; d < DESCRIPTIONS; d++) {
        subject[d][0] = open(subject_path, plan->access[me][d]);
        oracle[d][0] = sys_openat(AT_FDCWD, oracle_path, plan->access[me][d], 0);
        must(subject[d][0] >= 0 && oracle[d][0] >= 0, "open");
    }
}

static void close_all(uint64_t seed) {
    for (int d = 0; d < DESCRIPTIONS; d++)
        for (int copy = 0; copy < COPIES; copy++) {
            if (subject[d][copy] >= 0)
                close_subject(subject[d][copy], (int)((seed + (uint64_t)(d + copy)) % 3));
            if (oracle[d][copy] >= 0)
                sys_close(oracle[d][copy]);
            subject[d][copy] = oracle[d][copy] = -1;
        }
}

static void start_sequence(void) {
    alarm(SECONDS_PER_SEQUENCE);
    shared->differs = 0;
    memset(shared->owners, 0, sizeof shared->owners);
    must(sys_ftruncate(monitor[0], 0) == 0 && sys_ftruncate(monitor[1], 0) == 0, "ftruncate");
}

/* What turn number `turn` of a sequence is; returns whose it is. */
static int take_turn(const struct plan *plan, int turn, int only_ask) {
    int index = turn - 2;
    int actor = turn == 1 || turn == STEPS + 3 ? 1
                : index >= 0 && index < STEPS  ? plan->steps[index].actor
                                               : 0;
    if (only_ask)
        return actor;
    if (turn == 0)
        start_sequence();
    if (turn < 2) {
        open_all(plan);
    } else if (index < STEPS) {
        if (!shared->differs)
            do_step(index, &plan->steps[index]);
    } else if (index == STEPS) {
        if (!shared->differs)
            compare_tables();
    } else {
        close_all(sequence_seed);
        if (me == 0) {
            check_empty(0);
            check_empty(1);
        }
    }
    return actor;
}

static void run_sequences(void) {
    static struct plan plan;
    memset(subject, -1, sizeof subject);
    memset(oracle, -1, sizeof oracle);
    for (uint64_t i = 0; i < options.count; i++) {
        sequence_seed = options.seed + i;
        draw_plan(&plan, sequence_seed);
        for (int turn = 0; turn < TURNS_PER_SEQUENCE; turn++) {
            uint32_t mine = (uint32_t)(i * TURNS_PER_SEQUENCE) + (uint32_t)turn;
            if (take_turn(&plan, turn, 1) != me)
                continue;
            wait_turn(mine);
            take_turn(&plan, turn, 0);
            end_turn(mine);
        }
    }
}

/* ---- the program ---- */

static void give_up(int signal) {
    (void)signal;
    fact("stuck", "seed %" PRIu64, sequence_seed);
    _exit(3);
}

/* The name that the kernel gives to a lock of ours on the file: fstat's is another one on overlay
 * or btrfs. */
static void name_file(int file, const char *path) {
    char info[64], text[4096], *line;
    monitor[file] = sys_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(monitor[file] >= 0, path);
    must(sys_call3(SYS_flock, monitor[file], LOCK_EX | LOCK_NB, 0) == 0, "flock");
    snprintf(info, sizeof info, "/proc/self/fdinfo/%d", monitor[file]);
    int fd = sys_openat(AT_FDCWD, info, O_RDONLY, 0);
    ssize_t got = sys_read(fd, text, sizeof text - 1);
    must(got > 0, info);
    text[got] = '\0';
    line = strstr(text, "lock:");
    must(line != NULL && sscanf(line, "lock: %*d: %*s %*s %*s %*d %63s", file_names[file]) == 1,
         text);
    sys_close(fd);
    sys_call3(SYS_flock, monitor[file], LOCK_UN, 0);
}

static void prepare(void) {
    long page = sysconf(_SC_PAGESIZE);
    char *pages =
        mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(pages != MAP_FAILED && mprotect(pages + page, (size_t)page, PROT_NONE) == 0, "mmap");
    page_end_place = (struct flock *)(void *)(pages + page) - 1;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "mmap");
    name_file(0, subject_path);
    name_file(1, oracle_path);
    proc_locks = open("/proc/locks", O_RDONLY | O_CLOEXEC);
    must(proc_locks >= 0, "/proc/locks");
    signal(SIGALRM, give_up);
}

static void read_options(int argc, char **argv) {
    must(getrandom(&options.seed, 4, 0) == 4, "getrandom");
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seed=", 7) == 0)
            options.seed = strtoull(argv[i] + 7, NULL, 10);
        else if (strncmp(argv[i], "--count=", 8) == 0)
            options.count = strtoull(argv[i] + 8, NULL, 10);
        else if (strcmp(argv[i], "--verbose") == 0)
            options.verbose = 1;
        else {
            fprintf(stderr, "usage: random_lock_sequences [--seed=S] [--count=N] [--verbose]\n");
            exit(2);
        }
    }
    options.verbose |= options.count == 1;
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    fact("seed", "%" PRIu64, options.seed);
    prepare();
    shared->pids[0] = getpid();
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0) {
        me = 1;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_sequences();
        _exit(0);
    }
    shared->pids[1] = child;
    run_sequences();
    wait_for(child);
    fact("sequences", "%" PRIu64, options.count);
    fact("steps", "%" PRIu64, shared->steps_done);
    fact("conflicts", "%" PRIu64, shared->conflicts);
    fact("differences", "%" PRIu64, shared->differences);
    if (shared->differences > 0)
        fact("repeat", "random_lock_sequences --seed=%" PRIu64 " --count=1", shared->first_seed);
    fact("trace", "%016" PRIx64, shared->trace);
    return 0;
}
