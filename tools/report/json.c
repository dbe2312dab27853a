/* For programs: an array of the records, with the fields that this version does not know too, and
 * names for the frames. ASCII only, so that it can be printed anywhere. */
#include "fingerprint.h"
#include "formats.h"
#include "frames.h"
#include "made.h"
#include "record.h"
#include "tree.h"

#include <stdlib.h>
#include <string.h>

static json_t *symbol_object(const struct symbol *symbol) {
    json_t *object = json_object();
    if (symbol->function)
        json_object_set_new(object, "function", record_text(symbol->function));
    if (symbol->file)
        json_object_set_new(object, "file", record_text(symbol->file));
    if (symbol->line > 0)
        json_object_set_new(object, "line", json_integer(symbol->line));
    if (symbol->column > 0)
        json_object_set_new(object, "column", json_integer(symbol->column));
    if (symbol->is_inlined)
        json_object_set_new(object, "inlined", json_true());
    return object;
}

/* Each frame gets "symbols", the innermost function first; or "unnamed", why it has none. */
static void add_names(struct symbols *symbols, const json_t *party) {
    const json_t *stack = json_object_get(party, "stack");
    struct frames frames;
    frames_read(&frames, symbols, party);
    for (size_t i = 0; i < frames.count; i++) {
        const struct frame *frame = &frames.items[i];
        json_t *object = json_array_get(stack, frame->index);
        if (!json_is_object(object) || !frame->file)
            continue;
        const char *problem = symbol_module_problem(frame->file);
        if (problem)
            json_object_set_new(object, "unnamed", record_text(problem));
        if (!frame->symbol.function && !frame->symbol.file)
            continue;
        if (i == 0 || frames.items[i - 1].index != frame->index)
            json_object_set_new(object, "symbols", json_array());
        json_array_append_new(json_object_get(object, "symbols"), symbol_object(&frame->symbol));
    }
}

/* The stack of a party with its names, printed. */
static void keep_names(struct made *made, struct symbols *symbols, const json_t *party) {
    json_t *stack = json_object_get(party, "stack");
    if (!json_is_array(stack) || made_find(made, stack, NULL).bytes)
        return;
    add_names(symbols, party);
    if (!tree_is_shared(stack))
        return;
    char *text = record_print(stack);
    made_keep(made, stack, NULL, text, strlen(text));
}

static struct string printed_stack(void *context, const json_t *array) {
    return made_find(context, array, NULL);
}

static char *print_finding(struct report *report, struct made *made,
                           const struct finding *finding) {
    struct side sides[SIDES_MAX];
    char fingerprint[FINGERPRINT_LENGTH + 1];
    json_t *record = findings_record(&report->findings, finding);
    if (!record)
        return NULL;
    size_t count = sides_of(record, sides);
    for (size_t i = 0; i < count; i++)
        keep_names(made, report->symbols, sides[i].party);
    fingerprint_of(fingerprint, record, report->symbols);
    json_object_set_new(record, "fingerprint", json_string(fingerprint));
    char *text = record_print_with(record, printed_stack, made);
    json_decref(record);
    return text;
}

void json_write(struct report *report, const struct output *output) {
    const char *before = "";
    struct made made = {0};
    fputc('[', output->file);
    for (size_t i = 0; i < report->findings.count; i++) {
        char *text = print_finding(report, &made, &report->findings.items[i]);
        if (text) {
            fprintf(output->file, "%s\n%s", before, text);
            before = ",";
        }
        free(text);
    }
    fputs("\n]\n", output->file);
    made_end(&made);
}
