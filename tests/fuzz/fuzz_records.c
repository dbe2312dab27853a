/* Any bytes as a file of records, in every format.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ibuild -Isrc -I. -Itools \
 *         tests/fuzz/fuzz_records.c tools/report/[a-z]*.c tools/report/page.S tools/common/[a-z]*.c \
 *         src/base/{proc,text}.c src/lock/ancestor.c src/report/event.c -ljansson -ldw
 */
#define _GNU_SOURCE
#include "report/baseline.h"
#include "report/formats.h"
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

static bool is_suppressed(void *context, const json_t *record) {
    return !suppressions_match(context, record, symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    prepare();
    write_input(data, size);
    struct report report = {.symbols = symbols};
    struct output output = {.file = nowhere, .utf8 = size % 2, .columns = 80, .rows = 24};
    findings_begin(&report.findings, 0, size % 3 == 0);
    traced_begin(&report.traced, 0);
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
    traced_end(&report.traced);
    return 0;
}
