/* For GitHub Actions: annotations at the lines of the program, as many as GitHub shows of one step,
 * and all findings in the step's summary, up to its size. */
#define _GNU_SOURCE
#include "escape.h"
#include "formats.h"
#include "show.h"

#include "../common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANNOTATIONS_MAX 10       /* of each severity, in one step */
#define SUMMARY_MAX (1000 << 10) /* of 1024 KiB; what is above loses the whole summary */

static const char *const commands[SEVERITY_COUNT] = {
    [SEVERITY_ERROR] = "error", [SEVERITY_WARNING] = "warning", [SEVERITY_NOTE] = "notice"};

/* Relative to the top of the checkout, which is the working directory of most steps. */
static struct string workspace_path(struct string path) {
    const char *top = getenv("GITHUB_WORKSPACE");
    size_t length = top ? strlen(top) : 0;
    if (length > 1 && path.length > length + 1 && memcmp(path.bytes, top, length) == 0 &&
        path.bytes[length] == '/')
        return (struct string){path.bytes + length + 1, path.length - length - 1};
    return record_relative(path);
}

static void write_place(FILE *file, struct report *report, const json_t *record) {
    struct side sides[SIDES_MAX];
    struct frames frames;
    const struct frame *own = NULL;
    size_t count = sides_of(record, sides);
    for (size_t i = 0; i < count && !own; i++) {
        frames_read(&frames, report->symbols, sides[i].party);
        own = frames_own(&frames);
    }
    if (!own)
        return;
    struct printing path;
    show_begin(&path);
    show_string(&path.output,
                workspace_path((struct string){own->symbol.file, strlen(own->symbol.file)}), 0);
    show_end(&path);
    fputs("file=", file);
    escape_command_property(file, path.text);
    fprintf(file, ",line=%u,", own->symbol.line);
    free(path.text);
}

static void write_annotation(FILE *file, struct report *report, const struct finding *finding,
                             const json_t *record) {
    char *title = show_title(record);
    char *message = summary_line(report, finding, record);
    fprintf(file, "::%s ", commands[finding->severity]);
    write_place(file, report, record);
    fputs("title=", file);
    escape_command_property(file, title);
    fputs("::", file);
    escape_command(file, message);
    fputc('\n', file);
    free(title);
    free(message);
}

/* Returns how many findings had no room. */
static size_t write_annotations(FILE *file, struct report *report) {
    struct findings *findings = &report->findings;
    size_t written[SEVERITY_COUNT] = {0};
    size_t left_out = 0;
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        if (written[finding->severity] == ANNOTATIONS_MAX) {
            left_out++;
            continue;
        }
        json_t *record = findings_record(findings, finding);
        if (!record)
            continue;
        written[finding->severity]++;
        write_annotation(file, report, finding, record);
        json_decref(record);
    }
    return left_out;
}

/* ---- The step's summary ---- */

static char *details_of(struct report *report, const struct finding *finding,
                        const json_t *record) {
    struct printing part;
    struct printing text;
    char *title = show_title(record);
    char *message = summary_line(report, finding, record);
    show_begin(&part);
    fprintf(part.output.file, "<details><summary>%s: ", severity_name(finding->severity));
    escape_markdown(part.output.file, title);
    fputs("</summary>\n\n", part.output.file);
    escape_markdown(part.output.file, message);
    fputs("\n\n<pre>", part.output.file);
    show_begin(&text);
    text_write_finding(&text.output, NULL, report->symbols, finding, record);
    show_end(&text);
    escape_xml(part.output.file, text.text);
    fputs("</pre>\n</details>\n\n", part.output.file);
    free(text.text);
    free(title);
    free(message);
    return show_end(&part);
}

static void write_counts(FILE *file, const struct findings *findings) {
    size_t counts[SEVERITY_COUNT] = {0};
    for (size_t i = 0; i < findings->count; i++)
        counts[findings->items[i].severity]++;
    fputs("## raceshim\n\n", file);
    if (findings->count == 0)
        fputs("No finding.\n", file);
    else
        fprintf(file, "| errors | warnings | notes |\n|---|---|---|\n| %zu | %zu | %zu |\n\n",
                counts[SEVERITY_ERROR], counts[SEVERITY_WARNING], counts[SEVERITY_NOTE]);
}

static void write_summary(FILE *file, struct report *report) {
    struct findings *findings = &report->findings;
    size_t used = 0;
    write_counts(file, findings);
    for (size_t i = 0; i < findings->count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (!record)
            continue;
        char *part = details_of(report, &findings->items[i], record);
        json_decref(record);
        used += strlen(part);
        if (used > SUMMARY_MAX) {
            fprintf(file, "... and %zu more\n", findings->count - i);
            free(part);
            return;
        }
        fputs(part, file);
        free(part);
    }
}

static void write_summary_file(struct report *report, const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    FILE *file = fd >= 0 ? fdopen(fd, "a") : NULL;
    if (file)
        write_summary(file, report);
    else if (fd >= 0)
        close(fd);
    if (!file || fclose(file) != 0)
        fprintf(stderr, "shim-report: cannot write the summary of the step: %s\n", strerror(errno));
}

void github_write(struct report *report, const struct output *output) {
    const char *summary = getenv("GITHUB_STEP_SUMMARY");
    bool has_summary = summary && *summary;
    size_t left_out = write_annotations(output->file, report);
    if (left_out > 0)
        fprintf(output->file, "raceshim: %zu more finding%s%s\n", left_out,
                left_out == 1 ? "" : "s", has_summary ? ", in the summary of this step" : "");
    if (has_summary)
        write_summary_file(report, summary);
}
