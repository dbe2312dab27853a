#ifndef _GNU_SOURCE
#error "compile with _GNU_SOURCE: RTLD_NEXT"
#endif
#include "base/symbol.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef ElfW(Addr) elf_address;
typedef ElfW(Dyn) elf_entry;
typedef ElfW(Half) elf_version;
typedef ElfW(Sym) elf_symbol;

/* The loader's list of loaded objects is there for debuggers. Without a weak reference the library
 * would name the loader among what it needs. */
#pragma weak _r_debug
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

static const struct link_map *last_at_start; /* NULL: not known yet */

struct table {
    const uint32_t *hash;
    const elf_symbol *symbols;
    const char *names;
    const elf_version *versions; /* NULL: none */
};

/* The loader turns most addresses there into absolute ones, but not in every object. */
static const void *at(const struct link_map *object, const elf_entry *entry) {
    elf_address address = entry->d_un.d_ptr;
    return (const void *)(address < object->l_addr ? object->l_addr + address : address);
}

static bool read_table(const struct link_map *object, struct table *table) {
    *table = (struct table){NULL, NULL, NULL, NULL};
    for (const elf_entry *entry = object->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_GNU_HASH:
            table->hash = at(object, entry);
            break;
        case DT_SYMTAB:
            table->symbols = at(object, entry);
            break;
        case DT_STRTAB:
            table->names = at(object, entry);
            break;
        case DT_VERSYM:
            table->versions = at(object, entry);
            break;
        default:
            break;
        }
    }
    return table->hash && table->symbols && table->names;
}

static uint32_t hash_of(const char *name) {
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* By hand: this runs in every process, and the loader would have to find libc's. */
static bool is_equal(const char *one, const char *other) {
    while (*one != '\0' && *one == *other)
        one++, other++;
    return *one == *other;
}

#define VERSION_HIDDEN 0x8000 /* an old version, for programs that ask for it */

static bool is_definition(const struct table *table, uint32_t index, const char *name) {
    const elf_symbol *symbol = &table->symbols[index];
    unsigned type = symbol->st_info & 0xf;
    return symbol->st_shndx != SHN_UNDEF && symbol->st_value != 0 &&
           (type == STT_NOTYPE || type == STT_FUNC || type == STT_GNU_IFUNC) &&
           !(table->versions && (table->versions[index] & VERSION_HIDDEN)) &&
           is_equal(table->names + symbol->st_name, name);
}

/* Buckets of names by their hash; each chain is a run of symbols, whose hashes lie in a parallel
 * array with the lowest bit set on the last one. A filter of two bits for each name comes first. */
static const elf_symbol *find(const struct table *table, const char *name, uint32_t hash) {
    const uint32_t bucket_count = table->hash[0], first = table->hash[1];
    const uint32_t words = table->hash[2], shift = table->hash[3];
    const elf_address *filter = (const elf_address *)&table->hash[4];
    const uint32_t *buckets = (const uint32_t *)&filter[words];
    const uint32_t *hashes = &buckets[bucket_count];
    const unsigned bits = sizeof *filter * 8;
    elf_address word = filter[hash / bits & (words - 1)];
    if (!(word >> hash % bits & word >> (hash >> shift) % bits & 1) || bucket_count == 0)
        return NULL;
    uint32_t index = buckets[hash % bucket_count];
    if (index < first)
        return NULL;
    for (;; index++) {
        uint32_t other = hashes[index - first];
        if ((other | 1) == (hash | 1) && is_definition(table, index, name))
            return &table->symbols[index];
        if (other & 1)
            return NULL;
    }
}

static void *address_of(const struct link_map *object, const elf_symbol *symbol) {
    elf_address address = object->l_addr + symbol->st_value;
    if ((symbol->st_info & 0xf) == STT_GNU_IFUNC)
        address = ((elf_address(*)(void))address)();
    return (void *)address;
}

static const struct link_map *first_object(void) {
    return &_r_debug ? _r_debug.r_map : NULL;
}

void *symbol_search(const char *name) {
    const struct link_map *object = first_object();
    uint32_t hash = hash_of(name);
    while (object && object->l_ld != _DYNAMIC)
        object = object->l_next;
    while (object && object != last_at_start && (object = object->l_next)) {
        struct table table;
        if (!read_table(object, &table))
            return NULL; /* it may be there */
        const elf_symbol *symbol = find(&table, name, hash);
        if (symbol)
            return address_of(object, symbol);
    }
    return NULL;
}

void *symbol_next(const char *name) {
    void *volatile found = symbol_search(name);
    /* Not as the last thing in the function: dlsym must see that it is this library that asks. */
    if (!found)
        found = dlsym(RTLD_NEXT, name);
    return found;
}

void symbol_mark_last(void) {
    const struct link_map *object = first_object();
    while (object && object->l_next)
        object = object->l_next;
    last_at_start = object;
}
