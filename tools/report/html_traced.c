/* The page's part of the trace: numbers, for there may be many. */
#define _GNU_SOURCE
#include "html.h"
#include "show.h"
#include "traced_choice.h"

#include "../common/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a browser still shows at once. */
#define SPANS_MAX_OF_PAGE 20000u

/* ---- Names, each once ---- */

struct name_list {
    json_t *names;
    json_t *indices; /* by a key of the caller's */
};

/* Its index; -1: it is not there, and name is to be added. */
static int find_name(const struct name_list *list, const char *key) {
    const json_t *index = json_object_get(list->indices, key);
    return index ? (int)json_integer_value(index) : -1;
}

static int add_name(struct name_list *list, const char *key, const char *name) {
    int index = (int)json_array_size(list->names);
    json_array_append_new(list->names, json_string(name));
    json_object_set_new(list->indices, key, json_integer(index));
    return index;
}

/* As the sides of records are called, so that both come into one line. */
static int who_index(struct name_list *list, const struct traced *traced,
                     const struct traced_span *span) {
    char key[32];
    snprintf(key, sizeof key, "%" PRIu32 " %" PRId32, span->process, span->tid);
    int index = find_name(list, key);
    if (index >= 0)
        return index;
    struct printing who;
    const json_t *process = traced_process(traced, span);
    show_begin(&who);
    show_process(&who.output, process, process);
    if (span->tid != traced->pids[span->process])
        fprintf(who.output.file, " thread %" PRId32, span->tid);
    index = add_name(list, key, show_end(&who));
    free(who.text);
    return index;
}

static int file_name_index(struct name_list *list, const struct traced *traced,
                           const struct traced_span *span) {
    char key[16];
    snprintf(key, sizeof key, "%" PRIu32, span->file);
    int index = find_name(list, key);
    if (index >= 0)
        return index;
    struct printing name;
    show_begin(&name);
    show_file(&name.output, traced_file_of(traced, span), 0);
    index = add_name(list, key, show_end(&name));
    free(name.text);
    return index;
}

/* ---- Spans ---- */

struct page_trace {
    struct page_parts *parts;
    struct traced *traced;
    struct traced_choice choice;
    struct name_list who;
    struct name_list files;
    uint64_t base; /* nanoseconds, a whole number of milliseconds */
};

static int64_t last_byte(const struct traced_span *span) {
    return span->last == TRACE_TO_THE_END ? -1 : (int64_t)span->last;
}

static json_int_t stack_number(const struct page_trace *page, const struct traced_span *span) {
    const json_t *stack = traced_stack(page->traced, span);
    json_t *index = stack ? page_stack(page->parts, stack) : json_integer(-1);
    json_int_t value = json_integer_value(index);
    json_decref(index);
    return value;
}

/* [type, begin, end, who, file, first byte, last byte, writes, class, descriptor, ending, stack, blocker,
 * error, holder] */
static void write_span(struct page_trace *page, const struct traced_span *span) {
    fprintf(page->parts->file,
            "[%d,%" PRIu64 ",%" PRIu64 ",%d,%d,%" PRIu64 ",%" PRId64 ",%d,%d,%" PRId32
            ",%d,%" JSON_INTEGER_FORMAT ",%" PRId64 ",%" PRId32 ",%" PRId32 "]",
            span->type, span->begin - page->base, span->end - page->base,
            who_index(&page->who, page->traced, span),
            file_name_index(&page->files, page->traced, span), span->start, last_byte(span),
            span->writes, span->lock_class, span->fd, span->ending, stack_number(page, span),
            traced_choice_blocker(&page->choice, span), span->result, span->holder);
}

static void write_spans(struct page_trace *page) {
    const struct traced_spans *spans = &page->traced->spans;
    const char *before = "\n";
    for (size_t i = 0; i < spans->count; i++) {
        if (page->choice.numbers[i] == NOT_CHOSEN)
            continue;
        fputs(before, page->parts->file);
        write_span(page, &spans->items[i]);
        before = ",\n";
    }
}

/* What the errors of waits and refusals mean. */
static json_t *errors_object(const struct traced_spans *spans) {
    json_t *errors = json_object();
    for (size_t i = 0; i < spans->count; i++) {
        char key[16];
        snprintf(key, sizeof key, "%" PRId32, spans->items[i].result);
        if (spans->items[i].result && !json_object_get(errors, key))
            json_object_set_new(errors, key, json_string(strerror(spans->items[i].result)));
    }
    return errors;
}

static json_t *endings_array(void) {
    json_t *endings = json_array();
    for (int ending = TRACED_OPEN; ending <= TRACED_FAILED; ending++)
        json_array_append_new(endings,
                              json_string(traced_ending_words((enum traced_ending)ending)));
    return endings;
}

static void begin_list(struct name_list *list) {
    *list = (struct name_list){json_array(), json_object()};
}

static void write_list(struct page_parts *parts, const char *name, struct name_list *list) {
    fprintf(parts->file, ",\n\"%s\":", name);
    page_print(parts, list->names);
    json_decref(list->indices);
}

void page_write_traced(struct page_parts *parts) {
    struct traced *traced = &parts->report->traced;
    struct traced_spans *spans = &traced->spans;
    struct page_trace page = {
        .parts = parts, .traced = traced, .choice = traced_choose(spans, SPANS_MAX_OF_PAGE)};
    char *line = traced_line(traced);
    begin_list(&page.who);
    begin_list(&page.files);
    page.base = spans->count ? spans->items[0].begin / 1000000 * 1000000 : 0;
    fprintf(parts->file,
            "{\"base\":%" PRIu64 ",\"left_out\":%zu,\"missing\":%" PRIu64 ",\"spans\":[",
            page.base / 1000000, spans->count - page.choice.count,
            traced->lost + traced->unreadable + traced->left_out);
    write_spans(&page);
    fputs("\n]", parts->file);
    write_list(parts, "who", &page.who);
    write_list(parts, "files", &page.files);
    fputs(",\n\"errors\":", parts->file);
    page_print(parts, errors_object(spans));
    fputs(",\n\"endings\":", parts->file);
    page_print(parts, endings_array());
    fputs(",\n\"line\":", parts->file);
    page_print(parts, json_string(line));
    fputs("}", parts->file);
    free(line);
    traced_choice_end(&page.choice);
}
