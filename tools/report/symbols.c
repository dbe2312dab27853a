#define _GNU_SOURCE
#include "symbols.h"

#include "../common/memory.h"
#include "made.h"
#include "record.h"
#include "source.h"
#include "symbol_file.h"

#include <stdlib.h>
#include <string.h>

#define MODULES_MAX 1024u
#define PLACES_MAX (1u << 18)
#define INLINED_MAX 64

struct symbol_module {
    char *path;
    char *build_id;
    char *problem; /* NULL: file is open */
    struct symbol_file file;
};

struct place_known {
    const struct symbol_module *module; /* NULL: the slot is free */
    uint64_t address;
    struct symbol *symbols;
    size_t count;
};

struct symbols {
    Dwfl *dwfl;
    struct symbol_module *modules[MODULES_MAX];
    size_t module_count;
    struct symbol_module *last;
    struct symbol_module beyond; /* what there is no room for */
    struct place_known *places;  /* a hash table, its size a power of two */
    size_t places_size;
    size_t place_count;
    struct made made;
};

struct made *symbols_made(struct symbols *symbols) {
    return &symbols->made;
}

struct symbols *symbols_new(void) {
    struct symbols *symbols = must_allocate(NULL, 1, sizeof *symbols);
    *symbols = (struct symbols){.dwfl = symbol_files_begin(), .places_size = 256};
    symbols->beyond.problem = must_print("there are too many modules");
    symbols->places = must_allocate(NULL, symbols->places_size, sizeof *symbols->places);
    memset(symbols->places, 0, symbols->places_size * sizeof *symbols->places);
    return symbols;
}

static void free_symbol(const struct symbol *symbol) {
    free((char *)symbol->function);
    free((char *)symbol->file);
    free((char *)symbol->text);
}

void symbols_free(struct symbols *symbols) {
    made_end(&symbols->made);
    for (size_t i = 0; i < symbols->places_size; i++) {
        for (size_t j = 0; j < symbols->places[i].count; j++)
            free_symbol(&symbols->places[i].symbols[j]);
        free(symbols->places[i].symbols);
    }
    for (size_t i = 0; i < symbols->module_count; i++) {
        struct symbol_module *module = symbols->modules[i];
        free(module->path);
        free(module->build_id);
        free(module->problem);
        free(module);
    }
    if (symbols->dwfl)
        dwfl_end(symbols->dwfl);
    free(symbols->beyond.problem);
    free(symbols->places);
    free(symbols);
}

static bool is_module(const struct symbol_module *module, const char *path, const char *build_id) {
    return strcmp(module->path, path) == 0 && strcmp(module->build_id, build_id) == 0;
}

/* A process has some tens of modules, and the frames of one mostly follow each other. */
struct symbol_module *symbols_module(struct symbols *symbols, const char *path,
                                     const char *build_id) {
    if (symbols->last && is_module(symbols->last, path, build_id))
        return symbols->last;
    for (size_t i = 0; i < symbols->module_count; i++) {
        if (is_module(symbols->modules[i], path, build_id))
            return symbols->last = symbols->modules[i];
    }
    if (symbols->module_count == MODULES_MAX)
        return &symbols->beyond;
    struct symbol_module *module = must_allocate(NULL, 1, sizeof *module);
    *module = (struct symbol_module){.path = must_print("%s", path),
                                     .build_id = must_print("%s", build_id)};
    size_t length;
    char *on_disk = record_path((struct string){path, strlen(path)}, &length);
    module->problem = symbol_file_open(&module->file, symbols->dwfl, on_disk, build_id);
    free(on_disk);
    symbols->modules[symbols->module_count++] = module;
    return symbols->last = module;
}

const char *symbol_module_problem(const struct symbol_module *module) {
    return module->problem;
}

time_t symbol_module_written(const struct symbol_module *module) {
    return module->file.module ? module->file.written : 0;
}

/* The slot of this place, or the free one where it belongs. */
static struct place_known *find_slot(struct symbols *symbols, const struct symbol_module *module,
                                     uint64_t address) {
    size_t mask = symbols->places_size - 1;
    uint64_t key = (address ^ (uintptr_t)module >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t at = key >> 32 & mask;; at = (at + 1) & mask) {
        struct place_known *place = &symbols->places[at];
        if (!place->module || (place->module == module && place->address == address))
            return place;
    }
}

static void grow(struct symbols *symbols) {
    struct place_known *old = symbols->places;
    size_t old_size = symbols->places_size;
    symbols->places_size *= 2;
    symbols->places = must_allocate(NULL, symbols->places_size, sizeof *symbols->places);
    memset(symbols->places, 0, symbols->places_size * sizeof *symbols->places);
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].module)
            *find_slot(symbols, old[i].module, old[i].address) = old[i];
    }
    free(old);
}

static void keep_symbol(void *context, const struct symbol *symbol) {
    struct place_known *place = context;
    if (place->count == INLINED_MAX) {
        free_symbol(symbol);
        return;
    }
    place->symbols = must_allocate(place->symbols, place->count + 1, sizeof *place->symbols);
    struct symbol *kept = &place->symbols[place->count++];
    *kept = *symbol;
    kept->text = source_line(symbol->file, symbol->line, place->module->file.written);
}

struct location symbols_find(struct symbols *symbols, struct symbol_module *module,
                             uint64_t address) {
    if (module->problem || address == 0)
        return (struct location){0};
    struct place_known *place = find_slot(symbols, module, address);
    if (!place->module) {
        if (symbols->place_count == PLACES_MAX)
            return (struct location){0};
        if (2 * ++symbols->place_count > symbols->places_size) {
            grow(symbols);
            place = find_slot(symbols, module, address);
        }
        *place = (struct place_known){.module = module, .address = address};
        /* The return address may be the next line's, or the next function's. */
        symbol_file_find(&module->file, address - 1, keep_symbol, place);
    }
    return (struct location){place->count, place->symbols};
}
