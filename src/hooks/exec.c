/* The exec family. What is done with the environment and the locks is in start.c.
 */
#include "hooks/hook.h"
#include "hooks/search.h"
#include "hooks/start.h"

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

static int run_execve(const struct start *start, char *const envp[]) {
    return real(execve)(start->file, start->argv, envp);
}

int hook_execve(const char *path, char *const argv[], char *const envp[],
                const struct caller *caller) {
    struct start start = {
        .file = path, .argv = argv, .envp = envp, .dir = AT_FDCWD, .replaces = true};
    return start_program(&start, run_execve, caller);
}

HOOK int execve(const char *path, char *const argv[], char *const envp[]) {
    return hook_execve(path, argv, envp, CALLER);
}

HOOK int execv(const char *path, char *const argv[]) {
    return hook_execve(path, argv, __environ, CALLER);
}

static int run_execvpe(const struct start *start, char *const envp[]) {
    if (start->path)
        return search_and_exec(start->path, start->file, start->argv, envp);
    return real(execvpe)(start->file, start->argv, envp);
}

static int exec_searching(const char *file, char *const argv[], char *const envp[],
                          const struct caller *caller) {
    struct start start = {
        .file = file, .argv = argv, .envp = envp, .is_searched = true, .replaces = true};
    return start_program(&start, run_execvpe, caller);
}

HOOK int execvp(const char *file, char *const argv[]) {
    return exec_searching(file, argv, __environ, CALLER);
}

HOOK int execvpe(const char *file, char *const argv[], char *const envp[]) {
    return exec_searching(file, argv, envp, CALLER);
}

static int run_fexecve(const struct start *start, char *const envp[]) {
    return real(fexecve)(start->dir, start->argv, envp);
}

HOOK int fexecve(int fd, char *const argv[], char *const envp[]) {
    if (!envp)
        return real(fexecve)(fd, argv, envp); /* EINVAL, where execve takes it for an empty one */
    struct start start = {.file = "",
                          .argv = argv,
                          .envp = envp,
                          .dir = fd,
                          .flags = AT_EMPTY_PATH,
                          .replaces = true};
    return start_program(&start, run_fexecve, CALLER);
}

#if __GLIBC_PREREQ(2, 34)
static int run_execveat(const struct start *start, char *const envp[]) {
    return real(execveat)(start->dir, start->file, start->argv, envp, start->flags);
}

int hook_execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags,
                  const struct caller *caller) {
    struct start start = {
        .file = path, .argv = argv, .envp = envp, .dir = dir, .flags = flags, .replaces = true};
    return start_program(&start, run_execveat, caller);
}

HOOK int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags) {
    return hook_execveat(dir, path, argv, envp, flags, CALLER);
}
#endif

/* The arguments lie on the caller's stack; they are copied to ours as an array, as libc does. */
#define COUNT_ARGUMENTS(first, count)                                                              \
    do {                                                                                           \
        va_list list;                                                                              \
        va_start(list, first);                                                                     \
        for (count = (first) != NULL; count && va_arg(list, const char *); count++)                \
            if (count == INT_MAX) {                                                                \
                va_end(list);                                                                      \
                return answer(-E2BIG);                                                             \
            }                                                                                      \
        va_end(list);                                                                              \
    } while (0)

/* With the NULL at the end; `last` may take what follows that from `list`. */
#define COPY_ARGUMENTS(first, argv, count, last)                                                   \
    do {                                                                                           \
        va_list list;                                                                              \
        va_start(list, first);                                                                     \
        (argv)[0] = (char *)(first);                                                               \
        for (ptrdiff_t i = 1; i <= (count); i++)                                                   \
            (argv)[i] = va_arg(list, char *);                                                      \
        last;                                                                                      \
        va_end(list);                                                                              \
    } while (0)

HOOK int execl(const char *path, const char *arg, ...) {
    ptrdiff_t count;
    COUNT_ARGUMENTS(arg, count);
    char *argv[count + 1];
    COPY_ARGUMENTS(arg, argv, count, (void)0);
    return hook_execve(path, argv, __environ, CALLER);
}

HOOK int execlp(const char *file, const char *arg, ...) {
    ptrdiff_t count;
    COUNT_ARGUMENTS(arg, count);
    char *argv[count + 1];
    COPY_ARGUMENTS(arg, argv, count, (void)0);
    return exec_searching(file, argv, __environ, CALLER);
}

HOOK int execle(const char *path, const char *arg, ...) {
    ptrdiff_t count;
    char *const *envp;
    COUNT_ARGUMENTS(arg, count);
    char *argv[count + 1];
    COPY_ARGUMENTS(arg, argv, count, envp = va_arg(list, char *const *));
    return hook_execve(path, argv, envp, CALLER);
}
