/* An event as the text of its record: the fields of doc/log-format.md on one line.
 *
 * Async-signal-safe; the memory is the caller's.
 */
#ifndef RACESHIM_REPORT_RECORD_H
#define RACESHIM_REPORT_RECORD_H

#include "report/event.h"
#include "report/json.h"

#define RECORD_LINE_MAX ((size_t)64 << 10)
#define RECORD_PATH_MAX 4096
/* The least size of a page on any machine. */
#define RECORD_PAGE ((size_t)4096)

/* What a record is made in. All zero before its first use; after that the program's path is kept.
 */
struct record_writer {
    char exe[RECORD_PATH_MAX]; /* of this process */
    char path[RECORD_PATH_MAX];
    char line[RECORD_LINE_MAX + RECORD_PAGE]; /* and blanks before it */
};

/* Writes the event into writer->line and returns the length, '\n' included. *count_at is where its
 * count stands, LOG_COUNT_WIDTH bytes with the number 1. Asks the kernel for what the event does
 * not say. */
size_t record_write(struct record_writer *writer, const struct event *event, size_t *count_at);

/* A stack of this process as a line: {"id":N,"stack":[...]}. Returns the length. */
size_t record_stack(char *line, size_t size, stack_id id);

/* Equal for equal findings within this process and its forked children; never 0. Costs no system
 * call. */
uint64_t record_fingerprint(const struct event *event);

/* Equal for equal findings in different runs: kind, path, variable and the places that the stacks
 * lead to in the objects' files. */
uint64_t record_id(const struct event *event);

/* RFC 3339 in UTC with nanoseconds: 2026-01-31T23:59:59.123456789Z. */
#define RECORD_TIME_LENGTH 30
void record_time(char text[static RECORD_TIME_LENGTH + 1], const struct timespec *time);

#endif
