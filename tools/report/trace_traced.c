/* The traced holds and waits, in the format trace. */
#define _GNU_SOURCE
#include "show.h"
#include "trace_events.h"
#include "traced_choice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a viewer still opens. */
#define SPANS_MAX_OF_TRACE 100000u

struct traced_events {
    struct trace *trace;
    struct report *report;
    struct traced *traced;
    struct traced_choice choice;
    json_t *calls; /* of each stack that was asked for, the program's own call */
};

static struct trace_thread thread_of(const struct traced_events *events,
                                     const struct traced_span *span) {
    return (struct trace_thread){(uint64_t)events->traced->pids[span->process],
                                 (uint64_t)span->tid};
}

static char *print_name(const struct traced_events *events, const struct traced_span *span) {
    static const char *const words[] = {"holds", "waits for", "is refused"};
    struct printing name;
    show_begin(&name);
    fprintf(name.output.file, "%s ", words[span->type]);
    show_file(&name.output, traced_file_of(events->traced, span), 200);
    return show_end(&name);
}

static char *print_process(const json_t *process) {
    struct printing name;
    show_begin(&name);
    show_process(&name.output, process, process);
    return show_end(&name);
}

static void write_names(struct traced_events *events, const struct traced_span *span) {
    struct trace_thread thread = thread_of(events, span);
    if (!trace_is_new(events->trace, thread))
        return;
    char *name = print_process(traced_process(events->traced, span));
    trace_name(events->trace, thread, "process_name", name);
    free(name);
}

/* ---- Arguments ---- */

static void set_text(json_t *arguments, const char *key, char *text) {
    json_object_set_new(arguments, key, json_string(text));
    free(text);
}

static char *print_bytes(const struct traced_span *span) {
    struct printing text;
    show_begin(&text);
    if (span->last == TRACE_TO_THE_END)
        fprintf(text.output.file, "%" PRIu64 " to the end of the file", span->start);
    else
        fprintf(text.output.file, "%" PRIu64 " to %" PRIu64, span->start, span->last);
    return show_end(&text);
}

static char *print_call(const struct frames *frames) {
    struct printing text;
    show_begin(&text);
    const struct frame *frame = frames->count > 0 ? &frames->items[frames->top] : NULL;
    if (frame)
        show_function(&text.output, frame);
    if (frame && (frame->symbol.function || frame->symbol.file)) {
        fputs("  ", text.output.file);
        show_position(&text.output, frame, 0);
    }
    return show_end(&text);
}

/* Where the program itself asked for the lock; NULL: not known. */
static json_t *call_of(struct traced_events *events, const struct traced_span *span) {
    const json_t *stack = traced_stack(events->traced, span);
    struct frames frames;
    char key[16];
    if (!stack)
        return NULL;
    snprintf(key, sizeof key, "%" PRIu32, span->stack);
    json_t *known = json_object_get(events->calls, key);
    if (!known) {
        frames_read(&frames, events->report->symbols, stack);
        set_text(events->calls, key, print_call(&frames));
        known = json_object_get(events->calls, key);
    }
    return json_incref(known);
}

static json_t *arguments_of(struct traced_events *events, const struct traced_span *span) {
    static const char *const classes[] = {"fcntl", "open file description", "flock"};
    json_t *arguments =
        json_pack("{s:s, s:s, s:s}", "type", span->writes ? "write" : "read", "lock",
                  classes[span->lock_class], "end",
                  span->result ? strerror(span->result) : traced_ending_words(span->ending));
    set_text(arguments, "bytes", print_bytes(span));
    if (span->fd >= 0)
        json_object_set_new(arguments, "descriptor", json_integer(span->fd));
    json_t *call = call_of(events, span);
    if (call)
        json_object_set_new(arguments, "at", call);
    if (span->type != TRACED_HOLD && (span->holder || span->blocker != SIZE_MAX)) {
        json_t *holder = traced_holder(events->traced, span);
        set_text(arguments, "behind", print_process(holder));
        json_decref(holder);
    }
    return arguments;
}

/* ---- Spans ---- */

static void write_span(struct traced_events *events, const struct traced_span *span) {
    static const char *const categories[] = {"hold", "wait", "request"};
    char *name = print_name(events, span);
    write_names(events, span);
    trace_span(events->trace, thread_of(events, span), categories[span->type], name, span->begin,
               span->end, arguments_of(events, span));
    free(name);
}

/* Of a wait that is recorded too, the record has the arrow: slices of one thread must not overlap. */
static void write_arrow(struct traced_events *events, const struct traced_span *span) {
    if (span->is_recorded || traced_choice_blocker(&events->choice, span) < 0)
        return;
    const struct traced_span *hold = &events->traced->spans.items[span->blocker];
    uint64_t at = hold->begin > span->begin ? hold->begin : span->begin;
    char *held = print_name(events, hold);
    char *wanted = print_name(events, span);
    trace_arrow(events->trace, &(struct trace_end){thread_of(events, hold), held, at, at},
                &(struct trace_end){thread_of(events, span), wanted, span->begin, span->end});
    free(held);
    free(wanted);
}

/* Where the buffer of a program was full, for it looks as if it did nothing from there on. */
static void write_losses(struct traced_events *events) {
    const struct traced *traced = events->traced;
    for (size_t i = 0; i < json_array_size(traced->processes); i++) {
        uint64_t lost = 0;
        uint64_t until = 0;
        const json_t *process = json_array_get(traced->processes, i);
        struct trace_thread thread = {(uint64_t)traced->pids[i], 0};
        struct printing name;
        if (!record_number(process, "lost", &lost) || !record_number(process, "until", &until))
            continue;
        show_begin(&name);
        fprintf(name.output.file, "the trace is full: %" PRIu64 " lock operations are lost", lost);
        trace_event(events->trace, thread, until, "i",
                    json_pack("{s:s, s:s, s:s}", "name", show_end(&name), "cat", "lost", "s", "p"));
        free(name.text);
    }
}

size_t trace_write_traced(struct trace *trace, struct report *report) {
    struct traced *traced = &report->traced;
    struct traced_events events = {.trace = trace,
                                   .report = report,
                                   .traced = traced,
                                   .choice = traced_choose(&traced->spans, SPANS_MAX_OF_TRACE),
                                   .calls = json_object()};
    for (size_t i = 0; i < traced->spans.count; i++) {
        if (events.choice.numbers[i] == NOT_CHOSEN)
            continue;
        write_span(&events, &traced->spans.items[i]);
        write_arrow(&events, &traced->spans.items[i]);
    }
    write_losses(&events);
    size_t left_out = traced->spans.count - events.choice.count;
    traced_choice_end(&events.choice);
    json_decref(events.calls);
    return left_out;
}
