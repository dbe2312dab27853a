#define _GNU_SOURCE
#include "fail.h"

#include "../common/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *format, va_list arguments) {
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    struct output output = output_on(stderr);
    fputs("shim-run: ", stderr);
    if (text)
        output_text(&output, text, strlen(text), 0);
    else
        fputs("out of memory", stderr);
    fputc('\n', stderr);
    free(text);
}

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    exit(EXIT_FAILED);
}

void complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}
