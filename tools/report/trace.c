/* For Perfetto and Chrome: each hold and each wait as an asynchronous span of its thread, and an
 * arrow from who holds to who waits. */
#define _GNU_SOURCE
#include "formats.h"
#include "show.h"
#include "timeline.h"

#include <inttypes.h>
#include <stdlib.h>

/* What a viewer still opens; findings are sorted, so the worst are in. */
#define RECORDS_MAX 100000u
#define NAMED_SIZE 1024u

struct trace {
    FILE *file;
    const char *before;
    uint64_t spans;
    uint64_t named[NAMED_SIZE]; /* threads that were given their names, the last of each slot */
};

static uint64_t number_of(const struct span *span, const char *key) {
    uint64_t number = 0;
    record_number(span->party, key, &number);
    return number;
}

static char *print_name(const struct span *span, const json_t *record) {
    struct printing name;
    show_begin(&name);
    fprintf(name.output.file, "%s ", span_word(span->type));
    show_subject(&name.output, record, 200);
    return show_end(&name);
}

/* Takes the event's own fields and drops them. ts is in microseconds. */
static void write_event(struct trace *trace, const struct span *span, uint64_t ns,
                        const char *phase, json_t *fields) {
    char *text = record_print(fields);
    uint64_t pid = number_of(span, "pid");
    uint64_t tid = number_of(span, "tid");
    fprintf(trace->file,
            "%s\n{\"ph\":\"%s\",\"ts\":%" PRIu64 ".%03u,\"pid\":%" PRIu64 ",\"tid\":%" PRIu64 ",%s",
            trace->before, phase, ns / 1000, (unsigned)(ns % 1000), pid, tid ? tid : pid, text + 1);
    trace->before = ",";
    free(text);
    json_decref(fields);
}

static void write_names(struct trace *trace, const struct span *span, const json_t *record) {
    struct printing name;
    uint64_t key = number_of(span, "pid") << 32 ^ number_of(span, "tid");
    uint64_t *slot = &trace->named[key % NAMED_SIZE];
    if (*slot == key)
        return;
    *slot = key;
    show_begin(&name);
    show_process(&name.output, span->party, record);
    show_end(&name);
    write_event(trace, span, 0, "M",
                json_pack("{s:s, s:{s:s}}", "name", "process_name", "args", "name", name.text));
    free(name.text);
    if (record_string(span->party, "thread").length == 0)
        return;
    show_begin(&name);
    show_string(&name.output, record_string(span->party, "thread"), 60);
    show_end(&name);
    write_event(trace, span, 0, "M",
                json_pack("{s:s, s:{s:s}}", "name", "thread_name", "args", "name", name.text));
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
    const char *category = categories[span->type];
    char *name = print_name(span, record);
    uint64_t id = ++trace->spans;
    write_names(trace, span, record);
    write_event(trace, span, span->begin, "b",
                json_pack("{s:s, s:s, s:I, s:o}", "name", name, "cat", category, "id",
                          (json_int_t)id, "args", arguments(span, finding, record)));
    write_event(trace, span, span->end, "e",
                json_pack("{s:s, s:s, s:I}", "name", name, "cat", category, "id", (json_int_t)id));
    free(name);
}

/* Arrows begin and end in slices of threads: an instant of the holder's, and the wait. */
static void write_arrow(struct trace *trace, const struct span *from, const struct span *to,
                        const json_t *record) {
    uint64_t id = trace->spans;
    uint64_t at = from->begin < to->begin ? from->begin : to->begin;
    char *held = print_name(from, record);
    char *wanted = print_name(to, record);
    uint64_t length = to->end - to->begin;
    write_event(trace, from, at, "X",
                json_pack("{s:s, s:s, s:f}", "name", held, "cat", "lock", "dur", 1.0));
    write_event(
        trace, from, at, "s",
        json_pack("{s:s, s:s, s:I}", "name", "blocks", "cat", "lock", "id", (json_int_t)id));
    write_event(trace, to, to->begin, "X",
                json_pack("{s:s, s:s, s:f}", "name", wanted, "cat", "lock", "dur",
                          length > 1000 ? (double)length / 1000 : 1.0));
    write_event(trace, to, to->begin, "f",
                json_pack("{s:s, s:s, s:I, s:s}", "name", "blocks", "cat", "lock", "id",
                          (json_int_t)id, "bp", "e"));
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
    fprintf(output->file, "\n],\"otherData\":{\"records left out\":%zu}}\n",
            findings->count - count);
}
