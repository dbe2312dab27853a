/* After the command: the summary, the report, the exit status, and no litter. */
#ifndef RACESHIM_TOOLS_FINISH_H
#define RACESHIM_TOOLS_FINISH_H

#include "options.h"
#include "session.h"

/* Fails early if the report's file cannot be written. */
void finish_prepare(const struct options *options);

/* reporter is the path of shim-report; status is the command's. Returns shim-run's. */
int finish(const struct options *options, const struct session *session, const char *reporter,
           int status);

#endif
