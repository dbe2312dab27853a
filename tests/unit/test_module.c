/* From an address to the object that it lies in. */
#define _GNU_SOURCE
#include "check.h"

#include "report/module.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uintptr_t address_of(const void *pointer) {
    return (uintptr_t)pointer;
}

/* The build ID in the file, read through its section headers: another way than the one tested. */
static size_t build_id_in_file(const char *path, unsigned char id[MODULE_BUILD_ID_MAX]) {
    struct stat st;
    size_t length = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return 0;
    const char *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)file;
    const ElfW(Shdr) *sections = (const ElfW(Shdr) *)(file + header->e_shoff);
    const char *names = file + sections[header->e_shstrndx].sh_offset;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (strcmp(names + sections[i].sh_name, ".note.gnu.build-id") == 0) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(file + sections[i].sh_offset);
            length = note->n_descsz;
            memcpy(id, (const char *)(note + 1) + 4, length);
        }
    }
    munmap((void *)file, (size_t)st.st_size);
    return length;
}

static void is_described(const struct module *module, const void *inside) {
    unsigned char id[MODULE_BUILD_ID_MAX];
    CHECK(module != NULL);
    if (module == NULL)
        return;
    CHECK(module->start <= address_of(inside) && address_of(inside) < module->end);
    CHECK_EQ(module->path[0], '/');
    size_t length = build_id_in_file(module->path, id);
    CHECK_EQ(module->build_id_length, length);
    CHECK(memcmp(module->build_id, id, length) == 0);
    CHECK(module_get(module->number) == module);
}

static int inside_the_program = 1;

TEST("R1: the program's own code and data lie in its file") {
    char path[PATH_MAX] = "";
    const struct module *module = module_of(address_of(build_id_in_file));
    is_described(module, build_id_in_file);
    CHECK(module_of(address_of(&inside_the_program)) == module);
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    if (module != NULL)
        CHECK_STR(module->path, path);
}

TEST("R1: a library's code lies in its file, at an offset that its symbol table knows") {
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    void *function = libc ? dlsym(libc, "getppid") : NULL;
    Dl_info info;
    const struct module *module = module_of(address_of(function));
    is_described(module, function);
    CHECK(dladdr(function, &info) != 0);
    if (module != NULL) {
        CHECK_STR(module->path, info.dli_fname);
        CHECK_EQ(module->bias, address_of(info.dli_fbase));
    }
}

TEST("R1: the kernel's own object has a name and a build ID") {
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    const struct module *module = vdso ? module_of(vdso + 64) : NULL;
    if (module != NULL) { /* some kernels give none */
        CHECK(strstr(module->path, "vdso") != NULL);
        CHECK(module->build_id_length > 0);
    }
}

TEST("R1: memory that no object was loaded to belongs to none") {
    char on_stack;
    void *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(module_of(address_of(mapped)) == NULL);
    CHECK(module_of(address_of(&on_stack)) == NULL);
    CHECK(module_of(0) == NULL);
    CHECK(module_of(UINTPTR_MAX) == NULL);
    CHECK(module_get(0) == NULL);
    CHECK(module_get(MODULES_MAX) == NULL);
    CHECK(module_get(MODULES_MAX + 1) == NULL);
    munmap(mapped, 4096);
}

TEST("R1: an object is remembered after it was unloaded, and is the same when it comes again "
     "there") {
    const struct module *first = NULL;
    for (int i = 0; i < 3; i++) {
        void *library = dlopen("libm.so.6", RTLD_NOW);
        void *function = library ? dlsym(library, "cbrt") : NULL;
        CHECK(function != NULL);
        const struct module *module = module_of(address_of(function));
        is_described(module, function);
        if (first && module && module->bias == first->bias)
            CHECK(module == first);
        first = module;
        dlclose(library);
    }
    if (first != NULL)
        CHECK(module_get(first->number) == first && strstr(first->path, "libm") != NULL);
}

TEST("R1: a library that was loaded by a relative path has an absolute one") {
    char directory[] = "/tmp/test_module.XXXXXX", copy[PATH_MAX], wanted[PATH_MAX];
    void *libm = dlopen("libm.so.6", RTLD_NOW);
    struct link_map *map = libm;
    int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(map != NULL && back >= 0 && mkdtemp(directory) != NULL);
    snprintf(copy, sizeof copy, "%s/copy.so", directory);
    CHECK(symlink(map->l_name, copy) == 0 && realpath(copy, wanted) != NULL);
    CHECK(chdir(directory) == 0);
    void *library = dlopen("./copy.so", RTLD_NOW);
    void *function = library ? dlsym(library, "cbrt") : NULL;
    const struct module *module = function ? module_of(address_of(function)) : NULL;
    CHECK(module != NULL && module->path[0] == '/');
    CHECK(fchdir(back) == 0);
    unlink(copy);
    rmdir(directory);
    dlclose(library);
    dlclose(libm);
}

TEST("H1: errno stays") {
    errno = 4711;
    module_of(address_of(build_id_in_file));
    module_of(0);
    CHECK_EQ(errno, 4711);
}

#define THREADS 8
static const void *const looked_up[] = {(const void *)build_id_in_file, (const void *)module_of};

static void *look_up(void *unused) {
    (void)unused;
    const void *symbols[] = {dlsym(RTLD_DEFAULT, "getppid"), dlsym(RTLD_DEFAULT, "dlsym"),
                             looked_up[0], looked_up[1]};
    for (int i = 0; i < 2000; i++) {
        const void *symbol = symbols[i % 4];
        const struct module *module = module_of(address_of(symbol));
        if (module == NULL || module != module_of(address_of(symbol)))
            return (void *)symbol;
    }
    return NULL;
}

TEST("H2: threads that look up at once get one answer") {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, look_up, NULL) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK(wrong == NULL);
    }
}

/* ---- Notes ---- */

static void add_note(unsigned char *notes, size_t *size, size_t align, const char *name,
                     uint32_t type, const char *description) {
    ElfW(Nhdr) header = {.n_namesz = (uint32_t)strlen(name) + 1,
                         .n_descsz = (uint32_t)strlen(description),
                         .n_type = type};
    size_t at = *size;
    memcpy(notes + at, &header, sizeof header);
    memcpy(notes + at + sizeof header, name, header.n_namesz);
    at = (at + sizeof header + header.n_namesz + align - 1) / align * align;
    memcpy(notes + at, description, header.n_descsz);
    *size = (at + header.n_descsz + align - 1) / align * align;
}

TEST("R1: the build ID is found among other notes, whatever their alignment") {
    for (size_t align = 4; align <= 8; align += 4) {
        unsigned char notes[256] = {0};
        const unsigned char *id = NULL;
        size_t size = 0;
        add_note(notes, &size, align, "GNU", NT_GNU_ABI_TAG, "abc");
        add_note(notes, &size, align, "Other", NT_GNU_BUILD_ID, "wrong");
        add_note(notes, &size, align, "GNU", NT_GNU_BUILD_ID, "right!!");
        CHECK_EQ(module_build_id_in(notes, size, align, &id), 7);
        CHECK(id != NULL && memcmp(id, "right!!", 7) == 0);
    }
}

TEST("H1: notes that lie about their size are not believed") {
    uint64_t state = 7;
    for (int i = 0; i < 200000; i++) {
        unsigned char notes[64];
        const unsigned char *id = notes;
        for (size_t k = 0; k < sizeof notes; k++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            unsigned char byte = (unsigned char)(state >> 40);
            notes[k] = state >> 60 < 12 ? 0 : byte; /* mostly zero, so that sizes are small */
        }
        if (i % 2)
            memcpy(notes + 8, "\3\0\0\0GNU", 8);
        size_t size = (size_t)(state >> 33) % (sizeof notes + 1);
        unsigned char *copy =
            malloc(size ? size : 1); /* its own, so that a sanitizer sees the end */
        memcpy(copy, notes, size);
        size_t length = module_build_id_in(copy, size, i % 3 ? 4 : 8, &id);
        if (length > 0)
            CHECK(id >= copy && id + length <= copy + size);
        free(copy);
    }
}
