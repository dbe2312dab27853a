#define _GNU_SOURCE
#include "symbol_file.h"

#include "../common/memory.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_LIBIBERTY
#include <libiberty/demangle.h>
#endif

static int no_other_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                        char **found, Elf **elf) {
    (void)module, (void)data, (void)name, (void)base, (void)found, (void)elf;
    return -1;
}

static const Dwfl_Callbacks callbacks = {
    .find_elf = no_other_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
};

/* ---- Opening ---- */

/* O_NONBLOCK: a record may name anything, a FIFO too. */
static int open_regular(const char *path, time_t *written) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *written = st.st_mtime;
        return fd;
    }
    close(fd);
    errno = EINVAL;
    return -1;
}

Dwfl *symbol_files_begin(void) {
    return dwfl_begin(&callbacks);
}

/* As an offline module: then libdwfl keeps no descriptor open for it. */
static bool open_elf(struct symbol_file *file, Dwfl *dwfl, const char *path) {
    int fd = open_regular(path, &file->written);
    if (fd < 0)
        return false;
    dwfl_report_begin_add(dwfl);
    file->module = dwfl_report_offline(dwfl, "", path, fd);
    dwfl_report_end(dwfl, NULL, NULL);
    if (file->module && dwfl_module_getelf(file->module, &file->bias))
        return true;
    if (!file->module)
        close(fd); /* else libdwfl has closed it */
    file->module = NULL;
    errno = ENOEXEC;
    return false;
}

static void read_build_id(Dwfl_Module *module, char digits[static 2 * BUILD_ID_MAX + 1]) {
    const unsigned char *bytes;
    GElf_Addr address;
    int length = dwfl_module_build_id(module, &bytes, &address);
    digits[0] = '\0';
    for (int i = 0; i < length && i < BUILD_ID_MAX; i++)
        sprintf(digits + 2 * i, "%02x", bytes[i]);
}

static bool open_with_build_id(struct symbol_file *file, Dwfl *dwfl, const char *path,
                               const char *build_id, char found[static 2 * BUILD_ID_MAX + 1]) {
    if (!open_elf(file, dwfl, path))
        return false;
    read_build_id(file->module, found);
    if (strcmp(found, build_id) == 0)
        return true;
    file->module = NULL;
    errno = 0;
    return false;
}

static bool open_debug_file(struct symbol_file *file, Dwfl *dwfl, const char *build_id) {
    char found[2 * BUILD_ID_MAX + 1];
    size_t length = strlen(build_id);
    if (length < 4 || length > 2 * BUILD_ID_MAX || strspn(build_id, "0123456789abcdef") != length)
        return false;
    char *path = must_print("/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
    bool is_open = open_with_build_id(file, dwfl, path, build_id, found);
    free(path);
    return is_open;
}

static char *explain(int error, const char *found) {
    if (error == ENOENT)
        return must_print("the file is not here");
    if (error == ENOEXEC)
        return must_print("the file on disk is no program or library");
    if (error == EINVAL)
        return must_print("it is no regular file");
    if (error != 0)
        return must_print("it cannot be read: %s", strerror(error));
    if (found[0] == '\0')
        return must_print("the file on disk is another one: it has no build ID");
    return must_print("the file on disk is another one, with build ID %s", found);
}

char *symbol_file_open(struct symbol_file *file, Dwfl *dwfl, const char *path,
                       const char *build_id) {
    char found[2 * BUILD_ID_MAX + 1] = "";
    *file = (struct symbol_file){0};
    if (!dwfl)
        return must_print("libdwfl does not work");
    if (path[0] == '\0')
        return must_print("the code was made at run time");
    errno = ENOENT;
    if (path[0] == '/' && open_with_build_id(file, dwfl, path, build_id, found))
        return NULL;
    int error = errno;
    if (open_debug_file(file, dwfl, build_id))
        return NULL;
    return explain(error, found);
}

/* ---- Names ---- */

/* The entry that a concrete one is an instance or the body of. */
static bool follow(Dwarf_Die *die) {
    Dwarf_Attribute attribute;
    Dwarf_Die target;
    if (!dwarf_attr(die, DW_AT_abstract_origin, &attribute) &&
        !dwarf_attr(die, DW_AT_specification, &attribute))
        return false;
    if (!dwarf_formref_die(&attribute, &target))
        return false;
    *die = target;
    return true;
}

static bool is_named_scope(Dwarf_Die *die) {
    switch (dwarf_tag(die)) {
    case DW_TAG_namespace:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
        return true;
    default:
        return false;
    }
}

/* C has no scopes round functions, and the walk through the whole unit is slow. */
static bool has_scopes(Dwarf_Die *unit) {
    int language = dwarf_srclang(unit);
    return language >= 0 && language != DW_LANG_C89 && language != DW_LANG_C &&
           language != DW_LANG_C99 && language != DW_LANG_C11 &&
           language != DW_LANG_Mips_Assembler && language != DW_LANG_Go;
}

static char *function_name(Dwarf_Die *unit, const Dwarf_Die *function) {
    Dwarf_Die die = *function;
    const char *name = dwarf_diename(&die);
    if (!name || !*name)
        return NULL;
    char *full = must_print("%s", name);
    if (!has_scopes(unit))
        return full;
    /* Debug information that was damaged could go round in a circle. */
    for (int steps = 0; steps < 8 && follow(&die); steps++)
        ;
    Dwarf_Die *scopes = NULL;
    int count = dwarf_getscopes_die(&die, &scopes);
    for (int i = 1; i < count; i++) {
        const char *scope = is_named_scope(&scopes[i]) ? dwarf_diename(&scopes[i]) : NULL;
        if (scope) {
            char *longer = must_print("%s::%s", scope, full);
            free(full);
            full = longer;
        }
    }
    free(scopes);
    return full;
}

/* "/a/b/../c/./d" is /a/c/d, as far as names tell. */
static void tidy_path(char *path) {
    char *to = path;
    for (const char *at = path; *at;) {
        size_t length = strcspn(at + 1, "/") + 1;
        if (length == 2 && at[0] == '/' && at[1] == '.') {
            at += length;
        } else if (length == 3 && strncmp(at, "/..", 3) == 0 &&
                   memrchr(path, '/', (size_t)(to - path))) {
            to = memrchr(path, '/', (size_t)(to - path));
            at += length;
        } else {
            memmove(to, at, length);
            to += length;
            at += length;
        }
    }
    *to = '\0';
}

static char *source_path(Dwarf_Die *unit, const char *name) {
    Dwarf_Attribute attribute;
    const char *directory = NULL;
    if (!name)
        return NULL;
    if (name[0] != '/')
        directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    char *path = directory ? must_print("%s/%s", directory, name) : must_print("%s", name);
    tidy_path(path);
    return path;
}

/* ---- Finding ---- */

/* Some compilers write no table of the units' addresses. */
static Dwarf_Die *find_unit(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *bias) {
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);
    if (unit)
        return unit;
    while ((unit = dwfl_module_nextcu(module, unit, bias)) != NULL) {
        if (dwarf_haspc(unit, address - *bias) > 0)
            return unit;
    }
    return NULL;
}

static unsigned read_unsigned(Dwarf_Die *die, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    if (dwarf_formudata(dwarf_attr(die, name, &attribute), &value) != 0 || value > INT32_MAX)
        return 0;
    return (unsigned)value;
}

/* Where the inlined function was called. */
static void set_call_site(struct symbol *symbol, Dwarf_Die *unit, Dwarf_Die *call) {
    Dwarf_Files *files;
    size_t count;
    unsigned file = read_unsigned(call, DW_AT_call_file);
    symbol->file = NULL;
    if (dwarf_getsrcfiles(unit, &files, &count) == 0 && file < count)
        symbol->file = source_path(unit, dwarf_filesrc(files, file, NULL, NULL));
    symbol->line = read_unsigned(call, DW_AT_call_line);
    symbol->column = read_unsigned(call, DW_AT_call_column);
}

static void set_line(struct symbol *symbol, Dwarf_Die *unit, Dwarf_Addr address) {
    int line = 0;
    int column = 0;
    Dwarf_Line *row = dwarf_getsrc_die(unit, address);
    if (!row)
        return;
    symbol->file = source_path(unit, dwarf_linesrc(row, NULL, NULL));
    if (dwarf_lineno(row, &line) == 0 && line > 0)
        symbol->line = (unsigned)line;
    if (dwarf_linecol(row, &column) == 0 && column > 0)
        symbol->column = (unsigned)column;
}

/* A name of Rust or C++ as it was written, without parameters and hash. */
static char *readable_name(const char *name) {
#ifdef HAVE_LIBIBERTY
    char *readable = cplus_demangle(name, DMGL_AUTO | DMGL_ANSI);
    if (readable)
        return readable;
#endif
    return must_print("%s", name);
}

/* The symbol table's name of the function that the address lies in, not just behind. */
static char *table_name(Dwfl_Module *module, Dwarf_Addr address) {
    GElf_Off offset;
    GElf_Sym entry;
    const char *name = dwfl_module_addrinfo(module, address, &offset, &entry, NULL, NULL, NULL);
    return name && *name && offset < entry.st_size ? readable_name(name) : NULL;
}

/* The functions round the address, from the scopes that lie in each other. Returns how many. */
static size_t find_functions(Dwarf_Die *unit, Dwarf_Addr address, struct symbol *symbol,
                             symbol_take *take, void *context) {
    Dwarf_Die *innermost = NULL;
    Dwarf_Die *scopes = NULL;
    size_t found = 0;
    if (dwarf_getscopes(unit, address, &innermost) <= 0)
        return 0;
    /* dwarf_getscopes goes on from an inlined function to where it was written; this one, to where
     * it was called. */
    int count = dwarf_getscopes_die(&innermost[0], &scopes);
    for (int i = 0; i < count; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        symbol->function = function_name(unit, &scopes[i]);
        symbol->is_inlined = tag == DW_TAG_inlined_subroutine;
        take(context, symbol);
        found++;
        *symbol = (struct symbol){0};
        if (tag == DW_TAG_subprogram)
            break;
        set_call_site(symbol, unit, &scopes[i]);
    }
    free(innermost);
    free(scopes);
    return found;
}

void symbol_file_find(struct symbol_file *file, uint64_t address, symbol_take *take,
                      void *context) {
    Dwarf_Addr bias = 0;
    struct symbol symbol = {0};
    address += file->bias;
    Dwarf_Die *unit = find_unit(file->module, address, &bias);
    if (unit) {
        set_line(&symbol, unit, address - bias);
        if (find_functions(unit, address - bias, &symbol, take, context) > 0) {
            free((char *)symbol.file);
            return;
        }
    }
    symbol.function = table_name(file->module, address);
    if (symbol.function || symbol.file)
        take(context, &symbol);
}
