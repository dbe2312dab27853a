#include "start/program.h"

#include "base/sys.h"
#include "base/text.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#define LIBRARY_NAME "libraceshim"
#define SCRIPTS_DEEP 5

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#endif

const char *program_variable(char *const envp[], const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; envp && envp[i]; i++)
        if (strncmp(envp[i], name, length) == 0 && envp[i][length] == '=')
            return envp[i] + length + 1;
    return NULL;
}

static bool has(const char *text, size_t length, const char *part) {
    size_t size = strlen(part);
    for (size_t i = 0; i + size <= length; i++)
        if (memcmp(text + i, part, size) == 0)
            return true;
    return false;
}

/* The first word of the list with this in it. */
static const char *word_with(const char *list, const char *part, size_t *length) {
    for (const char *word = list; word && *word; word += strspn(word, " :")) {
        *length = strcspn(word, " :");
        if (has(word, *length, part))
            return word;
        word += *length;
    }
    return NULL;
}

const char *program_own_word(const char *preload, size_t *length) {
    return word_with(preload, LIBRARY_NAME, length);
}

/* ---- Which file ---- */

/* Looks the name up as execvp does; `try` says whether this is it. */
typedef bool try_path(void *context, const char *path);

static bool search_path(const char *file, const char *path, try_path *try, void *context) {
    if (!path)
        path = program_variable(__environ, "PATH");
    if (strchr(file, '/'))
        return try(context, file);
    path = path ? path : "/bin:/usr/bin";
    size_t size = strlen(path) + strlen(file) + 2;
    if (size > 4096)
        size = 4096;
    char candidate[size];
    for (;;) {
        size_t length = strcspn(path, ":");
        struct text text;
        text_begin(&text, candidate, size);
        text_add_bytes(&text, path, length);
        if (length)
            text_add_char(&text, '/');
        text_add(&text, file);
        if (!text.cut && try(context, candidate))
            return true;
        path += length;
        if (*path++ == '\0')
            return false;
    }
}

static bool is_program(const struct stat *st) {
    return S_ISREG(st->st_mode) && (st->st_mode & 0111);
}

static bool stat_here(void *context, const char *path) {
    return sys_fstatat(AT_FDCWD, path, context, 0) == 0 && is_program(context);
}

bool program_stat(int dir, const char *path, int flags, const char *search, struct stat *st) {
    if (dir == PROGRAM_SEARCH)
        return search_path(path, search, stat_here, st);
    return sys_fstatat(dir, path, st, flags & AT_EMPTY_PATH) == 0 && is_program(st);
}

static bool open_here(void *context, const char *path) {
    struct program *program = context;
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (sys_fstat(fd, &program->st) == 0 && is_program(&program->st)) {
        program->fd = fd;
        return true;
    }
    sys_close(fd);
    return false;
}

static bool open_file(struct program *program, int dir, const char *path, int flags,
                      const char *search) {
    if (dir == PROGRAM_SEARCH)
        return search_path(path, search, open_here, program);
    program->borrowed = (flags & AT_EMPTY_PATH) && path[0] == '\0';
    program->fd = program->borrowed
                      ? dir
                      : sys_openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (program->fd >= 0 && sys_fstat(program->fd, &program->st) == 0 && is_program(&program->st))
        return true;
    program_close(program);
    return false;
}

/* ---- What it is ---- */

/* An exec through it makes the loader ignore LD_PRELOAD. */
static bool raises_privilege(const struct program *program) {
    const struct stat *st = &program->st;
    uid_t uid = sys_geteuid();
    if ((st->st_mode & S_ISUID) && st->st_uid != uid)
        return true;
    if ((st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
        st->st_gid != (gid_t)sys_call3(SYS_getegid, 0, 0, 0))
        return true;
    return uid != 0 &&
           sys_call6(SYS_fgetxattr, program->fd, (long)"security.capability", 0, 0, 0, 0) > 0;
}

/* The beginning of the file; in nearly all programs the program headers and the loader's name lie
 * in it. */
struct head {
    char bytes[1024];
    ssize_t size;
    ElfW(Ehdr) elf;
};

static bool read_at(const struct program *program, const struct head *head, void *to, size_t size,
                    uint64_t at) {
    if (head->size > 0 && at < (uint64_t)head->size && size <= (uint64_t)head->size - at) {
        memcpy(to, head->bytes + at, size);
        return true;
    }
    return at <= INT64_MAX && sys_pread(program->fd, to, size, (off_t)at) == (ssize_t)size;
}

#define SEGMENTS_MAX 64

static bool find_segment(const struct program *program, const struct head *head, uint32_t type,
                         uint64_t address, ElfW(Phdr) * segment) {
    for (unsigned i = 0; i < head->elf.e_phnum && i < SEGMENTS_MAX; i++) {
        if (!read_at(program, head, segment, sizeof *segment,
                     head->elf.e_phoff + i * sizeof *segment))
            return false;
        if (segment->p_type == type &&
            (type != PT_LOAD ||
             (address >= segment->p_vaddr && address - segment->p_vaddr < segment->p_filesz)))
            return true;
    }
    return false;
}

/* A sanitizer's runtime stands first among the needed libraries, so a few suffice. */
#define NEEDED_MAX 4
#define DYNAMIC_MAX 24 /* entries that are read at a time */

struct needed {
    uint64_t names[NEEDED_MAX];
    unsigned count;
    uint64_t strings;
};

static bool read_dynamic(const struct program *program, const struct head *head,
                         struct needed *needed) {
    ElfW(Phdr) segment;
    ElfW(Dyn) entries[DYNAMIC_MAX];
    if (!find_segment(program, head, PT_DYNAMIC, 0, &segment))
        return false;
    uint64_t left = segment.p_filesz / sizeof *entries, at = segment.p_offset;
    for (unsigned rounds = 0; left > 0 && needed->strings == 0 && rounds < 16; rounds++) {
        size_t count = left < DYNAMIC_MAX ? left : DYNAMIC_MAX;
        if (!read_at(program, head, entries, count * sizeof *entries, at))
            return false;
        for (size_t i = 0; i < count; i++) {
            if (entries[i].d_tag == DT_NEEDED && needed->count < NEEDED_MAX)
                needed->names[needed->count++] = entries[i].d_un.d_val;
            else if (entries[i].d_tag == DT_STRTAB)
                needed->strings = entries[i].d_un.d_ptr;
        }
        left -= count;
        at += count * sizeof *entries;
    }
    return needed->count > 0 && needed->strings != 0;
}

static bool is_runtime(const char *name) {
    static const char names[][20] = {"libasan.so", "libhwasan.so", "libclang_rt.asan",
                                     "libclang_rt.hwasan"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool find_runtime(struct program *program, const struct head *head) {
    struct needed needed = {.count = 0};
    ElfW(Phdr) segment;
    char *name = program->runtime;
    if (!read_dynamic(program, head, &needed) ||
        !find_segment(program, head, PT_LOAD, needed.strings, &segment))
        return false;
    uint64_t strings = needed.strings - segment.p_vaddr + segment.p_offset;
    for (unsigned i = 0; i < needed.count; i++) {
        memset(name, 0, sizeof program->runtime);
        if (read_at(program, head, name, sizeof program->runtime - 1, strings + needed.names[i]) &&
            is_runtime(name))
            return true;
    }
    memset(name, 0, sizeof program->runtime);
    return false;
}

/* LD_PRELOAD may name one library for each class: the loader puts its own directory for $LIB. */
static bool has_library_for(const ElfW(Ehdr) * elf, char *const envp[]) {
    static const char *const directories[] = {"lib", "lib32", "lib/i386-linux-gnu", "lib64",
                                              "lib/x86_64-linux-gnu"};
    size_t length;
    const char *word = program_own_word(program_variable(envp, "LD_PRELOAD"), &length);
    const char *variable = word ? strstr(word, "$LIB") : NULL;
    char path[1024];
    struct text text;
    if (!variable || variable >= word + length || elf->e_machine != EM_386)
        return false;
    for (size_t i = 0; i < 3; i++) {
        text_begin(&text, path, sizeof path);
        text_add_bytes(&text, word, (size_t)(variable - word));
        text_add(&text, directories[i]);
        text_add_bytes(&text, variable + 4, length - (size_t)(variable + 4 - word));
        if (!text.cut && sys_call6(SYS_faccessat, AT_FDCWD, (long)path, 4 /* R_OK */, 0, 0, 0) == 0)
            return true;
    }
    return false;
}

static bool is_glibc_loader(const struct program *program, const struct head *head,
                            const ElfW(Phdr) * segment) {
    char name[64] = "";
    size_t size = segment->p_filesz < sizeof name ? segment->p_filesz : sizeof name - 1;
    return read_at(program, head, name, size, segment->p_offset) && !has(name, size, "/ld-musl");
}

/* May the sanitizer's runtime come after us, as told, or does it come before? */
static bool is_runtime_content(const struct program *program, char *const envp[]) {
    const char *options = program_variable(envp, "ASAN_OPTIONS");
    const char *preload = program_variable(envp, "LD_PRELOAD");
    char name[sizeof program->runtime];
    size_t length;
    memcpy(name, program->runtime, sizeof name);
    name[strcspn(name, ".")] = '\0';
    const char *runtime = word_with(preload, name, &length);
    const char *own = program_own_word(preload, &length);
    return !own || (runtime && runtime < own) ||
           (options && strstr(options, "verify_asan_link_order=0"));
}

static enum program_bar bar_of(struct program *program, const struct head *head,
                               char *const envp[]) {
    ElfW(Phdr) segment;
    const ElfW(Ehdr) *elf = &head->elf;
    if (head->size < (ssize_t)sizeof *elf || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0)
        return PROGRAM_UNKNOWN;
    if (elf->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        elf->e_machine != OUR_MACHINE)
        return has_library_for(elf, envp) ? PROGRAM_FREE : PROGRAM_FOREIGN;
    if (!find_segment(program, head, PT_INTERP, 0, &segment))
        return PROGRAM_STATIC;
    if (raises_privilege(program))
        return PROGRAM_PRIVILEGED;
    if (!is_glibc_loader(program, head, &segment))
        return PROGRAM_OTHER_LIBC;
    if (find_runtime(program, head) && !is_runtime_content(program, envp))
        return PROGRAM_SANITIZED;
    return PROGRAM_FREE;
}

static bool read_head(const struct program *program, struct head *head) {
    head->size = sys_pread(program->fd, head->bytes, sizeof head->bytes, 0);
    if (head->size >= (ssize_t)sizeof head->elf)
        memcpy(&head->elf, head->bytes, sizeof head->elf);
    return head->size > 0;
}

/* The interpreter's path of a script's first line. */
static bool interpreter_of(const struct head *head, char *path, size_t size) {
    ssize_t at = 2;
    struct text text;
    if (head->size < 3 || head->bytes[0] != '#' || head->bytes[1] != '!')
        return false;
    while (at < head->size && (head->bytes[at] == ' ' || head->bytes[at] == '\t'))
        at++;
    text_begin(&text, path, size);
    while (at < head->size && !memchr(" \t\n", head->bytes[at], 3))
        text_add_char(&text, head->bytes[at++]);
    return text.length != 0 && !text.cut;
}

void program_open(struct program *program, int dir, const char *path, int flags, const char *search,
                  char *const envp[]) {
    struct head head;
    char interpreter[256];
    *program = (struct program){.fd = -1, .bar = PROGRAM_UNKNOWN};
    if (!path || !open_file(program, dir, path, flags, search))
        return;
    program->file = program->st;
    for (int deep = 0; deep < SCRIPTS_DEEP && read_head(program, &head); deep++) {
        if (!interpreter_of(&head, interpreter, sizeof interpreter)) {
            program->bar = bar_of(program, &head, envp);
            return;
        }
        program_close(program);
        if (!open_file(program, AT_FDCWD, interpreter, 0, NULL))
            return;
    }
}

void program_close(struct program *program) {
    if (program->fd >= 0 && !program->borrowed)
        sys_close(program->fd);
    program->fd = -1;
    program->borrowed = false;
}

bool program_enterable(int dir, const char *path, int flags, const char *search,
                       char *const envp[]) {
    struct program program;
    size_t length;
    if (!program_own_word(program_variable(envp, "LD_PRELOAD"), &length))
        return false;
    program_open(&program, dir, path, flags, search, envp);
    bool result = program.fd < 0 || program.bar == PROGRAM_FREE;
    program_close(&program);
    return result;
}
