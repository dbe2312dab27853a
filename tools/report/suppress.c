#define _GNU_SOURCE
#include "suppress.h"

#include "../common/kinds.h"
#include "../common/memory.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const part_names[PART_COUNT] = {"path=", "var=", "exe=", "function="};

/* Cuts the next word off the line, which a NUL ends; NULL if there is none. A blank behind a
 * backslash is part of the word. */
static char *next_word(char **line) {
    char *word = *line + strspn(*line, " \t\r");
    char *end = word;
    while (*end && !strchr(" \t\r", *end))
        end += end[0] == '\\' && end[1] ? 2 : 1;
    *line = *end ? end + 1 : end;
    *end = '\0';
    return *word && *word != '#' ? word : NULL;
}

static bool read_part(struct suppression *rule, const char *word) {
    for (size_t i = 0; i < PART_COUNT; i++) {
        size_t length = strlen(part_names[i]);
        if (strncmp(word, part_names[i], length) == 0 && !rule->parts[i]) {
            rule->parts[i] = must_print("%s", word + length);
            return true;
        }
    }
    return false;
}

/* Returns NULL, or the word that is wrong. */
static const char *read_rule(struct suppression *rule, char *kind, char *rest) {
    char *word;
    if (strcmp(kind, "*") != 0) {
        if (!kind_find(kind, strlen(kind)))
            return kind;
        rule->kind = must_print("%s", kind);
    }
    while ((word = next_word(&rest)) != NULL) {
        if (!read_part(rule, word))
            return word;
    }
    return NULL;
}

static char *read_line(struct suppressions *list, char *line, unsigned number) {
    char *kind = next_word(&line);
    if (!kind)
        return NULL;
    list->rules = must_allocate(list->rules, list->count + 1, sizeof *list->rules);
    struct suppression *rule = &list->rules[list->count++];
    *rule = (struct suppression){.line = number};
    const char *wrong = read_rule(rule, kind, line);
    if (!wrong)
        return NULL;
    return must_print(
        "%s:%u: '%s' is no kind of record, *, or one of path=, var=, exe= and function=",
        list->file, number, wrong);
}

char *suppressions_read(struct suppressions *list, const char *path) {
    FILE *file = fopen(path, "re");
    char *line = NULL;
    char *wrong = NULL;
    size_t size = 0;
    ssize_t length;
    list->file = path;
    if (!file)
        return must_print("cannot read '%s': %s", path, strerror(errno));
    for (unsigned number = 1; !wrong && (length = getline(&line, &size, file)) >= 0; number++) {
        if (length > 0 && line[length - 1] == '\n')
            line[--length] = '\0';
        if (strlen(line) != (size_t)length)
            wrong = must_print("%s:%u: a NUL byte: this is no text", path, number);
        else
            wrong = read_line(list, line, number);
    }
    if (!wrong && ferror(file))
        wrong = must_print("cannot read '%s': %s", path, strerror(errno));
    free(line);
    fclose(file);
    return wrong;
}

void suppressions_end(struct suppressions *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->rules[i].kind);
        for (size_t j = 0; j < PART_COUNT; j++)
            free(list->rules[i].parts[j]);
    }
    free(list->rules);
}

static bool path_matches(const char *pattern, struct string path) {
    if (!path.bytes)
        return false;
    return glob_match(pattern, path.bytes) ||
           (!strchr(pattern, '/') && glob_match(pattern, record_last_component(path).bytes));
}

static bool function_matches(const char *pattern, const json_t *record, struct symbols *symbols) {
    struct side sides[SIDES_MAX];
    struct frames frames;
    size_t count = sides_of(record, sides);
    for (size_t i = 0; i < count; i++) {
        frames_read(&frames, symbols, sides[i].party);
        for (size_t j = 0; j < frames.count; j++) {
            const char *name = frames.items[j].symbol.function;
            if (name && glob_match(pattern, name))
                return true;
        }
    }
    return false;
}

static bool part_matches(enum suppress_part part, const char *pattern, const json_t *record,
                         struct symbols *symbols) {
    struct string var;
    switch (part) {
    case PART_PATH:
        return path_matches(pattern, record_string(json_object_get(record, "file"), "path"));
    case PART_VAR:
        var = record_string(record, "var");
        return var.bytes && glob_match(pattern, var.bytes);
    case PART_EXE:
        return path_matches(pattern, record_string(record, "exe"));
    default:
        return function_matches(pattern, record, symbols);
    }
}

static bool rule_matches(const struct suppression *rule, const json_t *record,
                         struct symbols *symbols) {
    struct string kind = record_string(record, "kind");
    if (rule->kind && (!kind.bytes || strcmp(rule->kind, kind.bytes) != 0))
        return false;
    for (size_t i = 0; i < PART_COUNT; i++) {
        if (rule->parts[i] && !part_matches((enum suppress_part)i, rule->parts[i], record, symbols))
            return false;
    }
    return true;
}

bool suppressions_match(struct suppressions *list, const json_t *record, struct symbols *symbols) {
    bool matches = false;
    for (size_t i = 0; i < list->count; i++) {
        if (rule_matches(&list->rules[i], record, symbols)) {
            list->rules[i].used++;
            matches = true;
        }
    }
    list->suppressed += matches;
    return matches;
}
