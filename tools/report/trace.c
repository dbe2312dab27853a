/* For Perfetto and Chrome: each hold and each wait as an asynchronous span of its thread, and an
 * arrow from who holds to who waits. */
#define _GNU_SOURCE
#include "formats.h"
#include "show.h"
#include "timeline.h"
#include "trace_events.h"

#include <inttypes.h>
#include <stdlib.h>

/* What a viewer still opens; findings are sorted, so the worst are in. */
#define RECORDS_MAX 100000u

/* ---- Events ---- */

/* ts is in microseconds. */
void trace_event(struct trace *trace, struct trace_thread thread, uint64_t ns, const char *phase,
                 json_t *fields) {
    char *text = record_print(fields);
    fprintf(trace->file,
            "%s\n{\"ph\":\"%s\",\"ts\":%" PRIu64 ".%03u,\"pid\":%" PRIu64 ",\"tid\":%" PRIu64 ",%s",
            trace->before, phase, ns / 1000, (unsigned)(ns % 1000), thread.pid,
            thread.tid ? thread.tid : thread.pid, text + 1);
    trace->before = ",";
    free(text);
    json_decref(fields);
}

bool trace_is_new(struct trace *trace, struct trace_thread thread) {
    uint64_t key = thread.pid << 32 ^ thread.tid;
    uint64_t *slot = &trace->named[key % NAMED_SIZE];
    bool is_new = *slot != key;
    *slot = key;
    return is_new;
}

void trace_name(struct trace *trace, struct trace_thread thread, const char *kind,
                const char *name) {
    trace_event(trace, thread, 0, "M",
                json_pack("{s:s, s:{s:s}}", "name", kind, "args", "name", name));
}

void trace_span(struct trace *trace, struct trace_thread thread, const char *category,
                const char *name, uint64_t begin, uint64_t end, json_t *arguments) {
    json_int_t id = (json_int_t)++trace->spans;
    trace_event(trace, thread, begin, "b",
                json_pack("{s:s, s:s, s:I, s:o}", "name", name, "cat", category, "id", id, "args",
                          arguments));
    trace_event(trace, thread, end, "e",
                json_pack("{s:s, s:s, s:I}", "name", name, "cat", category, "id", id));
}

/* Arrows begin and end in slices of threads. */
static void write_end(struct trace *trace, const struct trace_end *end, json_t *arrow,
                      const char *phase) {
    uint64_t length = end->end - end->begin;
    trace_event(trace, end->thread, end->begin, "X",
                json_pack("{s:s, s:s, s:f}", "name", end->name, "cat", "lock", "dur",
                          length > 1000 ? (double)length / 1000 : 1.0));
    trace_event(trace, end->thread, end->begin, phase, arrow);
}

void trace_arrow(struct trace *trace, const struct trace_end *from, const struct trace_end *to) {
    json_int_t id = (json_int_t)++trace->spans;
    write_end(trace, from, json_pack("{s:s, s:s, s:I}", "name", "blocks", "cat", "lock", "id", id),
              "s");
    write_end(
        trace, to,
        json_pack("{s:s, s:s, s:I, s:s}", "name", "blocks", "cat", "lock", "id", id, "bp", "e"),
        "f");
}

/* ---- Records ---- */

static struct trace_thread thread_of(const struct span *span) {
    struct trace_thread thread = {0, 0};
    record_number(span->party, "pid", &thread.pid);
    record_number(span->party, "tid", &thread.tid);
    return thread;
}

static char *print_name(const struct span *span, const json_t *record) {
    struct printing name;
    show_begin(&name);
    fprintf(name.output.file, "%s ", span_word(span->type));
    show_subject(&name.output, record, 200);
    return show_end(&name);
}

static void write_names(struct trace *trace, const struct span *span, const json_t *record) {
    struct printing name;
    if (!trace_is_new(trace, thread_of(span)))
        return;
    show_begin(&name);
    show_process(&name.output, span->party, record);
    trace_name(trace, thread_of(span), "process_name", show_end(&name));
    free(name.text);
    if (record_string(span->party, "thread").length == 0)
        return;
    show_begin(&name);
    show_string(&name.output, record_string(span->party, "thread"), 60);
    trace_name(trace, thread_of(span), "thread_name", show_end(&name));
    free(name.text);
}

static json_t *arguments(const struct span *span, const struct finding *finding,
                         const json_t *record) {
    struct printing text;
    json_t *object = json_object();
    show_begin(&text);
    show_string(&text.output, record_string(record, "kind"), 0);
    json_object_set_new(object, "kind", json_string(show_end(&text)));
    free(text.text);
    json_object_set_new(object, "severity", json_string(severity_name(finding->severity)));
    show_begin(&text);
    show_action(&text.output, record);
    json_object_set_new(object, "done", json_string(show_end(&text)));
    free(text.text);
    if (!span->has_begin)
        json_object_set_new(object, "begin", json_string("not known"));
    return object;
}

static void write_span(struct trace *trace, const struct span *span, const struct finding *finding,
                       const json_t *record) {
    static const char *const categories[] = {"hold", "wait", "request"};
    char *name = print_name(span, record);
    write_names(trace, span, record);
    trace_span(trace, thread_of(span), categories[span->type], name, span->begin, span->end,
               arguments(span, finding, record));
    free(name);
}

/* An instant of the holder's, and the wait. */
static void write_arrow(struct trace *trace, const struct span *from, const struct span *to,
                        const json_t *record) {
    uint64_t at = from->begin < to->begin ? from->begin : to->begin;
    char *held = print_name(from, record);
    char *wanted = print_name(to, record);
    trace_arrow(trace, &(struct trace_end){thread_of(from), held, at, at},
                &(struct trace_end){thread_of(to), wanted, to->begin, to->end});
    free(held);
    free(wanted);
}

static void write_record(struct trace *trace, const struct finding *finding, const json_t *record) {
    struct span spans[SPANS_MAX];
    size_t count = timeline_of(record, finding->time, spans);
    for (size_t i = 0; i < count; i++)
        write_span(trace, &spans[i], finding, record);
    for (size_t i = 0; i < count; i++) {
        if (spans[i].blocker < count)
            write_arrow(trace, &spans[spans[i].blocker], &spans[i], record);
    }
}

void trace_write(struct report *report, const struct output *output) {
    struct findings *findings = &report->findings;
    size_t count = findings->count < RECORDS_MAX ? findings->count : RECORDS_MAX;
    struct trace trace = {.file = output->file, .before = ""};
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", output->file);
    for (size_t i = 0; i < count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (record)
            write_record(&trace, &findings->items[i], record);
        json_decref(record);
    }
    size_t spans_left_out = trace_write_traced(&trace, report);
    char *traced = traced_line(&report->traced);
    json_t *other =
        json_pack("{s:I, s:I, s:s}", "records left out", (json_int_t)(findings->count - count),
                  "traced spans left out", (json_int_t)spans_left_out, "traced", traced);
    char *text = record_print(other);
    fprintf(output->file, "\n],\"otherData\":%s}\n", text);
    free(text);
    free(traced);
    json_decref(other);
}
