/* Runs the command so that whoever runs shim-run could not tell it from the command.
 *
 * The command is a child in the same process group, with the caller's descriptors, signal mask and
 * dispositions. While it runs, a signal sent to shim-run alone is passed on to it; one that was
 * sent to the process group, by the terminal or by kill(2), has reached it already and is not
 * doubled. When the command stops, shim-run stops by the same signal, so that job control works;
 * SIGCONT is passed on like the rest. When shim-run is killed by SIGKILL, so is the command.
 * shim-run keeps no descriptor of the caller's open but stderr: a pipe ends, and a lock is
 * released, when the command closes it.
 */
#ifndef RACESHIM_TOOLS_COMMAND_H
#define RACESHIM_TOOLS_COMMAND_H

#include <sys/types.h>

/* Runs it to its end. Returns its exit status, 128 + N if signal N ended it, 126 or 127 with a
 * message if it could not be executed. keep: a descriptor of ours, close-on-exec, that may be
 * moved: it is updated. */
int command_run(char **command, char **environment, int *keep);

/* In a child: ends it when its parent ends, whatever ends that. */
void die_with(pid_t parent);

#endif
