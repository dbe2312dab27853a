/* For test servers: one test case a finding, which has failed if it is a warning or an error. */
#define _GNU_SOURCE
#include "escape.h"
#include "formats.h"
#include "show.h"

#include <stdlib.h>

static void write_attribute(FILE *file, const char *name, char *value) {
    fprintf(file, " %s=\"", name);
    escape_xml(file, value);
    fputc('"', file);
    free(value);
}

static char *program_of(const json_t *record) {
    struct printing program;
    show_begin(&program);
    fputs("raceshim.", program.output.file);
    show_string(&program.output, record_basename(record, "exe"), 0);
    return show_end(&program);
}

static void write_text(FILE *file, struct report *report, struct made *made,
                       const struct finding *finding, const json_t *record) {
    struct printing text;
    show_begin(&text);
    text_write_finding(&text.output, made, report->symbols, finding, record);
    show_end(&text);
    escape_xml(file, text.text);
    free(text.text);
}

static void write_case(FILE *file, struct report *report, struct made *made,
                       const struct finding *finding, const json_t *record) {
    bool is_failure = finding->severity <= SEVERITY_WARNING;
    const char *element = is_failure ? "failure" : "system-out";
    fputs("  <testcase", file);
    write_attribute(file, "classname", program_of(record));
    write_attribute(file, "name", show_title(record));
    fprintf(file, " time=\"0\">\n   <%s", element);
    if (is_failure) {
        fprintf(file, " type=\"%s\"", severity_name(finding->severity));
        write_attribute(file, "message", summary_line(report, finding, record));
    }
    fputc('>', file);
    write_text(file, report, made, finding, record);
    fprintf(file, "</%s>\n  </testcase>\n", element);
}

static size_t count_failures(const struct findings *findings) {
    size_t failures = 0;
    for (size_t i = 0; i < findings->count; i++)
        failures += findings->items[i].severity <= SEVERITY_WARNING;
    return failures;
}

/* A suite without a case would count as broken. */
void junit_write(struct report *report, const struct output *output) {
    struct findings *findings = &report->findings;
    struct made made = {0};
    size_t failures = count_failures(findings);
    size_t count = findings->count > 0 ? findings->count : 1;
    fprintf(
        output->file,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites tests=\"%zu\" failures=\"%zu\" errors=\"0\" time=\"0\">\n"
        " <testsuite name=\"raceshim\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\""
        " time=\"0\">\n",
        count, failures, count, failures);
    for (size_t i = 0; i < findings->count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (record)
            write_case(output->file, report, &made, &findings->items[i], record);
        json_decref(record);
    }
    if (findings->count == 0)
        fputs("  <testcase classname=\"raceshim\" name=\"no finding\" time=\"0\"/>\n",
              output->file);
    fputs(" </testsuite>\n</testsuites>\n", output->file);
    made_end(&made);
}
