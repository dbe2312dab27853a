/* Any string as RACESHIM: what is understood of it is printed and read back as the same.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc tests/fuzz/fuzz_settings.c \
 *         src/base/settings.c src/base/text.c
 */
#include "base/settings.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct settings settings;
static struct settings again;
static char printed[SETTINGS_TEXT_MAX];
static char printed_again[SETTINGS_TEXT_MAX];

static void inside(void *context, const char *name, size_t length, const char *message) {
    const char *string = context;
    if (name < string || name + length > string + strlen(string) || *message == '\0')
        abort();
}

static void never(void *context, const char *name, size_t length, const char *message) {
    (void)context, (void)name, (void)length, (void)message;
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *string = malloc(size + 1);
    memcpy(string, data, size);
    string[size] = '\0';
    settings_parse(&settings, string, inside, string);
    free(string);
    if (settings.wait_warn_ns < 0 || settings.lock_timeout_ns < 0)
        abort();
    ssize_t length = settings_text(&settings, printed, sizeof printed);
    if (length < 0 || strlen(printed) != (size_t)length)
        abort();
    settings_parse(&again, printed, never, NULL);
    if (settings_text(&again, printed_again, sizeof printed_again) != length ||
        strcmp(printed, printed_again) != 0 || strcmp(settings.out, again.out) != 0 ||
        strcmp(settings.rules, again.rules) != 0)
        abort();
    return 0;
}
