/* Waits that can never end, among threads and processes that really hold the locks they tell of. */
#include "processes.h"

#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define HOLDS_MAX 12000

/* One waiter: what it holds (really, through a descriptor of its own) and publishes. */
struct waiter {
    struct wait_hold *holds;
    uint32_t count;
    pid_t tid; /* 0: this thread */
    struct wait_ticket ticket;
    struct wait_cycle *cycle;
};

static struct stat file; /* the one file that is locked, byte by byte */

static bool hold_at(void *context, uint32_t index, struct wait_hold *hold) {
    const struct waiter *w = context;
    if (index >= w->count)
        return false;
    *hold = w->holds[index];
    return true;
}

static struct waiter *new_waiter(void) {
    struct waiter *w = calloc(1, sizeof *w);
    w->holds = calloc(HOLDS_MAX, sizeof *w->holds);
    w->cycle = calloc(1, sizeof *w->cycle);
    return w;
}

static void free_waiter(struct waiter *w) {
    free(w->holds);
    free(w->cycle);
    free(w);
}

static struct wait_lock lock_of(uint32_t owner, uint64_t byte, enum range_type type) {
    return (struct wait_lock){.dev = file.st_dev,
                              .ino = file.st_ino,
                              .owner = wait_owner_key(owner),
                              .range = {byte, byte},
                              .lock_class = WAIT_RECORD,
                              .type = (uint8_t)type};
}

static void add_hold(struct waiter *w, uint32_t owner, uint64_t byte, enum range_type type,
                     int carrier) {
    w->holds[w->count++] = (struct wait_hold){lock_of(owner, byte, type), carrier};
}

/* Opens the file and locks the byte. */
static int really_lock(uint64_t byte, short type) {
    int fd = open_file("file", &file);
    if (kernel_lock(fd, type, byte, byte) < 0)
        _exit(90);
    return fd;
}

static int publish(struct waiter *w, struct wait_lock want) {
    struct wait_request request = {.want = want,
                                   .hold_at = hold_at,
                                   .context = w,
                                   .since_ns = 12345,
                                   .pid = getpid(),
                                   .tid = w->tid ? w->tid : (pid_t)syscall(SYS_gettid),
                                   .fd = 42,
                                   .stack = 7,
                                   .thread = "waiter"};
    return wait_publish(&w->ticket, &request);
}

static bool scan(struct waiter *w) {
    return wait_scan(&w->ticket, w->cycle);
}

static void fresh(void) {
    fresh_directory();
    close(open_file("file", &file));
}

/* ---- Within one thread and process ---- */

TEST("L5: a thread that waits for itself through another owner is its own victim") {
    fresh();
    struct waiter *w = new_waiter();
    add_hold(w, 1, 5, RANGE_WRITE, -1);
    CHECK_EQ(publish(w, lock_of(2, 5, RANGE_WRITE)), 0);
    CHECK(wait_any());
    CHECK(scan(w));
    CHECK_EQ(w->cycle->length, 1);
    CHECK_EQ(w->cycle->parties[0].pid, getpid());
    CHECK_EQ(w->cycle->parties[0].fd, 42);
    CHECK_EQ(w->cycle->parties[0].stack, 7);
    CHECK_EQ(w->cycle->parties[0].since_ns, 12345);
    CHECK_STR(w->cycle->parties[0].thread, "waiter");
    CHECK_EQ(w->cycle->parties[0].want.range.start, 5);
    CHECK_EQ(w->cycle->parties[0].hold.owner, wait_owner_key(1));
    CHECK(!scan(w));
    wait_withdraw(&w->ticket);
    CHECK(!wait_any());
    wait_withdraw(&w->ticket);
    CHECK(!scan(w));
    free_waiter(w);
}

TEST("L5: what does not conflict is no cycle") {
    fresh();
    struct waiter *w = new_waiter();
    add_hold(w, 1, 5, RANGE_WRITE, -1);
    add_hold(w, 1, 6, RANGE_READ, -1);
    struct wait_lock wants[] = {lock_of(1, 5, RANGE_WRITE), lock_of(2, 6, RANGE_READ),
                                lock_of(2, 7, RANGE_WRITE), lock_of(2, 5, RANGE_WRITE),
                                lock_of(2, 5, RANGE_WRITE)};
    wants[3].ino++;
    wants[4].lock_class = WAIT_FLOCK;
    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        CHECK_EQ(publish(w, wants[i]), 0);
        CHECK(!scan(w));
        wait_withdraw(&w->ticket);
    }
    free_waiter(w);
}

TEST(
    "L5: of two waiters that block each other the second is the victim, and the first is told of") {
    fresh();
    struct waiter *a = new_waiter(), *b = new_waiter();
    add_hold(a, 1, 1, RANGE_WRITE, -1);
    add_hold(b, 2, 2, RANGE_WRITE, -1);
    publish(a, lock_of(1, 2, RANGE_WRITE));
    CHECK(!scan(a));
    publish(b, lock_of(2, 1, RANGE_READ));
    wait_withdraw(&a->ticket);
    wait_withdraw(&b->ticket);

    publish(a, lock_of(1, 2, RANGE_WRITE));
    publish(b, lock_of(2, 1, RANGE_READ));
    CHECK(scan(b));
    CHECK_EQ(b->cycle->length, 2);
    CHECK_EQ(b->cycle->parties[0].want.range.start, 1);
    CHECK_EQ(b->cycle->parties[0].hold.range.start, 2);
    CHECK_EQ(b->cycle->parties[1].want.range.start, 2);
    CHECK_EQ(b->cycle->parties[1].hold.range.start, 1);
    CHECK(!scan(a));
    wait_withdraw(&b->ticket);
    CHECK(!scan(a));
    wait_withdraw(&a->ticket);
    free_waiter(a);
    free_waiter(b);
}

/* Takes every slot there is, and one more, and gives them back. */
static void check_that_all_slots_are_free(void) {
    static struct wait_ticket tickets[SHARED_WAITERS + 1];
    struct wait_request request = {
        .want = lock_of(1, 1, RANGE_WRITE), .pid = getpid(), .tid = getpid()};
    int published = 0;
    for (int i = 0; i <= SHARED_WAITERS; i++)
        published += wait_publish(&tickets[i], &request) == 0;
    CHECK_EQ(published, SHARED_WAITERS);
    CHECK(!wait_scan(&tickets[SHARED_WAITERS], NULL));
    for (int i = 0; i <= SHARED_WAITERS; i++)
        wait_withdraw(&tickets[i]);
}

TEST("L5: among ten thousand locks held, the last one closes the cycle") {
    fresh();
    struct waiter *a = new_waiter(), *b = new_waiter();
    for (uint32_t i = 0; i < 10000; i++)
        add_hold(a, 1 + i % 3, 2 * i, i % 2 ? RANGE_READ : RANGE_WRITE, -1);
    add_hold(b, 9, 50001, RANGE_WRITE, -1);
    /* More than once: what did not fit in one slot must be given back. */
    for (int i = 0; i < 30; i++) {
        CHECK_EQ(publish(a, lock_of(1, 50001, RANGE_WRITE)), 0);
        CHECK(!scan(a));
        CHECK_EQ(publish(b, lock_of(9, 2 * 9999, RANGE_WRITE)), 0);
        CHECK(scan(b));
        CHECK_EQ(b->cycle->parties[1].hold.range.start, 2 * 9999);
        CHECK_EQ(b->cycle->parties[1].hold.type, RANGE_READ);
        CHECK_EQ(b->cycle->parties[1].hold.owner, wait_owner_key(1));
        wait_withdraw(&b->ticket);
        wait_withdraw(&a->ticket);
    }
    check_that_all_slots_are_free();
    free_waiter(a);
    free_waiter(b);
}

TEST("L5: when there is no slot left the wait is not seen, and nothing else happens") {
    fresh();
    check_that_all_slots_are_free();
    check_that_all_slots_are_free();
}

TEST("L5: a lock that another thread released is no longer part of a cycle") {
    fresh();
    struct waiter *a = new_waiter(), *b = new_waiter();
    add_hold(a, 1, 1, RANGE_WRITE, -1);
    add_hold(b, 2, 2, RANGE_WRITE, -1);
    publish(a, lock_of(1, 2, RANGE_WRITE));
    a->count = 0;
    wait_republish(getpid() + 1, hold_at, a);
    publish(b, lock_of(2, 1, RANGE_WRITE));
    CHECK(scan(b));
    wait_withdraw(&b->ticket);
    b->ticket.place = 0;
    wait_republish((pid_t)syscall(SYS_gettid), hold_at, a);
    publish(b, lock_of(2, 1, RANGE_WRITE));
    CHECK(!scan(b));
    wait_withdraw(&b->ticket);
    wait_withdraw(&a->ticket);
    free_waiter(a);
    free_waiter(b);
}

/* ---- Among processes ---- */

/* Holds byte 1 (or only says so), publishes that it wants byte 2, and does as it is told. */
static void hold_one_want_two(void *argument) {
    struct waiter *w = new_waiter();
    bool really = argument == NULL || strcmp(argument, "without the lock") != 0;
    int fd = really ? really_lock(1, F_WRLCK) : 3;
    add_hold(w, 1, 1, RANGE_WRITE, argument ? fd + 50 : fd);
    publish(w, lock_of(1, 2, RANGE_WRITE));
    tell(scan(w));
    wait_step();
    wait_withdraw(&w->ticket);
    tell(1);
    wait_step();
}

/* The counterpart, in this process: is it the victim? */
static bool hold_two_want_one(struct wait_cycle *cycle) {
    struct waiter *w = new_waiter();
    int fd = really_lock(2, F_WRLCK);
    add_hold(w, 1, 2, RANGE_WRITE, fd);
    CHECK_EQ(publish(w, lock_of(1, 1, RANGE_WRITE)), 0);
    CHECK(wait_sees_others());
    bool victim = scan(w);
    if (cycle != NULL)
        *cycle = *w->cycle;
    wait_withdraw(&w->ticket);
    close(fd);
    free_waiter(w);
    return victim;
}

TEST("L5: a cycle through another process is found, and not after that one went on") {
    fresh();
    struct wait_cycle *cycle = calloc(1, sizeof *cycle);
    struct child child = start_child(hold_one_want_two, NULL);
    CHECK_EQ(heard_from(&child), 0);
    CHECK(hold_two_want_one(cycle));
    CHECK_EQ(cycle->length, 2);
    CHECK_EQ(cycle->parties[0].pid, getpid());
    CHECK_EQ(cycle->parties[1].pid, child.pid);
    CHECK_EQ(cycle->parties[1].stack, 0);
    CHECK_EQ(cycle->parties[1].hold.range.start, 1);
    let_go_on(&child);
    heard_from(&child);
    CHECK(!hold_two_want_one(NULL));
    kill_child(&child);
    free(cycle);
}

TEST("L5: a process that was killed waits for nothing") {
    fresh();
    struct child child = start_child(hold_one_want_two, NULL);
    CHECK_EQ(heard_from(&child), 0);
    CHECK(hold_two_want_one(NULL));
    siginfo_t info;
    kill(child.pid, SIGKILL);
    /* Not reaped yet: its number still stands for it. */
    CHECK_EQ(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
    CHECK(!hold_two_want_one(NULL));
    end_child(&child);
    CHECK(!hold_two_want_one(NULL));
}

TEST("L5: a lock that the kernel does not know is not part of a cycle") {
    fresh();
    struct child child = start_child(hold_one_want_two, "without the lock");
    CHECK_EQ(heard_from(&child), 0);
    CHECK(!hold_two_want_one(NULL));
    kill_child(&child);
}

TEST("L5: a lock that moved to another descriptor is still part of a cycle") {
    fresh();
    struct child child = start_child(hold_one_want_two, "with a carrier that is not open");
    CHECK_EQ(heard_from(&child), 0);
    CHECK(hold_two_want_one(NULL));
    kill_child(&child);
}

/* Before and after it is told of the fork. */
static void publish_as_child(void *argument) {
    (void)argument;
    struct waiter *w = new_waiter();
    int fd = really_lock(1, F_WRLCK);
    add_hold(w, 8, 1, RANGE_WRITE, fd);
    tell(publish(w, lock_of(8, 2, RANGE_WRITE)) == 0);
    wait_step();
    hidden_after_fork_child(false);
    holders_after_fork();
    waiters_after_fork();
    w->count = 0;
    add_hold(w, 8, 1, RANGE_WRITE, fd);
    tell(wait_any() || publish(w, lock_of(8, 2, RANGE_WRITE)) != 0 ? 9 : scan(w));
    wait_step();
}

TEST("L5: a forked child uses no slot of its parent's, told of the fork or not") {
    fresh();
    struct waiter *w = new_waiter();
    int fd = really_lock(2, F_WRLCK);
    add_hold(w, 1, 2, RANGE_WRITE, fd);
    publish(w, lock_of(1, 1, RANGE_WRITE));
    CHECK(!scan(w));
    struct child child = start_child_as(publish_as_child, NULL, false);
    CHECK_EQ(heard_from(&child), 0);
    CHECK(!scan(w));
    let_go_on(&child);
    CHECK_EQ(heard_from(&child), 1);
    CHECK(!scan(w));
    kill_child(&child);
    wait_withdraw(&w->ticket);
    CHECK(!wait_any());
    close(fd);
    free_waiter(w);
}

static int publish_in_borrowed_memory(void *argument) {
    struct waiter *w = argument;
    return publish(w, lock_of(1, 1, RANGE_WRITE)) == 0;
}

TEST("H2: a process that borrows the memory publishes nothing and takes nothing away") {
    fresh();
    struct waiter *w = new_waiter(), *borrower = new_waiter();
    static char stack[65536] __attribute__((aligned(16)));
    int status;
    add_hold(w, 1, 1, RANGE_WRITE, -1);
    publish(w, lock_of(1, 2, RANGE_WRITE));
    pid_t pid = clone(publish_in_borrowed_memory, stack + sizeof stack,
                      CLONE_VM | CLONE_VFORK | SIGCHLD, borrower);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK(wait_any());
    add_hold(borrower, 2, 2, RANGE_WRITE, -1);
    publish(borrower, lock_of(2, 1, RANGE_WRITE));
    CHECK(scan(borrower));
    wait_withdraw(&borrower->ticket);
    wait_withdraw(&w->ticket);
    free_waiter(borrower);
    free_waiter(w);
}

/* Writes noise over the states and slots of all waiters. */
static void fill_with_noise(unsigned seed) {
    uint32_t *noise = shared_page(SHARED_STATES_AT, SHARED_BYTES - SHARED_STATES_AT);
    for (size_t i = 0; i < (SHARED_BYTES - SHARED_STATES_AT) / 4; i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = seed ^ seed >> 13;
    }
}

TEST("L5: noise in the slots deceives and hurts nobody") {
    fresh();
    struct waiter *w = new_waiter();
    add_hold(w, 1, 2, RANGE_WRITE, -1);
    publish(w, lock_of(1, 1, RANGE_WRITE));
    for (unsigned seed = 1; seed < 6; seed++) {
        fill_with_noise(seed);
        scan(w);
        wait_republish((pid_t)syscall(SYS_gettid), hold_at, w);
        wait_withdraw(&w->ticket);
        CHECK(!hold_two_want_one(NULL));
        publish(w, lock_of(1, 1, RANGE_WRITE));
    }
    wait_withdraw(&w->ticket);
    CHECK(!wait_any());
    free_waiter(w);
}

TEST("L5: slots that lead to themselves or to nowhere are no endless way") {
    fresh();
    struct waiter *w = new_waiter();
    add_hold(w, 1, 2, RANGE_WRITE, -1);
    publish(w, lock_of(1, 1, RANGE_WRITE));
    _Atomic uint64_t *states = shared_page(SHARED_STATES_AT, SHARED_WAITERS * 8);
    uint64_t waiting = states[w->ticket.place - 1] | UINT64_C(0xffffffff) << 32;
    for (uint32_t nowhere = 0; nowhere < 2; nowhere++) {
        for (uint32_t slot = 0; slot < SHARED_WAITERS; slot++) {
            _Atomic uint64_t *words =
                shared_page(SHARED_SLOTS_AT + slot * SHARED_PAGE, SHARED_PAGE);
            if (slot + 1 == w->ticket.place)
                continue;
            for (uint32_t i = 0; i < SHARED_PAGE / 8; i++)
                words[i] = (uint64_t)(nowhere ? 5000 : slot + 1) << 32 | 13;
            states[slot] = waiting;
        }
        CHECK(!scan(w));
    }
    wait_withdraw(&w->ticket);
    free_waiter(w);
}

/* ---- At the same moment ---- */

/* Parties that meet: each arrives, none goes on before all have. In memory that processes share. */
struct meeting {
    _Atomic uint32_t arrived;
    _Atomic uint32_t victims;
};

static struct meeting *new_meeting(void) {
    return mmap(NULL, sizeof(struct meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
}

static void meet(struct meeting *meeting, uint32_t parties) {
    uint32_t mine = atomic_fetch_add(&meeting->arrived, 1);
    uint32_t wanted = (mine / parties + 1) * parties;
    while (atomic_load(&meeting->arrived) < wanted)
        sched_yield();
}

/* One party of a ring: holds its own byte (or all hold byte 0 for reading) and wants the next
 * one's. */
struct party {
    struct meeting *meeting;
    uint32_t number, parties, rounds;
    bool upgrade;
    long wrong; /* rounds with another number of victims than wanted */
};

static void run_party(struct party *p) {
    struct waiter *w = new_waiter();
    uint32_t wanted_victims = p->upgrade ? p->parties - 1 : 1;
    uint64_t byte = p->upgrade ? 0 : p->number;
    uint64_t next = p->upgrade ? 0 : (p->number + 1) % p->parties;
    int fd = open_file("file", &(struct stat){0});
    if (kernel_lock(fd, p->upgrade ? F_RDLCK : F_WRLCK, byte, byte) < 0)
        p->wrong += 1000000;
    add_hold(w, p->number, byte, p->upgrade ? RANGE_READ : RANGE_WRITE, fd);
    for (uint32_t round = 0; round < p->rounds; round++) {
        meet(p->meeting, p->parties);
        if (publish(w, lock_of(p->number, next, RANGE_WRITE)) != 0)
            p->wrong += 1000;
        if (scan(w))
            atomic_fetch_add(&p->meeting->victims, 1);
        meet(p->meeting, p->parties);
        p->wrong += atomic_load(&p->meeting->victims) != (round + 1) * wanted_victims;
        wait_withdraw(&w->ticket);
    }
    close(fd);
    free_waiter(w);
}

static void *run_party_as_thread(void *argument) {
    run_party(argument);
    return NULL;
}

static void run_party_as_child(void *argument) {
    struct party *p = argument;
    run_party(p);
    tell((char)(p->wrong > 100 ? 100 : p->wrong));
}

static long among_threads(uint32_t parties, uint32_t rounds, bool upgrade) {
    pthread_t threads[8];
    struct party all[8];
    struct meeting *meeting = new_meeting();
    long wrong = 0;
    fresh();
    for (uint32_t i = 0; i < parties; i++) {
        all[i] = (struct party){meeting, i, parties, rounds, upgrade, 0};
        pthread_create(&threads[i], NULL, run_party_as_thread, &all[i]);
    }
    for (uint32_t i = 0; i < parties; i++) {
        pthread_join(threads[i], NULL);
        wrong += all[i].wrong;
    }
    munmap(meeting, sizeof *meeting);
    return wrong;
}

static long among_processes(uint32_t parties, uint32_t rounds, bool upgrade) {
    struct child children[8];
    struct meeting *meeting = new_meeting();
    long wrong = 0;
    fresh();
    for (uint32_t i = 0; i < parties; i++) {
        struct party party = {meeting, i, parties, rounds, upgrade, 0};
        children[i] = start_child(run_party_as_child, &party);
    }
    for (uint32_t i = 0; i < parties; i++) {
        wrong += heard_from(&children[i]);
        wrong += end_child(&children[i]);
    }
    munmap(meeting, sizeof *meeting);
    return wrong;
}

TEST("L5: two processes that close a cycle at the same moment have one victim") {
    CHECK_EQ(among_processes(2, 1000, false), 0);
}

TEST("L5: three threads that close a cycle at the same moment have one victim") {
    CHECK_EQ(among_threads(3, 1000, false), 0);
}

TEST("L5: five processes that close a cycle at the same moment have one victim") {
    CHECK_EQ(among_processes(5, 200, false), 0);
}

TEST("L5: of three processes that upgrade the same lock at the same moment one goes on") {
    CHECK_EQ(among_processes(3, 300, true), 0);
}

TEST("L5: of four threads that upgrade the same lock at the same moment one goes on") {
    CHECK_EQ(among_threads(4, 300, true), 0);
}

/* Threads whose holds are told anew all the time, beside one that looks for cycles. */
static _Atomic bool finished;
#define OTHER_THREAD 1000000

/* As one that takes and releases locks would. */
static void *republish_all_the_time(void *argument) {
    int fd = open_file("file", &(struct stat){0});
    while (!finished) {
        for (int i = 0; i < 20; i++)
            kernel_lock(fd, i % 2 ? F_UNLCK : F_WRLCK, 5000, 5000);
        wait_republish(OTHER_THREAD, hold_at, argument);
    }
    close(fd);
    return NULL;
}

TEST("L5: a cycle is found although holds are told anew all the time") {
    fresh();
    struct waiter *a = new_waiter(), *b = new_waiter();
    pthread_t thread;
    int found = 0;
    a->tid = OTHER_THREAD;
    for (uint32_t i = 0; i < 20; i++)
        add_hold(a, 1, 2 * i, RANGE_WRITE, -1);
    add_hold(b, 2, 1, RANGE_WRITE, -1);
    publish(a, lock_of(1, 1, RANGE_WRITE));
    finished = false;
    pthread_create(&thread, NULL, republish_all_the_time, a);
    for (int i = 0; i < 300; i++) {
        publish(b, lock_of(2, 38, RANGE_WRITE));
        found += scan(b);
        wait_withdraw(&b->ticket);
    }
    finished = true;
    pthread_join(thread, NULL);
    CHECK_EQ(found, 300);
    wait_withdraw(&a->ticket);
    free_waiter(a);
    free_waiter(b);
}

TEST("L5: where nothing can be shared, cycles among threads are still found") {
    fresh();
    char missing[300];
    snprintf(missing, sizeof missing, "%s/missing", directory);
    CHECK(shared_set_directory(missing));
    struct waiter *a = new_waiter(), *b = new_waiter();
    add_hold(a, 1, 1, RANGE_WRITE, -1);
    add_hold(b, 2, 2, RANGE_WRITE, -1);
    CHECK_EQ(publish(a, lock_of(1, 2, RANGE_WRITE)), 0);
    CHECK(!wait_sees_others());
    CHECK(!scan(a));
    CHECK_EQ(publish(b, lock_of(2, 1, RANGE_WRITE)), 0);
    CHECK(scan(b));
    wait_withdraw(&a->ticket);
    wait_withdraw(&b->ticket);
    free_waiter(a);
    free_waiter(b);
}
