/* The events of the format trace, which more than one file writes. */
#ifndef RACESHIM_TOOLS_TRACE_EVENTS_H
#define RACESHIM_TOOLS_TRACE_EVENTS_H

#include "report.h"

#include <stdio.h>

#define NAMED_SIZE 1024u

struct trace {
    FILE *file;
    const char *before;
    uint64_t spans;             /* that have a number */
    uint64_t named[NAMED_SIZE]; /* threads that were given their names, the last of each slot */
};

struct trace_thread {
    uint64_t pid;
    uint64_t tid; /* 0: the process's first one */
};

/* Takes the event's own fields and drops them. ns: since 1970. */
void trace_event(struct trace *trace, struct trace_thread thread, uint64_t ns, const char *phase,
                 json_t *fields);

/* Is it the first time that this thread comes? It may be told so more than once. */
bool trace_is_new(struct trace *trace, struct trace_thread thread);

/* kind: process_name or thread_name. */
void trace_name(struct trace *trace, struct trace_thread thread, const char *kind,
                const char *name);

/* An asynchronous span, with a number of its own; drops the arguments. */
void trace_span(struct trace *trace, struct trace_thread thread, const char *category,
                const char *name, uint64_t begin, uint64_t end, json_t *arguments);

/* An end of an arrow: in a slice of its thread, which it makes. */
struct trace_end {
    struct trace_thread thread;
    const char *name;
    uint64_t begin;
    uint64_t end;
};

/* From who holds to who waits. */
void trace_arrow(struct trace *trace, const struct trace_end *from, const struct trace_end *to);

/* The traced spans. Returns how many are left out. */
size_t trace_write_traced(struct trace *trace, struct report *report);

#endif
