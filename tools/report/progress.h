/* How far a long piece of work is: one line on stderr if that is a terminal, from half a second on,
 * taken away at the end.
 */
#ifndef RACESHIM_TOOLS_PROGRESS_H
#define RACESHIM_TOOLS_PROGRESS_H

#include <stdint.h>

/* Call it as often as is convenient. what is shown before the percentage. */
void progress_show(const char *what, uint64_t done, uint64_t total);

/* Before anything else is printed. Whatever is shown after it is a new piece of work. */
void progress_end(void);

#endif
