/* Every way to write findings: NAME_write for each row of common/formats.h, and the summary. */
#ifndef RACESHIM_TOOLS_REPORT_FORMATS_H
#define RACESHIM_TOOLS_REPORT_FORMATS_H

#include "../common/formats.h"
#include "../common/output.h"
#include "made.h"
#include "report.h"

typedef void format_write(struct report *report, const struct output *output);

#define FORMAT_WRITE(name) format_write name##_write;
FORMATS(FORMAT_WRITE)

/* One finding, as in the format text. made: what was made for others of the same output, or NULL. */
void text_write_finding(const struct output *output, struct made *made, struct symbols *symbols,
                        const struct finding *finding, const json_t *record);

/* One finding, as in the summary, without the end of the line; for the caller to free. */
char *summary_line(struct report *report, const struct finding *finding, const json_t *record);

/* One line a finding, at most a screen, then where the records are. Nothing without findings. */
void summary_write(struct report *report, const struct output *output);

#endif
