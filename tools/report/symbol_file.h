/* One ELF file and its debug information, opened by libdwfl. */
#ifndef RACESHIM_TOOLS_SYMBOL_FILE_H
#define RACESHIM_TOOLS_SYMBOL_FILE_H

#include "symbols.h"

#include <elfutils/libdwfl.h>

#define BUILD_ID_MAX 64

struct symbol_file {
    Dwfl_Module *module; /* NULL: none */
    GElf_Addr bias;      /* from the module's own addresses to libdwfl's */
    time_t written;
};

/* What all files are opened in; dwfl_end closes them. NULL if libdwfl does not work. */
Dwfl *symbol_files_begin(void);

/* Opens the module, or its debug file, if it has this build ID. Returns NULL, or why there are no
 * names, for the caller to free. */
char *symbol_file_open(struct symbol_file *file, Dwfl *dwfl, const char *path,
                       const char *build_id);

/* Gives the symbols of an address inside the call, the innermost first. Their strings are the
 * caller's to free. */
typedef void symbol_take(void *context, const struct symbol *symbol);
void symbol_file_find(struct symbol_file *file, uint64_t address, symbol_take *take, void *context);

#endif
