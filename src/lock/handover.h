/* Handing locks over at exec. Record locks survive exec; descriptions of ours that carry them are
 * close-on-exec. So before an exec:
 *
 *   the new program will have the library   the hidden descriptors of locks whose own descriptors
 * stay open stay open too, and a sealed memory file, named in the environment, says which is which
 *   it will not (static, set-user-ID, ...)  the locks are taken anew as POSIX locks; between
 * release and re-lock is an instant
 *
 * Locks whose descriptors are all close-on-exec go with the hidden descriptor, as they should. In a
 * vfork or forked child there is nothing to hand over.
 */
#ifndef RACESHIM_LOCK_HANDOVER_H
#define RACESHIM_LOCK_HANDOVER_H

#include "lock/describe.h"
#include "start/program.h"

#include <stddef.h>

#define HANDOVER_VARIABLE "RACESHIM_HANDOVER"
#define HANDOVER_SEARCH PROGRAM_SEARCH

struct handover {
    struct room *room;
    int memory; /* the sealed file's descriptor, -1 none */
    bool posix; /* the locks are POSIX's now */
    char variable[sizeof HANDOVER_VARIABLE + 16];
};

/* Does this process own anything at all? */
bool handover_needed(void);

/* Gets everything ready. `envp` is the array that the program will be started with: our variable is added
 * to it, in the slot that it has to spare. `search` is for HANDOVER_SEARCH (enterable.h). Between this and
 * handover_undo forks of other threads wait, so that they copy nothing that stays open. */
void handover_begin(struct handover *handover, int dir, const char *path, int flags,
                    const char *search, char *envp[], const struct caller *caller);

/* The exec has failed. */
void handover_undo(struct handover *handover);

/* At start: takes over what the variable said, or nothing if it is NULL. Whatever does not fit what the
 * descriptors are is dropped. */
void handover_adopt(const char *value);

#endif
