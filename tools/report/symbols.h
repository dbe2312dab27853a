/* Names for return addresses: functions, inlined ones too, and source lines, by elfutils.
 *
 * A module is looked at only if the file on disk carries the build ID that was recorded; another
 * build's names would be wrong ones. Debug information is found where elfutils looks for it: in the
 * file, beside it, under /usr/lib/debug, and at the servers of DEBUGINFOD_URLS if that is set.
 * Where the module itself is gone or was rebuilt, its debug file under /usr/lib/debug/.build-id
 * serves.
 *
 * Modules and places are kept once each, so that a place costs one look-up however often it comes.
 * Neither number is without a bound: what is beyond stays without names.
 */
#ifndef RACESHIM_TOOLS_SYMBOLS_H
#define RACESHIM_TOOLS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct symbol {
    const char *function; /* with the names of the scopes it lies in; NULL: not known */
    const char *file;     /* the source file, as the compiler knew it; NULL: not known */
    unsigned line;        /* of the call; 0: not known */
    unsigned column;
    const char *text; /* that line, without the blanks round it; NULL: not at hand */
    bool is_inlined;  /* into the function of the next symbol */
};

/* One return address: the innermost function first, the last one is not inlined. */
struct location {
    size_t count; /* 0: not known */
    const struct symbol *symbols;
};

struct symbols;

struct symbols *symbols_new(void);
void symbols_free(struct symbols *symbols);

/* The frames of shared stacks with their names, which frames_read keeps as long as these live. */
struct made *symbols_made(struct symbols *symbols);

struct symbol_module;

/* The module with this path, as a record has it, and build ID (hexadecimal digits, "" for none). Never
 * NULL; valid until symbols_free. */
struct symbol_module *symbols_module(struct symbols *symbols, const char *path,
                                     const char *build_id);

/* Why this module's frames have no names, or NULL. */
const char *symbol_module_problem(const struct symbol_module *module);

/* When the file that the names come from was written last; 0 if there is none. */
time_t symbol_module_written(const struct symbol_module *module);

/* address is a return address in the module's own terms. Valid until symbols_free. */
struct location symbols_find(struct symbols *symbols, struct symbol_module *module,
                             uint64_t address);

#endif
