/* Changes of the environment, as a thread asks for them. The first four are libc's calls, 0 or -errno for an answer; a
 * value of NULL crashes as libc does.
 *
 * A change lands in `environ`, or in a layer of the thread's own: doc/design.md says which.
 */
#ifndef RACESHIM_ENV_CHANGE_H
#define RACESHIM_ENV_CHANGE_H

#include "base/caller.h"

/* EINVAL for a name that is none. ENOMEM also where the caller is a signal handler that interrupted a change. */
int change_set(const char *name, const char *value, int overwrite, const struct caller *caller);
/* The string, which has a '=', becomes part of the environment. */
int change_put(char *string, const struct caller *caller);
int change_unset(const char *name, const struct caller *caller);
int change_clear(const struct caller *caller);

#endif
