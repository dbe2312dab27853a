#define _GNU_SOURCE
#include "show.h"

#include "../common/memory.h"
#include "timeline.h"

#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NAME_LIMIT 60
#define FUNCTION_LIMIT 120
#define DETAIL_LIMIT 160

void show_string(const struct output *output, struct string string, size_t limit) {
    if (string.bytes)
        output_text(output, string.bytes, string.length, limit);
}

/* Of a process that has ended the command is known, not the program. */
static struct string first_word_of_command(const json_t *party) {
    struct string command = record_string(party, "command");
    const char *blank = command.bytes ? memchr(command.bytes, ' ', command.length) : NULL;
    if (blank)
        command.length = (size_t)(blank - command.bytes);
    return record_last_component(command);
}

void show_process(const struct output *output, const json_t *party, const json_t *record) {
    uint64_t pid;
    uint64_t record_pid;
    bool has_pid = record_number(party, "pid", &pid) && pid > 0;
    struct string program = record_basename(party, "exe");
    if (!program.bytes && has_pid && record_number(record, "pid", &record_pid) && pid == record_pid)
        program = record_basename(record, "exe");
    if (program.length == 0)
        program = first_word_of_command(party);
    if (program.length > 0)
        show_string(output, program, NAME_LIMIT);
    else
        fputs(has_pid ? "process" : "an unknown process", output->file);
    if (!has_pid)
        return;
    fputc('[', output->file);
    output_number(output, pid);
    fputc(']', output->file);
}

static void show_identity(const struct output *output, const json_t *file) {
    uint64_t inode;
    uint64_t device;
    fputs("a file", output->file);
    if (record_number(file, "ino", &inode) && record_number(file, "dev", &device))
        fprintf(output->file, " (device %u:%u, inode %" PRIu64 ")", major(device), minor(device),
                inode);
}

void show_file(const struct output *output, const json_t *record, size_t limit) {
    const json_t *file = json_object_get(record, "file");
    struct string path = record_string(file, "path");
    if (path.length == 0)
        show_identity(output, file);
    else
        show_string(output, record_relative(path), limit);
}

void show_subject(const struct output *output, const json_t *record, size_t limit) {
    if (json_object_get(record, "file"))
        show_file(output, record, limit);
    else
        show_string(output, record_string(record, "var"), limit);
}

/* len 0: to the end of the file, however long it grows */
void show_range(const struct output *output, const json_t *range) {
    uint64_t start = 0;
    uint64_t length = 0;
    record_number(range, "start", &start);
    output_number(output, start);
    if (!record_number(range, "len", &length) || length == 0) {
        fputs(" to the end of the file", output->file);
    } else if (length > 1) {
        fputs(" to ", output->file);
        output_number(output, start + length - 1);
    }
    struct string type = record_string(range, "type");
    if (type.length > 0) {
        fputs(", ", output->file);
        show_string(output, type, 0);
    }
}

void show_party_rest(const struct output *output, const json_t *party) {
    uint64_t number;
    if (record_number(party, "tid", &number)) {
        fputs(", thread ", output->file);
        output_number(output, number);
    }
    if (record_string(party, "thread").length > 0) {
        fputs(" \"", output->file);
        show_string(output, record_string(party, "thread"), NAME_LIMIT);
        fputc('"', output->file);
    }
    if (record_number(party, "fd", &number)) {
        fputs(", descriptor ", output->file);
        output_number(output, number);
    }
    const json_t *file = json_object_get(party, "file");
    if (record_string(file, "path").length > 0) {
        fputs(", for ", output->file);
        show_string(output, record_relative(record_string(file, "path")), DETAIL_LIMIT);
    }
    if (record_string(party, "since").length > 0) {
        fputs(", since ", output->file);
        show_string(output, record_string(party, "since"), NAME_LIMIT);
    }
}

const char *show_phrase_of(const json_t *record, const struct kind *kind) {
    static const struct {
        const char *kind;
        const char *action;
        const char *phrase;
    } table[] = {
        {"deadlock", "none", "took two locks which are taken in the other order too"},
        {"env-clobber", "isolated",
         "would have read another thread's value of a variable that it set"},
        {"env-child", "isolated",
         "would have started a program with another thread's value of a variable"},
        {"leaked-lock", "none", "left a program behind that still has a lock"},
    };
    struct string action = record_string(record, "action");
    for (size_t i = 0; action.bytes && i < sizeof table / sizeof *table; i++) {
        if (strcmp(kind_name(kind), table[i].kind) == 0 &&
            strcmp(action.bytes, table[i].action) == 0)
            return table[i].phrase;
    }
    return kind->phrase;
}

void show_what(const struct output *output, const json_t *record, const struct kind *kind) {
    struct string detail = record_string(record, "detail");
    /* A degraded record's own sentence says more than the table can. */
    if (detail.length > 0 && (!kind || json_object_get(record, "file") == NULL))
        show_string(output, detail, DETAIL_LIMIT);
    else if (kind)
        fputs(show_phrase_of(record, kind), output->file);
    else
        fputs("found something that this version does not know", output->file);
}

/* What came at once is no wait. */
static void show_waited(const struct output *output, const json_t *record, const char *before) {
    uint64_t ns = timeline_waited(record);
    if (ns >= 100000000)
        fprintf(output->file, "%s %.1f s", before, (double)ns / 1e9);
}

void show_action(const struct output *output, const json_t *record) {
    static const struct {
        const char *action;
        const char *words;
    } table[] = {
        {"denied", "denied"},       {"granted", "granted as without the library"},
        {"kept", "lock kept"},      {"lost", "lock lost"},
        {"waited", "waited"},       {"refused", "refused"},
        {"isolated", "kept apart"}, {"none", "nothing changed"},
    };
    struct string action = record_string(record, "action");
    for (size_t i = 0; action.bytes && i < sizeof table / sizeof *table; i++) {
        if (strcmp(action.bytes, table[i].action) == 0) {
            fputs(table[i].words, output->file);
            show_waited(output, record, strcmp(action.bytes, "waited") == 0 ? "" : " after");
            return;
        }
    }
    show_string(output, action, NAME_LIMIT);
}

static void show_address(const struct output *output, const struct frame *frame) {
    struct string module = frame_module_name(frame);
    if (module.length > 0)
        show_string(output, module, NAME_LIMIT);
    else
        fputs("?", output->file);
    if (frame->has_offset)
        fprintf(output->file, "+0x%" PRIx64, frame->offset);
}

void show_function(const struct output *output, const struct frame *frame) {
    const char *name = frame->symbol.function;
    if (name)
        output_text(output, name, strlen(name), FUNCTION_LIMIT);
    else
        show_address(output, frame);
}

void show_position(const struct output *output, const struct frame *frame, size_t limit) {
    const struct symbol *symbol = &frame->symbol;
    if (!symbol->file) {
        if (symbol->function)
            show_address(output, frame);
        return;
    }
    struct string path = record_relative((struct string){symbol->file, strlen(symbol->file)});
    if (limit > 0 && path.length > limit) {
        path = record_last_component(path);
        limit = NAME_LIMIT;
    }
    show_string(output, path, limit);
    if (symbol->line > 0)
        fprintf(output->file, ":%u", symbol->line);
}

enum paint show_paint(enum event_severity severity) {
    static const enum paint paints[] = {PAINT_BAD, PAINT_WARN, PAINT_NOTE};
    return paints[severity];
}

void show_begin(struct printing *printing) {
    *printing = (struct printing){.output = {.utf8 = true}};
    printing->output.file = open_memstream(&printing->text, &printing->length);
    if (!printing->output.file)
        must_allocate(NULL, SIZE_MAX, 1);
}

char *show_end(struct printing *printing) {
    fclose(printing->output.file);
    return printing->text;
}

char *show_title(const json_t *record) {
    struct printing title;
    show_begin(&title);
    show_string(&title.output, record_string(record, "kind"), NAME_LIMIT);
    fputs(": ", title.output.file);
    show_subject(&title.output, record, DETAIL_LIMIT);
    return show_end(&title);
}
