#define _GNU_SOURCE
#include "frames.h"

#include "../common/memory.h"
#include "made.h"
#include "tree.h"

#include <stddef.h>
#include <string.h>

struct string frame_module_name(const struct frame *frame) {
    return record_last_component(frame->module);
}

static bool is_plumbing(struct string module) {
    static const char *const names[] = {"libc.so", "libc-", "libpthread", "ld-", "libraceshim"};
    struct string name = record_last_component(module);
    for (size_t i = 0; name.bytes && i < sizeof names / sizeof *names; i++) {
        if (strncmp(name.bytes, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

static void add(struct frames *frames, const struct frame *frame) {
    if (frames->count < FRAMES_MAX)
        frames->items[frames->count++] = *frame;
}

/* A path with a NUL in it is nobody's. */
static bool is_name(struct string string) {
    return string.bytes && strlen(string.bytes) == string.length;
}

static void read_frame(struct frames *frames, struct symbols *symbols, const json_t *from,
                       size_t index) {
    struct frame frame = {.index = index,
                          .module = record_string(from, "module"),
                          .build_id = record_string(from, "build_id")};
    struct location location = {0};
    frame.has_offset = record_number(from, "offset", &frame.offset);
    frame.is_plumbing = is_plumbing(frame.module);
    if (is_name(frame.module) && (!frame.build_id.bytes || is_name(frame.build_id))) {
        frame.file = symbols_module(symbols, frame.module.bytes,
                                    frame.build_id.bytes ? frame.build_id.bytes : "");
        if (frame.has_offset)
            location = symbols_find(symbols, frame.file, frame.offset);
    }
    for (size_t i = 0; i < location.count; i++) {
        frame.symbol = location.symbols[i];
        add(frames, &frame);
    }
    if (location.count == 0)
        add(frames, &frame);
}

static size_t find_top(const struct frames *frames) {
    for (size_t i = 0; i < frames->count; i++) {
        if (!frames->items[i].is_plumbing)
            return i;
    }
    return 0;
}

void frames_read(struct frames *frames, struct symbols *symbols, const json_t *party) {
    frames_read_stack(frames, symbols, json_object_get(party, "stack"));
}

/* The part of frames that is in use. */
static size_t used_size(const struct frames *frames) {
    return offsetof(struct frames, items) + frames->count * sizeof *frames->items;
}

/* made holds on to the stack, whose strings the frames point to. */
static void keep(struct made *made, const struct frames *frames, json_t *stack) {
    char *copy = must_allocate(NULL, 1, used_size(frames));
    memcpy(copy, frames, used_size(frames));
    made_keep(made, stack, NULL, copy, used_size(frames));
}

void frames_read_stack(struct frames *frames, struct symbols *symbols, json_t *stack) {
    struct string known = made_find(symbols_made(symbols), stack, NULL);
    if (known.bytes) {
        memcpy(frames, known.bytes, known.length);
        return;
    }
    size_t size = json_array_size(stack);
    size_t at;
    frames->count = 0;
    for (at = 0; at < size && frames->count < FRAMES_MAX; at++)
        read_frame(frames, symbols, json_array_get(stack, at), at);
    frames->left_out = size - at;
    frames->top = find_top(frames);
    if (tree_is_shared(stack))
        keep(symbols_made(symbols), frames, stack);
}

const struct frame *frames_own(const struct frames *frames) {
    const struct frame *own = NULL;
    for (size_t i = 0; i < frames->count; i++) {
        const struct frame *frame = &frames->items[i];
        const char *file = frame->symbol.file;
        if (!file || frame->symbol.line == 0 || frame->is_plumbing)
            continue;
        if (record_relative((struct string){file, strlen(file)}).bytes != file)
            return frame;
        if (!own)
            own = frame;
    }
    return own;
}

static bool is_same_string(struct string a, struct string b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

bool frame_is_same_function(const struct frame *a, const struct frame *b) {
    if (!is_same_string(a->module, b->module))
        return false;
    if (a->symbol.function && b->symbol.function)
        return strcmp(a->symbol.function, b->symbol.function) == 0;
    return a->has_offset == b->has_offset && a->offset == b->offset;
}

bool party_is_same(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"pid", "tid"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t left;
        uint64_t right;
        if (!record_number(a, keys[i], &left) || !record_number(b, keys[i], &right) || left == 0 ||
            left != right)
            return false;
    }
    return true;
}

static bool is_among(const struct side *sides, size_t count, const json_t *party) {
    for (size_t i = 0; i < count; i++) {
        if (party_is_same(sides[i].party, party))
            return true;
    }
    return false;
}

size_t sides_of(const json_t *record, struct side sides[static SIDES_MAX]) {
    static const char *const names[] = {"here", "there"};
    const json_t *edges = json_object_get(record, "edges");
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        const json_t *party = json_object_get(record, names[i]);
        if (json_is_object(party))
            sides[count++] = (struct side){names[i], party};
    }
    for (size_t i = 0; i < json_array_size(edges) && count < SIDES_MAX; i++) {
        const json_t *party = json_array_get(edges, i);
        if (json_is_object(party) && !is_among(sides, count, party))
            sides[count++] = (struct side){"waits", party};
    }
    return count;
}
