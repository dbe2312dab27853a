/* shim-report - reads the records of sessions and writes them as a report; see shim-report(1). */
#define _GNU_SOURCE
#include "common/kinds.h"
#include "common/memory.h"
#include "common/output.h"
#include "config.h"
#include "report/findings.h"
#include "report/formats.h"
#include "report/live.h"
#include "report/record.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_FAILED 2
#define EXIT_CODE_DEFAULT 66

static const char help[] =
    "Usage: shim-report [OPTION]... SESSION...\n"
    "Report what was recorded in session directories, or in single files of records.\n"
    "\n"
    "  --format=text|json       for people (the default), or an array for programs\n"
    "  -o FILE, --out=FILE      write to FILE instead of standard output\n"
    "  --summary                one line a finding, at most a screen\n"
    "  --since=TIME             leave out what was recorded before; 2024-05-01T12:00:00Z\n"
    "  --fail-on=KIND[,KIND]... exit with --exit-code if there is such a record;\n"
    "                           any: every record of severity warning or error\n"
    "  --exit-code=N            1 to 255 (default: 66)\n"
    "  --help, --version        print this, or the version, and exit\n"
    "\n"
    "The exit status is 0; 2 if something could not be read or written. See shim-report(1).\n";

struct options {
    format_write *write;
    const char *out; /* NULL: stdout */
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

/* After a summary: where the rest is. */
static void name_sessions(const struct output *output, char **sessions) {
    fputs("raceshim: the records are in", output->file);
    for (; *sessions; sessions++) {
        fputc(' ', output->file);
        output_text(output, *sessions, strlen(*sessions), 0);
    }
    fputs("; shim-report shows them in full\n", output->file);
}

static void write_report(struct findings *findings, const struct options *options,
                         char **sessions) {
    FILE *file = stdout;
    if (options->out) {
        file = fopen(options->out, "we");
        if (!file)
            fail("cannot write '%s': %s", options->out, strerror(errno));
    }
    struct output output = output_on(file);
    options->write(findings, &output);
    if (options->is_summary && findings->count > 0)
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

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--live") == 0)
        return live_main(argv + 2);
    setlocale(LC_CTYPE, "");
    struct options options = read_options(argc, argv);
    struct findings findings;
    bool is_complete = true;
    findings_begin(&findings, options.since);
    for (char **session = argv + optind; *session; session++) {
        char *wrong = findings_read(&findings, *session);
        if (wrong) {
            complain("%s", wrong);
            free(wrong);
            is_complete = false;
        }
    }
    findings_sort(&findings);
    explain_losses(&findings);
    write_report(&findings, &options, argv + optind);
    int status = has_failed(&findings, &options.fail_on) ? options.exit_code : 0;
    findings_end(&findings);
    return is_complete ? status : EXIT_FAILED;
}
