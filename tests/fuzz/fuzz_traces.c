/* Any bytes as the trace of a process, in every format.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ibuild -Isrc -I. -Itools \
 *         tests/fuzz/fuzz_traces.c tools/report/[a-z]*.c tools/report/page.S tools/common/[a-z]*.c \
 *         src/base/text.c src/base/proc.c src/lock/ancestor.c src/report/event.c -ljansson -ldw
 *
 * The first byte chooses whether the rest is the file as it is, or short operations of two processes,
 * which are written as such files: so the pairing is reached too.
 */
#define _GNU_SOURCE
#include "lock/trace_layout.h"
#include "report/formats.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char session[] = "/tmp/fuzz_traces.XXXXXX";
static struct symbols *symbols;
static FILE *nowhere;

static void prepare(void) {
    if (symbols)
        return;
    symbols = symbols_new();
    nowhere = fopen("/dev/null", "we");
    if (!mkdtemp(session) || !nowhere)
        abort();
    unsetenv("DEBUGINFOD_URLS");
    unsetenv("GITHUB_STEP_SUMMARY");
}

static FILE *create(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", session, name);
    FILE *file = fopen(path, "we");
    if (!file)
        abort();
    return file;
}

static void write_raw(const uint8_t *data, size_t size) {
    FILE *trace = create("trace.0.1");
    FILE *stacks = create("stacks.0.1");
    fclose(create("trace.1.1"));
    fwrite(data, 1, size, trace);
    fwrite(data, 1, size, stacks);
    fclose(trace);
    fclose(stacks);
}

/* Few files, bytes, owners and threads, so that operations meet each other. */
static struct trace_record expand(const uint8_t bytes[static 4], int64_t time) {
    uint64_t start = bytes[1] & 15;
    return (struct trace_record){.time = time * 1000,
                                 .ino = bytes[2] & 1,
                                 .start = start,
                                 .end = start + (bytes[1] >> 4),
                                 .stack = bytes[2] >> 6,
                                 .tid = 1 + (bytes[2] >> 1 & 1),
                                 .fd = bytes[2] >> 2 & 1,
                                 .result = bytes[3] >> 6 == 3 ? 11 : 0,
                                 .other = bytes[3] & 3,
                                 .lock_class = (bytes[3] >> 2 & 3) % 3,
                                 .type = bytes[3] >> 4 & 1,
                                 .operation = 1 + bytes[0] % 7};
}

static void write_short(const uint8_t *data, size_t size) {
    static const char *const names[] = {"trace.0.1", "trace.1.1", "trace.2.1", "trace.3.1"};
    fclose(create("stacks.0.1"));
    for (int process = 0; process < 4; process++) {
        /* The last one is the next program of the one before. */
        struct trace_head head = {.magic = TRACE_MAGIC,
                                  .version = TRACE_VERSION,
                                  .capacity = 1000,
                                  .count = size / 4,
                                  .pid = process < 3 ? process + 1 : 3};
        FILE *file = create(names[process]);
        fwrite(&head, 1, sizeof head, file);
        for (size_t i = 0; i + 4 <= size; i += 4) {
            struct trace_record record = expand(data + i, (int64_t)i);
            if (data[i] >> 6 == process)
                fwrite(&record, 1, sizeof record, file);
        }
        fclose(file);
    }
}

/* Whatever the trace was, each span makes sense. */
static void check(const struct traced *traced) {
    for (size_t i = 0; i < traced->spans.count; i++) {
        const struct traced_span *span = &traced->spans.items[i];
        if (span->begin > span->end || span->start > span->last ||
            span->process >= json_array_size(traced->processes) ||
            (span->blocker != SIZE_MAX && (span->blocker >= traced->spans.count ||
                                           traced->spans.items[span->blocker].type != TRACED_HOLD)))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    prepare();
    if (size == 0)
        return 0;
    if (data[0] & 1)
        write_raw(data + 1, size - 1);
    else
        write_short(data + 1, size - 1);
    struct report report = {.symbols = symbols};
    struct output output = {.file = nowhere, .utf8 = size % 2, .columns = 80, .rows = 24};
    findings_begin(&report.findings, 0, true);
    traced_begin(&report.traced, size % 3);
    traced_read(&report.traced, session);
    traced_finish(&report.traced);
    check(&report.traced);
    waits_add_traced(&report.findings.waits, &report.traced);
    findings_sort(&report.findings);
#define WRITE(format) format##_write(&report, &output);
    FORMATS(WRITE)
    traced_end(&report.traced);
    findings_end(&report.findings);
    return 0;
}
