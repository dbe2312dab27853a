/* Lines of source files. */
#ifndef RACESHIM_TOOLS_SOURCE_H
#define RACESHIM_TOOLS_SOURCE_H

#include <time.h>

/* The line, without the blanks round it, for the caller to free. NULL if it is not at hand: path is
 * NULL or relative to who knows where, or line 0, there is no such regular file or line, or the file
 * was written after the program and so may be another one by now. */
char *source_line(const char *path, unsigned line, time_t program_written);

#endif
