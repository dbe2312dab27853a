/* Looking a program up in a list like PATH's, as libc's execvp and posix_spawnp do. For the PATH that a thread sees
 * and `environ` does not have. Async-signal-safe.
 */
#ifndef RACESHIM_HOOKS_SEARCH_H
#define RACESHIM_HOOKS_SEARCH_H

#include <stddef.h>

/* Where there is no PATH at all. */
#define SEARCH_DEFAULT "/bin:/usr/bin"

#define SEARCH_MAX 4352 /* a directory, a slash, a file's name */

/* execvpe: tries one directory after the other; a file that the kernel does not know how to run is given to the shell.
 * Returns -1 with errno, if it returns. */
int search_and_exec(const char *path, const char *file, char *const argv[], char *const envp[]);

/* The first candidate that could be run, in `found`. Returns 0, or what is wrong: ENOENT, EACCES, ... */
int search_file(const char *path, const char *file, char found[SEARCH_MAX]);

#endif
