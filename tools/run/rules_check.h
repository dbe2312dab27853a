/* Reads a rules file before the command starts, so that a wrong line is found by who wrote it. */
#ifndef RACESHIM_TOOLS_RULES_CHECK_H
#define RACESHIM_TOOLS_RULES_CHECK_H

/* Fails with "FILE:LINE: what is wrong" for the first wrong line. */
void rules_check(const char *file);

#endif
