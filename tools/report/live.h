/* shim-report --live [SESSION]: who holds and who waits in a session that runs.
 */
#ifndef RACESHIM_TOOLS_REPORT_LIVE_H
#define RACESHIM_TOOLS_REPORT_LIVE_H

/* The words behind --live: none, or a session directory. Without one the session of the user's that
 * was begun last is taken, from TMPDIR or /tmp. On a terminal the picture is drawn anew each second,
 * until it is interrupted or the session is gone; elsewhere it is printed once. Returns the exit
 * status: 0; 2 with a message if there is nothing to be shown. */
int live_main(char **words);

#endif
