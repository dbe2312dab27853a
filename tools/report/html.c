/* One page for a browser, with all it needs: page.html, and the records in it as JSON. */
#define _GNU_SOURCE
#include "html.h"
#include "formats.h"
#include "pool.h"
#include "show.h"
#include "timeline.h"
#include "waits.h"

#include "../common/memory.h"

#include <stdlib.h>
#include <string.h>

/* What a browser still shows at once; findings are sorted, so the worst are in. */
#define EVENTS_MAX 20000u

/* page.html, ended by a NUL */
extern const char page[];

static const char marker[] = "@RECORDS@";

static json_t *take_string(char *text) {
    json_t *string = json_string(text);
    free(text);
    return string;
}

typedef void show_record(const struct output *output, const json_t *record);

static json_t *printed(show_record *show, const json_t *record) {
    struct printing text;
    show_begin(&text);
    show(&text.output, record);
    return take_string(show_end(&text));
}

static void show_kind(const struct output *output, const json_t *record) {
    show_string(output, record_string(record, "kind"), 0);
}

static void show_detail(const struct output *output, const json_t *record) {
    show_string(output, record_string(record, "detail"), 0);
}

static void show_time(const struct output *output, const json_t *record) {
    show_string(output, record_string(record, "time"), 0);
}

static void show_about(const struct output *output, const json_t *record) {
    show_subject(output, record, 0);
}

static void show_writer(const struct output *output, const json_t *record) {
    show_process(output, record, record);
}

static void show_bytes(const struct output *output, const json_t *record) {
    const json_t *range = json_object_get(record, "range");
    if (json_is_object(range))
        show_range(output, range);
}

static json_t *frame_object(const struct frame *frame) {
    struct printing text;
    json_t *object = json_object();
    show_begin(&text);
    show_function(&text.output, frame);
    json_object_set_new(object, "f", take_string(show_end(&text)));
    if (frame->symbol.file || frame->symbol.function) {
        show_begin(&text);
        show_position(&text.output, frame, 0);
        json_object_set_new(object, "p", take_string(show_end(&text)));
    }
    if (frame->symbol.text) {
        show_begin(&text);
        output_text(&text.output, frame->symbol.text, strlen(frame->symbol.text), 0);
        json_object_set_new(object, "s", take_string(show_end(&text)));
    }
    if (frame->symbol.is_inlined)
        json_object_set_new(object, "i", json_true());
    return object;
}

json_t *page_stack(struct page_parts *parts, const json_t *party) {
    const json_t *stack = json_object_get(party, "stack");
    struct frames frames;
    char *key =
        stack ? json_dumps(stack, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
    json_t *index = json_object_get(parts->indices, key ? key : "");
    if (!index) {
        json_t *list = json_array();
        frames_read(&frames, parts->report->symbols, party);
        for (size_t i = 0; i < frames.count; i++)
            json_array_append_new(list, frame_object(&frames.items[i]));
        index = json_integer((json_int_t)json_array_size(parts->stacks));
        json_array_append_new(parts->stacks, list);
        json_object_set_new(parts->indices, key ? key : "", index);
    }
    pool_give_text(key);
    return json_incref(index);
}

static json_t *side_object(struct page_parts *parts, const struct side *side,
                           const json_t *record) {
    struct printing who;
    struct printing rest;
    show_begin(&who);
    show_process(&who.output, side->party, record);
    uint64_t thread;
    uint64_t pid;
    if (record_number(side->party, "tid", &thread) && record_number(side->party, "pid", &pid) &&
        thread != pid && thread != 0)
        fprintf(who.output.file, " thread %ju", (uintmax_t)thread);
    show_end(&who);
    show_begin(&rest);
    show_party_rest(&rest.output, side->party);
    show_end(&rest);
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:o}", "name", side->name, "who", who.text, "rest",
                  rest.length > 2 ? rest.text + 2 : "", "stack", page_stack(parts, side->party));
    free(who.text);
    free(rest.text);
    return object;
}

static json_t *milliseconds(uint64_t ns) {
    return json_real((double)(ns / 1000) / 1000);
}

static json_t *span_object(const struct span *span, const struct side *sides, size_t side_count) {
    static const char *const types[] = {"hold", "wait", "request"};
    json_t *object = json_pack("{s:s, s:o, s:o}", "t", types[span->type], "b",
                               milliseconds(span->begin), "e", milliseconds(span->end));
    for (size_t i = 0; i < side_count; i++) {
        if (sides[i].party == span->party || party_is_same(sides[i].party, span->party))
            json_object_set_new(object, "s", json_integer((json_int_t)i));
    }
    if (!span->has_begin && span->type != SPAN_REQUEST)
        json_object_set_new(object, "u", json_true());
    if (span->blocker != SIZE_MAX)
        json_object_set_new(object, "w", json_integer((json_int_t)span->blocker));
    return object;
}

static json_t *what_of(const json_t *record, const struct kind *kind) {
    struct printing what;
    show_begin(&what);
    show_what(&what.output, record, kind);
    return take_string(show_end(&what));
}

static json_t *event_object(struct page_parts *parts, const struct finding *finding,
                            const json_t *record) {
    struct side sides[SIDES_MAX];
    struct span spans[SPANS_MAX];
    json_t *side_list = json_array();
    json_t *span_list = json_array();
    size_t side_count = sides_of(record, sides);
    size_t span_count = timeline_of(record, finding->time, spans);
    for (size_t i = 0; i < side_count; i++)
        json_array_append_new(side_list, side_object(parts, &sides[i], record));
    for (size_t i = 0; i < span_count; i++)
        json_array_append_new(span_list, span_object(&spans[i], sides, side_count));
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:o, s:o}", "kind",
                     printed(show_kind, record), "severity", severity_name(finding->severity),
                     "process", printed(show_writer, record), "what",
                     what_of(record, finding->kind), "subject", printed(show_about, record),
                     "range", printed(show_bytes, record), "detail", printed(show_detail, record),
                     "done", printed(show_action, record), "time", printed(show_time, record),
                     "count", json_object_get(record, "count"), "sides", side_list, "spans",
                     span_list);
}

void page_print(struct page_parts *parts, json_t *value) {
    char *text = record_print(value);
    fputs(text, parts->file);
    free(text);
    json_decref(value);
}

static json_t *kinds_object(void) {
    json_t *kinds = json_object();
    for (size_t i = 0; i < EVENT_KIND_COUNT; i++)
        json_object_set_new(kinds, kind_name(kind_at(i)), json_string(kind_at(i)->meaning));
    return kinds;
}

static void write_events(struct page_parts *parts, size_t count) {
    struct findings *findings = &parts->report->findings;
    const char *before = "";
    for (size_t i = 0; i < count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (!record)
            continue;
        fprintf(parts->file, "%s\n", before);
        page_print(parts, event_object(parts, &findings->items[i], record));
        json_decref(record);
        before = ",";
    }
}

static void write_records(FILE *file, struct report *report) {
    struct findings *findings = &report->findings;
    struct page_parts parts = {report, file, json_array(), json_object()};
    size_t count = findings->count < EVENTS_MAX ? findings->count : EVENTS_MAX;
    fputs("{\"events\":[", file);
    write_events(&parts, count);
    fprintf(file, "\n],\n\"left_out\":%zu,\n\"lost\":", findings->count - count);
    page_print(&parts, take_string(waits_line(&findings->waits)));
    fputs(",\n\"traced\":", file);
    page_write_traced(&parts);
    fputs(",\n\"stacks\":", file);
    page_print(&parts, parts.stacks);
    fputs(",\n\"kinds\":", file);
    page_print(&parts, kinds_object());
    fputs("}", file);
    json_decref(parts.indices);
}

void html_write(struct report *report, const struct output *output) {
    const char *at = strstr(page, marker);
    fwrite(page, 1, (size_t)(at - page), output->file);
    write_records(output->file, report);
    fputs(at + sizeof marker - 1, output->file);
}
