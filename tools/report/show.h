/* The parts of a record that more than one format for people shows. */
#ifndef RACESHIM_TOOLS_SHOW_H
#define RACESHIM_TOOLS_SHOW_H

#include "../common/kinds.h"
#include "../common/output.h"
#include "findings.h"
#include "frames.h"
#include "record.h"

/* Prints a string of the record's; nothing if it is absent. limit as for output_text. */
void show_string(const struct output *output, struct string string, size_t limit);

/* PROGRAM[PID] of a record or of a party; record tells the program if the party does not. */
void show_process(const struct output *output, const json_t *party, const json_t *record);

/* The rest of what is known of a party: thread, descriptor, what it waits for, since when; each behind ", ". */
void show_party_rest(const struct output *output, const json_t *party);

/* The file's path, relative to the working directory if it lies there; else its device and inode.
 */
void show_file(const struct output *output, const json_t *record, size_t limit);

/* The file, or the variable; nothing if the finding is about neither. */
void show_subject(const struct output *output, const json_t *record, size_t limit);

/* 8 to 11, write */
void show_range(const struct output *output, const json_t *range);

/* The kind's phrase, or what has not come to pass where that would not be said rightly. */
const char *show_phrase_of(const json_t *record, const struct kind *kind);

/* What the program did: that phrase, or the record's own sentence where that says more. */
void show_what(const struct output *output, const json_t *record, const struct kind *kind);

/* What was done: a word or two for the record's action. */
void show_action(const struct output *output, const json_t *record);

/* The function's name; else MODULE+0xOFFSET, the module without its directories. */
void show_function(const struct output *output, const struct frame *frame);

/* FILE:LINE; else, where the function has a name, MODULE+0xOFFSET; else nothing. FILE is its last
 * component if it is longer than limit, which is 0 for none. */
void show_position(const struct output *output, const struct frame *frame, size_t limit);

enum paint show_paint(enum event_severity severity);

/* What is printed between these two, as a string for the caller to free: UTF-8, not coloured, without
 * control characters but the line ends that were printed. */
struct printing {
    struct output output;
    char *text;
    size_t length;
};
void show_begin(struct printing *printing);
char *show_end(struct printing *printing);

/* KIND: FILE, for the caller to free. */
char *show_title(const json_t *record);

#endif
