/* The strings of the environment: each NAME=value that was ever set, once, and for ever.
 *
 * A caller of getenv may keep the pointer for the life of the process, so nothing is freed; memory is bounded by the
 * distinct strings. Wants env_lock; memory comes from memory.h.
 */
#ifndef RACESHIM_ENV_STRINGS_H
#define RACESHIM_ENV_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The one string NAME=value; NULL where there is no memory. If the program edited the one that is kept, it counts as
 * another. */
char *strings_keep_sized(const char *name, size_t name_length, const char *value,
                         size_t value_length);
static inline char *strings_keep(const char *name, size_t name_length, const char *value) {
    return strings_keep_sized(name, name_length, value, strlen(value));
}

/* Is it one of ours? Its name does not change then, whatever the program does. Lock-free. */
bool strings_has(const char *entry);

#endif
