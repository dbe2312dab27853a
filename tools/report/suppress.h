/* The list of findings that one does not want to see. One rule a line:
 *
 *     KIND|* [path=PATTERN] [var=PATTERN] [exe=PATTERN] [function=PATTERN]
 *
 * A rule matches if all its parts do; function is that of any frame of either side. PATTERN is
 * glob_match's, so "\ " is a blank in it; a path or exe pattern without a '/' is also compared with
 * the last component alone. A line that starts with # is a comment, and so is what follows a # that
 * stands at the start of a word.
 */
#ifndef RACESHIM_TOOLS_SUPPRESS_H
#define RACESHIM_TOOLS_SUPPRESS_H

#include "frames.h"

enum suppress_part { PART_PATH, PART_VAR, PART_EXE, PART_FUNCTION, PART_COUNT };

struct suppressions {
    const char *file;
    struct suppression {
        char *kind; /* NULL: any */
        char *parts[PART_COUNT];
        unsigned line;
        uint64_t used;
    } * rules;
    size_t count;
    uint64_t suppressed; /* findings */
};

/* Returns NULL, or what is wrong, for the caller to free. */
char *suppressions_read(struct suppressions *list, const char *path);
void suppressions_end(struct suppressions *list);

/* Does a rule match? Each one that does is counted as used. */
bool suppressions_match(struct suppressions *list, const json_t *record, struct symbols *symbols);

#endif
