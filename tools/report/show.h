/* The parts of a record that more than one format for people shows. */
#ifndef RACESHIM_TOOLS_SHOW_H
#define RACESHIM_TOOLS_SHOW_H

#include "../common/kinds.h"
#include "../common/output.h"
#include "record.h"

/* Prints a string of the record's; nothing if it is absent. limit as for output_text. */
void show_string(const struct output *output, struct string string, size_t limit);

/* PROGRAM[PID] of a record or of a party; record tells the program if the party does not. */
void show_process(const struct output *output, const json_t *party, const json_t *record);

/* The file's path, relative to the working directory if it lies there; else its device and inode.
 */
void show_file(const struct output *output, const json_t *record, size_t limit);

/* What was done: a word or two for the record's action. */
void show_action(const struct output *output, const json_t *record);

/* The frame in which the program itself, not libc, made the call: an index into the party's stack,
 * 0 if there is no such frame. */
size_t show_top_index(const json_t *party);

/* MODULE+0xOFFSET, the module without its directories. */
void show_frame(const struct output *output, const json_t *frame);

enum paint show_paint(enum event_severity severity);

#endif
