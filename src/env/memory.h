/* Memory of the environment room: taken in chunks from the kernel, never given back. Wants env_lock.
 *
 * A forked child keeps its copy, because the program may hold pointers into it.
 */
#ifndef RACESHIM_ENV_MEMORY_H
#define RACESHIM_ENV_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed, aligned for any object; NULL where there is none. */
void *env_memory(size_t size);
/* For bytes that need no alignment. */
char *env_memory_bytes(size_t size);
/* Does it point into what env_memory_bytes gave? Lock-free. May say no where memory was taken very often in pieces of
 * more than 64 MiB. */
bool env_memory_has_bytes(const void *pointer);

#endif
