/* Opening a file of somebody else's directory, which may be anything. */
#ifndef RACESHIM_TOOLS_REGULAR_H
#define RACESHIM_TOOLS_REGULAR_H

#include <sys/stat.h>

/* For reading, if it is a regular file and no link: its descriptor, and what it is. -1 with errno: it is not; EINVAL for
 * another kind of file. The name is as for openat(2). */
int open_regular(int directory, const char *name, struct stat *st);

#endif
