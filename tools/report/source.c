#define _GNU_SOURCE
#include "source.h"

#include "../common/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_MAX (16 << 20)
#define TEXT_MAX 200

static FILE *open_source(const char *path, time_t program_written) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    FILE *file = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SOURCE_MAX &&
        st.st_mtime <= program_written)
        file = fdopen(fd, "r");
    if (!file)
        close(fd);
    return file;
}

static char *without_blanks(const char *text, size_t length) {
    while (length > 0 && strchr(" \t\r\n", text[length - 1]))
        length--;
    while (length > 0 && strchr(" \t", *text))
        text++, length--;
    return must_print("%.*s", (int)(length < TEXT_MAX ? length : TEXT_MAX), text);
}

char *source_line(const char *path, unsigned line, time_t program_written) {
    FILE *file = path && path[0] == '/' && line > 0 ? open_source(path, program_written) : NULL;
    if (!file)
        return NULL;
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    do
        length = getline(&text, &size, file);
    while (length >= 0 && --line > 0);
    char *found = length > 0 ? without_blanks(text, (size_t)length) : NULL;
    free(text);
    fclose(file);
    return found;
}
