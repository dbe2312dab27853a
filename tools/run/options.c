#define _GNU_SOURCE
#include "options.h"

#include "../common/formats.h"
#include "../common/kinds.h"
#include "base/text.h"
#include "config.h"
#include "fail.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: shim-run [OPTION]... [--] COMMAND [ARG]...\n"
    "Run COMMAND with record locks that belong to the open file description that took them\n"
    "and an environment for each thread that contends with another, and report where it would\n"
    "have locked against itself, lost a lock, or read another thread's variable.\n"
    "\n"
    "  --watch                  change nothing, record only: --locks=watch --env=watch\n"
    "  --locks=repair|watch|off what to do with record locks (default: repair)\n"
    "  --env=MODE               whose variables a thread sees: scoped, private, watch or off\n"
    "                           (default: scoped)\n"
    "  --rules=FILE             treatment by path and program\n"
    "  -o DIR, --out=DIR        keep the records in DIR\n"
    "  --fail-on=KIND[,KIND]... exit with --exit-code if such a record was written;\n"
    "                           any: every record of severity warning or error\n"
    "  --exit-code=N            1 to 255 (default: 66)\n"
    "  --lock-timeout=SECONDS   give up waiting for a lock (default: 0, never)\n"
    "  --wait-warn=SECONDS      record waits longer than this (default: 10; 0: none)\n"
    "  --report=FORMAT[:FILE]   write a report at the end; text, json, github, junit,\n"
    "                           sarif, html or trace\n"
    "  -q, --quiet              no summary at the end\n"
    "  --show-values            record the values of environment variables\n"
    "  --trace                  keep every lock operation in the session\n"
    "  --no-follow              enter no program whose environment was cleared\n"
    "  --help, --version        print this, or the version, and exit\n"
    "\n"
    "The exit status is COMMAND's, 128+N if signal N ended it; 125 if shim-run fails,\n"
    "126 if COMMAND cannot be executed, 127 if it is not found. See shim-run(1).\n";

enum {
    OPTION_WATCH = 256,
    OPTION_LOCKS,
    OPTION_ENV,
    OPTION_RULES,
    OPTION_FAIL_ON,
    OPTION_EXIT_CODE,
    OPTION_LOCK_TIMEOUT,
    OPTION_WAIT_WARN,
    OPTION_REPORT,
    OPTION_SHOW_VALUES,
    OPTION_NO_FOLLOW,
    OPTION_TRACE,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option table[] = {
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"locks", required_argument, NULL, OPTION_LOCKS},
    {"env", required_argument, NULL, OPTION_ENV},
    {"rules", required_argument, NULL, OPTION_RULES},
    {"out", required_argument, NULL, 'o'},
    {"fail-on", required_argument, NULL, OPTION_FAIL_ON},
    {"exit-code", required_argument, NULL, OPTION_EXIT_CODE},
    {"lock-timeout", required_argument, NULL, OPTION_LOCK_TIMEOUT},
    {"wait-warn", required_argument, NULL, OPTION_WAIT_WARN},
    {"report", required_argument, NULL, OPTION_REPORT},
    {"quiet", no_argument, NULL, 'q'},
    {"show-values", no_argument, NULL, OPTION_SHOW_VALUES},
    {"no-follow", no_argument, NULL, OPTION_NO_FOLLOW},
    {"trace", no_argument, NULL, OPTION_TRACE},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

#define HINT "; shim-run --help lists the options"

/* The library's own reader says whether a setting's value is one; here is what it takes. */
static const char *wanted(const char *name) {
    static const struct {
        const char *name;
        const char *values;
    } table[] = {
        {"locks", "repair, watch or off"},
        {"env", "scoped, private, watch or off"},
        {"lock-timeout", "a number of seconds, such as 30 or 0.5,"},
        {"wait-warn", "a number of seconds, such as 30 or 0.5,"},
        {"rules", "a shorter path"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(name, table[i].name) == 0)
            return table[i].values;
    }
    return "another value";
}

struct refused {
    const char *name;
    const char *value;
};

static void refuse(void *context, const char *name, size_t length, const char *message) {
    const struct refused *refused = context;
    (void)name;
    (void)length;
    (void)message;
    fail("--%s=%s: %s is wanted", refused->name, refused->value, wanted(refused->name));
}

/* Of a word given twice the last counts, and so does an option. Each is read as it is met, with
 * those before it, so that the message can name it. */
static void add_setting(struct options *options, const char *name, const char *value) {
    static char words[SETTINGS_TEXT_MAX];
    size_t used = strlen(words);
    struct text text;
    text_begin(&text, words + used, sizeof words - used);
    text_add(&text, name);
    if (value) {
        text_add_char(&text, '=');
        text_add_escaped(&text, value);
    }
    text_add_char(&text, ' ');
    if (text.cut)
        fail("--%s: the options are too long", name);
    struct refused refused = {name, value ? value : ""};
    settings_parse(&options->settings, words, refuse, &refused);
}

/* The library must find the file from any directory. */
static void add_rules(struct options *options, const char *file) {
    char *path = realpath(file, NULL);
    if (!path)
        fail("--rules=%s: %s", file, strerror(errno));
    add_setting(options, "rules", path);
    free(path);
}

static void set_exit_code(struct options *options, const char *value) {
    uint64_t code;
    if (!text_decimal(value, strlen(value), &code) || code < 1 || code > 255)
        fail("--exit-code=%s: a number from 1 to 255 is wanted", value);
    options->exit_code = (int)code;
}

static void set_fail_on(struct options *options, const char *list) {
    struct kind_set set;
    const char *wrong;
    size_t length;
    if (!kind_set_parse(&set, list, &wrong, &length))
        fail("--fail-on: '%.*s' is no kind of record; the kinds are %s, or any", (int)length, wrong,
             kind_names());
    options->fail_on = list;
}

#define FORMAT_NAME(name) #name,
static const char *const formats[] = {FORMATS(FORMAT_NAME)};

static void set_report(struct options *options, const char *value) {
    size_t length = strcspn(value, ":");
    bool known = false;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        known |= text_is(value, length, formats[i]);
    if (!known)
        fail("--report=%s: '%.*s' is no format; the formats are:" FORMAT_NAMES, value, (int)length,
             value);
    options->report_format = strndup(value, length);
    options->report_file = value[length] == ':' ? value + length + 1 : NULL;
    if (!options->report_format)
        fail("out of memory");
    if (options->report_file && !*options->report_file)
        fail("--report=%s: a file's name is wanted after the colon", value);
}

static void apply(struct options *options, int option) {
    switch (option) {
    case OPTION_WATCH:
        add_setting(options, "locks", "watch");
        add_setting(options, "env", "watch");
        break;
    case OPTION_LOCKS:
        add_setting(options, "locks", optarg);
        break;
    case OPTION_ENV:
        add_setting(options, "env", optarg);
        break;
    case OPTION_RULES:
        add_rules(options, optarg);
        break;
    case 'o':
        if (!*optarg)
            fail("--out: a directory's name is wanted");
        options->out = optarg;
        break;
    case OPTION_FAIL_ON:
        set_fail_on(options, optarg);
        break;
    case OPTION_EXIT_CODE:
        set_exit_code(options, optarg);
        break;
    case OPTION_LOCK_TIMEOUT:
        add_setting(options, "lock-timeout", optarg);
        break;
    case OPTION_WAIT_WARN:
        add_setting(options, "wait-warn", optarg);
        break;
    case OPTION_REPORT:
        set_report(options, optarg);
        break;
    case 'q':
        options->quiet = true;
        break;
    case OPTION_SHOW_VALUES:
        add_setting(options, "show-values", NULL);
        break;
    case OPTION_NO_FOLLOW:
        add_setting(options, "no-follow", NULL);
        break;
    case OPTION_TRACE:
        add_setting(options, "trace", NULL);
        break;
    case OPTION_HELP:
        fputs(help, stdout);
        exit(fflush(stdout) == 0 ? 0 : EXIT_FAILED);
    case OPTION_VERSION:
        puts("shim-run (raceshim) " PACKAGE_VERSION);
        exit(fflush(stdout) == 0 ? 0 : EXIT_FAILED);
    default:
        break;
    }
}

/* getopt_long has said nothing: opterr is 0. ":" comes for a missing value, "?" for all else. */
static void explain(int option, char **argv) {
    const char *word = argv[optind - 1];
    if (option == ':')
        fail("option '%s' wants a value" HINT, word);
    if (optopt > ' ' && optopt < 256)
        fail("unknown option '-%c'" HINT, optopt);
    if (optopt)
        fail("option '%.*s' takes no value" HINT, (int)strcspn(word, "="), word);
    fail("unknown option '%s'" HINT, word);
}

void options_read(struct options *options, int argc, char **argv) {
    *options = (struct options){.exit_code = EXIT_CODE_DEFAULT};
    add_setting(options, "locks", "repair");
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, "+:o:q", table, NULL)) != -1) {
        if (option == '?' || option == ':')
            explain(option, argv);
        apply(options, option);
    }
    if (optind == argc)
        fail("a command is missing; shim-run --help tells how to call it");
    options->command = argv + optind;
}
