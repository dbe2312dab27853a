#define _GNU_SOURCE
#include "show.h"

#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NAME_LIMIT 60

void show_string(const struct output *output, struct string string, size_t limit) {
    if (string.bytes)
        output_text(output, string.bytes, string.length, limit);
}

void show_process(const struct output *output, const json_t *party, const json_t *record) {
    uint64_t pid;
    uint64_t record_pid;
    bool has_pid = record_number(party, "pid", &pid) && pid > 0;
    struct string program = record_basename(party, "exe");
    if (!program.bytes && has_pid && record_number(record, "pid", &record_pid) && pid == record_pid)
        program = record_basename(record, "exe");
    if (program.length > 0)
        show_string(output, program, NAME_LIMIT);
    else
        fputs(has_pid ? "process" : "an unknown process", output->file);
    if (has_pid)
        fprintf(output->file, "[%" PRIu64 "]", pid);
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
    if (path.length == 0) {
        show_identity(output, file);
        return;
    }
    char here[4096];
    if (getcwd(here, sizeof here)) {
        size_t length = strlen(here);
        if (path.length > length + 1 && memcmp(path.bytes, here, length) == 0 &&
            path.bytes[length] == '/') {
            path.bytes += length + 1;
            path.length -= length + 1;
        }
    }
    show_string(output, path, limit);
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
            return;
        }
    }
    show_string(output, action, NAME_LIMIT);
}

void show_frame(const struct output *output, const json_t *frame) {
    struct string module = record_basename(frame, "module");
    uint64_t offset;
    if (module.length > 0)
        show_string(output, module, NAME_LIMIT);
    else
        fputs("?", output->file);
    if (record_number(frame, "offset", &offset))
        fprintf(output->file, "+0x%" PRIx64, offset);
}

static bool is_plumbing(const json_t *frame) {
    struct string module = record_basename(frame, "module");
    static const char *const names[] = {"libc.so", "libc-", "libpthread", "ld-", "libraceshim"};
    for (size_t i = 0; module.bytes && i < sizeof names / sizeof *names; i++) {
        if (strncmp(module.bytes, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

size_t show_top_index(const json_t *party) {
    const json_t *stack = json_object_get(party, "stack");
    size_t size = json_array_size(stack);
    for (size_t at = 0; at < size; at++) {
        if (!is_plumbing(json_array_get(stack, at)))
            return at;
    }
    return 0;
}

enum paint show_paint(enum event_severity severity) {
    static const enum paint paints[] = {PAINT_BAD, PAINT_WARN, PAINT_NOTE};
    return paints[severity];
}
