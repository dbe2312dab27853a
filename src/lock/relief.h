/* Giving descriptors back: the program needs a number that a hidden descriptor has. */
#ifndef RACESHIM_LOCK_RELIEF_H
#define RACESHIM_LOCK_RELIEF_H

#include "lock/describe.h"
#include "lock/hidden.h"

/* Frees at least one number below the soft limit: the locks of one file become POSIX locks
 * (released and taken again, with an instant between), which is recorded. False: there is none to
 * give back. Keeps errno's owner out of it: no errno is touched. */
bool relief_give_back(const struct caller *caller);

#endif
