/* Programs that are started and that the library cannot enter: said once for each program in a
 * session, with the reason.
 *
 * Each exec and spawn asks. What was found to be fine is remembered by the file (device, inode, time
 * of change), so that a process which starts one program a thousand times looks into it once.
 *
 * All functions are async-signal-safe, keep errno, and may be called in a vfork child.
 */
#ifndef RACESHIM_START_NOT_COVERED_H
#define RACESHIM_START_NOT_COVERED_H

#include "start/outside.h"

/* Records a program that cannot be entered. True: with the library in front of its sanitizer it
 * would refuse to run; start it with the environment of start_without_library. */
bool start_is_refused(int dir, const char *path, int flags, const char *search, char *const envp[]);

#endif
