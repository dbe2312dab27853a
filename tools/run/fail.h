/* How shim-run says that it cannot do what it was asked for. */
#ifndef RACESHIM_TOOLS_FAIL_H
#define RACESHIM_TOOLS_FAIL_H

#define EXIT_FAILED 125 /* shim-run itself failed; 126 and 127 are the command's, as env(1)'s */
#define EXIT_CANNOT_INVOKE 126 /* found, and cannot be executed */
#define EXIT_NOT_FOUND 127

/* One line on stderr, "shim-run: ...", with every argument made harmless for a terminal; and the
 * end. */
_Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...);

/* The line alone. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

#endif
