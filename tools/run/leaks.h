/* Locks that are left behind: when the command has ended, a program that it started in passing may
 * go on and have inherited the descriptor of a flock or F_OFD_SETLK lock, whose taker is no more.
 */
#ifndef RACESHIM_TOOLS_LEAKS_H
#define RACESHIM_TOOLS_LEAKS_H

#include "session.h"

/* Writes a record for each such program and file; program: the path of shim-run. */
void leaks_record(const struct session *session, const char *program);

#endif
