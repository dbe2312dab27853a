/* The environment that a program is started with: what the caller gave, as the thread's view has it, and our own
 * settings put back. doc/design.md has the table of cases.
 *
 * Pure: no globals, no allocation, no locks; async-signal-safe. The arrays given may be live ones that other threads
 * change: they are read forward, each pointer once, as atomics, and their strings stay readable (strings.h).
 */
#ifndef RACESHIM_ENV_ENVP_H
#define RACESHIM_ENV_ENVP_H

#include "env/view.h"

#include <stdbool.h>
#include <stddef.h>

/* How our library is told from others in LD_PRELOAD. */
#define ENVP_LIBRARY "libraceshim.so"
#define ENVP_PRELOAD "LD_PRELOAD"
#define ENVP_SETTINGS "RACESHIM"

/* Slots that an array needs besides one for each entry given and one for each difference: our two settings, what the
 * lock room hands over, the end. */
#define ENVP_SPARE 4
#define ENVP_NO_ROOM ((size_t)-1)

/* NULL is an environment without entries, as it is for the kernel. */
size_t envp_count(char *const envp[]);

/* Copies `given` into the array and applies the differences of the view. `base` is `environ`; given == base stands
 * for all ways of starting that take it from there. Returns the number of entries, which a NULL follows, or
 * ENVP_NO_ROOM if `slots` do not suffice: the array has grown since it was counted. */
size_t envp_view(char *const given[], char *const base[], const struct view_difference *differences,
                 size_t difference_count, char **array, size_t slots);

/* What is put back; a NULL is not. */
struct envp_settings {
    const char *preload;  /* LD_PRELOAD=, and our element */
    const char *settings; /* RACESHIM=... */
};

/* How many bytes of text envp_put_back needs for this array. */
size_t envp_text_size(char *const array[], const struct envp_settings *settings);

/* Adds the settings to an array of envp_view's: our element to the LD_PRELOAD that the loader will heed, which is the
 * last one, unless it has one of ours; RACESHIM unless there is one. Returns the number of entries. */
size_t envp_put_back(char **array, size_t count, const struct envp_settings *settings, char *text);

/* The first element of a list like LD_PRELOAD's that is our library; NULL: none. */
const char *envp_library_in(const char *list, size_t *length);

#endif
