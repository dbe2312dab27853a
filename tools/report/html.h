/* The parts of the page, which more than one file writes. */
#ifndef RACESHIM_TOOLS_HTML_H
#define RACESHIM_TOOLS_HTML_H

#include "report.h"

struct page_parts {
    struct report *report;
    FILE *file;
    json_t *stacks;  /* each stack once */
    json_t *indices; /* a stack's own text to its index */
};

/* Where the stack of the party stands among the page's. */
json_t *page_stack(struct page_parts *parts, const json_t *party);

/* Prints the value and drops it. The characters of markup stand escaped in it. */
void page_print(struct page_parts *parts, json_t *value);

/* The traced spans, as an object: see page.html, "the trace". */
void page_write_traced(struct page_parts *parts);

#endif
