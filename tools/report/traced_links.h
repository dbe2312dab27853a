/* What the operations of one process do not say, because another process had its part in it: who was
 * in whose way, and when a hold ended whose end is in no trace.
 */
#ifndef RACESHIM_TOOLS_TRACED_LINKS_H
#define RACESHIM_TOOLS_TRACED_LINKS_H

#include "traced_pairs.h"

/* An unlock by who does not hold ends what another process has left behind with the same description.
 * A hold without an end has ended when somebody else was granted what it excludes. */
void traced_link_ends(struct traced_spans *spans, const struct stray_unlocks *strays);

/* Each wait and each refusal gets its blocker, if that is in a trace. pids: of each process. */
void traced_link_blockers(struct traced_spans *spans, const int32_t *pids);

#endif
