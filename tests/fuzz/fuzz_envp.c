/* Any environments, view and settings: what is made ends, fits, and has our settings once.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc tests/fuzz/fuzz_envp.c src/env/envp.c
 *
 * The input's lines are entries; a line of one byte goes on to the next list: environ, the caller's, the view's values,
 * the names that the view removes.
 */
#include "env/envp.h"

#include "env/name.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 256
#define LISTS 4
static char *lists[LISTS][MOST + 1];
static size_t counts[LISTS];
static struct view_difference differences[2 * MOST];

static void read_lists(char *text) {
    size_t list = 0;
    memset(counts, 0, sizeof counts);
    for (char *end; (end = strchr(text, '\n')); text = end + 1) {
        *end = '\0';
        if (end - text == 1 && list + 1 < LISTS)
            list++;
        else if (counts[list] < MOST)
            lists[list][counts[list]++] = text;
    }
    for (list = 0; list < LISTS; list++)
        lists[list][counts[list]] = NULL;
}

static size_t read_view(void) {
    size_t count = 0;
    for (size_t list = 2; list < LISTS; list++)
        for (size_t i = 0; i < counts[list]; i++) {
            char *entry = lists[list][i];
            size_t length = strcspn(entry, "=");
            if (length && (list == 3 || entry[length]))
                differences[count++] = (struct view_difference){
                    .name = entry, .length = length, .entry = list == 3 ? NULL : entry};
        }
    return count;
}

static size_t count_named(char *const array[], const char *name) {
    size_t count = 0;
    for (size_t i = 0; array[i]; i++)
        count += name_is(array[i], name, strlen(name));
    return count;
}

static void make(char *const given[], char *const base[], size_t differing) {
    static const struct envp_settings ours = {"LD_PRELOAD=/l/libraceshim.so", "RACESHIM=words"};
    size_t length, slots = envp_count(given) + differing + ENVP_SPARE + 1;
    char **array = malloc(slots * sizeof *array);
    size_t count = envp_view(given, base, differences, differing, array, slots);
    if (count == ENVP_NO_ROOM || array[count] || envp_count(array) != count)
        abort();
    size_t preloads = count_named(array, "LD_PRELOAD");
    size_t settings = count_named(array, "RACESHIM");
    char *text = malloc(envp_text_size(array, &ours));
    count = envp_put_back(array, count, &ours, text);
    const char *heeded = NULL;
    for (size_t i = 0; i < count; i++)
        if (name_is(array[i], "LD_PRELOAD", 10))
            heeded = array[i];
    if (envp_count(array) != count || count + 2 > slots ||
        count_named(array, "LD_PRELOAD") != preloads + !preloads ||
        count_named(array, "RACESHIM") != settings + !settings ||
        !envp_library_in(heeded + sizeof "LD_PRELOAD", &length))
        abort();
    free(text);
    free(array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    read_lists(text);
    size_t differing = read_view();
    make(lists[1], lists[0], differing);
    make(lists[0], lists[0], differing);
    make(NULL, lists[0], differing);
    make(NULL, NULL, differing);
    free(text);
    return 0;
}
