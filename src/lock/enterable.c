#include "lock/enterable.h"

#include "base/sys.h"
#include "base/text.h"
#include "lock/handover.h"

#include <elf.h>
#include <link.h>
#include <string.h>

extern char **environ;

#define LIBRARY_NAME "libraceshim"
#define SCRIPTS_DEEP 5

static const char *value_of(char *const envp[], const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; envp && envp[i]; i++)
        if (strncmp(envp[i], name, length) == 0 && envp[i][length] == '=')
            return envp[i] + length + 1;
    return NULL;
}

static int open_in_path(const char *file, const char *path) {
    char candidate[4096];
    if (!path)
        path = value_of(environ, "PATH");
    if (strchr(file, '/'))
        return sys_openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC, 0);
    for (path = path ? path : "/bin:/usr/bin"; *path;) {
        size_t length = strcspn(path, ":");
        struct text text;
        text_begin(&text, candidate, sizeof candidate);
        text_add_bytes(&text, path, length);
        if (length)
            text_add_char(&text, '/');
        text_add(&text, file);
        int fd = sys_openat(AT_FDCWD, candidate, O_RDONLY | O_CLOEXEC, 0);
        struct stat st;
        if (fd >= 0 && sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
            return fd;
        if (fd >= 0)
            sys_close(fd);
        path += length + (path[length] == ':');
    }
    return -1;
}

/* An exec through it makes the loader ignore LD_PRELOAD. */
static bool raises_privilege(int fd) {
    struct stat st;
    uid_t uid = sys_geteuid();
    if (sys_fstat(fd, &st) < 0)
        return true;
    if ((st.st_mode & S_ISUID) && st.st_uid != uid)
        return true;
    if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
        st.st_gid != (gid_t)sys_call3(SYS_getegid, 0, 0, 0))
        return true;
    return uid != 0 && sys_call6(SYS_fgetxattr, fd, (long)"security.capability", 0, 0, 0, 0) > 0;
}

static bool is_dynamic(int fd) {
    ElfW(Ehdr) header;
    if (sys_pread(fd, &header, sizeof header, 0) != sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
        return false;
    for (int i = 0; i < header.e_phnum && i < 1024; i++) {
        ElfW(Phdr) segment;
        off_t at = (off_t)(header.e_phoff + (size_t)i * sizeof segment);
        if (sys_pread(fd, &segment, sizeof segment, at) != sizeof segment)
            return false;
        if (segment.p_type == PT_INTERP)
            return true;
    }
    return false;
}

/* The interpreter's path of a script's first line. */
static bool interpreter_of(int fd, char *path, size_t size) {
    char line[256];
    ssize_t got = sys_pread(fd, line, sizeof line - 1, 0);
    if (got < 3 || line[0] != '#' || line[1] != '!')
        return false;
    line[got] = '\0';
    const char *start = line + 2 + strspn(line + 2, " \t");
    size_t length = strcspn(start, " \t\n");
    struct text text;
    text_begin(&text, path, size);
    text_add_bytes(&text, start, length);
    return length != 0 && !text.cut;
}

bool enterable(int dir, const char *path, int flags, const char *search, char *const envp[]) {
    const char *preload = value_of(envp, "LD_PRELOAD");
    char interpreter[256];
    if (!preload || !strstr(preload, LIBRARY_NAME))
        return false;
    int fd = -1;
    bool borrowed = (flags & AT_EMPTY_PATH) && path[0] == '\0';
    if (borrowed)
        fd = dir;
    else
        fd = dir == HANDOVER_SEARCH ? open_in_path(path, search)
                                    : sys_openat(dir, path, O_RDONLY | O_CLOEXEC, 0);
    bool result = fd < 0;
    for (int deep = 0; fd >= 0 && deep < SCRIPTS_DEEP; deep++) {
        bool script = interpreter_of(fd, interpreter, sizeof interpreter);
        result = !script && is_dynamic(fd) && !raises_privilege(fd);
        if (!borrowed)
            sys_close(fd);
        borrowed = false;
        fd = script ? sys_openat(AT_FDCWD, interpreter, O_RDONLY | O_CLOEXEC, 0) : -1;
        if (!script)
            break;
    }
    if (fd >= 0 && !borrowed)
        sys_close(fd);
    return result;
}
