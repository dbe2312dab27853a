/* The environment that the command gets: the one that shim-run was given, and two settings of ours.
 *
 * Between the caller and the helper stands a shell, and shells do not hand the environment on as it
 * is: dash drops every entry that is no shell name (functions that bash exports, names with dots)
 * and orders the rest anew, bash adds its own. So the front asks the helper for what the kernel
 * gave to the shell, hands that on in one variable, and the helper takes it from there.
 */
#ifndef RACESHIM_TOOLS_ENVIRONMENT_H
#define RACESHIM_TOOLS_ENVIRONMENT_H

#include <stdbool.h>

/* The variable that carries it from the front to the helper. */
#define ENVIRONMENT_GIVEN "RACESHIM_GIVEN"

/* Prints the environment with which the process was started, an entry a line, with %XX for every
 * byte that is not a printable ASCII character. Prints nothing if it cannot be read, or would not
 * fit into one variable. */
void environment_print(const char *pid);

/* That environment from ENVIRONMENT_GIVEN; without it, this process's own. Fails by the message
 * "out of memory" only. */
char **environment_given(void);

/* Sets a variable where it stands, or at the end. */
void environment_set(char ***environment, const char *name, const char *value);

/* Appends the library to LD_PRELOAD, after what others put there, unless it is there already. */
void environment_preload(char ***environment, const char *library);

#endif
