/* What every format is given: the findings, and names for their frames. */
#ifndef RACESHIM_TOOLS_REPORT_H
#define RACESHIM_TOOLS_REPORT_H

#include "findings.h"
#include "symbols.h"

struct report {
    struct findings findings;
    struct symbols *symbols;
};

#endif
