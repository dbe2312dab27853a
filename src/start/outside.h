/* A program that stays outside: what is said of it, and with which environment it is started. Pure.
 */
#ifndef RACESHIM_START_OUTSIDE_H
#define RACESHIM_START_OUTSIDE_H

#include "start/program.h"

#include <stddef.h>

/* The sentence for the record. path: as the reader is to know the program. False: nothing keeps the
 * library out of it. */
#define START_SENTENCE_MAX 8192
bool start_sentence(const struct program *program, const char *path, char *sentence, size_t size);

/* How much the two buffers of start_without_library must hold. */
struct start_sizes {
    size_t pointers;
    size_t bytes;
};
struct start_sizes start_sizes(char *const envp[]);

/* The environment without our entry in LD_PRELOAD; the other entries are shared. */
char *const *start_without_library(char *const envp[], char *array[], char *preload, size_t size);

#endif
