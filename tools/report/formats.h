/* Every way to write findings: NAME_write for each row of common/formats.h, and the summary. */
#ifndef RACESHIM_TOOLS_REPORT_FORMATS_H
#define RACESHIM_TOOLS_REPORT_FORMATS_H

#include "../common/formats.h"
#include "../common/output.h"
#include "findings.h"

typedef void format_write(struct findings *findings, const struct output *output);

#define FORMAT_WRITE(name) format_write name##_write;
FORMATS(FORMAT_WRITE)

/* One line a finding, at most a screen, then where the records are. Nothing without findings. */
void summary_write(struct findings *findings, const struct output *output);

#endif
