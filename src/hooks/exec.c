/* The exec family and posix_spawn. The program's locks go over to the program that replaces it
 * (lock/handover.h); one that cannot be entered is recorded (start/not_covered.h). */
#include "hooks/hook.h"

#include "lock/handover.h"
#include "start/not_covered.h"

#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

extern char **environ;

/* `envp` becomes the environment to start the program with. It lies on our stack until the call is
 * over. */
#define WITHOUT_LIBRARY_IF_REFUSED(path, dir, flags)                                               \
    bool refused = start_is_refused(dir, path, flags, envp);                                       \
    struct start_sizes sizes = refused ? start_sizes(envp) : (struct start_sizes){1, 1};           \
    char preload[sizes.bytes], *without[sizes.pointers];                                           \
    if (refused)                                                                                   \
    envp = start_without_library(envp, without, preload, sizes.bytes)

/* Runs CALL with the environment `envp` that carries the locks over; takes everything back if the
 * exec fails. Where nothing is held the environment is the program's own. */
#define WITH_HANDOVER(path, dir, flags, envp_given, caller, call)                                  \
    do {                                                                                           \
        struct handover handover;                                                                  \
        char *const *envp = (envp_given);                                                          \
        WITHOUT_LIBRARY_IF_REFUSED(path, dir, flags);                                              \
        if (!handover_needed())                                                                    \
            return call;                                                                           \
        size_t room = handover_env_size(envp);                                                     \
        char *array[room];                                                                         \
        envp = handover_begin(&handover, dir, path, flags, envp, array, caller);                   \
        int result = call;                                                                         \
        int error = errno;                                                                         \
        handover_undo(&handover);                                                                  \
        errno = error;                                                                             \
        return result;                                                                             \
    } while (0)

int hook_execve(const char *path, char *const argv[], char *const given[],
                const struct caller *caller) {
    WITH_HANDOVER(path, AT_FDCWD, 0, given, caller, real(execve)(path, argv, envp));
}

HOOK int execve(const char *path, char *const argv[], char *const given[]) {
    return hook_execve(path, argv, given, CALLER);
}

HOOK int execv(const char *path, char *const argv[]) {
    WITH_HANDOVER(path, AT_FDCWD, 0, environ, CALLER, real(execve)(path, argv, envp));
}

HOOK int execvp(const char *file, char *const argv[]) {
    WITH_HANDOVER(file, HANDOVER_SEARCH, 0, environ, CALLER, real(execvpe)(file, argv, envp));
}

HOOK int execvpe(const char *file, char *const argv[], char *const given[]) {
    WITH_HANDOVER(file, HANDOVER_SEARCH, 0, given, CALLER, real(execvpe)(file, argv, envp));
}

HOOK int fexecve(int fd, char *const argv[], char *const given[]) {
    WITH_HANDOVER("", fd, AT_EMPTY_PATH, given, CALLER, real(fexecve)(fd, argv, envp));
}

#if __GLIBC_PREREQ(2, 34)
int hook_execveat(int dir, const char *path, char *const argv[], char *const given[], int flags,
                  const struct caller *caller) {
    WITH_HANDOVER(path, dir, flags, given, caller, real(execveat)(dir, path, argv, envp, flags));
}

HOOK int execveat(int dir, const char *path, char *const argv[], char *const given[], int flags) {
    return hook_execveat(dir, path, argv, given, flags, CALLER);
}
#endif

/* The arguments lie on the caller's stack; they are copied to ours as an array, as libc does. */
#define COUNT_ARGUMENTS(first, count)                                                              \
    do {                                                                                           \
        va_list list;                                                                              \
        va_start(list, first);                                                                     \
        for (count = 1; va_arg(list, const char *); count++)                                       \
            if (count == INT_MAX) {                                                                \
                va_end(list);                                                                      \
                return answer(-E2BIG);                                                             \
            }                                                                                      \
        va_end(list);                                                                              \
    } while (0)

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
    ptrdiff_t count = 0;
    if (!arg) {
        char *none[] = {NULL};
        return execve(path, none, environ);
    }
    COUNT_ARGUMENTS(arg, count);
    char *argv[count + 1];
    COPY_ARGUMENTS(arg, argv, count, (void)0);
    WITH_HANDOVER(path, AT_FDCWD, 0, environ, CALLER, real(execve)(path, argv, envp));
}

HOOK int execlp(const char *file, const char *arg, ...) {
    ptrdiff_t count = 0;
    if (!arg) {
        char *none[] = {NULL};
        return execvp(file, none);
    }
    COUNT_ARGUMENTS(arg, count);
    char *argv[count + 1];
    COPY_ARGUMENTS(arg, argv, count, (void)0);
    WITH_HANDOVER(file, HANDOVER_SEARCH, 0, environ, CALLER, real(execvpe)(file, argv, envp));
}

HOOK int execle(const char *path, const char *arg, ...) {
    ptrdiff_t count = 0;
    char *const *given;
    if (!arg) {
        va_list list;
        va_start(list, arg);
        given = va_arg(list, char *const *);
        va_end(list);
        char *none[] = {NULL};
        return execve(path, none, given);
    }
    COUNT_ARGUMENTS(arg, count);
    char *argv[count + 1];
    COPY_ARGUMENTS(arg, argv, count, given = va_arg(list, char *const *));
    WITH_HANDOVER(path, AT_FDCWD, 0, given, CALLER, real(execve)(path, argv, envp));
}

/* The child runs no hook of ours before its exec, so all is said here. A path that the file actions
 * make another by their chdir is not looked for. */
#define SPAWN(name, dir)                                                                           \
    HOOK int name(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,         \
                  const posix_spawnattr_t *attributes, char *const argv[], char *const given[]) {  \
        char *const *envp = given;                                                                 \
        WITHOUT_LIBRARY_IF_REFUSED(path, dir, 0);                                                  \
        return real(name)(pid, path, actions, attributes, argv, envp);                             \
    }

SPAWN(posix_spawn, AT_FDCWD)
SPAWN(posix_spawnp, PROGRAM_SEARCH)
