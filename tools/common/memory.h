/* Allocation that ends the program when there is no memory: the tools have nothing to save. */
#ifndef RACESHIM_TOOLS_MEMORY_H
#define RACESHIM_TOOLS_MEMORY_H

#include <stddef.h>

/* As reallocarray(3), and never NULL for a size above 0. */
void *must_allocate(void *memory, size_t count, size_t size);

/* As asprintf(3), and never NULL. */
__attribute__((format(printf, 1, 2))) char *must_print(const char *format, ...);

#endif
