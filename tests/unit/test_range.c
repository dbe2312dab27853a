/* The arithmetic of record locks, against the kernel's own (range_from_flock) and against a naive
 * model of one array entry per byte. */
#define _GNU_SOURCE
#include "lock/range.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MODEL_BYTES 64
#define MODEL_STEPS 200000

static uint32_t random_state = 1;
static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

static struct held held_of(uint64_t start, uint64_t end, enum range_type type) {
    return (struct held){
        .start = start, .end = end, .type = type, .tid = 1, .stack = 1, .since_ns = 5};
}

static bool lock(struct range_set *set, uint64_t start, uint64_t end, enum range_type type) {
    struct held held = held_of(start, end, type);
    return range_set_lock(set, &held);
}

static bool unlock(struct range_set *set, uint64_t start, uint64_t end) {
    return range_set_unlock(set, &(struct byte_range){start, end});
}

/* The set as text: "0-9w 20-eof r" without the blank. */
static const char *text_of(const struct range_set *set) {
    static char text[4096];
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < set->count && used < sizeof text - 64; i++) {
        const struct held *held = &set->items[i];
        char end[24] = "eof";
        if (held->end != RANGE_MAX)
            snprintf(end, sizeof end, "%llu", (unsigned long long)held->end);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%llu-%s%c", i ? " " : "",
                                 (unsigned long long)held->start, end,
                                 held->type == RANGE_WRITE ? 'w' : 'r');
    }
    return text;
}

static struct held storage[256];
static void empty(struct range_set *set) {
    memset(set, 0, sizeof *set);
    range_set_move(set, storage, sizeof storage / sizeof *storage);
}

/* ---- range_from_flock ---- */

static const int64_t edges[] = {0,
                                1,
                                2,
                                9,
                                10,
                                11,
                                4096,
                                INT64_MAX - 4097,
                                INT64_MAX - 11,
                                INT64_MAX - 2,
                                INT64_MAX - 1,
                                INT64_MAX,
                                -1,
                                -2,
                                -9,
                                -10,
                                -11,
                                -4096,
                                INT64_MIN + 1,
                                INT64_MIN + 10,
                                INT64_MIN};
#define EDGES (sizeof edges / sizeof *edges)

/* Locks through the kernel, and reads the range back as another process's F_GETLK would see it:
 * through a second description, since OFD locks conflict with those of others. */
static int kernel_range(int fd, int asker, short whence, int64_t start, int64_t len,
                        struct byte_range *range) {
    struct flock flock = {.l_type = F_WRLCK, .l_whence = whence, .l_start = start, .l_len = len};
    if (fcntl(fd, F_OFD_SETLK, &flock) != 0)
        return -errno;
    struct flock query = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    fcntl(asker, F_OFD_GETLK, &query);
    range->start = (uint64_t)query.l_start;
    range->end = query.l_len == 0 ? RANGE_MAX : (uint64_t)(query.l_start + query.l_len - 1);
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    fcntl(fd, F_OFD_SETLK, &all);
    return 0;
}

static void compare_with_kernel(int fd, int asker, short whence, int64_t base, int64_t start,
                                int64_t len) {
    struct byte_range got = {0, 0};
    struct byte_range wanted = {0, 0};
    int result = range_from_flock(base, start, len, &got);
    int kernel = kernel_range(fd, asker, whence, start, len, &wanted);
    if (result != kernel || got.start != wanted.start || got.end != wanted.end)
        CHECK_FAILED(
            "whence %d base %lld start %lld len %lld: %d [%llu, %llu], kernel %d [%llu, %llu]",
            whence, (long long)base, (long long)start, (long long)len, result,
            (unsigned long long)got.start, (unsigned long long)got.end, kernel,
            (unsigned long long)wanted.start, (unsigned long long)wanted.end);
}

TEST("L4: whence, start and length mean what they mean to the kernel, at every edge") {
    char name[] = "range-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    int asker = open(name, O_RDWR | O_CLOEXEC);
    unlink(name);
    CHECK(ftruncate(fd, 4096) == 0);
    static const int64_t offsets[] = {0, 10, 4096, (INT64_C(1) << 43)};
    for (size_t i = 0; i < EDGES; i++)
        for (size_t j = 0; j < EDGES; j++) {
            compare_with_kernel(fd, asker, SEEK_SET, 0, edges[i], edges[j]);
            compare_with_kernel(fd, asker, SEEK_END, 4096, edges[i], edges[j]);
            for (size_t k = 0; k < sizeof offsets / sizeof *offsets; k++)
                if (lseek(fd, offsets[k], SEEK_SET) == offsets[k])
                    compare_with_kernel(fd, asker, SEEK_CUR, offsets[k], edges[i], edges[j]);
        }
    close(asker);
    close(fd);
}

TEST("L4: bases that no file system here can have are handled as the sums say") {
    struct byte_range range;
    CHECK_EQ(range_from_flock(INT64_MAX, 0, 1, &range), 0);
    CHECK(range.start == RANGE_MAX && range.end == RANGE_MAX);
    CHECK_EQ(range_from_flock(INT64_MAX, 0, 0, &range), 0);
    CHECK(range.start == RANGE_MAX && range.end == RANGE_MAX);
    CHECK_EQ(range_from_flock(INT64_MAX, 1, 0, &range), -EOVERFLOW);
    CHECK_EQ(range_from_flock(INT64_MAX, 0, 2, &range), -EOVERFLOW);
    CHECK_EQ(range_from_flock(INT64_MAX, -1, 2, &range), 0);
    CHECK_EQ(range_from_flock(INT64_MAX, 0, -INT64_MAX, &range), 0);
    CHECK(range.start == 0 && range.end == RANGE_MAX - 1);
    CHECK_EQ(range_from_flock(INT64_MAX, 0, INT64_MIN, &range), -EINVAL);
    CHECK_EQ(range_length(0, RANGE_MAX), 0);
    CHECK_EQ(range_length(3, 3), 1);
}

/* ---- the set, by example ---- */

TEST("L4: a set of zero bytes is empty and holds two ranges without memory") {
    struct range_set set = {0};
    CHECK(sizeof(struct held) <= 48);
    CHECK_EQ(range_set_room(&set, &(struct byte_range){0, 9}), 1);
    CHECK(!range_set_overlaps(&set, &(struct byte_range){0, RANGE_MAX}));
    CHECK(unlock(&set, 0, RANGE_MAX));
    CHECK(lock(&set, 0, 9, RANGE_READ));
    CHECK(lock(&set, 20, 29, RANGE_READ));
    CHECK_STR(text_of(&set), "0-9r 20-29r");
    CHECK(unlock(&set, 0, RANGE_MAX));
    CHECK_EQ(set.count, 0);
}

TEST("L4: an operation without room changes nothing, and fits after a move") {
    struct range_set set = {0};
    CHECK(lock(&set, 0, 9, RANGE_READ));
    CHECK(lock(&set, 20, 29, RANGE_READ));
    CHECK_EQ(range_set_room(&set, &(struct byte_range){22, 24}), 4);
    CHECK(!lock(&set, 22, 24, RANGE_WRITE));
    CHECK(!unlock(&set, 22, 24));
    CHECK(!lock(&set, 40, 41, RANGE_READ));
    CHECK_STR(text_of(&set), "0-9r 20-29r");
    CHECK_EQ(range_set_room(&set, &(struct byte_range){20, 29}), 2);
    CHECK_EQ(range_set_room(&set, &(struct byte_range){20, 30}), 2);
    CHECK_EQ(range_set_room(&set, &(struct byte_range){21, 29}), 3);
    CHECK_EQ(range_set_room(&set, &(struct byte_range){5, 24}), 3);
    CHECK_EQ(range_set_room(&set, &(struct byte_range){0, 40}), 1);
    CHECK(lock(&set, 20, 29, RANGE_WRITE));
    CHECK(lock(&set, 20, 29, RANGE_READ));
    struct held bigger[4];
    CHECK(range_set_move(&set, bigger, 4) == NULL);
    CHECK(lock(&set, 22, 24, RANGE_WRITE));
    CHECK_STR(text_of(&set), "0-9r 20-21r 22-24w 25-29r");
    CHECK(range_set_reset(&set) == bigger);
    CHECK_EQ(set.count, 0);
    CHECK(lock(&set, 1, 1, RANGE_WRITE));
    CHECK_STR(text_of(&set), "1-1w");
}

TEST("L4: ranges split, merge, upgrade and downgrade") {
    struct range_set set;
    empty(&set);
    CHECK(lock(&set, 10, 19, RANGE_READ));
    CHECK(lock(&set, 20, 29, RANGE_READ));
    CHECK_STR(text_of(&set), "10-29r");
    CHECK(lock(&set, 15, 24, RANGE_WRITE));
    CHECK_STR(text_of(&set), "10-14r 15-24w 25-29r");
    CHECK(lock(&set, 15, 24, RANGE_READ));
    CHECK_STR(text_of(&set), "10-29r");
    CHECK(unlock(&set, 12, 13));
    CHECK_STR(text_of(&set), "10-11r 14-29r");
    CHECK(lock(&set, 12, 13, RANGE_READ));
    CHECK_STR(text_of(&set), "10-29r");
    CHECK(lock(&set, 0, 5, RANGE_WRITE));
    CHECK(lock(&set, 40, RANGE_MAX, RANGE_WRITE));
    CHECK_STR(text_of(&set), "0-5w 10-29r 40-eofw");
    CHECK(lock(&set, 3, 50, RANGE_WRITE));
    CHECK_STR(text_of(&set), "0-eofw");
    CHECK(unlock(&set, 100, 199));
    CHECK(lock(&set, 50, 249, RANGE_READ));
    CHECK_STR(text_of(&set), "0-49w 50-249r 250-eofw");
    CHECK(unlock(&set, 0, 99));
    CHECK_STR(text_of(&set), "100-249r 250-eofw");
}

TEST("L4: the last byte and the first are bytes like others") {
    struct range_set set;
    empty(&set);
    CHECK(lock(&set, RANGE_MAX, RANGE_MAX, RANGE_READ));
    CHECK(lock(&set, 0, 0, RANGE_READ));
    CHECK_STR(text_of(&set), "0-0r 9223372036854775807-eofr");
    CHECK(lock(&set, 1, RANGE_MAX - 1, RANGE_READ));
    CHECK_STR(text_of(&set), "0-eofr");
    CHECK(unlock(&set, RANGE_MAX, RANGE_MAX));
    CHECK_STR(text_of(&set), "0-9223372036854775806r");
    CHECK(unlock(&set, 0, 0));
    CHECK(range_set_first(&set, &(struct byte_range){RANGE_MAX, RANGE_MAX}) == NULL);
    CHECK(range_set_first(&set, &(struct byte_range){0, 0}) == NULL);
    CHECK(range_set_overlaps(&set, &(struct byte_range){0, 1}));
    CHECK(unlock(&set, 0, RANGE_MAX));
    CHECK_EQ(set.count, 0);
}

TEST("L4: neighbours taken by different threads stay apart, and are one to the kernel") {
    struct range_set set;
    empty(&set);
    struct held mine = held_of(0, 9, RANGE_READ);
    struct held others = held_of(10, 19, RANGE_READ);
    others.tid = 2;
    CHECK(range_set_lock(&set, &mine));
    CHECK(range_set_lock(&set, &others));
    CHECK_STR(text_of(&set), "0-9r 10-19r");
    uint32_t index = 0;
    struct kernel_range view;
    CHECK(range_set_kernel_view(&set, &index, &view));
    CHECK(view.start == 0 && view.end == 19 && view.type == RANGE_READ);
    CHECK(!range_set_kernel_view(&set, &index, &view));
    CHECK(range_set_covers(&set, &(struct byte_range){3, 15}, RANGE_READ));
    CHECK(!range_set_covers(&set, &(struct byte_range){3, 15}, RANGE_WRITE));
    CHECK(!range_set_covers(&set, &(struct byte_range){3, 20}, RANGE_READ));
    /* Who takes bytes again is who took them last. */
    others.start = 5;
    CHECK(range_set_lock(&set, &others));
    CHECK_STR(text_of(&set), "0-4r 5-19r");
    CHECK_EQ(set.items[1].tid, 2);
}

TEST("L4: who takes its own bytes again has held them since the first time") {
    struct range_set set;
    empty(&set);
    struct held held = held_of(0, 9, RANGE_WRITE);
    held.since_ns = 100;
    CHECK(range_set_lock(&set, &held));
    held.since_ns = 200;
    CHECK(range_set_lock(&set, &held));
    CHECK_EQ(set.items[0].since_ns, 100);
    held.type = RANGE_READ;
    held.since_ns = 300;
    CHECK(range_set_lock(&set, &held));
    CHECK_EQ(set.items[0].since_ns, 300);
}

TEST("L1: read does not conflict with read; write conflicts with both; touching is no overlap") {
    struct range_set set;
    empty(&set);
    CHECK(lock(&set, 0, 9, RANGE_READ));
    CHECK(lock(&set, 10, 19, RANGE_WRITE));
    struct byte_range all = {0, RANGE_MAX};
    const struct held *held = range_set_find_conflict(&set, &all, RANGE_READ);
    CHECK(held != NULL && held->start == 10);
    held = range_set_find_conflict(&set, &all, RANGE_WRITE);
    CHECK(held != NULL && held->start == 0);
    CHECK(range_set_find_conflict(&set, &(struct byte_range){0, 9}, RANGE_READ) == NULL);
    CHECK(range_set_find_conflict(&set, &(struct byte_range){20, 29}, RANGE_WRITE) == NULL);
    CHECK(range_set_find_conflict(&set, &(struct byte_range){19, 29}, RANGE_READ) != NULL);
}

/* ---- the set, against a model ---- */

/* 0: free; otherwise 1 + type + 2 * (tid - 1), with two tids. */
static unsigned char model[MODEL_BYTES];

/* The model's last byte stands for everything from there on. */
static uint64_t model_end(uint32_t byte) {
    return byte == MODEL_BYTES - 1 ? RANGE_MAX : byte;
}

static unsigned char code_of(const struct held *held) {
    return (unsigned char)(1 + held->type + 2 * (held->tid - 1));
}

static void compare_with_model(const struct range_set *set, int step) {
    unsigned char seen[MODEL_BYTES] = {0};
    for (uint32_t i = 0; i < set->count; i++) {
        const struct held *held = &set->items[i];
        bool sound = held->start <= held->end && held->start < MODEL_BYTES &&
                     (held->end < MODEL_BYTES - 1 || held->end == RANGE_MAX);
        if (i > 0) {
            const struct held *before = held - 1;
            sound = sound && before->end < held->start &&
                    !(before->end + 1 == held->start && code_of(before) == code_of(held));
        }
        if (!sound) {
            CHECK_FAILED("step %d: item %u is wrong: %s", step, i, text_of(set));
            return;
        }
        uint64_t last = held->end == RANGE_MAX ? MODEL_BYTES - 1 : held->end;
        memset(seen + held->start, code_of(held), last - held->start + 1);
    }
    if (memcmp(seen, model, sizeof seen) != 0)
        CHECK_FAILED("step %d: %s", step, text_of(set));
}

static void compare_queries(const struct range_set *set, uint32_t first, uint32_t last, int step) {
    struct byte_range range = {first, model_end(last)};
    bool any = false;
    bool any_write = false;
    bool all = true;
    bool all_write = true;
    for (uint32_t i = first; i <= last; i++) {
        bool write = model[i] != 0 && (model[i] - 1) % 2 == RANGE_WRITE;
        any |= model[i] != 0;
        any_write |= write;
        all &= model[i] != 0;
        all_write &= write;
    }
    const struct held *read_conflict = range_set_find_conflict(set, &range, RANGE_READ);
    const struct held *write_conflict = range_set_find_conflict(set, &range, RANGE_WRITE);
    if (range_set_overlaps(set, &range) != any || (write_conflict != NULL) != any ||
        (read_conflict != NULL) != any_write || range_set_covers(set, &range, RANGE_READ) != all ||
        range_set_covers(set, &range, RANGE_WRITE) != all_write)
        CHECK_FAILED("step %d: queries of [%u, %u] in %s", step, first, last, text_of(set));
}

static uint32_t kernel_view_of_model(struct kernel_range *out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < MODEL_BYTES; i++) {
        if (model[i] == 0)
            continue;
        uint8_t type = (uint8_t)((model[i] - 1) % 2);
        if (i > 0 && model[i - 1] != 0 && (model[i - 1] - 1) % 2 == type)
            out[count - 1].end = model_end(i);
        else
            out[count++] = (struct kernel_range){i, model_end(i), type};
    }
    return count;
}

static void compare_kernel_view(const struct range_set *set, int step) {
    struct kernel_range wanted[MODEL_BYTES];
    uint32_t count = kernel_view_of_model(wanted);
    struct kernel_range got;
    uint32_t index = 0;
    uint32_t i = 0;
    for (; range_set_kernel_view(set, &index, &got); i++)
        if (i >= count || got.start != wanted[i].start || got.end != wanted[i].end ||
            got.type != wanted[i].type) {
            CHECK_FAILED("step %d: the kernel's view of %s", step, text_of(set));
            return;
        }
    CHECK_EQ(i, count);
}

TEST("L4: 200,000 random locks and unlocks agree with one entry per byte") {
    struct range_set set;
    empty(&set);
    memset(model, 0, sizeof model);
    for (int step = 0; step < MODEL_STEPS && check_failures == 0; step++) {
        uint32_t first = random_below(MODEL_BYTES);
        uint32_t last = first + random_below(step % 3 ? 4 : MODEL_BYTES);
        if (last >= MODEL_BYTES)
            last = MODEL_BYTES - 1;
        struct byte_range range = {first, model_end(last)};
        unsigned char code = 0;
        uint32_t room = range_set_room(&set, &range);
        uint32_t before = set.count;
        if (random_below(8) < 3) {
            CHECK(range_set_unlock(&set, &range));
        } else {
            struct held held = {.start = range.start, .end = range.end, .since_ns = step};
            held.type = (uint8_t)random_below(2);
            held.tid = 1 + (int32_t)random_below(2);
            code = code_of(&held);
            CHECK(range_set_lock(&set, &held));
        }
        CHECK(set.count <= room && room <= before + 2);
        memset(model + first, code, last - first + 1);
        compare_with_model(&set, step);
        compare_queries(&set, random_below(MODEL_BYTES / 2),
                        MODEL_BYTES / 2 + random_below(MODEL_BYTES / 2), step);
        compare_queries(&set, first, last, step);
        if (step % 16 == 0)
            compare_kernel_view(&set, step);
    }
}

TEST("L4: a set that is too small refuses and keeps what it has, at any moment") {
    for (int round = 0; round < 2000 && check_failures == 0; round++) {
        struct held items[6];
        struct range_set set = {0};
        range_set_move(&set, items, 1 + random_below(6));
        memset(model, 0, sizeof model);
        for (int step = 0; step < 50; step++) {
            uint32_t first = random_below(MODEL_BYTES - 8);
            uint32_t last = first + random_below(8);
            struct byte_range range = {first, last};
            struct held held = held_of(first, last, RANGE_READ);
            held.type = (uint8_t)random_below(2);
            bool fits = range_set_room(&set, &range) <= range_set_capacity(&set);
            bool unlocks = random_below(2);
            bool done = unlocks ? range_set_unlock(&set, &range) : range_set_lock(&set, &held);
            if (done)
                memset(model + first, unlocks ? 0 : code_of(&held), last - first + 1);
            CHECK(done || !fits);
            compare_with_model(&set, step);
        }
    }
}

/* ---- resync ---- */

TEST("H3: after a resync the set says what the kernel says, and remembers who where both agree") {
    struct range_set set;
    empty(&set);
    for (int round = 0; round < 20000 && check_failures == 0; round++) {
        range_set_reset(&set);
        range_set_move(&set, storage, sizeof storage / sizeof *storage);
        unsigned char old[MODEL_BYTES];
        unsigned char wanted[MODEL_BYTES];
        memset(model, 0, sizeof model);
        for (uint32_t pass = 0; pass < 2; pass++) {
            memcpy(old, model, sizeof old);
            if (pass == 1 && round % 4 == 0)
                memset(model, 0, sizeof model);
            for (uint32_t i = random_below(12); i > 0; i--) {
                uint32_t first = random_below(MODEL_BYTES);
                uint32_t last = first + random_below(12);
                if (last >= MODEL_BYTES)
                    last = MODEL_BYTES - 1;
                struct held held = held_of(first, model_end(last), RANGE_READ);
                held.type = (uint8_t)random_below(2);
                held.tid = 1 + (int32_t)random_below(2);
                bool frees = pass == 1 && random_below(3) != 0;
                if (pass == 0)
                    CHECK(range_set_lock(&set, &held));
                memset(model + first, frees ? 0 : code_of(&held), last - first + 1);
            }
        }
        struct kernel_range view[MODEL_BYTES];
        uint32_t count = kernel_view_of_model(view);
        /* The smallest capacity that is promised to do. */
        uint32_t room = range_set_resync_room(&set, count);
        static struct held exact[3 * 2 * MODEL_BYTES];
        CHECK(room <= sizeof exact / sizeof *exact);
        if (room < set.count + 1)
            room = set.count + 1;
        range_set_move(&set, exact, room);
        CHECK(range_set_resync(&set, view, count));
        /* What it must be: the old attribution where the type agrees, tid 0 elsewhere (code 1 and 2
         * less two, kept apart as 101 and 102). */
        for (uint32_t i = 0; i < MODEL_BYTES; i++) {
            bool agrees = model[i] && old[i] && (model[i] - 1) % 2 == (old[i] - 1) % 2;
            wanted[i] = (unsigned char)(!model[i] ? 0 : agrees ? old[i] : 101 + (model[i] - 1) % 2);
        }
        unsigned char seen[MODEL_BYTES] = {0};
        for (uint32_t i = 0; i < set.count; i++) {
            const struct held *held = &set.items[i];
            uint64_t last = held->end == RANGE_MAX ? MODEL_BYTES - 1 : held->end;
            CHECK(i == 0 || held->start > held[-1].end);
            CHECK(i == 0 || held->start > held[-1].end + 1 || held->tid != held[-1].tid ||
                  held->type != held[-1].type);
            CHECK(last < MODEL_BYTES && held->start <= last);
            memset(seen + held->start, held->tid ? code_of(held) : 101 + held->type,
                   last - held->start + 1);
        }
        if (memcmp(seen, wanted, sizeof seen) != 0)
            CHECK_FAILED("round %d: %s", round, text_of(&set));
        compare_kernel_view(&set, round);
    }
}

TEST("H3: a resync refuses ranges out of order, or too small a set, and changes nothing") {
    struct range_set set = {0};
    struct kernel_range wrong[] = {{10, 19, RANGE_READ}, {0, 10, RANGE_READ}};
    struct kernel_range touching[] = {{0, 10, RANGE_READ}, {10, 19, RANGE_READ}};
    CHECK(range_set_resync(&set, NULL, 0));
    CHECK(lock(&set, 5, 6, RANGE_WRITE));
    CHECK(!range_set_resync(&set, wrong, 1));
    range_set_move(&set, storage, sizeof storage / sizeof *storage);
    CHECK(!range_set_resync(&set, wrong, 2));
    CHECK(!range_set_resync(&set, touching, 2));
    wrong[0].start = 30;
    CHECK(!range_set_resync(&set, wrong, 1));
    CHECK_STR(text_of(&set), "5-6w");
    CHECK(range_set_resync(&set, NULL, 0));
    CHECK_EQ(set.count, 0);
}

TEST("L4: ten thousand ranges are found, split and removed") {
    enum { MANY = 10000 };
    struct range_set set = {0};
    struct held *many = calloc(MANY + 2, sizeof *many);
    range_set_move(&set, many, MANY + 2);
    for (uint64_t i = 0; i < MANY; i++)
        CHECK(lock(&set, (i * 7919 % MANY) * 10, (i * 7919 % MANY) * 10 + 4, RANGE_WRITE));
    CHECK_EQ(set.count, MANY);
    for (uint64_t i = 0; i < MANY; i++) {
        const struct held *held =
            range_set_first(&set, &(struct byte_range){i * 10 + 2, i * 10 + 9});
        CHECK(held != NULL && held->start == i * 10);
        CHECK(!range_set_overlaps(&set, &(struct byte_range){i * 10 + 5, i * 10 + 9}));
    }
    CHECK(unlock(&set, 50002, 50002));
    CHECK_EQ(set.count, MANY + 1);
    CHECK(unlock(&set, 0, 49999));
    CHECK_EQ(set.count, MANY / 2 + 1);
    CHECK(lock(&set, 0, RANGE_MAX, RANGE_READ));
    CHECK_STR(text_of(&set), "0-eofr");
    free(many);
}
