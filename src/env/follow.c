#include "env/follow.h"

#include "base/layout.h"
#include "base/settings.h"
#include "env/name.h"

#include <link.h>
#include <stdint.h>
#include <string.h>

#define PRELOAD_EQUALS ENVP_PRELOAD "="

/* These lie in a page that the loader writes to in any case, as does what the settings usually need: a page of their own
 * would be a good part of what the library costs at start. */
#define IN_DATA __attribute__((section(".data")))

struct envp_settings follow_settings IN_DATA;
static const char *words IN_DATA;
static bool is_choosy IN_DATA;

/* Filled from the front; what does not fit the one goes into the other. */
struct store {
    char *bytes;
    size_t size, used;
};
static char few_bytes[640] IN_DATA;
static char many_bytes[SETTINGS_TEXT_MAX + 2 * SETTINGS_PATH_MAX];
static struct store stores[] = {{few_bytes, sizeof few_bytes, 0},
                                {many_bytes, sizeof many_bytes, 0}};

/* The bytes as a string in memory of ours; NULL: no room. */
EVERY_PROCESS static char *keep(const char *prefix, const char *bytes, size_t length) {
    size_t before = strlen(prefix);
    for (struct store *s = stores; s < stores + sizeof stores / sizeof *stores; s++) {
        if (before + length >= s->size - s->used)
            continue;
        char *kept = s->bytes + s->used;
        memcpy(kept, prefix, before);
        memcpy(kept + before, bytes, length);
        kept[before + length] = '\0';
        s->used += before + length + 1;
        return kept;
    }
    return NULL;
}

/* Takes our library out of the list, with the separator before it, or the one behind it if it comes first. The string
 * itself is left alone: the kernel shows it, and the program may have it. Returns the list without, or NULL if nothing
 * is left. */
EVERY_PROCESS static char *without_library(char *entry) {
    size_t length;
    const char *list = entry + sizeof PRELOAD_EQUALS - 1;
    const char *ours = envp_library_in(list, &length);
    const char *rest = ours + length;
    if (!follow_settings.preload)
        follow_settings.preload = keep(PRELOAD_EQUALS, ours, length);
    if (!follow_settings.preload)
        return entry;
    if (ours == list && *rest == '\0')
        return NULL;
    size_t head = ours == list ? 0 : (size_t)(ours - list) - 1;
    rest += ours == list;
    char *shorter = keep(PRELOAD_EQUALS, list, head + strlen(rest));
    if (!shorter)
        return entry;
    memcpy(shorter + sizeof PRELOAD_EQUALS - 1 + head, rest, strlen(rest) + 1);
    return shorter;
}

EVERY_PROCESS static char *hide_preload(char *entry) {
    size_t length;
    while (entry && envp_library_in(entry + sizeof PRELOAD_EQUALS - 1, &length)) {
        char *shorter = without_library(entry);
        if (shorter == entry)
            break;
        entry = shorter;
    }
    return entry;
}

EVERY_PROCESS static char *hide_settings(char *entry) {
    if (!words) {
        follow_settings.settings = keep("", entry, strlen(entry));
        words =
            (follow_settings.settings ? follow_settings.settings : entry) + sizeof ENVP_SETTINGS;
    }
    return follow_settings.settings ? NULL : entry;
}

/* What lies behind the end of the array is the auxiliary vector, which some programs look for just there: the free
 * slots become entries of it that are to be ignored. An odd slot cannot; then it ends before it begins, and such
 * programs ask elsewhere. */
EVERY_PROCESS static void fill_freed(char **end, size_t freed) {
    for (size_t i = 0; i < freed; i++)
        end[1 + i] = (char *)(uintptr_t)(freed % 2 == 0 && i % 2 == 0 ? AT_IGNORE : 0);
}

EVERY_PROCESS const char *follow_begin(char **envp, const char *passed) {
    size_t length = strlen(passed), kept = 0, i = 0;
    const char *value = NULL;
    for (; envp && envp[i]; i++) {
        char *entry = envp[i];
        if (name_is(entry, ENVP_PRELOAD, sizeof ENVP_PRELOAD - 1)) {
            entry = hide_preload(entry);
        } else if (name_is(entry, ENVP_SETTINGS, sizeof ENVP_SETTINGS - 1)) {
            entry = hide_settings(entry);
        } else if (name_is(entry, passed, length)) {
            value = value ? value : entry + length + 1;
            entry = NULL;
        }
        if (entry && entry != envp[kept])
            envp[kept] = entry;
        kept += entry != NULL;
    }
    if (kept != i) {
        envp[kept] = NULL;
        fill_freed(&envp[kept], i - kept);
    }
    return value;
}

EVERY_PROCESS const char *follow_words(void) {
    return words;
}

/* ---- Not into cleared environments ---- */

#define NAMES_MAX 256
static uint32_t names[NAMES_MAX];
static size_t name_count;

/* Of the name alone; never 0. */
static uint32_t hash_of(const char *entry) {
    uint32_t hash = 2166136261u;
    for (; *entry && *entry != '='; entry++)
        hash = (hash ^ (unsigned char)*entry) * 16777619u;
    return hash ? hash : 1;
}

void follow_remember(char *const envp[]) {
    is_choosy = true;
    for (size_t i = 0; envp && envp[i] && name_count < NAMES_MAX; i++)
        names[name_count++] = hash_of(envp[i]);
}

bool follow_into(char *const envp[]) {
    if (!is_choosy)
        return true;
    bool found[NAMES_MAX] = {false};
    size_t count = 0;
    for (size_t i = 0; envp[i]; i++) {
        uint32_t hash = hash_of(envp[i]);
        for (size_t n = 0; n < name_count; n++)
            if (names[n] == hash && !found[n]) {
                found[n] = true;
                count++;
                break;
            }
    }
    return 2 * count >= name_count;
}
