/* The time that waits cost, by file and by holder.
 *
 * Of a finding that came again, only the first wait is known, unless the session has a trace; so the
 * sums are lower bounds.
 */
#ifndef RACESHIM_TOOLS_WAITS_H
#define RACESHIM_TOOLS_WAITS_H

#include "../common/output.h"
#include "record.h"
#include "traced.h"

#include <stdint.h>

struct wait_totals {
    struct wait_total {
        char *name; /* as it is shown */
        uint64_t ns;
        uint64_t waits;
    } * items;
    size_t count;
};

struct waits {
    struct wait_total all;
    struct wait_totals files;
    struct wait_totals holders;
};

/* Adds the record if it tells of a wait and since when. */
void waits_add(struct waits *waits, const json_t *record);

/* Adds the traced waits that no record tells of. */
void waits_add_traced(struct waits *waits, const struct traced *traced);

/* The most expensive first. */
void waits_sort(struct waits *waits);
void waits_end(struct waits *waits);

/* One sentence with the worst file and holder, for the caller to free; "" if nobody waited. The
 * totals must be sorted. */
char *waits_line(const struct waits *waits);

/* All, as two small tables; nothing if nobody waited. */
void waits_write(const struct output *output, const struct waits *waits);

#endif
