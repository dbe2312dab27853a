/* Which spans are shown where there are too many for a viewer. */
#ifndef RACESHIM_TOOLS_TRACED_CHOICE_H
#define RACESHIM_TOOLS_TRACED_CHOICE_H

#include "traced_span.h"

#define NOT_CHOSEN UINT32_MAX

struct traced_choice {
    uint32_t *numbers; /* of each span, among the chosen ones in their order; or NOT_CHOSEN */
    size_t count;
};

/* At most max: the longest waits with what was in their way, then what was refused, then the longest
 * holds. */
struct traced_choice traced_choose(struct traced_spans *spans, size_t max);
void traced_choice_end(struct traced_choice *choice);

/* The blocker's number; -1: there is none, or it is not chosen. */
int64_t traced_choice_blocker(const struct traced_choice *choice, const struct traced_span *span);

#endif
