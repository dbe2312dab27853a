/* The process environment: the array that `environ` points to. It knows nothing of threads' views (view.h).
 *
 * It changes as libc would change it, to the letter: entries are replaced in the array that `environ` is, be it the
 * kernel's, the program's or ours; a new entry goes to the end; the array is ours from the first entry on that does not
 * fit where it is. While other threads run there is one difference: a removal moves the earlier entries right and
 * advances `environ`, or, in an array of the program's, makes a copy, so that nobody who reads meets a gap.
 *
 * Arrays of ours that are left behind are used again when ARRAY_QUARANTINE_MS have passed. Strings are never freed
 * (strings.h). How a reader without a lock is safe beside any number of writers is proved in array.c.
 */
#ifndef RACESHIM_ENV_ARRAY_H
#define RACESHIM_ENV_ARRAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A direct reader of `environ` that is stopped in mid-scan for longer may miss an entry, or see one twice. */
#define ARRAY_QUARANTINE_MS 1000

/* Set before a second thread is started in a way that libc does not see, or by a libc that does not say. */
extern _Atomic bool env_threads_started;
/* No second thread was ever started. */
bool env_alone(void);

/* The array that the kernel made. Its slots are nobody's, like those of ours: no program frees them. The strings lie above
 * it, and below strings_end; 0: it is not known where. */
void array_loaded(char **initial, uintptr_t strings_end);

/* getenv as libc's: the first entry of that name, or NULL. Lock-free, async-signal-safe, and never misses a variable that
 * was set all along. Returns the entry, not its value: NAME=value. */
char *array_find(const char *name, size_t length);
/* The same, and the value. What the hook of getenv does when no thread has a view of its own. */
char *array_get(const char *name);

/* For array_get: goes up before an entry may be lost to a reader. */
extern _Atomic uint32_t array_losses;

/* The following want env_lock. `alone`: no other thread runs. */

/* Puts the entry where the first of that name is (all bytes before the '='), or at the end. False: no memory. */
bool array_put(char *entry, size_t name_length);
/* Removes every entry of that name. False: no memory for a copy, nothing was removed. */
bool array_remove(const char *name, size_t length, bool alone);
/* clearenv: environ is NULL afterwards. */
void array_clear(void);

/* The index (index.h) is made for what `environ` is. False: there can be none. array_get sees to it itself. */
bool array_index(void);

/* In a forked child: `environ` becomes an array of ours with these entries. False: no memory, nothing changed. */
bool array_replace(char *const *entries, size_t count);

/* What was interrupted in mid-change (env_lock_jumped, a fork that no hook saw) is made whole. */
void array_mend(void);

#endif
