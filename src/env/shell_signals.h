/* While system() runs a shell, SIGINT and SIGQUIT are ignored by the whole process, however many threads run one: the
 * first sets that, the last takes it back. Async-signal-safe.
 */
#ifndef RACESHIM_ENV_SHELL_SIGNALS_H
#define RACESHIM_ENV_SHELL_SIGNALS_H

#include <signal.h>

/* The signals that the shell is to start with at their default: those that the program did not ignore itself. */
void shell_signals_begin(sigset_t *defaults);
void shell_signals_end(void);

/* As with libc's own, nothing is taken back in a child that was forked meanwhile. */
void shell_signals_after_fork(void);

#endif
