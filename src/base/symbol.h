/* The next definition of a name after ours, as dlsym(RTLD_NEXT, name) finds it.
 *
 * dlsym takes a lock of libc's, so a signal handler may not call it; this reads the hash tables of
 * the loaded objects itself, in some 200 instructions. So nothing has to be found in advance: what
 * a program never calls costs it nothing at its start.
 *
 * Objects that were there when the program began are never unloaded and libc is one of them, so
 * the list can be walked that far while other threads load and unload. Where it does not lead to
 * the name (the library was loaded by dlopen; an object has no DT_GNU_HASH) dlsym is asked.
 *
 * Async-signal-safe but for that case.
 */
#ifndef RACESHIM_BASE_SYMBOL_H
#define RACESHIM_BASE_SYMBOL_H

/* NULL: there is none. */
void *symbol_next(const char *name);

/* The same without dlsym. NULL: none was found, but there may be one. */
void *symbol_search(const char *name);

/* Everything that is loaded by now stays. For the constructor. */
void symbol_mark_last(void);

#endif
