/* What shim-report makes of the operations of a trace: holds and waits, each with its end. */
#define _GNU_SOURCE
#include "../../tools/report/traced_links.h"

#include "check.h"

#include <stdlib.h>

/* An operation, at the time of its place in the list: 1, 2, 3 ... */
struct step {
    enum trace_operation operation;
    int32_t other;
    uint64_t start, end;
    bool writes;
    int32_t tid;     /* 0: 1 */
    int32_t process; /* in the order of their operations */
    int32_t fd;
    int32_t result;
    enum trace_class lock_class;
    bool is_new_program; /* from here on, in the process */
};

static const char *const endings[] = {"open",     "full",    "taken",  "left",
                                      "unlocked", "shared",  "closed", "changed",
                                      "exited",   "granted", "failed"};

static void take(struct pairs *pairs, const struct step *step, uint64_t time) {
    struct operation operation = {.time = time,
                                  .start = step->start,
                                  .end = step->end,
                                  .tid = step->tid ? step->tid : 1,
                                  .fd = step->fd,
                                  .result = step->result,
                                  .other = step->other,
                                  .operation = step->operation,
                                  .lock_class = step->lock_class,
                                  .writes = step->writes};
    if (step->is_new_program)
        pairs_begin_program(pairs, (uint32_t)step->process);
    pairs_take(pairs, &operation, 0, 0);
}

static int compare(const void *left, const void *right) {
    const struct traced_span *a = left;
    const struct traced_span *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->start < b->start ? -1 : a->start > b->start;
}

static void print_span(FILE *file, const struct traced_spans *spans,
                       const struct traced_span *span) {
    static const char *const types[] = {"hold", "wait", "refusal"};
    fprintf(file, "%s%s %ju-%ju %c %ju-", ftell(file) > 0 ? "; " : "", types[span->type],
            (uintmax_t)span->start, (uintmax_t)span->last, span->writes ? 'w' : 'r',
            (uintmax_t)span->begin);
    if (span->end != UINT64_MAX)
        fprintf(file, "%ju", (uintmax_t)span->end);
    fprintf(file, " %s", endings[span->ending]);
    if (span->blocker != SIZE_MAX)
        fprintf(file, " by %ju", (uintmax_t)spans->items[span->blocker].begin);
}

/* The spans that come of the steps, in the order of their beginnings; for the caller to free. */
static char *spans_of(const struct step *steps, size_t count, bool is_full) {
    static const int32_t pids[] = {100, 101, 102};
    struct traced_spans spans = {0};
    struct stray_unlocks strays = {0};
    char *text;
    size_t length;
    for (int32_t process = 0; process < 3; process++) {
        struct pairs *pairs = pairs_new(&spans, &strays);
        pairs_begin_program(pairs, (uint32_t)process);
        for (size_t i = 0; i < count; i++) {
            if (steps[i].process == process)
                take(pairs, &steps[i], i + 1);
        }
        pairs_end(pairs, is_full);
    }
    qsort(spans.items, spans.count, sizeof *spans.items, compare);
    traced_link_ends(&spans, &strays);
    traced_link_blockers(&spans, pids);
    FILE *file = open_memstream(&text, &length);
    for (size_t i = 0; i < spans.count; i++)
        print_span(file, &spans, &spans.items[i]);
    fclose(file);
    free(spans.items);
    free(strays.items);
    return text;
}

#define CHECK_SPANS_OF(is_full, wanted, ...)                                                       \
    do {                                                                                           \
        const struct step steps[] = {__VA_ARGS__};                                                 \
        char *text = spans_of(steps, sizeof steps / sizeof *steps, is_full);                       \
        CHECK_STR(text, wanted);                                                                   \
        free(text);                                                                                \
    } while (0)
#define CHECK_SPANS(wanted, ...) CHECK_SPANS_OF(false, wanted, __VA_ARGS__)

#define LOCK(owner, from, to)                                                                      \
    .operation = TRACE_GRANTED, .other = (owner), .start = (from), .end = (to), .writes = true
#define SHARE(owner, from, to)                                                                     \
    .operation = TRACE_GRANTED, .other = (owner), .start = (from), .end = (to)
#define UNLOCK(owner, from, to)                                                                    \
    .operation = TRACE_UNLOCKED, .other = (owner), .start = (from), .end = (to)
#define CLOSE(owner) .operation = TRACE_CLOSED, .other = (owner), .end = TRACE_TO_THE_END
#define WAIT(holder, from, to)                                                                     \
    .operation = TRACE_WAIT_BEGAN, .other = (holder), .start = (from), .end = (to), .writes = true
#define WAITED(holder, from, to)                                                                   \
    .operation = TRACE_WAIT_ENDED, .other = (holder), .start = (from), .end = (to), .writes = true

TEST("R4: a hold lasts from the grant to the unlock, or to the close of its owner's description") {
    CHECK_SPANS("hold 0-9 w 1-2 unlocked", {LOCK(7, 0, 9)}, {UNLOCK(7, 0, 9)});
    CHECK_SPANS("hold 0-9 w 1-2 closed", {LOCK(7, 0, 9)}, {CLOSE(7)});
    CHECK_SPANS("hold 0-9 w 1- open", {LOCK(7, 0, 9)}, {CLOSE(8)});
    CHECK_SPANS("hold 0-9 w 1- open", {LOCK(7, 0, 9)}, {UNLOCK(7, 0, 9), .result = 9});
}

TEST("R4: an unlock in the middle splits a hold, and each byte is in one span") {
    CHECK_SPANS("hold 0-3 w 1-3 unlocked; hold 4-5 w 1-2 unlocked; hold 6-9 w 1- open",
                {LOCK(7, 0, 9)}, {UNLOCK(7, 4, 5)}, {UNLOCK(7, 0, 3)});
}

TEST("R4: a lock taken the other way ends the first hold, in its bytes") {
    CHECK_SPANS("hold 0-9 r 1-2 changed; hold 0-9 w 2-3 unlocked", {SHARE(7, 0, 9)},
                {LOCK(7, 0, 9)}, {UNLOCK(7, 0, 9)});
    CHECK_SPANS(
        "hold 0-1 w 1- open; hold 2-3 w 1-2 changed; hold 4-9 w 1- open; hold 2-3 r 2- open",
        {LOCK(7, 0, 9)}, {SHARE(7, 2, 3)});
}

TEST("R4: what is locked again the same way has been held since the first time") {
    CHECK_SPANS("hold 0-9 w 1-3 unlocked", {LOCK(7, 0, 9)}, {LOCK(7, 2, 5)}, {UNLOCK(7, 0, 9)});
    CHECK_SPANS("hold 2-3 w 1-4 unlocked; hold 6-7 w 2-4 unlocked; hold 0-1 w 3-4 unlocked; "
                "hold 4-5 w 3-4 unlocked; hold 8-9 w 3-4 unlocked",
                {LOCK(7, 2, 3)}, {LOCK(7, 6, 7)}, {LOCK(7, 0, 9)}, {UNLOCK(7, 0, 9)});
}

TEST("R4: holds of two owners in one process end each by itself, those of POSIX's owner together") {
    CHECK_SPANS("hold 0-9 r 1-3 closed; hold 0-9 r 2-4 unlocked", {SHARE(7, 0, 9)},
                {SHARE(8, 0, 9)}, {CLOSE(7)}, {UNLOCK(8, 0, 9)});
    CHECK_SPANS("hold 0-3 r 1-3 closed; hold 6-9 w 2-3 closed", {SHARE(0, 0, 3)}, {LOCK(0, 6, 9)},
                {CLOSE(0)});
}

TEST("R4: a hold ends with its process; without an end it says why it has none") {
    CHECK_SPANS("hold 0-9 w 1-2 exited", {LOCK(7, 0, 9)}, {.operation = TRACE_EXIT});
    CHECK_SPANS("hold 0-9 w 1- open", {LOCK(7, 0, 9)});
    CHECK_SPANS_OF(true, "hold 0-9 w 1-3 full; hold 20-29 w 3-3 full", {LOCK(7, 0, 9)},
                   {UNLOCK(7, 10, 19)}, {LOCK(7, 20, 29)});
}

TEST("R4: what a program held is still held by the next one in its process, under another owner") {
    CHECK_SPANS("hold 0-9 w 1-2 unlocked", {LOCK(7, 0, 9)},
                {UNLOCK(12, 0, 9), .is_new_program = true});
    CHECK_SPANS("hold 0-9 w 1-3 closed", {LOCK(7, 0, 9), .fd = 4},
                {UNLOCK(12, 20, 29), .is_new_program = true}, {CLOSE(13), .fd = 4});
    CHECK_SPANS("hold 0-9 w 1-2 exited; hold 0-9 w 3- open", {LOCK(7, 0, 9)},
                {.operation = TRACE_EXIT}, {LOCK(7, 0, 9), .is_new_program = true});
}

TEST("R4: a wait lasts from its begin to its end, in its thread, and has the hold that is in its "
     "way") {
    CHECK_SPANS("hold 0-9 w 1-3 unlocked; wait 4-5 w 2-4 granted by 1; hold 4-5 w 5- open",
                {LOCK(7, 0, 9)}, {WAIT(100, 4, 5), .process = 1}, {UNLOCK(7, 0, 9)},
                {WAITED(100, 4, 5), .process = 1}, {LOCK(3, 4, 5), .process = 1});
    CHECK_SPANS("wait 4-5 w 1-3 failed; wait 4-5 w 2- open", {WAIT(9, 4, 5)},
                {WAIT(9, 4, 5), .tid = 2}, {WAITED(9, 4, 5), .result = 35});
    CHECK_SPANS("wait 4-5 w 1-2 left; hold 6-6 w 2-3 unlocked", {WAIT(9, 4, 5)}, {LOCK(7, 6, 6)},
                {UNLOCK(7, 6, 6)});
}

TEST("R4: the holder that is named is in the way before another one, and the process itself only "
     "if named") {
    CHECK_SPANS("hold 0-9 r 1- open; hold 0-9 r 2- open; wait 0-9 w 3- open by 1", {SHARE(7, 0, 9)},
                {SHARE(7, 0, 9), .process = 1}, {WAIT(100, 0, 9), .process = 2});
    CHECK_SPANS("hold 0-9 r 1- open; hold 0-9 r 2- open; wait 0-9 w 3- open by 2", {SHARE(7, 0, 9)},
                {SHARE(7, 0, 9), .process = 1}, {WAIT(55, 0, 9), .process = 2});
    CHECK_SPANS("hold 0-9 r 1- open; wait 0-9 w 2- open", {SHARE(7, 0, 9)}, {WAIT(55, 0, 9)});
    CHECK_SPANS("hold 0-9 r 1- open; wait 0-9 w 2- open by 1", {SHARE(7, 0, 9)}, {WAIT(100, 0, 9)});
}

TEST("R4: a refusal has the hold that it met, of another owner in the process too, and of its own "
     "kind") {
    CHECK_SPANS("hold 0-9 w 1- open; refusal 0-9 w 2-2 failed by 1", {LOCK(7, 0, 9)},
                {.operation = TRACE_REFUSED, .other = 8, .end = 9, .writes = true, .result = 11});
    CHECK_SPANS("hold 0-9 w 1- open; refusal 0-9 w 2-2 failed", {LOCK(7, 0, 9)},
                {.operation = TRACE_REFUSED, .other = 8, .end = 9, .writes = true, .result = 9});
    CHECK_SPANS("hold 0-9 w 1- open; refusal 0-9 w 2-2 failed", {LOCK(7, 0, 9)},
                {.operation = TRACE_REFUSED,
                 .other = 8,
                 .end = 9,
                 .writes = true,
                 .result = 11,
                 .lock_class = TRACE_FLOCK});
}

TEST("R4: a hold without an end has ended when somebody else got what it excludes") {
    CHECK_SPANS("hold 0-9 w 1-2 taken; hold 3-3 r 2- open", {LOCK(7, 0, 9)},
                {SHARE(3, 3, 3), .process = 1});
    CHECK_SPANS("hold 0-9 r 1- open; hold 3-3 r 2- open", {SHARE(7, 0, 9)},
                {SHARE(3, 3, 3), .process = 1});
}

TEST("R4: an unlock by a process that shares the description ends what the locker left behind") {
    CHECK_SPANS("hold 0-9 w 1-3 shared", {LOCK(7, 0, 9), .lock_class = TRACE_FLOCK},
                {.operation = TRACE_EXIT},
                {UNLOCK(5, 0, 9), .process = 1, .lock_class = TRACE_FLOCK});
    CHECK_SPANS("hold 0-9 w 1-2 exited", {LOCK(7, 0, 9)}, {.operation = TRACE_EXIT},
                {UNLOCK(5, 0, 9), .process = 1});
}
