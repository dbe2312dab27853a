/* Any bytes as a file of records, in every format.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ibuild -Isrc -I. -Itools \
 *         tests/fuzz/fuzz_records.c tools/report/[a-z]*.c tools/report/page.S tools/common/[a-z]*.c \
 *         src/base/text.c src/report/event.c -ljansson -ldw
 *
 * Also: what is skimmed is what is read in full, what is printed is JSON without control characters,
 * and a fingerprint does not depend on the day. */
#define _GNU_SOURCE
#include "report/baseline.h"
#include "report/fingerprint.h"
#include "report/formats.h"
#include "report/skim.h"
#include "report/suppress.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/fuzz_records.XXXXXX";
static struct symbols *symbols;
static FILE *nowhere;

static void prepare(void) {
    if (symbols)
        return;
    symbols = symbols_new();
    nowhere = fopen("/dev/null", "we");
    int fd = mkstemp(path);
    if (fd < 0 || !nowhere)
        abort();
    close(fd);
    unsetenv("DEBUGINFOD_URLS");
    unsetenv("GITHUB_STEP_SUMMARY");
}

static void write_input(const uint8_t *data, size_t size) {
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

static void check_printed(const json_t *record) {
    char *text = record_print(record);
    if (!text)
        abort();
    for (const char *at = text; *at; at++) {
        if (*at < 0x20 || *at == 0x7f || strchr("<>&", *at))
            abort();
    }
    json_t *again;
    if (record_read(text, strlen(text), &again) != RECORD_GOOD)
        abort();
    json_decref(again);
    free(text);
}

static void check_line(const char *line, size_t length) {
    struct skimmed skimmed;
    json_t *record;
    bool is_skimmed = skim_record(&skimmed, line, length) == SKIM_GOOD;
    bool is_read = record_read(line, length, &record) == RECORD_GOOD;
    if (is_skimmed && !is_read)
        abort();
    if (!is_read)
        return;
    struct string kind = record_string(record, "kind");
    if (is_skimmed &&
        (skimmed.kind.length != kind.length || memcmp(skimmed.kind.bytes, kind.bytes, kind.length)))
        abort();
    check_printed(record);
    json_decref(record);
}

/* Each line from memory of exactly its size. */
static void check_lines(const uint8_t *data, size_t size) {
    while (size > 0) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t length = newline ? (size_t)(newline - data) : size;
        char *line = malloc(length ? length : 1);
        memcpy(line, data, length);
        check_line(line, length);
        free(line);
        data += length + (newline != NULL);
        size -= length + (newline != NULL);
    }
}

static bool is_suppressed(void *context, const json_t *record) {
    return !suppressions_match(context, record, symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    prepare();
    check_lines(data, size);
    write_input(data, size);
    struct report report = {.symbols = symbols};
    struct output output = {.file = nowhere, .utf8 = size % 2, .columns = 80, .rows = 24};
    findings_begin(&report.findings, 0, size % 3 == 0);
    free(findings_read(&report.findings, path));
    findings_sort(&report.findings);
#define WRITE(format) format##_write(&report, &output);
    FORMATS(WRITE)
    summary_write(&report, &output);
    free(baseline_write(&report, "/dev/null"));
    struct suppression rule = {.parts = {"*a*", NULL, NULL, "*"}};
    struct suppressions list = {.rules = &rule, .count = 1};
    findings_filter(&report.findings, is_suppressed, &list);
    findings_end(&report.findings);
    return 0;
}
