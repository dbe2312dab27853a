/* Where text for people goes, and how text that others wrote is made harmless on the way.
 *
 * Paths, thread names and commands come from the programs that were run, and records from files
 * that anyone may have written. Whatever of that is printed goes through output_text: then no line
 * can be forged and no terminal driven. What the tools say on their own account is printed with
 * stdio.
 */
#ifndef RACESHIM_TOOLS_OUTPUT_H
#define RACESHIM_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct output {
    FILE *file;
    bool terminal;
    bool colour; /* a terminal, and neither NO_COLOR nor TERM=dumb */
    bool utf8;   /* may carry other characters than ASCII */
    unsigned columns;
    unsigned rows;
};

/* For a stream that is open. Expects that setlocale(LC_CTYPE, "") was called. */
struct output output_on(FILE *file);

/* The same properties for a stream in memory, to measure a line before it is printed. */
struct output output_like(const struct output *output, FILE *file);

/* RAW_BYTE + XX stands for a byte XX (80 to ff) that is no part of UTF-8, in strings that can hold
 * only characters. These are the last private ones of Unicode, which no font has. */
#define RAW_BYTE 0x10ff00u
#define RAW_BYTE_FIRST (RAW_BYTE + 0x80)

/* Prints control characters, bytes that are no UTF-8, characters that would reorder or break the line
 * and the first of two '#' as \xNN or \u{N}, and the backslash doubled. Text of more than limit bytes (0: 4096) is
 * cut in the middle, where "..." stands then. */
void output_text(const struct output *output, const char *bytes, size_t length, size_t limit);

/* Prints what output_text has made before, for an output that may carry other characters. */
void output_again(const struct output *output, const char *text);

/* In decimal. */
void output_number(const struct output *output, uint64_t number);

/* The digits of a number are the last ones of `digits`; returns where they begin. For what is printed so often
 * that printf's time would be seen. */
#define OUTPUT_DIGITS ((size_t)20)
size_t output_digits(char digits[static OUTPUT_DIGITS], uint64_t number);

enum paint { PAINT_BAD, PAINT_WARN, PAINT_NOTE, PAINT_STRONG, PAINT_FAINT };
void output_paint(const struct output *output, enum paint paint);
void output_plain(const struct output *output);

/* The terminal rows that a text takes which was printed by these functions. */
unsigned output_rows(const struct output *output, const char *text, size_t length);

/* The length of the UTF-8 character at the start of bytes, and the character; 0 if there is none.
 */
size_t utf8_decode(const char *bytes, size_t length, unsigned *character);

#endif
