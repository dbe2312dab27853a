#define _GNU_SOURCE
#include "timeline.h"

#include <string.h>

static bool has_word(struct string string, const char *const *words) {
    for (; string.bytes && *words; words++) {
        if (string.length == strlen(*words) && memcmp(string.bytes, *words, string.length) == 0)
            return true;
    }
    return false;
}

bool timeline_is_wait(struct string kind, struct string action) {
    static const char *const kinds[] = {"long-wait",     "lock-timeout",  "deadlock",
                                        "ancestor-wait", "self-deadlock", NULL};
    static const char *const actions[] = {"waited", NULL};
    static const char *const nothing[] = {"none", NULL}; /* a cycle that has not come */
    return (has_word(kind, kinds) && !has_word(action, nothing)) || has_word(action, actions);
}

static bool is_wait(const json_t *record) {
    return timeline_is_wait(record_string(record, "kind"), record_string(record, "action"));
}

static bool since_of(const json_t *party, uint64_t *ns) {
    struct string since = record_string(party, "since");
    return record_time(since.bytes, since.length, ns);
}

static struct span span_of(enum span_type type, const json_t *party, uint64_t time) {
    struct span span = {
        .type = type, .party = party, .begin = time, .end = time, .blocker = SIZE_MAX};
    uint64_t since;
    if (type != SPAN_REQUEST && since_of(party, &since) && since <= time) {
        span.begin = since;
        span.has_begin = true;
    }
    return span;
}

/* Of a cycle the edges say all: each waits for the next. */
size_t timeline_of(const json_t *record, uint64_t time, struct span spans[static SPANS_MAX]) {
    const json_t *edges = json_object_get(record, "edges");
    const json_t *here = json_object_get(record, "here");
    const json_t *there = json_object_get(record, "there");
    size_t count = 0;
    if (time == UINT64_MAX)
        return 0;
    for (size_t i = 0; i < json_array_size(edges) && count < SPANS_MAX; i++) {
        if (json_is_object(json_array_get(edges, i)))
            spans[count++] = span_of(SPAN_WAIT, json_array_get(edges, i), time);
    }
    for (size_t i = 0; count > 1 && i < count; i++)
        spans[i].blocker = (i + 1) % count;
    if (count > 0)
        return count;
    if (json_is_object(there))
        spans[count++] =
            span_of(json_object_get(record, "file") ? SPAN_HOLD : SPAN_REQUEST, there, time);
    spans[count] = span_of(is_wait(record) ? SPAN_WAIT : SPAN_REQUEST,
                           json_is_object(here) ? here : record, time);
    if (count > 0 && json_object_get(record, "file"))
        spans[count].blocker = 0;
    return count + 1;
}

const char *span_word(enum span_type type) {
    static const char *const words[] = {"holds", "waits for", "asks for"};
    return words[type];
}

const json_t *timeline_waiter(const json_t *record) {
    const json_t *edge = json_array_get(json_object_get(record, "edges"), 0);
    return edge ? edge : json_object_get(record, "here");
}

uint64_t timeline_waited(const json_t *record) {
    struct string time = record_string(record, "time");
    uint64_t end;
    uint64_t since;
    if (!is_wait(record) || !record_time(time.bytes, time.length, &end) ||
        !since_of(timeline_waiter(record), &since) || since > end)
        return 0;
    return end - since;
}
