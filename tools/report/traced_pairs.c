#define _GNU_SOURCE
#include "traced_pairs.h"

#include "../common/memory.h"

#include <stdlib.h>
#include <string.h>

/* An owner that came through the start of a program: it has another number since. */
#define OWNER_BEFORE (-1)

/* Waits of a process at one time whose ends are looked for. */
#define WAITS_MAX 4096u

/* What one owner has of one file: indices of spans that are open, in the order of their bytes, which
 * do not overlap. */
struct held_set {
    uint32_t file;
    int32_t owner;
    enum trace_class lock_class;
    uint32_t *items;
    size_t count, room;
};

struct open_wait {
    size_t span;
    uint64_t left_at; /* when the thread did something else; 0: it did not */
};

struct pairs {
    struct traced_spans *spans;
    struct stray_unlocks *strays;
    uint32_t process;
    uint64_t last;   /* operation's time */
    uint64_t exited; /* 0: not that is known */
    struct held_set *sets;
    size_t set_count;
    uint32_t *slots; /* a hash table of 1 + index of a set; its size is a power of two */
    size_t slots_size;
    struct open_wait *waits;
    size_t wait_count;
};

struct pairs *pairs_new(struct traced_spans *spans, struct stray_unlocks *strays) {
    struct pairs *pairs = must_allocate(NULL, 1, sizeof *pairs);
    *pairs = (struct pairs){.spans = spans, .strays = strays};
    return pairs;
}

/* ---- Spans ---- */

static size_t add_span(struct traced_spans *spans, struct traced_span span) {
    if (spans->count == spans->room) {
        spans->room = spans->room ? 2 * spans->room : 256;
        spans->items = must_allocate(spans->items, spans->room, sizeof *spans->items);
    }
    spans->items[spans->count] = span;
    return spans->count++;
}

static struct traced_span begin_span(const struct pairs *pairs, enum traced_type type,
                                     const struct operation *operation, uint32_t file,
                                     uint32_t stack) {
    return (struct traced_span){.begin = operation->time,
                                .end = UINT64_MAX,
                                .start = operation->start,
                                .last = operation->end,
                                .blocker = SIZE_MAX,
                                .process = pairs->process,
                                .file = file,
                                .stack = stack,
                                .tid = operation->tid,
                                .fd = operation->fd,
                                .type = type,
                                .lock_class = operation->lock_class,
                                .writes = operation->writes};
}

/* The clock may have been set back. */
static void end_span(struct traced_span *span, uint64_t time, enum traced_ending ending) {
    span->end = time < span->begin ? span->begin : time;
    span->ending = ending;
}

/* ---- Sets ---- */

static uint32_t *find_slot(const struct pairs *pairs, uint32_t file, int32_t owner,
                           enum trace_class lock_class) {
    uint64_t key = ((uint64_t)file << 32 | (uint32_t)owner) * 3 + lock_class;
    size_t mask = pairs->slots_size - 1;
    for (size_t at = key * UINT64_C(0x9e3779b97f4a7c15) >> 20 & mask;; at = (at + 1) & mask) {
        uint32_t index = pairs->slots[at];
        if (index == 0)
            return &pairs->slots[at];
        const struct held_set *set = &pairs->sets[index - 1];
        if (set->file == file && set->owner == owner && set->lock_class == lock_class)
            return &pairs->slots[at];
    }
}

static void grow_slots(struct pairs *pairs) {
    pairs->slots_size = pairs->slots_size ? 2 * pairs->slots_size : 64;
    pairs->slots = must_allocate(pairs->slots, pairs->slots_size, sizeof *pairs->slots);
    memset(pairs->slots, 0, pairs->slots_size * sizeof *pairs->slots);
    for (size_t i = 0; i < pairs->set_count; i++) {
        const struct held_set *set = &pairs->sets[i];
        *find_slot(pairs, set->file, set->owner, set->lock_class) = (uint32_t)i + 1;
    }
}

/* NULL: there is none. */
static struct held_set *find_set(const struct pairs *pairs, uint32_t file, int32_t owner,
                                 enum trace_class lock_class) {
    uint32_t index = pairs->slots_size ? *find_slot(pairs, file, owner, lock_class) : 0;
    return index ? &pairs->sets[index - 1] : NULL;
}

/* Valid until another one is made. */
static struct held_set *make_set(struct pairs *pairs, uint32_t file, int32_t owner,
                                 enum trace_class lock_class) {
    struct held_set *known = find_set(pairs, file, owner, lock_class);
    if (known)
        return known;
    if (2 * pairs->set_count >= pairs->slots_size)
        grow_slots(pairs);
    pairs->sets = must_allocate(pairs->sets, pairs->set_count + 1, sizeof *pairs->sets);
    struct held_set *set = &pairs->sets[pairs->set_count];
    *set = (struct held_set){.file = file, .owner = owner, .lock_class = lock_class};
    *find_slot(pairs, file, owner, lock_class) = (uint32_t)++pairs->set_count;
    return set;
}

static void insert_at(struct held_set *set, size_t at, size_t span) {
    if (set->count == set->room) {
        set->room = set->room ? 2 * set->room : 4;
        set->items = must_allocate(set->items, set->room, sizeof *set->items);
    }
    memmove(set->items + at + 1, set->items + at, (set->count - at) * sizeof *set->items);
    set->items[at] = (uint32_t)span;
    set->count++;
}

static void remove_at(struct held_set *set, size_t at) {
    set->count--;
    memmove(set->items + at, set->items + at + 1, (set->count - at) * sizeof *set->items);
}

/* The first span that ends at this byte or behind it. */
static size_t first_from(const struct pairs *pairs, const struct held_set *set, uint64_t start) {
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (pairs->spans->items[set->items[middle]].last < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Leaves of the span at this place the bytes from start to last; the others go on in spans of their
 * own. Returns the place of the span, which may be the next one. */
static size_t split(struct pairs *pairs, struct held_set *set, size_t at, uint64_t start,
                    uint64_t last) {
    size_t index = set->items[at];
    struct traced_span whole = pairs->spans->items[index];
    struct traced_span rest = whole;
    if (whole.start < start) {
        rest.last = start - 1;
        insert_at(set, at++, add_span(pairs->spans, rest));
        pairs->spans->items[index].start = start;
    }
    if (whole.last > last) {
        rest = whole;
        rest.start = last + 1;
        insert_at(set, at + 1, add_span(pairs->spans, rest));
        pairs->spans->items[index].last = last;
    }
    return at;
}

/* ---- Operations ---- */

enum kept { KEEP_NONE, KEEP_READ, KEEP_WRITE };

/* Ends what the set has of these bytes, but for the type that is kept. True: there was some. */
static bool cut(struct pairs *pairs, struct held_set *set, const struct operation *operation,
                enum traced_ending ending, enum kept kept) {
    bool found = false;
    size_t at = set ? first_from(pairs, set, operation->start) : 0;
    while (set && at < set->count) {
        const struct traced_span *span = &pairs->spans->items[set->items[at]];
        if (span->start > operation->end)
            break;
        found = true;
        if (kept == (span->writes ? KEEP_WRITE : KEEP_READ)) {
            at++;
            continue;
        }
        at = split(pairs, set, at, operation->start, operation->end);
        end_span(&pairs->spans->items[set->items[at]], operation->time, ending);
        remove_at(set, at);
    }
    return found;
}

static struct held_set *set_before(const struct pairs *pairs, const struct operation *operation,
                                   uint32_t file) {
    return find_set(pairs, file, OWNER_BEFORE, operation->lock_class);
}

/* What the owner has already, of the same type, it goes on to have. */
static void grant(struct pairs *pairs, const struct operation *operation, uint32_t file,
                  uint32_t stack) {
    cut(pairs, set_before(pairs, operation, file), operation, TRACED_CHANGED, KEEP_NONE);
    struct held_set *set = make_set(pairs, file, operation->other, operation->lock_class);
    cut(pairs, set, operation, TRACED_CHANGED, operation->writes ? KEEP_WRITE : KEEP_READ);
    struct traced_span span = begin_span(pairs, TRACED_HOLD, operation, file, stack);
    span.owner = operation->other;
    size_t at = first_from(pairs, set, operation->start);
    for (;; at++) {
        const struct traced_span *next =
            at < set->count ? &pairs->spans->items[set->items[at]] : NULL;
        bool is_last = !next || next->start > operation->end;
        uint64_t behind = is_last ? 0 : next->last;
        if (!is_last && next->start <= span.start) {
            if (behind >= operation->end)
                return;
            span.start = behind + 1;
            continue;
        }
        span.last = is_last ? operation->end : next->start - 1;
        insert_at(set, at, add_span(pairs->spans, span));
        if (is_last || behind >= operation->end)
            return;
        span.start = behind + 1;
        at++;
    }
}

static void unlock(struct pairs *pairs, const struct operation *operation, uint32_t file) {
    struct held_set *set = find_set(pairs, file, operation->other, operation->lock_class);
    bool was_held = cut(pairs, set, operation, TRACED_UNLOCKED, KEEP_NONE);
    was_held |=
        cut(pairs, set_before(pairs, operation, file), operation, TRACED_UNLOCKED, KEEP_NONE);
    if (was_held || operation->lock_class == TRACE_POSIX)
        return;
    struct stray_unlocks *strays = pairs->strays;
    strays->items = must_allocate(strays->items, strays->count + 1, sizeof *strays->items);
    strays->items[strays->count++] = (struct stray_unlock){.time = operation->time,
                                                           .start = operation->start,
                                                           .last = operation->end,
                                                           .process = pairs->process,
                                                           .file = file,
                                                           .lock_class = operation->lock_class};
}

/* Of an owner from before only the descriptor tells which it was. */
static void close_owner(struct pairs *pairs, const struct operation *operation, uint32_t file) {
    struct held_set *before = set_before(pairs, operation, file);
    cut(pairs, find_set(pairs, file, operation->other, operation->lock_class), operation,
        TRACED_CLOSED, KEEP_NONE);
    for (size_t i = before ? before->count : 0; i-- > 0;) {
        struct traced_span *span = &pairs->spans->items[before->items[i]];
        if (span->fd == operation->fd) {
            end_span(span, operation->time, TRACED_CLOSED);
            remove_at(before, i);
        }
    }
}

static void refuse(struct pairs *pairs, const struct operation *operation, uint32_t file,
                   uint32_t stack) {
    struct traced_span span = begin_span(pairs, TRACED_REFUSAL, operation, file, stack);
    span.owner = operation->other;
    span.result = operation->result;
    end_span(&span, operation->time, TRACED_FAILED);
    add_span(pairs->spans, span);
}

static void begin_wait(struct pairs *pairs, const struct operation *operation, uint32_t file,
                       uint32_t stack) {
    struct traced_span span = begin_span(pairs, TRACED_WAIT, operation, file, stack);
    span.holder = operation->other;
    size_t index = add_span(pairs->spans, span);
    if (pairs->wait_count == WAITS_MAX)
        return;
    pairs->waits = must_allocate(pairs->waits, pairs->wait_count + 1, sizeof *pairs->waits);
    pairs->waits[pairs->wait_count++] = (struct open_wait){.span = index};
}

static bool is_wait_of(const struct traced_span *span, const struct operation *operation,
                       uint32_t file) {
    return span->tid == operation->tid && span->file == file &&
           span->lock_class == operation->lock_class && span->start == operation->start &&
           span->last == operation->end;
}

static void end_wait(struct pairs *pairs, const struct operation *operation, uint32_t file) {
    for (size_t i = pairs->wait_count; i-- > 0;) {
        struct traced_span *span = &pairs->spans->items[pairs->waits[i].span];
        if (!is_wait_of(span, operation, file))
            continue;
        span->result = operation->result;
        end_span(span, operation->time, operation->result ? TRACED_FAILED : TRACED_GRANTED);
        pairs->waits[i] = pairs->waits[--pairs->wait_count];
        return;
    }
}

/* A thread that waits does nothing else, unless it left the wait by a jump, or in a handler. */
static void note_left_waits(struct pairs *pairs, const struct operation *operation) {
    for (size_t i = 0; i < pairs->wait_count; i++) {
        struct open_wait *wait = &pairs->waits[i];
        if (wait->left_at == 0 && pairs->spans->items[wait->span].tid == operation->tid)
            wait->left_at = operation->time;
    }
}

void pairs_take(struct pairs *pairs, const struct operation *operation, uint32_t file,
                uint32_t stack) {
    pairs->last = operation->time;
    if (operation->operation == TRACE_WAIT_ENDED)
        end_wait(pairs, operation, file);
    else
        note_left_waits(pairs, operation);
    switch (operation->operation) {
    case TRACE_GRANTED:
        grant(pairs, operation, file, stack);
        break;
    case TRACE_REFUSED:
        refuse(pairs, operation, file, stack);
        break;
    case TRACE_UNLOCKED:
        if (operation->result == 0)
            unlock(pairs, operation, file);
        break;
    case TRACE_CLOSED:
        close_owner(pairs, operation, file);
        break;
    case TRACE_WAIT_BEGAN:
        begin_wait(pairs, operation, file, stack);
        break;
    case TRACE_EXIT:
        pairs->exited = operation->time;
        break;
    case TRACE_NOTHING:
    case TRACE_WAIT_ENDED:
        break;
    }
}

/* ---- Ends ---- */

static void end_open(struct pairs *pairs, struct traced_span *span, bool is_full) {
    if (pairs->exited)
        end_span(span, pairs->exited, TRACED_EXITED);
    else if (is_full)
        end_span(span, pairs->last, TRACED_FULL);
}

static void end_holds(struct pairs *pairs, bool is_full) {
    for (size_t i = 0; i < pairs->set_count; i++) {
        for (size_t j = 0; j < pairs->sets[i].count; j++)
            end_open(pairs, &pairs->spans->items[pairs->sets[i].items[j]], is_full);
        free(pairs->sets[i].items);
    }
    pairs->set_count = 0;
    if (pairs->slots_size)
        memset(pairs->slots, 0, pairs->slots_size * sizeof *pairs->slots);
}

static void end_waits(struct pairs *pairs, bool is_full) {
    for (size_t i = 0; i < pairs->wait_count; i++) {
        struct traced_span *span = &pairs->spans->items[pairs->waits[i].span];
        if (pairs->waits[i].left_at)
            end_span(span, pairs->waits[i].left_at, TRACED_LEFT);
        else
            end_open(pairs, span, is_full);
    }
    pairs->wait_count = 0;
}

/* The bytes of several owners may overlap: then the ones that were locked later are found. */
static void keep_as_before(struct pairs *pairs) {
    size_t count = pairs->set_count;
    for (size_t i = 0; i < count; i++) {
        if (pairs->sets[i].owner == OWNER_BEFORE)
            continue;
        struct held_set old = pairs->sets[i];
        pairs->sets[i].items = NULL;
        pairs->sets[i].count = pairs->sets[i].room = 0;
        for (size_t j = 0; j < old.count; j++) {
            struct held_set *before = make_set(pairs, old.file, OWNER_BEFORE, old.lock_class);
            const struct traced_span *span = &pairs->spans->items[old.items[j]];
            insert_at(before, first_from(pairs, before, span->start), old.items[j]);
        }
        free(old.items);
    }
}

void pairs_begin_program(struct pairs *pairs, uint32_t process) {
    end_waits(pairs, false);
    if (pairs->exited)
        end_holds(pairs, false);
    else
        keep_as_before(pairs);
    pairs->exited = 0;
    pairs->process = process;
}

void pairs_end(struct pairs *pairs, bool is_full) {
    end_waits(pairs, is_full);
    end_holds(pairs, is_full);
    free(pairs->sets);
    free(pairs->slots);
    free(pairs->waits);
    free(pairs);
}
