/* What is known of this process since the library was loaded: its settings, its rules, its program.
 *
 * settings and rules are filled in by the constructor and do not change afterwards; before it they are all zero: repair,
 * scoped, no rules, no directory. Unit tests bring their own.
 */
#ifndef RACESHIM_BASE_LOADED_H
#define RACESHIM_BASE_LOADED_H

#include "base/rules.h"
#include "base/settings.h"

extern struct settings settings;
extern struct rules rules;

/* The program's path, asked for once; "" if it cannot be known. Async-signal-safe. */
const char *loaded_program(void);

#endif
