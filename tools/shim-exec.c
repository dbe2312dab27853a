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
#include "run/options.h"
#include "run/rules_check.h"
#include "run/session.h"

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
    int status = command_run(options.command, environment, &session.fd);
    return finish(&options, &session, reporter, status);
}
