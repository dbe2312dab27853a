/* Was a signal sent to this process alone, or to its whole process group?
 *
 * The kernel does not say. So there is a witness: a process of our group that blocks every signal and that nobody has a
 * reason to signal alone. A signal that is pending there was sent to the group. It must be younger than
 * this process: the kernel signals the youngest of a group first, so that the witness has a signal before we have it.
 *
 * The witness is asked, and takes what is pending then; it is there all the time, so none is missed.
 */
#ifndef RACESHIM_TOOLS_WITNESS_H
#define RACESHIM_TOOLS_WITNESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct witness {
    pid_t pid; /* 0: there is none, and every signal counts as sent to us alone */
    struct witness_page *page;
    uint32_t sent[NSIG]; /* so many, to the group, that this process has not taken yet */
};

/* All signals must be blocked. */
void witness_begin(struct witness *witness);
void witness_end(struct witness *witness);

/* Takes a signal that is pending for this process; 0 if there is none. *was_group: the group got it. */
int witness_take(struct witness *witness, siginfo_t *info, bool *was_group);

/* A signal of this number was spent, not taken. */
void witness_spent(struct witness *witness, int sig);

#endif
