#include "env/envp.h"

#include "base/layout.h"
#include "env/name.h"

#include <string.h>

#define PRELOAD_LENGTH (sizeof ENVP_PRELOAD - 1)
#define SETTINGS_LENGTH (sizeof ENVP_SETTINGS - 1)

static char *entry_at(char *const array[], size_t i) {
    return __atomic_load_n(&array[i], __ATOMIC_ACQUIRE);
}

size_t envp_count(char *const envp[]) {
    size_t count = 0;
    while (envp && entry_at(envp, count))
        count++;
    return count;
}

static bool is_same(const char *a, const char *b) {
    return a == b || strcmp(a, b) == 0;
}

/* The first entry of the name, as getenv has it; NULL: none. */
static char *find(char *const array[], const char *name, size_t length) {
    char *entry;
    for (size_t i = 0; array && (entry = entry_at(array, i)); i++)
        if (name_is(entry, name, length))
            return entry;
    return NULL;
}

static bool has_same(char *const array[], const char *wanted) {
    char *entry;
    for (size_t i = 0; array && (entry = entry_at(array, i)); i++)
        if (is_same(entry, wanted))
            return true;
    return false;
}

typedef bool agrees(const char *entry, const char *wanted, size_t length);

static bool by_content(const char *entry, const char *wanted, size_t length) {
    (void)length;
    return is_same(entry, wanted);
}

/* Copies have mostly the order of the original, so the search begins where the last one ended. */
static bool find_from(char *const array[], size_t count, size_t *from, agrees *agree,
                      const char *wanted, size_t length) {
    for (size_t i = 0; i < count; i++) {
        size_t at = (*from + i) % count;
        if (agree(array[at], wanted, length)) {
            *from = at + 1;
            return true;
        }
    }
    return false;
}

/* Does the array have at least half of the entries of base? */
static bool is_mostly(char *const array[], size_t count, char *const base[]) {
    size_t total = 0, kept = 0, from = 0;
    char *entry;
    for (; base && (entry = entry_at(base, total)); total++)
        kept += find_from(array, count, &from, by_content, entry, 0);
    return count != 0 && 2 * kept >= total;
}

/* Is it no wonder that a copy of base lacks the name: the view removes it, or the copy is older than it? */
static bool is_removed(const struct view_difference *differences, size_t count, const char *name,
                       size_t length) {
    for (size_t i = 0; i < count; i++) {
        const struct view_difference *d = &differences[i];
        if (d->length == length && memcmp(d->name, name, length) == 0)
            return d->entry == NULL || (d->before_fork && !d->was);
    }
    return false;
}

static bool is_base_entry(char *const base[], const struct view_difference *d, const char *entry) {
    return has_same(base, entry) || (d->before_fork && d->was && is_same(d->was, entry));
}

/* Does the array have every name of base, but for those that the view removes? */
static bool is_whole(char *const array[], size_t count, char *const base[],
                     const struct view_difference *differences, size_t difference_count) {
    size_t from = 0;
    char *entry;
    for (size_t i = 0; base && (entry = entry_at(base, i)); i++) {
        size_t length = strcspn(entry, "=");
        if (length == 0 || entry[length] == '\0' ||
            find_from(array, count, &from, name_is, entry, length))
            continue;
        if (!is_removed(differences, difference_count, entry, length))
            return false;
    }
    return true;
}

/* Every entry of the name goes that is environ's: as unsetenv does. */
static size_t leave_out(char **array, size_t count, char *const base[], bool is_inherited,
                        const struct view_difference *d) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!name_is(array[i], d->name, d->length) ||
            !(is_inherited || is_base_entry(base, d, array[i])))
            array[kept++] = array[i];
    array[kept] = NULL;
    return kept;
}

static size_t apply(char **array, size_t count, char *const base[], bool is_inherited,
                    bool is_wanted, const struct view_difference *d) {
    size_t at = 0;
    while (at < count && !name_is(array[at], d->name, d->length))
        at++;
    if (at == count) {
        if (is_wanted && d->entry) {
            array[count++] = d->entry;
            array[count] = NULL;
        }
        return count;
    }
    if (!is_inherited) {
        const char *original = d->before_fork ? d->was : find(base, d->name, d->length);
        if (!original || !is_same(array[at], original))
            return count;
    }
    if (!d->entry)
        return leave_out(array, count, base, is_inherited, d);
    array[at] = d->entry;
    return count;
}

size_t envp_view(char *const given[], char *const base[], const struct view_difference *differences,
                 size_t difference_count, char **array, size_t slots) {
    size_t count = 0;
    for (char *entry; given && (entry = entry_at(given, count));) {
        if (count + difference_count + ENVP_SPARE >= slots)
            return ENVP_NO_ROOM;
        array[count++] = entry;
    }
    array[count] = NULL;
    bool is_inherited = given == base;
    if (difference_count == 0 || !(is_inherited || is_mostly(array, count, base)))
        return count;
    bool is_wanted = is_inherited || is_whole(array, count, base, differences, difference_count);
    for (size_t i = 0; i < difference_count; i++)
        count = apply(array, count, base, is_inherited, is_wanted, &differences[i]);
    return count;
}

/* ---- Our settings ---- */

/* By hand: this runs in every process, and the loader would have to find libc's. */
EVERY_PROCESS static size_t element_length(const char *list) {
    size_t length = 0;
    while (list[length] != '\0' && list[length] != ' ' && list[length] != ':')
        length++;
    return length;
}

EVERY_PROCESS const char *envp_library_in(const char *list, size_t *length) {
    size_t name = sizeof ENVP_LIBRARY - 1;
    for (;; list++) {
        *length = element_length(list);
        if (*length >= name && memcmp(list + *length - name, ENVP_LIBRARY, name) == 0 &&
            (*length == name || list[*length - name - 1] == '/'))
            return list;
        list += *length;
        if (*list == '\0')
            return NULL;
    }
}

/* The loader heeds the last one. */
static char **find_preload(char *const array[]) {
    char **found = NULL;
    for (size_t i = 0; array[i]; i++)
        if (name_is(array[i], ENVP_PRELOAD, PRELOAD_LENGTH))
            found = (char **)&array[i];
    return found;
}

static bool lacks_library(const char *preload) {
    size_t length;
    return !envp_library_in(preload + PRELOAD_LENGTH + 1, &length);
}

size_t envp_text_size(char *const array[], const struct envp_settings *settings) {
    char **found = settings->preload ? find_preload(array) : NULL;
    return found ? strlen(*found) + strlen(settings->preload) + 2 : 0;
}

/* The list and our element behind it; an empty list has its separator too, so that it comes back as it was. */
static void append_library(char **preload, const char *ours, char *text) {
    size_t length = strlen(*preload);
    memcpy(text, *preload, length);
    text[length] = ':';
    strcpy(text + length + 1, ours + PRELOAD_LENGTH + 1);
    *preload = text;
}

size_t envp_put_back(char **array, size_t count, const struct envp_settings *settings, char *text) {
    char **found = settings->preload ? find_preload(array) : NULL;
    if (found && lacks_library(*found))
        append_library(found, settings->preload, text);
    else if (!found && settings->preload)
        array[count++] = (char *)settings->preload;
    array[count] = NULL;
    if (settings->settings && !find(array, ENVP_SETTINGS, SETTINGS_LENGTH))
        array[count++] = (char *)settings->settings;
    array[count] = NULL;
    return count;
}
