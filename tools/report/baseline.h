/* Findings that are known already: a set of fingerprints, from a file or from a session.
 *
 * The file has one fingerprint a line, in their order, and behind it what it was the fingerprint of.
 * A line that starts with # is a comment.
 */
#ifndef RACESHIM_TOOLS_BASELINE_H
#define RACESHIM_TOOLS_BASELINE_H

#include "report.h"

struct baseline {
    uint64_t *items; /* sorted */
    size_t count;
    uint64_t known; /* findings that were found in it */
};

/* path is a file that baseline_write made, or what findings_read takes. Returns NULL, or what is
 * wrong, for the caller to free. */
char *baseline_read(struct baseline *baseline, const char *path, struct symbols *symbols);
void baseline_end(struct baseline *baseline);

/* Counts it if it has. */
bool baseline_has(struct baseline *baseline, const json_t *record, struct symbols *symbols);

/* Returns NULL, or what is wrong, for the caller to free. */
char *baseline_write(struct report *report, const char *path);

#endif
