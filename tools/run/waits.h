/* While the command runs: says on stderr who waits for whom, when a wait has become long, and again
 * each time that it is twice as long. The program itself prints nothing.
 */
#ifndef RACESHIM_TOOLS_WAITS_H
#define RACESHIM_TOOLS_WAITS_H

#include <stdint.h>

/* directory: the session's, which may move: it is read at each look. warn_ns: 0 or less, never. */
void waits_begin(const int *directory, int64_t warn_ns);

/* Nanoseconds between looks; 0: none are wanted. */
int64_t waits_interval(void);

void waits_look(void);

#endif
