/* What every format is given: the findings, the traced locks, and names for their frames. */
#ifndef RACESHIM_TOOLS_REPORT_H
#define RACESHIM_TOOLS_REPORT_H

#include "findings.h"
#include "symbols.h"
#include "traced.h"

struct report {
    struct findings findings;
    struct traced traced;
    struct symbols *symbols;
};

#endif
