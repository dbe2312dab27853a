/* shim-report - reads the records of sessions and writes them as a report; see shim-report(1). */
#define _GNU_SOURCE
#include "common/kinds.h"
#include "common/memory.h"
#include "common/output.h"
#include "config.h"
#include "report/baseline.h"
#include "report/formats.h"
#include "report/live.h"
#include "report/pool.h"
#include "report/progress.h"
#include "report/record.h"
#include "report/suppress.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_FAILED 2
#define EXIT_CODE_DEFAULT 66

static const char help[] =
    "Usage: shim-report [OPTION]... SESSION...\n"
    "  or:  shim-report --live [SESSION]\n"
    "Report what was recorded in session directories, or in single files of records.\n"
    "\n"
    "  --format=text            for people (the default)\n"
    "  --format=json            an array for programs\n"
    "  --format=github          annotations, and the summary of the step, for GitHub Actions\n"
    "  --format=junit|sarif     for test servers; for code scanning\n"
    "  --format=html            one page for a browser, with a timeline\n"
    "  --format=trace           for Perfetto and Chrome's tracing\n"
    "  -o FILE, --out=FILE      write to FILE instead of standard output\n"
    "  --summary                one line a finding, at most a screen\n"
    "  --since=TIME             leave out what was recorded before; 2024-05-01T12:00:00Z\n"
    "  --fail-on=KIND[,KIND]... exit with --exit-code if there is such a record;\n"
    "                           any: every record of severity warning or error\n"
    "  --exit-code=N            1 to 255 (default: 66)\n"
    "  --suppress=FILE          leave out what FILE's rules match\n"
    "  --baseline=FILE|SESSION  leave out what is known from there\n"
    "  --write-baseline=FILE    write down what is known now\n"
    "  --live                   who waits for which lock now, and who holds it\n"
    "  --help, --version        print this, or the version, and exit\n"
    "\n"
    "The exit status is 0; 2 if something could not be read or written. See shim-report(1).\n";

struct options {
    format_write *write;
    const char *out; /* NULL: stdout */
    const char *suppress;
    const char *baseline;
    const char *write_baseline;
    uint64_t since;
    struct kind_set fail_on;
    int exit_code;
    bool is_summary;
};

static __attribute__((format(printf, 1, 2))) void complain(const char *format, ...) {
    va_list arguments;
    char *text;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = must_print("out of memory");
    va_end(arguments);
    struct output output = output_on(stderr);
    fputs("shim-report: ", stderr);
    output_text(&output, text, strlen(text), 0);
    fputc('\n', stderr);
    free(text);
}

#define fail(...)                                                                                  \
    do {                                                                                           \
        complain(__VA_ARGS__);                                                                     \
        exit(EXIT_FAILED);                                                                         \
    } while (0)

static format_write *find_format(const char *name) {
#define FORMAT_ROW(row)                                                                            \
    if (strcmp(name, #row) == 0)                                                                   \
        return row##_write;
    FORMATS(FORMAT_ROW)
    fail("--format=%s: no such format; the formats are:" FORMAT_NAMES, name);
}

static int read_exit_code(const char *value) {
    char *end;
    long code = strtol(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || code < 1 || code > 255)
        fail("--exit-code=%s: a number from 1 to 255 is wanted", value);
    return (int)code;
}

static void read_fail_on(struct options *options, const char *list) {
    const char *wrong;
    size_t length;
    if (!kind_set_parse(&options->fail_on, list, &wrong, &length))
        fail("--fail-on: '%.*s' is no kind of record; the kinds are %s, or any", (int)length, wrong,
             kind_names());
}

enum {
    OPTION_FORMAT = 256,
    OPTION_SUMMARY,
    OPTION_SINCE,
    OPTION_FAIL_ON,
    OPTION_EXIT_CODE,
    OPTION_SUPPRESS,
    OPTION_BASELINE,
    OPTION_WRITE_BASELINE,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option table[] = {
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"out", required_argument, NULL, 'o'},
    {"summary", no_argument, NULL, OPTION_SUMMARY},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"fail-on", required_argument, NULL, OPTION_FAIL_ON},
    {"exit-code", required_argument, NULL, OPTION_EXIT_CODE},
    {"suppress", required_argument, NULL, OPTION_SUPPRESS},
    {"baseline", required_argument, NULL, OPTION_BASELINE},
    {"write-baseline", required_argument, NULL, OPTION_WRITE_BASELINE},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static void apply(struct options *options, int option) {
    switch (option) {
    case OPTION_FORMAT:
        options->write = find_format(optarg);
        break;
    case 'o':
        options->out = optarg;
        break;
    case OPTION_SUMMARY:
        options->is_summary = true;
        options->write = summary_write;
        break;
    case OPTION_SINCE:
        if (!record_time(optarg, strlen(optarg), &options->since))
            fail("--since=%s: a time like 2024-05-01T12:00:00Z is wanted", optarg);
        break;
    case OPTION_FAIL_ON:
        read_fail_on(options, optarg);
        break;
    case OPTION_EXIT_CODE:
        options->exit_code = read_exit_code(optarg);
        break;
    case OPTION_SUPPRESS:
        options->suppress = optarg;
        break;
    case OPTION_BASELINE:
        options->baseline = optarg;
        break;
    case OPTION_WRITE_BASELINE:
        options->write_baseline = optarg;
        break;
    case OPTION_HELP:
        fputs(help, stdout);
        exit(fflush(stdout) == 0 ? 0 : EXIT_FAILED);
    case OPTION_VERSION:
        puts("shim-report (raceshim) " PACKAGE_VERSION);
        exit(fflush(stdout) == 0 ? 0 : EXIT_FAILED);
    default:
        exit(EXIT_FAILED); /* getopt_long has said what is wrong */
    }
}

static struct options read_options(int argc, char **argv) {
    struct options options = {.write = text_write, .exit_code = EXIT_CODE_DEFAULT};
    argv[0] = "shim-report"; /* for getopt_long's messages */
    int option;
    while ((option = getopt_long(argc, argv, "o:", table, NULL)) != -1)
        apply(&options, option);
    if (optind == argc)
        fail("a session directory is missing; shim-report --help tells how to call it");
    return options;
}

/* What could not be read, once each however often it was met. */
static void explain_losses(const struct findings *findings) {
    const struct lines *lines = &findings->lines;
    if (findings->broken > 0)
        complain("%zu line%s could not be read as records, the first in %s", findings->broken,
                 findings->broken == 1 ? "" : "s", lines->files[findings->first_broken.file].path);
    if (lines->overlong > 0)
        complain("%zu line%s longer than 1 MiB left out", lines->overlong,
                 lines->overlong == 1 ? "" : "s");
    if (findings->newer > 0)
        complain("%zu record%s of a newer version left out; use that version's shim-report",
                 findings->newer, findings->newer == 1 ? "" : "s");
    if (lines->refused > 0)
        complain("%zu file%s left out, the first is %s", lines->refused,
                 lines->refused == 1 ? "" : "s", lines->first_refused);
}

static void explain_traces(const struct traced *traced) {
    if (traced->broken > 0)
        complain("%zu file%s of traces left out, the first is %s", traced->broken,
                 traced->broken == 1 ? "" : "s", traced->first_broken);
    if (traced->newer > 0)
        complain("%zu trace%s of a newer version left out; use that version's shim-report",
                 traced->newer, traced->newer == 1 ? "" : "s");
}

/* After a summary: where the rest is. */
static void name_sessions(const struct output *output, char **sessions) {
    fputs("raceshim: the records are in", output->file);
    for (; *sessions; sessions++) {
        fputc(' ', output->file);
        output_text(output, *sessions, strlen(*sessions), 0);
    }
    fputs("; shim-report shows them in full\n", output->file);
}

static void write_report(struct report *report, const struct options *options, char **sessions) {
    FILE *file = stdout;
    if (options->out) {
        file = fopen(options->out, "we");
        if (!file)
            fail("cannot write '%s': %s", options->out, strerror(errno));
    }
    struct output output = output_on(file);
    static char buffer[1 << 16];
    if (!output.terminal)
        setvbuf(file, buffer, _IOFBF, sizeof buffer);
    /* On one terminal the two would mix. */
    report->findings.work = output.terminal ? NULL : "writing";
    options->write(report, &output);
    progress_end();
    if (options->is_summary && report->findings.count > 0)
        name_sessions(&output, sessions);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed)
        fail("cannot write '%s': %s", options->out ? options->out : "standard output",
             strerror(errno));
}

static bool has_failed(const struct findings *findings, const struct kind_set *fail_on) {
    for (size_t i = 0; i < findings->count; i++) {
        if (kind_set_has(fail_on, findings->items[i].kind, findings->items[i].severity))
            return true;
    }
    return false;
}

/* The traces first: they learn from the records which waits were recorded. True if all sessions could
 * be read. */
static bool read_sessions(struct report *report, char **sessions) {
    bool is_complete = true;
    for (char **session = sessions; *session; session++)
        traced_read(&report->traced, *session);
    traced_finish(&report->traced);
    for (; *sessions; sessions++) {
        char *wrong = findings_read(&report->findings, *sessions);
        if (wrong) {
            complain("%s", wrong);
            free(wrong);
            is_complete = false;
        }
    }
    waits_add_traced(&report->findings.waits, &report->traced);
    findings_sort(&report->findings);
    return is_complete;
}

static void stop_if(char *wrong) {
    if (!wrong)
        return;
    complain("%s", wrong);
    free(wrong);
    exit(EXIT_FAILED);
}

/* What --suppress and --baseline leave of the findings. */
struct selection {
    struct symbols *symbols;
    struct suppressions suppressions;
    struct baseline baseline;
};

static bool is_not_suppressed(void *context, const json_t *record) {
    struct selection *selection = context;
    return !suppressions_match(&selection->suppressions, record, selection->symbols);
}

static bool is_new(void *context, const json_t *record) {
    struct selection *selection = context;
    return !baseline_has(&selection->baseline, record, selection->symbols);
}

static void select_findings(struct report *report, const struct options *options,
                            struct selection *selection) {
    selection->symbols = report->symbols;
    if (options->suppress) {
        stop_if(suppressions_read(&selection->suppressions, options->suppress));
        findings_filter(&report->findings, is_not_suppressed, selection);
    }
    /* Read before it may be written under the same name. */
    if (options->baseline)
        stop_if(baseline_read(&selection->baseline, options->baseline, report->symbols));
    if (options->write_baseline)
        stop_if(baseline_write(report, options->write_baseline));
    if (options->baseline)
        findings_filter(&report->findings, is_new, selection);
}

static void explain_selection(const struct selection *selection) {
    const struct suppressions *list = &selection->suppressions;
    if (list->suppressed > 0)
        complain("%" PRIu64 " finding%s suppressed by %s", list->suppressed,
                 list->suppressed == 1 ? "" : "s", list->file);
    for (size_t i = 0; i < list->count; i++) {
        if (list->rules[i].used == 0)
            complain("%s:%u: this rule matched nothing", list->file, list->rules[i].line);
    }
    if (selection->baseline.known > 0)
        complain("%" PRIu64 " finding%s known from the baseline", selection->baseline.known,
                 selection->baseline.known == 1 ? "" : "s");
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--live") == 0)
        return live_main(argv + 2);
    setlocale(LC_CTYPE, "");
    pool_serve_jansson();
    struct options options = read_options(argc, argv);
    /* It comes at the end of every run: nobody waits for downloads then. */
    if (options.is_summary)
        unsetenv("DEBUGINFOD_URLS");
    struct report report = {.symbols = symbols_new()};
    struct selection selection = {0};
    findings_begin(&report.findings, options.since,
                   options.write == html_write || options.write == trace_write);
    traced_begin(&report.traced, options.since);
    report.findings.traced = &report.traced;
    bool is_complete = read_sessions(&report, argv + optind);
    explain_losses(&report.findings);
    explain_traces(&report.traced);
    select_findings(&report, &options, &selection);
    explain_selection(&selection);
    write_report(&report, &options, argv + optind);
    int status = has_failed(&report.findings, &options.fail_on) ? options.exit_code : 0;
    suppressions_end(&selection.suppressions);
    baseline_end(&selection.baseline);
    findings_end(&report.findings);
    traced_end(&report.traced);
    symbols_free(report.symbols);
    return is_complete ? status : EXIT_FAILED;
}
