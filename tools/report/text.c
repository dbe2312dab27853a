/* For people: what happened, then the evidence, both sides with their stacks. */
#define _GNU_SOURCE
#include "formats.h"
#include "record.h"
#include "show.h"
#include "stacks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* All labels are as wide as the longest one and a blank. */
static void write_label(const struct output *output, const char *label) {
    char cell[] = "           ";
    memcpy(cell + 2, label, strnlen(label, sizeof cell - 3));
    output_paint(output, PAINT_FAINT);
    fwrite(cell, 1, sizeof cell - 1, output->file);
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
    if (finding->kind) {
        fputc(' ', output->file);
        fputs(show_phrase_of(record, finding->kind), output->file);
    }
    if (finding->count > 1)
        fprintf(output->file, " (x%" PRIu64 ")", finding->count);
    fputc('\n', output->file);
}

#define FOLD_WIDTH ((size_t)74)

/* A meaning of a sentence or two, folded at the 76th column. */
static void write_folded(const struct output *output, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        size_t length = left;
        const char *blank = left > FOLD_WIDTH ? memrchr(text, ' ', FOLD_WIDTH + 1) : NULL;
        if (blank)
            length = (size_t)(blank - text);
        fputs("  ", output->file);
        fwrite(text, 1, length, output->file);
        fputc('\n', output->file);
        length += blank != NULL;
        text += length;
        left -= length;
    }
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

static void write_file(const struct output *output, const json_t *record) {
    if (json_object_get(record, "file")) {
        write_label(output, "file");
        show_file(output, record, 0);
        fputc('\n', output->file);
    }
    const json_t *range = json_object_get(record, "range");
    if (json_is_object(range)) {
        write_label(output, "bytes");
        show_range(output, range);
        fputc('\n', output->file);
    }
}

static void write_action(const struct output *output, const json_t *record) {
    if (record_string(record, "action").length == 0)
        return;
    write_label(output, "done");
    show_action(output, record);
    fputc('\n', output->file);
}

static void write_party(const struct output *output, const json_t *record,
                        const struct side *side) {
    write_label(output, side->name);
    show_process(output, side->party, record);
    show_party_rest(output, side->party);
    fputc('\n', output->file);
    struct string command = record_string(side->party, "command");
    struct string started = record_string(side->party, "started");
    if (command.length == 0)
        return;
    write_label(output, "");
    fputs("command ", output->file);
    show_string(output, command, 0);
    if (started.length > 0) {
        fputs(", started ", output->file);
        show_string(output, started, 0);
    }
    fputc('\n', output->file);
}

/* right: NULL if left has no other beside it. */
static void write_stacks(const struct output *output, struct symbols *symbols, json_t *left,
                         json_t *right) {
    struct frames here;
    struct frames there;
    frames_read_stack(&here, symbols, left);
    if (!right) {
        stacks_write_one(output, &here);
        return;
    }
    frames_read_stack(&there, symbols, right);
    stacks_write_both(output, &here, &there);
}

/* Most records of a long report have stacks that came before. */
static void write_stacks_once(const struct output *output, struct made *made,
                              struct symbols *symbols, json_t *left, json_t *right) {
    struct string known = made ? made_find(made, left, right) : (struct string){0};
    struct printing printing;
    if (!made) {
        write_stacks(output, symbols, left, right);
        return;
    }
    if (known.bytes) {
        fwrite(known.bytes, 1, known.length, output->file);
        return;
    }
    show_begin(&printing);
    struct output same = output_like(output, printing.output.file);
    write_stacks(&same, symbols, left, right);
    show_end(&printing);
    fwrite(printing.text, 1, printing.length, output->file);
    made_keep(made, left, right, printing.text, printing.length);
}

/* here and there stand beside each other where that is possible; edges follow. */
static void write_sides(const struct output *output, struct made *made, const json_t *record,
                        struct symbols *symbols) {
    struct side sides[SIDES_MAX];
    size_t count = sides_of(record, sides);
    size_t at = 0;
    if (count >= 2 && stacks_fit_side_by_side(output) && strcmp(sides[1].name, "there") == 0) {
        json_t *left = json_object_get(sides[0].party, "stack");
        json_t *right = json_object_get(sides[1].party, "stack");
        if (json_array_size(left) > 0 && json_array_size(right) > 0) {
            write_party(output, record, &sides[0]);
            write_party(output, record, &sides[1]);
            write_stacks_once(output, made, symbols, left, right);
            at = 2;
        }
    }
    for (; at < count; at++) {
        write_party(output, record, &sides[at]);
        write_stacks_once(output, made, symbols, json_object_get(sides[at].party, "stack"), NULL);
    }
}

struct modules_seen {
    const struct symbol_module *items[FRAMES_MAX];
    size_t count;
};

static bool is_new(struct modules_seen *seen, const struct symbol_module *module) {
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->items[i] == module)
            return false;
    }
    if (!module || seen->count == FRAMES_MAX)
        return false;
    seen->items[seen->count++] = module;
    return true;
}

static void write_module(const struct output *output, const struct frame *frame, bool is_first) {
    const char *problem = symbol_module_problem(frame->file);
    write_label(output, is_first ? "modules" : "");
    show_string(output, frame->module, 0);
    if (frame->build_id.length > 0) {
        fputs(", build ID ", output->file);
        show_string(output, frame->build_id, 0);
    }
    if (problem)
        fprintf(output->file, "; no names: %s", problem);
    fputc('\n', output->file);
}

/* Every module whose frames were shown, once, with the build ID that debuggers look for. */
static void write_modules(const struct output *output, const json_t *record,
                          struct symbols *symbols) {
    struct side sides[SIDES_MAX];
    struct modules_seen seen = {.count = 0};
    struct frames frames;
    size_t count = sides_of(record, sides);
    for (size_t i = 0; i < count; i++) {
        frames_read(&frames, symbols, sides[i].party);
        for (size_t j = 0; j < frames.count; j++) {
            if (frames.items[j].module.length > 0 && is_new(&seen, frames.items[j].file))
                write_module(output, &frames.items[j], seen.count == 1);
        }
    }
}

void text_write_finding(const struct output *output, struct made *made, struct symbols *symbols,
                        const struct finding *finding, const json_t *record) {
    write_heading(output, record, finding);
    if (finding->kind)
        write_folded(output, finding->kind->meaning);
    write_string_field(output, record, "detail", "detail");
    write_file(output, record);
    write_string_field(output, record, "variable", "var");
    write_action(output, record);
    write_string_field(output, record, "first", "time");
    write_string_field(output, record, "program", "exe");
    write_sides(output, made, record, symbols);
    write_modules(output, record, symbols);
}

static void write_traced(const struct output *output, const struct traced *traced, bool is_apart) {
    char *line = traced_line(traced);
    if (*line)
        fprintf(output->file, "%s%s\n", is_apart ? "\n" : "", line);
    free(line);
}

void text_write(struct report *report, const struct output *output) {
    struct findings *findings = &report->findings;
    struct made made = {0};
    for (size_t i = 0; i < findings->count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (!record)
            continue;
        if (i > 0)
            fputc('\n', output->file);
        text_write_finding(output, &made, report->symbols, &findings->items[i], record);
        json_decref(record);
    }
    if (findings->count > 0 && findings->waits.all.waits > 0)
        fputc('\n', output->file);
    waits_write(output, &findings->waits);
    write_traced(output, &report->traced, findings->count > 0 || findings->waits.all.waits > 0);
    made_end(&made);
}
