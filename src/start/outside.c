#include "start/outside.h"

#include "base/text.h"

#include <string.h>

bool start_sentence(const struct program *program, const char *path, char *sentence, size_t size) {
    static const char *const reasons[] = {
        [PROGRAM_STATIC] = " is statically linked",
        [PROGRAM_PRIVILEGED] = " is set-user-ID or has capabilities",
        [PROGRAM_FOREIGN] = " is of another architecture than the library",
        [PROGRAM_OTHER_LIBC] = " is linked to another C library than glibc",
        [PROGRAM_SANITIZED] =
            " is built with AddressSanitizer, which wants to be loaded first: it was started "
            "without "
            "the library; ASAN_OPTIONS=verify_asan_link_order=0 lets the library in",
    };
    struct text text;
    if (program->fd < 0 || program->bar == PROGRAM_FREE || program->bar == PROGRAM_UNKNOWN)
        return false;
    text_begin(&text, sentence, size);
    text_add(&text, path);
    text_add(&text, reasons[program->bar]);
    if (program->bar != PROGRAM_SANITIZED)
        text_add(&text, ", so the library cannot enter it");
    return true;
}

struct start_sizes start_sizes(char *const envp[]) {
    const char *preload = program_variable(envp, "LD_PRELOAD");
    struct start_sizes sizes = {1, preload ? strlen(preload) + sizeof "LD_PRELOAD=" : 1};
    while (envp && envp[sizes.pointers - 1])
        sizes.pointers++;
    return sizes;
}

char *const *start_without_library(char *const envp[], char *array[], char *preload, size_t size) {
    const char *value = program_variable(envp, "LD_PRELOAD");
    size_t length, count = 0;
    const char *own = program_own_word(value, &length);
    struct text text;
    if (!own)
        return envp;
    const char *rest = own + length + strspn(own + length, " :");
    text_begin(&text, preload, size);
    text_add(&text, "LD_PRELOAD=");
    text_add_bytes(&text, value, (size_t)(own - value));
    text_add(&text, rest);
    while (text.length > 0 && (preload[text.length - 1] == ':' || preload[text.length - 1] == ' '))
        preload[--text.length] = '\0';
    for (size_t i = 0; envp[i]; i++) {
        bool ours = envp[i] + sizeof "LD_PRELOAD=" - 1 == value;
        if (!ours)
            array[count++] = envp[i];
        else if (text.length > sizeof "LD_PRELOAD=" - 1)
            array[count++] = preload;
    }
    array[count] = NULL;
    return array;
}
