/* What the hooks that close streams have to do with popen's. */
#ifndef RACESHIM_HOOKS_SHELL_H
#define RACESHIM_HOOKS_SHELL_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* A stream that is being closed: which process it leads to, if any. */
struct popen_end {
    pid_t process; /* 0: it is none of popen's */
    bool is_open;  /* its descriptor was not closed behind its back */
};

void popen_end_begin(struct popen_end *end, FILE *stream);

/* After the real call, which returned `result`: waits for the process. What fclose or pclose is to return. */
int popen_end_wait(const struct popen_end *end, int result);

#endif
