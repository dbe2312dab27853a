#define _GNU_SOURCE
#include "finish.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How shim-report ends when --fail-on matched; no failure of its own ends it so. */
#define MATCHED 1

void finish_prepare(const struct options *options) {
    const char *file = options->report_file;
    if (!file)
        return;
    int result;
    if (faccessat(AT_FDCWD, file, F_OK, AT_EACCESS) == 0) {
        result = faccessat(AT_FDCWD, file, W_OK, AT_EACCESS);
    } else {
        char *copy = strdup(file);
        if (!copy)
            fail("out of memory");
        result = faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS);
        free(copy);
    }
    if (result != 0)
        fail("--report: cannot write '%s': %s", file, strerror(errno));
}

/* Runs shim-report; what it prints goes to stderr, because stdout is the command's. */
static int run_reporter(char **argv) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    pid_t pid;
    int error = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        fail("cannot run '%s': %s", argv[0], strerror(error));
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            fail("cannot wait for '%s': %s", argv[0], strerror(errno));
    }
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == MATCHED))
        return WEXITSTATUS(status);
    exit(EXIT_FAILED); /* it has said why */
}

/* Everything that shim-report is to do is written as arguments; NULLs among them are left out. */
static int report(const char *reporter, const struct session *session, const char *const *words) {
    char *argv[12];
    char since[64];
    size_t count = 0;
    argv[count++] = (char *)reporter;
    for (size_t i = 0; i < 4; i++) {
        if (words[i])
            argv[count++] = (char *)words[i];
    }
    if (session->used) {
        snprintf(since, sizeof since, "--since=%s", session->since);
        argv[count++] = since;
    }
    argv[count++] = "--";
    argv[count++] = session->path;
    argv[count] = NULL;
    return run_reporter(argv);
}

/* --NAME=VALUE, for the caller to free; NULL for no value. */
static char *option(const char *name, const char *value) {
    char *word = NULL;
    if (value && asprintf(&word, "--%s=%s", name, value) < 0)
        fail("out of memory");
    return word;
}

/* What goes to stderr: the report if it has no file of its own, else the summary. True if
 * --fail-on matched. */
static bool print(const struct options *options, const struct session *session,
                  const char *reporter) {
    bool is_report = options->report_format && !options->report_file;
    if (options->quiet && !is_report && !options->fail_on)
        return false;
    char *format = option("format", is_report ? options->report_format : NULL);
    char *fail_on = option("fail-on", options->fail_on);
    const char *to = options->quiet && !is_report ? "--out=/dev/null" : NULL;
    const char *words[4] = {format ? format : "--summary", to, fail_on, "--exit-code=1"};
    bool matched = report(reporter, session, words) == MATCHED;
    free(format);
    free(fail_on);
    if (is_report && !options->quiet && session_has_records(session))
        complain("the records are in %s", session->path);
    return matched;
}

/* A temporary session without records: a trace was asked for, so it stays. */
static void keep_or_remove(const struct options *options, const struct session *session) {
    if (!session_has_traces(session))
        session_remove(session);
    else if (!options->quiet)
        complain("the trace is in %s; shim-report shows it", session->path);
}

int finish(const struct options *options, const struct session *session, const char *reporter,
           int status) {
    bool has_records = session_has_records(session);
    bool matched = false;
    if (has_records || options->report_format)
        matched = print(options, session, reporter);
    if (options->report_file) {
        char *format = option("format", options->report_format);
        char *out = option("out", options->report_file);
        const char *words[4] = {format, out, NULL, NULL};
        report(reporter, session, words);
        free(format);
        free(out);
    }
    if (session->temporary && !has_records)
        keep_or_remove(options, session);
    return matched ? options->exit_code : status;
}
