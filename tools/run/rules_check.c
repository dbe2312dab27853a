#define _GNU_SOURCE
#include "rules_check.h"

#include "base/rules.h"
#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More cannot hold RULES_MAX rules. */
#define FILE_MAX (1 << 20)

static void refuse(void *context, unsigned line, const char *message) {
    fail("%s:%u: %s", (const char *)context, line, message);
}

static char *read_all(const char *file, size_t *length) {
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        fail("--rules=%s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        fail("--rules=%s: not a regular file", file);
    if (st.st_size > FILE_MAX)
        fail("--rules=%s: larger than 1 MiB", file);
    char *text = malloc(FILE_MAX);
    if (!text)
        fail("out of memory");
    ssize_t size = 0;
    *length = 0;
    while (*length < FILE_MAX && (size = read(fd, text + *length, FILE_MAX - *length)) > 0)
        *length += (size_t)size;
    if (size < 0)
        fail("--rules=%s: %s", file, strerror(errno));
    close(fd);
    return text;
}

void rules_check(const char *file) {
    static struct rules rules;
    size_t length;
    char *text = read_all(file, &length);
    rules_parse(&rules, text, length, refuse, (void *)file);
    free(text);
}
