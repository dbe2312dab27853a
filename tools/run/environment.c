#define _GNU_SOURCE
#include "environment.h"

#include "fail.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel takes no string longer than 32 pages at exec. */
#define GIVEN_MAX (120 * 1024)

/* The first line: tells an environment without entries from one that could not be read. */
#define MARK ":"

static void *must(void *memory) {
    if (!memory)
        fail("out of memory");
    return memory;
}

static char *read_given(const char *path, size_t *length) {
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *bytes = must(malloc(GIVEN_MAX));
    *length = fread(bytes, 1, GIVEN_MAX, file);
    fclose(file);
    return bytes;
}

void environment_print(const char *pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/environ", pid);
    size_t length;
    char *bytes = read_given(path, &length);
    if (!bytes)
        return;
    char *text = must(malloc(3 * length + 3));
    char *end = stpcpy(text, MARK "\n");
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte == '\0')
            *end++ = '\n';
        else if (byte > ' ' && byte < 0x7f && byte != '%')
            *end++ = (char)byte;
        else
            end += sprintf(end, "%%%02x", byte);
    }
    if (end - text < GIVEN_MAX)
        fwrite(text, 1, (size_t)(end - text), stdout);
    free(text);
    free(bytes);
}

static int hex_digit(char c) {
    const char *digits = "0123456789abcdef";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* In place: what follows a malformed escape stays as it is. */
static void decode(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        int high = *from == '%' ? hex_digit(from[1]) : -1;
        int low = high >= 0 ? hex_digit(from[2]) : -1;
        if (low >= 0) {
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static size_t count_entries(char **environment) {
    size_t count = 0;
    while (environment[count])
        count++;
    return count;
}

static void append(char ***environment, char *entry) {
    size_t count = count_entries(*environment);
    *environment = must(reallocarray(*environment, count + 2, sizeof **environment));
    (*environment)[count] = entry;
    (*environment)[count + 1] = NULL;
}

char **environment_given(void) {
    const char *given = getenv(ENVIRONMENT_GIVEN);
    char **environment = must(calloc(1, sizeof *environment));
    if (!given || strncmp(given, MARK, sizeof MARK - 1) != 0) {
        for (char **entry = environ; *entry; entry++) {
            if (strncmp(*entry, ENVIRONMENT_GIVEN "=", sizeof ENVIRONMENT_GIVEN) != 0)
                append(&environment, *entry);
        }
        return environment;
    }
    char *text = must(strdup(given + sizeof MARK - 1));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        decode(line);
        append(&environment, line);
    }
    return environment;
}

static char **find(char **environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return environment;
    }
    return NULL;
}

void environment_set(char ***environment, const char *name, const char *value) {
    char *entry;
    if (asprintf(&entry, "%s=%s", name, value) < 0)
        fail("out of memory");
    char **found = find(*environment, name);
    if (found)
        *found = entry;
    else
        append(environment, entry);
}

static bool is_listed(const char *list, const char *library) {
    size_t length = strlen(library);
    for (const char *word = list; *word; word += strspn(word, " :")) {
        size_t size = strcspn(word, " :");
        if (size == length && memcmp(word, library, size) == 0)
            return true;
        word += size;
    }
    return false;
}

void environment_preload(char ***environment, const char *library) {
    char **found = find(*environment, "LD_PRELOAD");
    const char *others = found ? *found + strlen("LD_PRELOAD=") : "";
    if (is_listed(others, library))
        return;
    char *list;
    /* An empty list keeps its separator: the library tells it from none. */
    if (asprintf(&list, "%s%s%s", others, found ? ":" : "", library) < 0)
        fail("out of memory");
    environment_set(environment, "LD_PRELOAD", list);
    free(list);
}
