/* JSON as the library writes it, taken bit by bit from a line in memory.
 *
 * Whatever is unusual is refused, and is record_read's to judge: halves of surrogate pairs, bytes that are no
 * UTF-8, fractions. What is taken is JSON.
 */
#ifndef RACESHIM_TOOLS_SCAN_H
#define RACESHIM_TOOLS_SCAN_H

#include "record.h"

#define SCAN_DEPTH_MAX 16
#define SCAN_DIGITS_MAX 18
#define SCAN_TOO_LONG INT64_MIN

struct scan {
    const char *at;
    const char *end;
};

static inline void scan_blanks(struct scan *scan) {
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\r' || *scan->at == '\n'))
        scan->at++;
}

static inline bool scan_char(struct scan *scan, char wanted) {
    if (scan->at == scan->end || *scan->at != wanted)
        return false;
    scan->at++;
    return true;
}

/* string gets what is between the quotes; its bytes are NULL if that has escapes. */
bool scan_string(struct scan *scan, struct string *string);

/* An integer; SCAN_TOO_LONG if it has more digits than SCAN_DIGITS_MAX. */
bool scan_number(struct scan *scan, int64_t *value);

/* true, false or null, as it is given. */
bool scan_word(struct scan *scan, const char *word);

#endif
