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
#define COMMAND_LIMIT 80
#define SOURCE_LIMIT 30

/* The topmost frame; its caller too, if the two sides met in one function, and it is not libc that
 * called it: that is how every thread begins. */
static void write_side(const struct output *output, const char *before, const struct frames *frames,
                       bool with_caller) {
    if (frames->count == 0)
        return;
    const struct frame *frame = &frames->items[frames->top];
    fputs(before, output->file);
    show_function(output, frame);
    if (with_caller && frames->top + 1 < frames->count && !frame[1].is_plumbing) {
        frame++;
        fputs(" from ", output->file);
        show_function(output, frame);
    }
    if (frame->symbol.file) {
        fputs(" (", output->file);
        show_position(output, frame, SOURCE_LIMIT);
        fputc(')', output->file);
    }
}

/* here and there; of a cycle without them, its first two edges. */
static void write_sides(const struct output *output, const json_t *record,
                        struct symbols *symbols) {
    struct side sides[SIDES_MAX];
    struct frames here = {.count = 0};
    struct frames there = {.count = 0};
    size_t count = sides_of(record, sides);
    if (count > 0)
        frames_read(&here, symbols, sides[0].party);
    if (count > 1)
        frames_read(&there, symbols, sides[1].party);
    bool is_same = here.count > 0 && there.count > 0 &&
                   frame_is_same_function(&here.items[here.top], &there.items[there.top]);
    write_side(output, "; at ", &here, is_same);
    write_side(output, here.count > 0 ? ", against " : "; against ", &there, is_same);
}

/* Who it is that the program met, if it is somebody else. */
static void write_other(const struct output *output, const json_t *record) {
    const json_t *there = json_object_get(record, "there");
    uint64_t pid;
    uint64_t other;
    if (record_number(record, "pid", &pid) && record_number(there, "pid", &other) && other > 0 &&
        other != pid) {
        fputs(", held by ", output->file);
        show_process(output, there, record);
        struct string command = record_string(there, "command");
        if (command.length > 0 && memchr(command.bytes, ' ', command.length)) {
            fputs(" (", output->file);
            show_string(output, command, COMMAND_LIMIT);
            fputc(')', output->file);
        }
    }
}

static void write_what(const struct output *output, const json_t *record,
                       const struct finding *finding) {
    show_what(output, record, finding->kind);
    if (json_object_get(record, "file")) {
        fputs(": ", output->file);
        show_file(output, record, PATH_LIMIT);
        write_other(output, record);
    }
    struct string var = record_string(record, "var");
    if (var.length > 0) {
        fputs(": ", output->file);
        show_string(output, var, PATH_LIMIT);
    }
}

static void write_finding(const struct output *output, struct symbols *symbols,
                          const struct finding *finding, const json_t *record) {
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
    write_sides(output, record, symbols);
    if (finding->count > 1)
        fprintf(output->file, "; x%" PRIu64, finding->count);
}

char *summary_line(struct report *report, const struct finding *finding, const json_t *record) {
    struct printing line;
    show_begin(&line);
    write_finding(&line.output, report->symbols, finding, record);
    return show_end(&line);
}

/* Prints the line if it still fits; the first one in any case. */
static bool write_if_room(struct report *report, const struct output *output,
                          const struct finding *finding, bool is_first, unsigned *rows) {
    json_t *record = findings_record(&report->findings, finding);
    if (!record)
        return true;
    char *line = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&line, &length);
    if (!memory)
        must_allocate(NULL, SIZE_MAX, 1);
    struct output measured = output_like(output, memory);
    write_finding(&measured, report->symbols, finding, record);
    fputc('\n', memory);
    fclose(memory);
    unsigned needed = output_rows(output, line, length);
    bool fits = needed <= *rows || is_first;
    if (fits)
        fwrite(line, 1, length, output->file);
    *rows -= needed <= *rows ? needed : *rows;
    free(line);
    json_decref(record);
    return fits;
}

static void write_waits(const struct output *output, const struct waits *waits) {
    char *line = waits_line(waits);
    if (*line) {
        fputs("raceshim: ", output->file);
        output_again(output, line);
        fputc('\n', output->file);
    }
    free(line);
}

/* Of one severity, what only says that something may go wrong comes last. */
static unsigned rank_of(const struct finding *finding) {
    bool is_remark = finding->kind == kind_at(EVENT_ENV_UNSAFE_WRITE) ||
                     finding->kind == kind_at(EVENT_NOT_COVERED) ||
                     finding->kind == kind_at(EVENT_DEGRADED);
    return 2 * (unsigned)finding->severity + is_remark;
}

void summary_write(struct report *report, const struct output *output) {
    const struct findings *findings = &report->findings;
    if (findings->count == 0)
        return;
    /* The last lines are for what follows, and for the shell's prompt. */
    unsigned rows = output->rows > 10 ? output->rows - 6 : 4;
    size_t shown = 0;
    bool has_room = true;
    for (unsigned rank = 0; has_room && rank < 2 * SEVERITY_COUNT; rank++) {
        for (size_t i = 0; has_room && i < findings->count; i++) {
            if (rank_of(&findings->items[i]) != rank)
                continue;
            has_room = write_if_room(report, output, &findings->items[i], shown == 0, &rows);
            shown += has_room;
        }
    }
    if (shown < findings->count)
        fprintf(output->file, "... and %zu more\n", findings->count - shown);
    write_waits(output, &findings->waits);
}
