/* A fork, as the environment sees it: the child's `environ` is the forking thread's view. */
#ifndef RACESHIM_ENV_FORK_H
#define RACESHIM_ENV_FORK_H

void env_before_fork(void);
void env_after_fork_parent(void);
/* Async-signal-safe. */
void env_after_fork_child(void);

#endif
