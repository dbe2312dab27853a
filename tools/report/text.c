/* For people: what happened, then the evidence, both sides with their stacks. */
#define _GNU_SOURCE
#include "formats.h"
#include "record.h"
#include "show.h"

#include <inttypes.h>
#include <string.h>

#define FRAMES_MAX 64

static void write_label(const struct output *output, const char *label) {
    output_paint(output, PAINT_FAINT);
    fprintf(output->file, "  %-9s", label);
    output_plain(output);
}

static void write_heading(const struct output *output, const json_t *record,
                          const struct finding *finding) {
    output_paint(output, show_paint(finding->severity));
    fputs(severity_name(finding->severity), output->file);
    output_plain(output);
    fputs(": ", output->file);
    output_paint(output, PAINT_STRONG);
    show_string(output, record_string(record, "kind"), 0);
    output_plain(output);
    fputs(": ", output->file);
    show_process(output, record, record);
    if (finding->kind)
        fprintf(output->file, " %s", finding->kind->phrase);
    if (finding->count > 1)
        fprintf(output->file, " (x%" PRIu64 ")", finding->count);
    fputc('\n', output->file);
}

/* A meaning of a sentence or two, folded at the 76th column. */
static void write_folded(const struct output *output, const char *text) {
    size_t column = 0;
    for (const char *word = text; *word; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        if (column == 0 || column + 1 + length > 76) {
            fputs(column == 0 ? "  " : "\n  ", output->file);
            column = 2;
        } else {
            fputc(' ', output->file);
            column++;
        }
        fwrite(word, 1, length, output->file);
        column += length;
        word += length;
    }
    fputc('\n', output->file);
}

static void write_string_field(const struct output *output, const json_t *record, const char *label,
                               const char *key) {
    struct string value = record_string(record, key);
    if (value.length == 0)
        return;
    write_label(output, label);
    show_string(output, value, 0);
    fputc('\n', output->file);
}

/* len 0: to the end of the file, however long it grows */
static void write_range(const struct output *output, const json_t *range) {
    uint64_t start = 0;
    uint64_t length = 0;
    if (!json_is_object(range))
        return;
    write_label(output, "bytes");
    record_number(range, "start", &start);
    fprintf(output->file, "%" PRIu64, start);
    if (!record_number(range, "len", &length) || length == 0)
        fputs(" to the end of the file", output->file);
    else if (length > 1)
        fprintf(output->file, " to %" PRIu64, start + length - 1);
    struct string type = record_string(range, "type");
    if (type.length > 0) {
        fputs(", ", output->file);
        show_string(output, type, 0);
    }
    fputc('\n', output->file);
}

static void write_file(const struct output *output, const json_t *record) {
    if (json_object_get(record, "file")) {
        write_label(output, "file");
        show_file(output, record, 0);
        fputc('\n', output->file);
    }
    write_range(output, json_object_get(record, "range"));
}

static void write_action(const struct output *output, const json_t *record) {
    if (record_string(record, "action").length == 0)
        return;
    write_label(output, "done");
    show_action(output, record);
    fputc('\n', output->file);
}

static void write_stack(const struct output *output, const json_t *stack) {
    size_t index;
    const json_t *frame;
    json_array_foreach(stack, index, frame) {
        if (index == FRAMES_MAX) {
            fprintf(output->file, "             ... and %zu more\n",
                    json_array_size(stack) - index);
            return;
        }
        fprintf(output->file, "             #%-2zu ", index);
        show_frame(output, frame);
        fputc('\n', output->file);
    }
}

static void write_party(const struct output *output, const json_t *record, const char *label,
                        const json_t *party) {
    uint64_t number;
    if (!json_is_object(party))
        return;
    write_label(output, label);
    show_process(output, party, record);
    if (record_number(party, "tid", &number))
        fprintf(output->file, ", thread %" PRIu64, number);
    if (record_string(party, "thread").length > 0) {
        fputs(" \"", output->file);
        show_string(output, record_string(party, "thread"), 0);
        fputc('"', output->file);
    }
    if (record_number(party, "fd", &number))
        fprintf(output->file, ", descriptor %" PRIu64, number);
    if (record_string(party, "since").length > 0) {
        fputs(", since ", output->file);
        show_string(output, record_string(party, "since"), 0);
    }
    fputc('\n', output->file);
    write_stack(output, json_object_get(party, "stack"));
}

/* Every module whose frames were shown, once, with the build ID that debuggers look for. */
static void write_modules(const struct output *output, const json_t *record) {
    json_t *seen = json_object();
    const char *const keys[] = {"here", "there"};
    for (size_t side = 0; side < 2; side++) {
        const json_t *stack = json_object_get(json_object_get(record, keys[side]), "stack");
        size_t index;
        const json_t *frame;
        json_array_foreach(stack, index, frame) {
            const char *module = json_string_value(json_object_get(frame, "module"));
            struct string id = record_string(frame, "build_id");
            if (!module || index >= FRAMES_MAX || json_object_get(seen, module))
                continue;
            json_object_set_new_nocheck(seen, module, json_true());
            write_label(output, json_object_size(seen) == 1 ? "modules" : "");
            show_string(output, record_string(frame, "module"), 0);
            if (id.length > 0) {
                fputs(", build ID ", output->file);
                show_string(output, id, 0);
            }
            fputc('\n', output->file);
        }
    }
    json_decref(seen);
}

static void write_finding(const struct output *output, const json_t *record,
                          const struct finding *finding) {
    write_heading(output, record, finding);
    if (finding->kind)
        write_folded(output, finding->kind->meaning);
    write_string_field(output, record, "detail", "detail");
    write_file(output, record);
    write_string_field(output, record, "variable", "var");
    write_action(output, record);
    write_string_field(output, record, "first", "time");
    write_string_field(output, record, "program", "exe");
    write_party(output, record, "here", json_object_get(record, "here"));
    write_party(output, record, "there", json_object_get(record, "there"));
    size_t index;
    const json_t *edge;
    json_array_foreach(json_object_get(record, "edges"), index, edge)
        write_party(output, record, "waits", edge);
    write_modules(output, record);
}

void text_write(struct findings *findings, const struct output *output) {
    for (size_t i = 0; i < findings->count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (!record)
            continue;
        if (i > 0)
            fputc('\n', output->file);
        write_finding(output, record, &findings->items[i]);
        json_decref(record);
    }
}
