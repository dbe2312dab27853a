/* Cycles of waits, against shortest ways found by Floyd and Warshall's method in small random
 * graphs. */
#include "lock/wait_graph.h"

#include "check.h"

#define WAITERS_MAX WAIT_GRAPH_MAX
#define HOLDS_MAX 3

struct waiter {
    bool waits;
    uint32_t hold_count;
    struct wait_lock want;
    struct wait_lock holds[HOLDS_MAX];
};

static struct waiter waiters[WAITERS_MAX + 2];
static struct wait_graph_scratch scratch;
static unsigned long reads;

static bool want_of(void *context, uint32_t waiter, struct wait_lock *want) {
    const struct waiter *w = (const struct waiter *)context + waiter;
    *want = w->want;
    return w->waits;
}

static bool hold_of(void *context, uint32_t waiter, uint32_t index, struct wait_lock *hold) {
    const struct waiter *w = (const struct waiter *)context + waiter;
    reads++;
    if (index >= w->hold_count)
        return false;
    *hold = w->holds[index];
    return true;
}

static struct wait_graph graph_of(uint32_t count) {
    return (struct wait_graph){waiters, count, want_of, hold_of, &scratch};
}

static struct wait_lock lock_of(uint64_t ino, uint64_t owner, enum range_type type) {
    return (struct wait_lock){.dev = 8,
                              .ino = ino,
                              .owner = owner,
                              .range = {0, RANGE_MAX},
                              .lock_class = WAIT_RECORD,
                              .type = (uint8_t)type};
}

/* Waiter w holds file `holds` and waits for file `wants`, for writing. */
static void set_waiter(uint32_t w, uint64_t holds, uint64_t wants) {
    waiters[w] = (struct waiter){.waits = true, .hold_count = 1};
    waiters[w].want = lock_of(wants, w + 1, RANGE_WRITE);
    waiters[w].holds[0] = lock_of(holds, w + 1, RANGE_WRITE);
}

TEST("L5: two threads that wait for each other are a cycle, seen from both") {
    struct wait_graph graph = graph_of(2);
    uint32_t path[4] = {9, 9, 9, 9};
    set_waiter(0, 1, 2);
    set_waiter(1, 2, 1);
    CHECK_EQ(wait_graph_cycle(&graph, 0, path, 4), 2);
    CHECK(path[0] == 0 && path[1] == 1 && path[2] == 9);
    CHECK_EQ(wait_graph_cycle(&graph, 1, path, 4), 2);
    CHECK(path[0] == 1 && path[1] == 0);
}

TEST("L5: a holder that does not wait is no cycle, nor is one that waits for others") {
    struct wait_graph graph = graph_of(3);
    uint32_t path[4];
    set_waiter(0, 1, 2);
    set_waiter(1, 2, 3);
    set_waiter(2, 4, 5);
    CHECK_EQ(wait_graph_cycle(&graph, 0, path, 4), 0);
    set_waiter(1, 2, 1);
    waiters[1].waits = false;
    CHECK_EQ(wait_graph_cycle(&graph, 0, path, 4), 0);
    CHECK_EQ(wait_graph_cycle(&graph, 3, path, 4), 0);
}

TEST("L5: a waiter before a cycle, but not in it, is not refused") {
    struct wait_graph graph = graph_of(3);
    uint32_t path[4];
    set_waiter(0, 9, 1);
    set_waiter(1, 1, 2);
    set_waiter(2, 2, 1);
    CHECK_EQ(wait_graph_cycle(&graph, 0, path, 4), 0);
    CHECK_EQ(wait_graph_cycle(&graph, 1, path, 4), 2);
}

TEST("L5: a thread that waits for itself through another description is a cycle of one") {
    struct wait_graph graph = graph_of(1);
    uint32_t path[1] = {9};
    set_waiter(0, 1, 1);
    CHECK_EQ(wait_graph_cycle(&graph, 0, path, 1), 0);
    waiters[0].want.owner = 77;
    CHECK_EQ(wait_graph_cycle(&graph, 0, path, 1), 1);
    CHECK_EQ(path[0], 0);
}

TEST("L5: only a lock on the same file, of the same class, that excludes, blocks") {
    struct wait_lock want = lock_of(1, 1, RANGE_WRITE);
    struct wait_lock hold = lock_of(1, 2, RANGE_WRITE);
    CHECK(wait_lock_conflicts(&want, &hold));
    hold.dev = 9;
    CHECK(!wait_lock_conflicts(&want, &hold));
    hold = lock_of(2, 2, RANGE_WRITE);
    CHECK(!wait_lock_conflicts(&want, &hold));
    hold = lock_of(1, 1, RANGE_WRITE);
    CHECK(!wait_lock_conflicts(&want, &hold));
    hold = lock_of(1, 2, RANGE_READ);
    CHECK(wait_lock_conflicts(&want, &hold));
    want.type = RANGE_READ;
    CHECK(!wait_lock_conflicts(&want, &hold));
    hold.type = RANGE_WRITE;
    CHECK(wait_lock_conflicts(&want, &hold));
    want.range = (struct byte_range){0, 9};
    hold.range = (struct byte_range){10, 19};
    CHECK(!wait_lock_conflicts(&want, &hold));
    hold.range.start = 9;
    CHECK(wait_lock_conflicts(&want, &hold));
    want.lock_class = WAIT_FLOCK;
    CHECK(!wait_lock_conflicts(&want, &hold));
    hold.lock_class = WAIT_FLOCK;
    hold.range.start = 10;
    CHECK(wait_lock_conflicts(&want, &hold));
}

TEST("L5: a ring of 4,096 threads is one cycle, found in one look at each pair") {
    static uint32_t path[WAITERS_MAX];
    struct wait_graph graph = graph_of(WAITERS_MAX);
    for (uint32_t i = 0; i < WAITERS_MAX; i++)
        set_waiter(i, i, (i + 1) % WAITERS_MAX);
    reads = 0;
    CHECK_EQ(wait_graph_cycle(&graph, 17, path, WAITERS_MAX), WAITERS_MAX);
    for (uint32_t i = 0; i < WAITERS_MAX; i++)
        CHECK_EQ(path[i], (17 + i) % WAITERS_MAX);
    CHECK(reads <= 2ul * WAITERS_MAX * WAITERS_MAX);
    /* A path shorter than the cycle takes its beginning. */
    uint32_t few[3] = {0, 0, 99};
    CHECK_EQ(wait_graph_cycle(&graph, 17, few, 2), WAITERS_MAX);
    CHECK(few[0] == 17 && few[1] == 18 && few[2] == 99);
    /* Waiters beyond the limit are not looked at. */
    graph.count = WAITERS_MAX + 2;
    set_waiter(WAITERS_MAX, 1, 2);
    set_waiter(WAITERS_MAX + 1, 2, 1);
    CHECK_EQ(wait_graph_cycle(&graph, WAITERS_MAX, path, WAITERS_MAX), 0);
}

/* ---- against shortest ways ---- */

#define SMALL 9
#define BYTES 8
#define FAR 1000

static uint32_t random_state = 1;
static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

static struct wait_lock random_lock(uint32_t owners) {
    struct wait_lock lock = lock_of(1 + random_below(2), random_below(owners),
                                    random_below(3) ? RANGE_WRITE : RANGE_READ);
    lock.dev = 8 + (random_below(5) == 0);
    lock.range.start = random_below(BYTES);
    lock.range.end = lock.range.start + random_below(BYTES - (uint32_t)lock.range.start);
    lock.lock_class = (uint8_t)(random_below(4) == 0);
    return lock;
}

/* The same question, asked of every byte. */
static bool naive_conflict(const struct wait_lock *a, const struct wait_lock *b) {
    for (uint64_t byte = 0; byte < BYTES; byte++) {
        bool in_a = a->lock_class == WAIT_FLOCK || (byte >= a->range.start && byte <= a->range.end);
        bool in_b = b->lock_class == WAIT_FLOCK || (byte >= b->range.start && byte <= b->range.end);
        if (in_a && in_b)
            return a->dev == b->dev && a->ino == b->ino && a->lock_class == b->lock_class &&
                   a->owner != b->owner && (a->type == RANGE_WRITE || b->type == RANGE_WRITE);
    }
    return false;
}

static int distance[SMALL][SMALL];

static void measure(uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++) {
            distance[i][j] = FAR;
            for (uint32_t k = 0; k < waiters[j].hold_count; k++)
                if (waiters[i].waits && naive_conflict(&waiters[i].want, &waiters[j].holds[k]))
                    distance[i][j] = 1;
        }
    for (uint32_t k = 0; k < count; k++)
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t j = 0; j < count; j++)
                if (distance[i][k] + distance[k][j] < distance[i][j])
                    distance[i][j] = distance[i][k] + distance[k][j];
}

TEST("L5: 50,000 random graphs have the cycles that Floyd and Warshall's method finds") {
    int found = 0;
    int longest = 0;
    for (int round = 0; round < 50000 && check_failures == 0; round++) {
        uint32_t count = 1 + random_below(SMALL);
        uint32_t owners = 2 + random_below(20);
        struct wait_graph graph = graph_of(count);
        for (uint32_t i = 0; i < count; i++) {
            waiters[i] =
                (struct waiter){.waits = random_below(8) != 0, .want = random_lock(owners)};
            waiters[i].hold_count = random_below(HOLDS_MAX + 1);
            for (uint32_t k = 0; k < waiters[i].hold_count; k++)
                waiters[i].holds[k] = random_lock(owners);
        }
        measure(count);
        for (uint32_t start = 0; start < count; start++) {
            uint32_t path[SMALL];
            int length = wait_graph_cycle(&graph, start, path, SMALL);
            int wanted = distance[start][start];
            CHECK_EQ(length, wanted == FAR ? 0 : wanted);
            CHECK(length == 0 || path[0] == start);
            for (int i = 0; i < length && check_failures == 0; i++)
                CHECK_EQ(distance[path[i]][path[(i + 1) % length]], 1);
            found += length > 0;
            longest = length > longest ? length : longest;
        }
    }
    CHECK(found > 1000 && longest >= 4);
}
