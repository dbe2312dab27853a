/* Round every way to make a process whose memory is a copy. */
#ifndef RACESHIM_HOOKS_PROCESS_H
#define RACESHIM_HOOKS_PROCESS_H

#include <stdbool.h>

void process_before_fork(void);
void process_after_fork_parent(void);
/* shares_files: made with CLONE_FILES, so closing anything would close it for the parent. */
void process_after_fork_child(bool shares_files);

#endif
