#include "hooks/search.h"

#include "base/sys.h"
#include "hooks/hook.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define SHELL "/bin/sh"

/* What to do with the candidate; 0 ends the search, an errno is what was wrong with it. */
typedef int try_file(const char *candidate, void *context);

/* May the file still be in another directory? */
static bool goes_on_after(int error) {
    return error == EACCES || error == ENOENT || error == ESTALE || error == ENOTDIR ||
           error == ENODEV || error == ETIMEDOUT;
}

/* A directory longer than a path can be is passed over. EACCES is told in preference to what came after it. */
static int search(const char *path, const char *file, char candidate[SEARCH_MAX], try_file *try,
                  void *context) {
    size_t name = strlen(file);
    int error = ENOENT, refused = 0;
    if (name == 0)
        return ENOENT;
    if (strchr(file, '/'))
        return try(file, context);
    if (name > NAME_MAX)
        return ENAMETOOLONG;
    for (;; path++) {
        size_t length = strcspn(path, ":");
        if (length < PATH_MAX) {
            size_t before = length + (length != 0);
            memcpy(candidate, path, length);
            candidate[length] = '/';
            memcpy(candidate + before, file, name + 1);
            error = try(candidate, context);
            if (!goes_on_after(error))
                return error;
            refused |= error == EACCES;
        }
        path += length;
        if (*path == '\0')
            return refused ? EACCES : error;
    }
}

struct program {
    char *const *argv;
    char *const *envp;
};

/* argv[0] is the shell's own name then, and the file is its first argument. */
static int exec_by_shell(const char *file, const struct program *p) {
    size_t count = 0;
    while (p->argv[count])
        count++;
    if (count >= INT_MAX - 1)
        return E2BIG;
    const char *argv[count + 3];
    argv[0] = SHELL;
    argv[1] = file;
    for (size_t i = 1; i < count; i++)
        argv[i + 1] = p->argv[i];
    argv[count > 0 ? count + 1 : 2] = NULL;
    real(execve)(SHELL, (char *const *)argv, p->envp);
    return errno;
}

static int try_exec(const char *candidate, void *context) {
    const struct program *p = context;
    real(execve)(candidate, p->argv, p->envp);
    return errno == ENOEXEC ? exec_by_shell(candidate, p) : errno;
}

int search_and_exec(const char *path, const char *file, char *const argv[], char *const envp[]) {
    char candidate[SEARCH_MAX];
    struct program program = {argv, envp};
    return answer(-search(path, file, candidate, try_exec, &program));
}

/* As the kernel would judge it. */
static int try_look(const char *candidate, void *context) {
    (void)context;
    struct stat st;
    int result = sys_fstatat(AT_FDCWD, candidate, &st, 0);
    if (result < 0)
        return -result;
    if (!S_ISREG(st.st_mode))
        return EACCES;
    result = (int)sys_call6(SYS_faccessat2, AT_FDCWD, (long)candidate, X_OK, AT_EACCESS, 0, 0);
    if (result == -ENOSYS)
        result = (int)sys_call3(SYS_faccessat, AT_FDCWD, (long)candidate, X_OK);
    return result < 0 ? -result : 0;
}

int search_file(const char *path, const char *file, char found[SEARCH_MAX]) {
    char candidate[SEARCH_MAX];
    if (strchr(file, '/') && strlen(file) < SEARCH_MAX) {
        strcpy(found, file);
        return 0;
    }
    int error = search(path, file, candidate, try_look, NULL);
    if (error == 0)
        memcpy(found, candidate, SEARCH_MAX);
    return error;
}
