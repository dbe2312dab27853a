#define _GNU_SOURCE
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_NO_MEMORY 125

static _Noreturn void give_up(void) {
    fputs("raceshim: out of memory\n", stderr);
    exit(EXIT_NO_MEMORY);
}

void *must_allocate(void *memory, size_t count, size_t size) {
    void *result = reallocarray(memory, count, size);
    if (!result && count > 0 && size > 0)
        give_up();
    return result;
}

char *must_print(const char *format, ...) {
    va_list arguments;
    char *text;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        give_up();
    va_end(arguments);
    return text;
}
