#define _GNU_SOURCE
#include "stacks.h"

#include "../common/memory.h"
#include "show.h"

#include <stdlib.h>
#include <string.h>

#define INDENT 11        /* that of what stands behind the labels of the text format */
#define WIDTH_MIN 100    /* of a line, for two stacks */
#define WIDTH_OF_LOG 120 /* what a log shows without folding */
#define POSITION_MIN 16
#define LINE_MAX_DIGITS 8

static unsigned line_width(const struct output *output) {
    return output->terminal ? output->columns : WIDTH_OF_LOG;
}

bool stacks_fit_side_by_side(const struct output *output) {
    return line_width(output) >= WIDTH_MIN;
}

static size_t columns_of(const char *text) {
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

static void cut(char *text, size_t columns) {
    for (; *text && (columns > 0 || ((unsigned char)*text & 0xc0) == 0x80); text++)
        columns -= ((unsigned char)*text & 0xc0) != 0x80;
    *text = '\0';
}

/* Text for one column of two. */
struct cell {
    struct output output;
    char *text;
    size_t length;
};

static void cell_begin(struct cell *cell, const struct output *output) {
    FILE *memory = open_memstream(&cell->text, &cell->length);
    if (!memory)
        must_allocate(NULL, SIZE_MAX, 1);
    cell->output = output_like(output, memory);
    cell->output.colour = false;
}

static size_t cell_columns(const struct cell *cell) {
    fflush(cell->output.file);
    return columns_of(cell->text);
}

/* At most width columns of it, for the caller to free. */
static char *cell_end(struct cell *cell, size_t width) {
    fclose(cell->output.file);
    cut(cell->text, width);
    return cell->text;
}

static char *frame_cell(const struct output *output, const struct frame *frame, size_t width) {
    struct cell cell;
    cell_begin(&cell, output);
    show_function(&cell.output, frame);
    size_t used = cell_columns(&cell) + 2;
    if (used + POSITION_MIN <= width && (frame->symbol.function || frame->symbol.file)) {
        fputs("  ", cell.output.file);
        show_position(&cell.output, frame, width - used - LINE_MAX_DIGITS);
    }
    if (frame->symbol.is_inlined && cell_columns(&cell) + 10 <= width)
        fputs(" (inlined)", cell.output.file);
    return cell_end(&cell, width);
}

static char *source_cell(const struct output *output, const struct frame *frame, size_t width) {
    struct cell cell;
    cell_begin(&cell, output);
    if (frame->symbol.text) {
        fputs("    ", cell.output.file);
        output_text(&cell.output, frame->symbol.text, strlen(frame->symbol.text), 0);
    }
    return cell_end(&cell, width);
}

/* The program's own call, and its caller too where both sides made it in one function. */
static bool wants_source(const struct frames *frames, size_t index, bool with_caller) {
    return index < frames->count && index >= frames->top && index <= frames->top + with_caller &&
           frames->items[index].symbol.text;
}

static bool meet_in_one_function(const struct frames *here, const struct frames *there) {
    return here->count > 0 && there->count > 0 &&
           frame_is_same_function(&here->items[here->top], &there->items[there->top]);
}

static void write_row(const struct output *output, const char *left, const char *right,
                      size_t width) {
    fputs(left, output->file);
    if (*right)
        fprintf(output->file, "%*s%s", (int)(width + 2 - columns_of(left)), "", right);
    fputc('\n', output->file);
}

typedef char *make_cell(const struct output *output, const struct frame *frame, size_t width);

static void write_cells(const struct output *output, const struct frame *here,
                        const struct frame *there, make_cell *cell, size_t width) {
    char *left = here ? cell(output, here, width) : must_print("%s", "");
    char *right = there ? cell(output, there, width) : must_print("%s", "");
    write_row(output, left, right, width);
    free(left);
    free(right);
}

static const struct frame *frame_at(const struct frames *frames, size_t index) {
    return index < frames->count ? &frames->items[index] : NULL;
}

void stacks_write_both(const struct output *output, const struct frames *here,
                       const struct frames *there) {
    size_t width = (line_width(output) - INDENT - 2) / 2;
    bool with_caller = meet_in_one_function(here, there);
    fprintf(output->file, "%*s", INDENT, "");
    output_paint(output, PAINT_FAINT);
    write_row(output, "here", "there", width);
    output_plain(output);
    size_t count = here->count > there->count ? here->count : there->count;
    for (size_t i = 0; i < count; i++) {
        bool left = wants_source(here, i, with_caller);
        bool right = wants_source(there, i, with_caller);
        fprintf(output->file, "      #%-3zu ", i);
        write_cells(output, frame_at(here, i), frame_at(there, i), frame_cell, width);
        if (left || right) {
            output_paint(output, PAINT_FAINT);
            fprintf(output->file, "%*s", INDENT, "");
            write_cells(output, left ? frame_at(here, i) : NULL, right ? frame_at(there, i) : NULL,
                        source_cell, width);
            output_plain(output);
        }
    }
    if (here->left_out + there->left_out > 0)
        fprintf(output->file, "%*s... and %zu more\n", INDENT, "",
                here->left_out + there->left_out);
}

void stacks_write_one(const struct output *output, const struct frames *frames) {
    for (size_t i = 0; i < frames->count; i++) {
        const struct frame *frame = &frames->items[i];
        fprintf(output->file, "             #%-2zu ", i);
        show_function(output, frame);
        if (frame->symbol.file || frame->symbol.function)
            fputs("  ", output->file);
        show_position(output, frame, 0);
        if (frame->symbol.is_inlined)
            fputs(" (inlined)", output->file);
        fputc('\n', output->file);
        if (wants_source(frames, i, false)) {
            fprintf(output->file, "                     ");
            output_paint(output, PAINT_FAINT);
            output_text(output, frame->symbol.text, strlen(frame->symbol.text), 0);
            output_plain(output);
            fputc('\n', output->file);
        }
    }
    if (frames->left_out > 0)
        fprintf(output->file, "             ... and %zu more\n", frames->left_out);
}
