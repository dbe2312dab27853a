/* program[pid] kind: what happened, path; what was done; top frame of both sides; xN */
#define _GNU_SOURCE
#include "formats.h"
#include "record.h"
#include "show.h"

#include "../common/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATH_LIMIT 160
#define DETAIL_LIMIT 160

static void write_what(const struct output *output, const json_t *record,
                       const struct finding *finding) {
    struct string detail = record_string(record, "detail");
    /* A degraded record's own sentence says more than the table can. */
    if (detail.length > 0 && (!finding->kind || json_object_get(record, "file") == NULL))
        show_string(output, detail, DETAIL_LIMIT);
    else if (finding->kind)
        fputs(finding->kind->phrase, output->file);
    if (json_object_get(record, "file")) {
        fputs(": ", output->file);
        show_file(output, record, PATH_LIMIT);
    }
    struct string var = record_string(record, "var");
    if (var.length > 0) {
        fputs(": ", output->file);
        show_string(output, var, PATH_LIMIT);
    }
}

static const json_t *frame_at(const json_t *party, size_t index) {
    return json_array_get(json_object_get(party, "stack"), index);
}

/* The topmost frame; its caller too, if the two sides met in one function. */
static void write_side(const struct output *output, const char *before, const json_t *party,
                       bool with_caller) {
    size_t top = show_top_index(party);
    if (!frame_at(party, top))
        return;
    fputs(before, output->file);
    show_frame(output, frame_at(party, top));
    if (with_caller && frame_at(party, top + 1)) {
        fputs(" from ", output->file);
        show_frame(output, frame_at(party, top + 1));
    }
}

static void write_sides(const struct output *output, const json_t *record) {
    const json_t *here = json_object_get(record, "here");
    const json_t *there = json_object_get(record, "there");
    const json_t *top = frame_at(here, show_top_index(here));
    bool is_same = top && json_equal(top, frame_at(there, show_top_index(there)));
    write_side(output, "; at ", here, is_same);
    write_side(output, top ? ", against " : "; against ", there, is_same);
}

static void write_finding(const struct output *output, const json_t *record,
                          const struct finding *finding) {
    show_process(output, record, record);
    fputc(' ', output->file);
    output_paint(output, show_paint(finding->severity));
    show_string(output, record_string(record, "kind"), 40);
    output_plain(output);
    fputs(": ", output->file);
    write_what(output, record, finding);
    struct string action = record_string(record, "action");
    if (action.length > 0 && strcmp(action.bytes, "none") != 0) {
        fputs("; ", output->file);
        show_action(output, record);
    }
    write_sides(output, record);
    if (finding->count > 1)
        fprintf(output->file, "; x%" PRIu64, finding->count);
    fputc('\n', output->file);
}

/* Prints the line if it still fits; the first one in any case. */
static bool write_if_room(struct findings *findings, const struct output *output, size_t index,
                          unsigned *rows) {
    const struct finding *finding = &findings->items[index];
    json_t *record = findings_record(findings, finding);
    if (!record)
        return true;
    char *line = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&line, &length);
    if (!memory)
        must_allocate(NULL, SIZE_MAX, 1);
    struct output measured = output_like(output, memory);
    write_finding(&measured, record, finding);
    fclose(memory);
    unsigned needed = output_rows(output, line, length);
    bool fits = needed <= *rows || index == 0;
    if (fits)
        fwrite(line, 1, length, output->file);
    *rows -= needed <= *rows ? needed : *rows;
    free(line);
    json_decref(record);
    return fits;
}

void summary_write(struct findings *findings, const struct output *output) {
    if (findings->count == 0)
        return;
    /* The last lines are for what follows, and for the shell's prompt. */
    unsigned rows = output->rows > 8 ? output->rows - 4 : 4;
    size_t shown = 0;
    while (shown < findings->count && write_if_room(findings, output, shown, &rows))
        shown++;
    if (shown < findings->count)
        fprintf(output->file, "... and %zu more\n", findings->count - shown);
}
