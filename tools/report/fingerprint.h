/* What makes two findings the same one, in another run and another build too: the kind, the program,
 * the variable or the file's name, and the functions of both sides by name. Build IDs, offsets,
 * line numbers, directories and numbers in the file's name do not count, nor does what libc did.
 */
#ifndef RACESHIM_TOOLS_FINGERPRINT_H
#define RACESHIM_TOOLS_FINGERPRINT_H

#include "frames.h"

#define FINGERPRINT_LENGTH 16

/* Writes hexadecimal digits and a NUL. */
void fingerprint_of(char text[static FINGERPRINT_LENGTH + 1], const json_t *record,
                    struct symbols *symbols);

/* A name without what changes from run to run: a word of it with a digit in it, or with a capital
 * letter behind a small one as in names that mkstemp makes, becomes '#'. For the caller to free. */
char *fingerprint_plain_name(struct string name);

#endif
