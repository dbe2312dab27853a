/* Will the library be loaded into this program? */
#ifndef RACESHIM_LOCK_ENTERABLE_H
#define RACESHIM_LOCK_ENTERABLE_H

#include <stdbool.h>

/* What exec would start: dynamically linked, of our class and machine, not raised in privilege,
 * with an environment that preloads the library. A script counts as its interpreter. dir may be
 * HANDOVER_SEARCH (handover.h): the path is looked up in `search`, a list like PATH's, or in the PATH of
 * this process if that is NULL. True when there is nothing that could be started: the exec will say so.
 * Reads files; async-signal-safe. */
bool enterable(int dir, const char *path, int flags, const char *search, char *const envp[]);

#endif
