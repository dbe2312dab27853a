/* How the library follows into the programs that are started: our entry in LD_PRELOAD, and RACESHIM.
 *
 * Both are hidden from the program when the library is loaded and put back whenever a program is started. They are
 * kept in memory of ours that does not change afterwards, so all but follow_begin and follow_remember may be called
 * anywhere, in a vfork child and a signal handler too.
 */
#ifndef RACESHIM_ENV_FOLLOW_H
#define RACESHIM_ENV_FOLLOW_H

#include "env/envp.h"

#include <stdbool.h>

/* Before follow_begin nothing is put back: then the program has them still. */
extern struct envp_settings follow_settings;

/* At load, with no other thread: removes both from the array in place, order and other entries untouched, and each
 * entry of the name `passed`, which is not put back. Of LD_PRELOAD what is not ours stays. What is too long for our
 * memory stays where it is. Returns the value of `passed`, or NULL. */
const char *follow_begin(char **envp, const char *passed);

/* The value of RACESHIM at load; NULL: it was not set. */
const char *follow_words(void);

/* For programs that are not to be followed into a cleared environment: remembers which names there are. */
void follow_remember(char *const envp[]);

/* Are the settings put back into this environment? Without follow_remember always. With it, if at least half of the
 * names are in it which were there at load: then it was inherited, not made anew. */
bool follow_into(char *const envp[]);

#endif
