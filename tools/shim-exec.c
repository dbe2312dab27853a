/* The compiled half of shim-run. The front, a shell script, finds the installed pieces and calls
 *
 *     shim-exec --given PID                     print the environment that PID was started with
 *     shim-exec LIBRARY REPORTER [ARGUMENT]...  do the rest: the arguments are shim-run's
 *
 * by exec, so that shim-run stays one process. Messages therefore say shim-run.
 */
#define _GNU_SOURCE
#include "run/command.h"
#include "run/environment.h"
#include "run/fail.h"
#include "run/finish.h"
#include "run/leaks.h"
#include "run/options.h"
#include "run/rules_check.h"
#include "run/session.h"
#include "run/waits.h"
#include "start/outside.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The front leaves "$LIB" in the path where the dynamic loader must choose, after it has tried. */
static void check_library(const char *library) {
    if (strpbrk(library, " :\t\n"))
        fail("the library's path '%s' contains a blank or a colon, which LD_PRELOAD cannot carry; "
             "install raceshim elsewhere",
             library);
    if (!strstr(library, "$LIB") && access(library, R_OK) != 0)
        fail("cannot find the library '%s': %s; is raceshim installed completely?", library,
             strerror(errno));
}

/* shim-run lies where shim-report does. */
static const char *our_path(const char *reporter) {
    static char path[4096];
    const char *slash = strrchr(reporter, '/');
    snprintf(path, sizeof path, "%.*s/shim-run", slash ? (int)(slash - reporter) : 0, reporter);
    return path;
}

static char **prepare_environment(struct options *options, const struct session *session,
                                  const char *library) {
    static char words[SETTINGS_TEXT_MAX];
    struct settings *settings = &options->settings;
    if (strlen(session->path) >= sizeof settings->out)
        fail("the path of session directory '%s' is too long", session->path);
    strcpy(settings->out, session->path);
    if (settings_text(settings, words, sizeof words) < 0)
        fail("the options are too long for one environment variable");
    char **environment = environment_given();
    environment_preload(&environment, library);
    environment_set(&environment, "RACESHIM", words);
    return environment;
}

/* Nothing is preloaded into shim-run itself, so it says for its own command what the library says
 * of programs that are started in the session. Returns the environment to start the command with. */
static char **check_command(const struct options *options, const struct session *session,
                            const char *reporter, char **environment) {
    struct program program;
    char *path = NULL;
    char link[40];
    static char sentence[START_SENTENCE_MAX];
    program_open(&program, PROGRAM_SEARCH, options->command[0], 0, NULL, environment);
    snprintf(link, sizeof link, "/proc/self/fd/%d", program.fd);
    path = program.fd >= 0 ? realpath(link, NULL) : NULL;
    if (start_sentence(&program, path ? path : options->command[0], sentence, sizeof sentence))
        session_record(session, "not-covered", our_path(reporter), sentence);
    free(path);
    program_close(&program);
    if (program.bar != PROGRAM_SANITIZED)
        return environment;
    struct start_sizes sizes = start_sizes(environment);
    char **without = malloc(sizes.pointers * sizeof *without);
    char *preload = malloc(sizes.bytes);
    if (!without || !preload)
        fail("out of memory");
    return (char **)start_without_library(environment, without, preload, sizes.bytes);
}

int main(int argc, char **argv) {
    setlocale(LC_CTYPE, "");
    if (argc == 3 && strcmp(argv[1], "--given") == 0) {
        environment_print(argv[2]);
        return 0;
    }
    if (argc < 3)
        fail("shim-exec is a part of shim-run and is not called by itself");
    const char *library = argv[1];
    const char *reporter = argv[2];
    static struct options options;
    options_read(&options, argc - 2, argv + 2);
    check_library(library);
    if (options.settings.rules[0])
        rules_check(options.settings.rules);
    finish_prepare(&options);
    static struct session session;
    session_open(&session, options.out);
    static char **environment;
    environment = prepare_environment(&options, &session, library);
    environment = check_command(&options, &session, reporter, environment);
    if (!options.quiet && options.settings.lock_mode != LOCKS_OFF)
        waits_begin(&session.fd, options.settings.wait_warn_ns);
    int status = command_run(options.command, environment, &session.fd);
    if (options.settings.lock_mode != LOCKS_OFF)
        leaks_record(&session, our_path(reporter));
    return finish(&options, &session, reporter, status);
}
