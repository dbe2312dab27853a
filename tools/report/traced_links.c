#define _GNU_SOURCE
#include "traced_links.h"

#include "../common/memory.h"

#include <errno.h>
#include <stdlib.h>

/* A lock is written down a moment after it was granted: a waiter may have met it before. */
#define MOMENT 1000000u

/* Spans that are compared for one question, and for all: a hostile trace could ask for ever. */
#define STEPS_MAX 2000u
#define ALL_STEPS_MAX 50000000u

struct links {
    struct traced_spans *spans;
    const int32_t *pids;
    size_t *holds;    /* indices of spans, by file and begin */
    uint64_t *latest; /* of each: the latest end of those of the file up to it */
    size_t count;
    uint64_t steps;
};

static int compare_holds(const void *left, const void *right, void *context) {
    const struct traced_spans *spans = context;
    const struct traced_span *a = &spans->items[*(const size_t *)left];
    const struct traced_span *b = &spans->items[*(const size_t *)right];
    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a < b ? -1 : a > b;
}

static void sort_holds(struct links *links) {
    struct traced_spans *spans = links->spans;
    links->holds = must_allocate(NULL, spans->count + 1, sizeof *links->holds);
    for (size_t i = 0; i < spans->count; i++) {
        if (spans->items[i].type == TRACED_HOLD)
            links->holds[links->count++] = i;
    }
    qsort_r(links->holds, links->count, sizeof *links->holds, compare_holds, spans);
}

static struct traced_span *hold_at(const struct links *links, size_t at) {
    return &links->spans->items[links->holds[at]];
}

/* How many holds come before those of this file that begin later. */
static size_t holds_until(const struct links *links, uint32_t file, uint64_t time) {
    size_t low = 0;
    size_t high = links->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct traced_span *hold = hold_at(links, middle);
        if (hold->file < file || (hold->file == file && hold->begin <= time))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool may_step(struct links *links, unsigned *steps) {
    return ++*steps <= STEPS_MAX && ++links->steps <= ALL_STEPS_MAX;
}

/* flock has a world of its own. */
static bool is_of_one_world(enum trace_class a, enum trace_class b) {
    return (a == TRACE_FLOCK) == (b == TRACE_FLOCK);
}

static bool excludes(const struct traced_span *hold, const struct traced_span *other) {
    return hold->file == other->file && is_of_one_world(hold->lock_class, other->lock_class) &&
           hold->start <= other->last && other->start <= hold->last &&
           (hold->writes || other->writes);
}

/* ---- Ends ---- */

static bool is_left_behind(const struct traced_span *hold, const struct stray_unlock *stray) {
    return (hold->ending == TRACED_OPEN || hold->ending == TRACED_EXITED) &&
           hold->lock_class == stray->lock_class && hold->process != stray->process &&
           hold->start <= stray->last && stray->start <= hold->last;
}

static void end_left_behind(struct links *links, const struct stray_unlock *stray) {
    unsigned steps = 0;
    size_t at = holds_until(links, stray->file, stray->time);
    while (at-- > 0 && may_step(links, &steps)) {
        struct traced_span *hold = hold_at(links, at);
        if (hold->file != stray->file)
            return;
        if (is_left_behind(hold, stray)) {
            hold->end = stray->time;
            hold->ending = TRACED_SHARED;
            return;
        }
    }
}

static bool is_by_another(const struct traced_span *a, const struct traced_span *b) {
    return a->process != b->process || a->owner != b->owner;
}

static void end_if_taken(struct links *links, size_t at) {
    struct traced_span *hold = hold_at(links, at);
    unsigned steps = 0;
    for (size_t i = at + 1; i < links->count && may_step(links, &steps); i++) {
        const struct traced_span *next = hold_at(links, i);
        if (next->file != hold->file)
            return;
        if (next->begin > hold->begin && is_by_another(next, hold) && excludes(hold, next)) {
            hold->end = next->begin;
            hold->ending = TRACED_TAKEN;
            return;
        }
    }
}

void traced_link_ends(struct traced_spans *spans, const struct stray_unlocks *strays) {
    struct links links = {.spans = spans};
    sort_holds(&links);
    for (size_t i = 0; i < strays->count; i++)
        end_left_behind(&links, &strays->items[i]);
    for (size_t i = 0; i < links.count; i++) {
        if (hold_at(&links, i)->ending == TRACED_OPEN)
            end_if_taken(&links, i);
    }
    free(links.holds);
}

/* ---- Blockers ---- */

/* Of a wait the owner is not known: it waits for its own process only if that is said. */
static bool is_in_the_way(const struct links *links, const struct traced_span *hold,
                          const struct traced_span *wait) {
    if (!excludes(hold, wait) || hold->end < wait->begin)
        return false;
    if (hold->process != wait->process)
        return true;
    if (wait->type == TRACED_REFUSAL)
        return hold->owner != wait->owner;
    return wait->holder == links->pids[wait->process] && hold->begin <= wait->begin;
}

static bool is_the_one(const struct links *links, const struct traced_span *hold,
                       const struct traced_span *wait) {
    return wait->holder == 0 || links->pids[hold->process] == wait->holder;
}

static void note_latest(struct links *links) {
    links->latest = must_allocate(NULL, links->count + 1, sizeof *links->latest);
    for (size_t i = 0; i < links->count; i++) {
        const struct traced_span *hold = hold_at(links, i);
        bool is_first = i == 0 || hold_at(links, i - 1)->file != hold->file;
        uint64_t before = is_first ? 0 : links->latest[i - 1];
        links->latest[i] = hold->end > before ? hold->end : before;
    }
}

/* The one that is said to be in the way; else the last one that is; else the first one that comes in
 * its way, because the holder let go as the wait began. */
static size_t find_blocker(struct links *links, const struct traced_span *wait) {
    size_t middle = holds_until(links, wait->file, wait->begin);
    size_t found = SIZE_MAX;
    unsigned steps = 0;
    for (size_t at = middle; at-- > 0 && may_step(links, &steps);) {
        const struct traced_span *hold = hold_at(links, at);
        if (hold->file != wait->file || links->latest[at] < wait->begin)
            break;
        if (!is_in_the_way(links, hold, wait))
            continue;
        if (is_the_one(links, hold, wait))
            return links->holds[at];
        if (found == SIZE_MAX)
            found = links->holds[at];
    }
    for (size_t at = middle; found == SIZE_MAX && at < links->count && may_step(links, &steps);
         at++) {
        const struct traced_span *hold = hold_at(links, at);
        if (hold->file != wait->file || hold->begin > wait->end + MOMENT)
            break;
        if (is_in_the_way(links, hold, wait))
            found = links->holds[at];
    }
    return found;
}

static bool wants_blocker(const struct traced_span *span) {
    return span->type == TRACED_WAIT ||
           (span->type == TRACED_REFUSAL && (span->result == EAGAIN || span->result == EACCES));
}

void traced_link_blockers(struct traced_spans *spans, const int32_t *pids) {
    struct links links = {.spans = spans, .pids = pids};
    sort_holds(&links);
    note_latest(&links);
    for (size_t i = 0; i < spans->count; i++) {
        if (wants_blocker(&spans->items[i]))
            spans->items[i].blocker = find_blocker(&links, &spans->items[i]);
    }
    free(links.holds);
    free(links.latest);
}
