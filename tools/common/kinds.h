/* The kinds of finding: their names, and what they mean.
 *
 * The names are the library's, from report/event.h. A record may carry a kind that this table does
 * not know (a newer library wrote it): it is shown as it is.
 */
#ifndef RACESHIM_TOOLS_KINDS_H
#define RACESHIM_TOOLS_KINDS_H

#include "report/event.h"

#include <stdbool.h>
#include <stddef.h>

struct kind {
    const char *phrase;  /* for the summary: what the program did, in one line */
    const char *meaning; /* for the report: a sentence or two */
};

/* NULL if the table does not know it. */
const struct kind *kind_find(const char *name, size_t length);

/* The kinds as a table: EVENT_KIND_COUNT of them, in an order that does not change within a version. */
const struct kind *kind_at(size_t index);
size_t kind_index(const struct kind *kind);
const char *kind_name(const struct kind *kind);

const char *severity_name(enum event_severity severity);
bool severity_find(const char *name, size_t length, enum event_severity *severity);

/* What --fail-on names. */
struct kind_set {
    unsigned long members; /* a bit per row of the table */
    bool any;              /* every record of severity error or warning */
};

/* Reads KIND[,KIND]...|any. On failure returns false, and *wrong and *length are the word that is
 * no kind; the word may be empty. */
bool kind_set_parse(struct kind_set *set, const char *list, const char **wrong, size_t *length);

/* kind may be NULL. */
bool kind_set_has(const struct kind_set *set, const struct kind *kind,
                  enum event_severity severity);

/* All the names, separated by ", ". */
const char *kind_names(void);

#endif
