#include "report/module.h"

#include "base/sys.h"
#include "base/text.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* What the loader says about an address. */
struct loaded {
    uintptr_t start, end, bias;
    const char *name; /* the loader's; "" for the program itself */
    const unsigned char *build_id;
    size_t build_id_length;
};

/* Modules are written first and linked into `slots` by one store, so a reader sees whole ones only.
 * What a thread wrote while another one linked the same is lost memory, one module for each such
 * race. */
#define TABLE_BYTES ((size_t)1 << 20)
struct table {
    _Atomic size_t used; /* of `bytes` */
    struct module *_Atomic slots[MODULES_MAX];
    _Alignas(16) char bytes[];
};
static struct table *_Atomic table_mapped;

static struct table *table_here(void) {
    struct table *table = atomic_load_explicit(&table_mapped, memory_order_acquire);
    if (table)
        return table;
    struct table *none = NULL;
    table = sys_mmap(TABLE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table && !atomic_compare_exchange_strong(&table_mapped, &none, table)) {
        sys_munmap(table, TABLE_BYTES);
        table = none;
    }
    return table;
}

static void *take(struct table *table, size_t size) {
    size = (size + 15) & ~(size_t)15;
    size_t used = atomic_load(&table->used);
    do {
        if (size > TABLE_BYTES - sizeof *table - used)
            return NULL;
    } while (!atomic_compare_exchange_weak(&table->used, &used, used + size));
    return table->bytes + used;
}

static size_t aligned(size_t size, size_t align) {
    return (size + align - 1) & ~(align - 1);
}

size_t module_build_id_in(const unsigned char *notes, size_t size, size_t align,
                          const unsigned char **id) {
    ElfW(Nhdr) header;
    if (align != 8)
        align = 4;
    while (size >= sizeof header) {
        memcpy(&header, notes, sizeof header);
        if (header.n_namesz > size - sizeof header)
            return 0;
        size_t description = aligned(sizeof header + header.n_namesz, align);
        if (description > size || header.n_descsz > size - description)
            return 0;
        if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == sizeof ELF_NOTE_GNU &&
            memcmp(notes + sizeof header, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0) {
            *id = notes + description;
            return header.n_descsz;
        }
        size_t next = aligned(description + header.n_descsz, align);
        if (next > size)
            return 0;
        notes += next;
        size -= next;
    }
    return 0;
}

static bool lies_in(const ElfW(Phdr) * note, const ElfW(Phdr) * load) {
    return load->p_type == PT_LOAD && load->p_flags & PF_R && note->p_vaddr >= load->p_vaddr &&
           note->p_memsz <= load->p_filesz &&
           note->p_vaddr - load->p_vaddr <= load->p_filesz - note->p_memsz;
}

/* The notes of an object, as far as they lie in a segment that can be read. */
static void find_build_id(struct loaded *loaded, const ElfW(Phdr) * headers, size_t count) {
    for (size_t i = 0; i < count && loaded->build_id_length == 0; i++) {
        const ElfW(Phdr) *note = &headers[i];
        size_t k = 0;
        while (note->p_type == PT_NOTE && k < count && !lies_in(note, &headers[k]))
            k++;
        if (note->p_type == PT_NOTE && k < count)
            loaded->build_id_length =
                module_build_id_in((const unsigned char *)(loaded->bias + note->p_vaddr),
                                   note->p_memsz, note->p_align, &loaded->build_id);
    }
}

#if __GLIBC_PREREQ(2, 35)

/* The ELF header is where the first segment begins, for all but unusual linker scripts: then there
 * is no build ID. Nothing outside of its page is read. */
static void read_headers(struct loaded *loaded) {
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)loaded->start;
    const size_t page = 4096;
    if (loaded->end - loaded->start < page || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff > page ||
        header->e_phnum > (page - header->e_phoff) / sizeof(ElfW(Phdr)))
        return;
    find_build_id(loaded, (const ElfW(Phdr) *)(loaded->start + header->e_phoff), header->e_phnum);
}

static bool find_loaded(uintptr_t address, struct loaded *loaded) {
    struct dl_find_object found;
    if (_dl_find_object((void *)address, &found) != 0)
        return false;
    *loaded = (struct loaded){.start = (uintptr_t)found.dlfo_map_start,
                              .end = (uintptr_t)found.dlfo_map_end,
                              .bias = found.dlfo_link_map->l_addr,
                              .name = found.dlfo_link_map->l_name};
    read_headers(loaded);
    return true;
}

#else

struct search {
    uintptr_t address;
    struct loaded *loaded;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *context) {
    struct search *search = context;
    uintptr_t start = UINTPTR_MAX, end = 0;
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *load = &info->dlpi_phdr[i];
        if (load->p_type != PT_LOAD)
            continue;
        uintptr_t first = info->dlpi_addr + load->p_vaddr;
        start = first < start ? first : start;
        end = first + load->p_memsz > end ? first + load->p_memsz : end;
    }
    if (search->address < start || search->address >= end)
        return 0;
    *search->loaded = (struct loaded){
        .start = start, .end = end, .bias = info->dlpi_addr, .name = info->dlpi_name};
    find_build_id(search->loaded, info->dlpi_phdr, info->dlpi_phnum);
    return 1;
}

static bool find_loaded(uintptr_t address, struct loaded *loaded) {
    struct search search = {address, loaded};
    return dl_iterate_phdr(look_at, &search) == 1;
}

#endif

static bool is_same(const struct module *module, const struct loaded *loaded) {
    return module->start == loaded->start && module->end == loaded->end &&
           module->bias == loaded->bias && module->build_id_length == loaded->build_id_length &&
           memcmp(module->build_id, loaded->build_id, loaded->build_id_length) == 0 &&
           strcmp(module->name, loaded->name) == 0;
}

/* /proc names a mapping by its exact bounds. The first segment's are a guess, because the kernel
 * joins neighbours; where it is wrong, there is no such name. */
static ssize_t path_of_mapping(const struct loaded *loaded, char *path, size_t size) {
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)loaded->start;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phoff > 1024)
        return -1;
    const ElfW(Phdr) *load = (const ElfW(Phdr) *)(loaded->start + header->e_phoff);
    for (unsigned left = header->e_phnum; left > 0 && left < 32; left--, load++) {
        if (load->p_type != PT_LOAD)
            continue;
        char name[80];
        struct text text;
        text_begin(&text, name, sizeof name);
        text_add(&text, "/proc/self/map_files/");
        text_add_hex(&text, loaded->start, 1);
        text_add_char(&text, '-');
        text_add_hex(&text, aligned(loaded->bias + load->p_vaddr + load->p_filesz, 4096), 1);
        return sys_readlinkat(AT_FDCWD, name, path, size);
    }
    return -1;
}

#define PATH_BYTES 4096

/* The loader keeps no name for the program itself, and one relative to a directory that may no
 * longer be the current one for what was found through a relative path. */
static const char *absolute_path(struct table *table, const struct loaded *loaded,
                                 const char *name) {
    if (name[0] == '/' || (name[0] != '\0' && !strchr(name, '/')))
        return name;
    char *path = take(table, PATH_BYTES);
    if (!path)
        return name;
    ssize_t length = name[0] == '\0'
                         ? sys_readlinkat(AT_FDCWD, "/proc/self/exe", path, PATH_BYTES - 1)
                         : path_of_mapping(loaded, path, PATH_BYTES - 1);
    return length > 0 ? path : name; /* the mapping was zero: it ends with a NUL */
}

static struct module *make(struct table *table, const struct loaded *loaded) {
    size_t length = strlen(loaded->name) + 1;
    struct module *module = take(table, sizeof *module + length);
    if (!module)
        return NULL;
    char *name = (char *)(module + 1);
    memcpy(name, loaded->name, length);
    module->name = name;
    module->path = absolute_path(table, loaded, name);
    module->start = loaded->start;
    module->end = loaded->end;
    module->bias = loaded->bias;
    module->build_id_length = (uint8_t)loaded->build_id_length;
    memcpy(module->build_id, loaded->build_id, loaded->build_id_length);
    return module;
}

static const struct module *intern(struct table *table, const struct loaded *loaded) {
    struct module *made = NULL;
    for (unsigned i = 0; i < MODULES_MAX; i++) {
        struct module *module = atomic_load_explicit(&table->slots[i], memory_order_acquire);
        if (!module) {
            if (!made && !(made = make(table, loaded)))
                return NULL;
            made->number = (uint16_t)(i + 1);
            if (atomic_compare_exchange_strong_explicit(&table->slots[i], &module, made,
                                                        memory_order_acq_rel, memory_order_acquire))
                return made;
        }
        if (is_same(module, loaded))
            return module;
    }
    return NULL;
}

const struct module *module_of(uintptr_t address) {
    struct loaded loaded;
    struct table *table = table_here();
    if (!table || !find_loaded(address, &loaded))
        return NULL;
    if (loaded.build_id_length == 0 || loaded.build_id_length > MODULE_BUILD_ID_MAX) {
        loaded.build_id = (const unsigned char *)"";
        loaded.build_id_length = 0;
    }
    return intern(table, &loaded);
}

const struct module *module_get(unsigned number) {
    struct table *table = atomic_load_explicit(&table_mapped, memory_order_acquire);
    if (!table || number == 0 || number > MODULES_MAX)
        return NULL;
    return atomic_load_explicit(&table->slots[number - 1], memory_order_acquire);
}
