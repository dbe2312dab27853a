/* Any bytes as a rules file, and as path, program and name to ask for.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc tests/fuzz/fuzz_rules.c \
 *         src/base/rules.c src/base/text.c
 *
 * The input: path, program and name, each ended by a NUL; the rest is the file. */
#include "base/rules.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rules rules;

static void read_all(void *context, unsigned line, const char *message) {
    unsigned *errors = context;
    (*errors)++;
    if (line == 0 || strlen(message) >= 160)
        abort();
}

/* Cuts a string off the front; the pointer is into data. */
static const char *take_string(const uint8_t **data, size_t *size) {
    const char *string = (const char *)*data;
    const uint8_t *end = *size > 0 ? memchr(*data, 0, *size) : NULL;
    if (end == NULL)
        return "";
    *size -= (size_t)(end + 1 - *data);
    *data = end + 1;
    return string;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = take_string(&data, &size);
    const char *program = take_string(&data, &size);
    const char *name = take_string(&data, &size);
    /* Not ended by a NUL, so that the sanitizer sees a step beyond. */
    char *text = malloc(size + 1);
    memcpy(text + 1, data, size);
    unsigned errors = 0;
    memset(&rules, 0, sizeof rules);
    if (rules_parse(&rules, text + 1, size, read_all, &errors) != errors)
        abort();
    free(text);
    if (rules.count > RULES_MAX || rules.used > RULES_TEXT)
        abort();
    if (rules_lock_treatment(&rules, path, program) > LOCK_RULE_OFF)
        abort();
    if (rules_env_treatment(&rules, name, program) > ENV_RULE_WATCH)
        abort();
    rules_has_handover(&rules, program);
    return 0;
}
