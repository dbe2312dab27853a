#include "report/module.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

/* The GNU build ID among the notes of one segment, in memory. */
static void build_id_of(struct module_address *found, const char *notes, size_t size) {
    for (size_t at = 0; size - at >= sizeof(ElfW(Nhdr));) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + at, sizeof note);
        size_t name = at + sizeof note;
        size_t data = name + ((note.n_namesz + 3) & ~(size_t)3);
        size_t end = data + ((note.n_descsz + 3) & ~(size_t)3);
        if (end > size || end <= at)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz <= MODULE_BUILD_ID_MAX) {
            memcpy(found->build_id, notes + data, note.n_descsz);
            found->build_id_length = note.n_descsz;
            return;
        }
        at = end;
    }
}

static void describe(struct module_address *found, uintptr_t address, const char *path,
                     uintptr_t bias, const ElfW(Phdr) *segments, size_t count) {
    found->path = path;
    found->offset = address - bias;
    for (size_t i = 0; i < count && found->build_id_length == 0; i++)
        if (segments[i].p_type == PT_NOTE)
            build_id_of(found, (const char *)bias + segments[i].p_vaddr, segments[i].p_memsz);
}

#if __GLIBC_PREREQ(2, 35)

void module_find(uintptr_t address, struct module_address *found) {
    struct dl_find_object object;
    *found = (struct module_address){.path = NULL, .offset = address};
    if (_dl_find_object((void *)address, &object) != 0)
        return;
    const ElfW(Ehdr) *header = object.dlfo_map_start;
    const struct link_map *map = object.dlfo_link_map;
    const ElfW(Phdr) *segments =
        (const ElfW(Phdr) *)(const void *)((const char *)header + header->e_phoff);
    describe(found, address, map->l_name ? map->l_name : "", map->l_addr, segments,
             header->e_phnum);
}

#else

struct wanted {
    uintptr_t address;
    struct module_address *found;
};

static int look(struct dl_phdr_info *info, size_t size, void *argument) {
    struct wanted *wanted = argument;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD &&
            wanted->address - (info->dlpi_addr + segment->p_vaddr) < segment->p_memsz) {
            describe(wanted->found, wanted->address, info->dlpi_name, info->dlpi_addr,
                     info->dlpi_phdr, info->dlpi_phnum);
            return 1;
        }
    }
    return 0;
}

void module_find(uintptr_t address, struct module_address *found) {
    struct wanted wanted = {address, found};
    *found = (struct module_address){.path = NULL, .offset = address};
    dl_iterate_phdr(look, &wanted);
}

#endif
