/* The stacks of a process, written down for others: a file in the session directory with a line for
 * each, {"id":N,"stack":[...]}, the frames as in a record. Async-signal-safe.
 */
#ifndef RACESHIM_REPORT_STACK_FILE_H
#define RACESHIM_REPORT_STACK_FILE_H

#include "report/stack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends a stack of this process. */
void stack_file_add(const char *name, stack_id id);

/* Appends the path of a file: {"dev":N,"ino":N,"path":"..."}. link: of a descriptor, in /proc. */
void stack_file_add_path(const char *name, const char *link, uint64_t dev, uint64_t ino);

/* The JSON array of the frames of that number, with a NUL. False: it is not there, or does not fit. */
bool stack_file_find(const char *name, uint32_t id, char *frames, size_t size);

#endif
