/* The stacks of a finding, for people: both sides side by side where the line is long enough. */
#ifndef RACESHIM_TOOLS_STACKS_H
#define RACESHIM_TOOLS_STACKS_H

#include "../common/output.h"
#include "frames.h"

/* Are the lines long enough? */
bool stacks_fit_side_by_side(const struct output *output);

void stacks_write_both(const struct output *output, const struct frames *here,
                       const struct frames *there);
void stacks_write_one(const struct output *output, const struct frames *frames);

#endif
