#define _GNU_SOURCE
#include "baseline.h"

#include "../common/memory.h"
#include "fingerprint.h"
#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "# raceshim baseline 1";

/* ---- Reading ---- */

static void add(struct baseline *baseline, uint64_t fingerprint) {
    if ((baseline->count & (baseline->count - 1)) == 0) {
        size_t room = baseline->count ? 2 * baseline->count : 1;
        baseline->items = must_allocate(baseline->items, room, sizeof *baseline->items);
    }
    baseline->items[baseline->count++] = fingerprint;
}

static int compare(const void *left, const void *right) {
    const uint64_t *a = left;
    const uint64_t *b = right;
    return *a < *b ? -1 : *a > *b;
}

static uint64_t fingerprint_number(const json_t *record, struct symbols *symbols) {
    char text[FINGERPRINT_LENGTH + 1];
    fingerprint_of(text, record, symbols);
    return strtoull(text, NULL, 16);
}

static char *read_lines(struct baseline *baseline, FILE *file, const char *path) {
    char *line = NULL;
    char *wrong = NULL;
    size_t size = 0;
    for (unsigned number = 1; !wrong && getline(&line, &size, file) >= 0; number++) {
        /* Of the first line, what is behind the words that told that this is a baseline. */
        if (number == 1 || line[0] == '#' || line[0] == '\n')
            continue;
        if (strspn(line, "0123456789abcdef") == FINGERPRINT_LENGTH)
            add(baseline, strtoull(line, NULL, 16));
        else
            wrong = must_print("%s:%u: no fingerprint", path, number);
    }
    free(line);
    return wrong;
}

static char *read_session(struct baseline *baseline, const char *path, struct symbols *symbols) {
    struct findings findings;
    findings_begin(&findings, 0, false);
    char *wrong = findings_read(&findings, path);
    for (size_t i = 0; !wrong && i < findings.count; i++) {
        json_t *record = findings_record(&findings, &findings.items[i]);
        if (record)
            add(baseline, fingerprint_number(record, symbols));
        json_decref(record);
    }
    if (!wrong && findings.count == 0 && findings.broken > 0)
        wrong = must_print("'%s' is neither a baseline nor a session", path);
    findings_end(&findings);
    return wrong;
}

char *baseline_read(struct baseline *baseline, const char *path, struct symbols *symbols) {
    char start[sizeof first_line] = "";
    char *wrong = NULL;
    FILE *file = fopen(path, "re");
    if (file && fgets(start, sizeof start, file) && strcmp(start, first_line) == 0) {
        wrong = read_lines(baseline, file, path);
    } else {
        wrong = read_session(baseline, path, symbols);
    }
    if (file)
        fclose(file);
    if (baseline->count > 0)
        qsort(baseline->items, baseline->count, sizeof *baseline->items, compare);
    return wrong;
}

void baseline_end(struct baseline *baseline) {
    free(baseline->items);
}

bool baseline_has(struct baseline *baseline, const json_t *record, struct symbols *symbols) {
    uint64_t fingerprint = fingerprint_number(record, symbols);
    if (baseline->count == 0 ||
        !bsearch(&fingerprint, baseline->items, baseline->count, sizeof fingerprint, compare))
        return false;
    baseline->known++;
    return true;
}

/* ---- Writing ---- */

static char *line_of(const json_t *record, struct symbols *symbols) {
    char fingerprint[FINGERPRINT_LENGTH + 1];
    struct printing line;
    struct side sides[SIDES_MAX];
    struct frames frames;
    size_t count = sides_of(record, sides);
    char *title = show_title(record);
    fingerprint_of(fingerprint, record, symbols);
    show_begin(&line);
    fprintf(line.output.file, "%s %s", fingerprint, title);
    for (size_t i = 0; i < count; i++) {
        frames_read(&frames, symbols, sides[i].party);
        if (frames.count == 0)
            continue;
        fprintf(line.output.file, "; %s ", sides[i].name);
        show_function(&line.output, &frames.items[frames.top]);
    }
    fputc('\n', line.output.file);
    free(title);
    return show_end(&line);
}

static int compare_lines(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static size_t collect_lines(struct report *report, char **lines) {
    struct findings *findings = &report->findings;
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (record)
            lines[count++] = line_of(record, report->symbols);
        json_decref(record);
    }
    if (count > 0)
        qsort(lines, count, sizeof *lines, compare_lines);
    return count;
}

char *baseline_write(struct report *report, const char *path) {
    FILE *file = fopen(path, "we");
    if (!file)
        return must_print("cannot write '%s': %s", path, strerror(errno));
    char **lines = must_allocate(NULL, report->findings.count + 1, sizeof *lines);
    size_t count = collect_lines(report, lines);
    fprintf(file, "%s: known findings, for shim-report --baseline\n", first_line);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strncmp(lines[i - 1], lines[i], FINGERPRINT_LENGTH) != 0)
            fputs(lines[i], file);
    }
    for (size_t i = 0; i < count; i++)
        free(lines[i]);
    free(lines);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed)
        return must_print("cannot write '%s': %s", path, strerror(errno));
    return NULL;
}
