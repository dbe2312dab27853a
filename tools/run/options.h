/* The command line of shim-run. */
#ifndef RACESHIM_TOOLS_OPTIONS_H
#define RACESHIM_TOOLS_OPTIONS_H

#include "base/settings.h"

#include <stdbool.h>

#define EXIT_CODE_DEFAULT 66

struct options {
    struct settings settings; /* for the library, without the session's directory */
    const char *out;          /* or NULL */
    const char *fail_on;      /* or NULL */
    int exit_code;
    char *report_format;     /* or NULL */
    const char *report_file; /* NULL: stderr */
    bool quiet;
    char **command;
};

/* Fails with one message and status 125 for whatever is wrong; prints the help or the version, and
 * ends with status 0, if asked to. */
void options_read(struct options *options, int argc, char **argv);

#endif
