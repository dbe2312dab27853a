/* posix_spawn and its relatives. */
#include "hooks/hook.h"
#include "hooks/search.h"
#include "hooks/start.h"

#include <spawn.h>

static int run_spawn(const struct start *s, char *const envp[]) {
    return real(posix_spawn)(s->pid, s->file, s->actions, s->attributes, s->argv, envp);
}

HOOK int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    struct start start = {.file = path,
                          .argv = argv,
                          .envp = envp,
                          .pid = pid,
                          .actions = actions,
                          .attributes = attributes};
    return start_program(&start, run_spawn, CALLER);
}

/* libc searches in the child, after the file actions, and `environ` is all that it knows. Where the view's PATH is
 * another the file is looked up here. */
static int run_searching(const struct start *s, char *const envp[],
                         __typeof__(posix_spawnp) *searching, __typeof__(posix_spawn) *plain) {
    char found[SEARCH_MAX];
    if (!s->path)
        return searching(s->pid, s->file, s->actions, s->attributes, s->argv, envp);
    int error = search_file(s->path, s->file, found);
    return error ? error : plain(s->pid, found, s->actions, s->attributes, s->argv, envp);
}

static int run_spawnp(const struct start *s, char *const envp[]) {
    return run_searching(s, envp, real(posix_spawnp), real(posix_spawn));
}

HOOK int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    struct start start = {.file = file,
                          .argv = argv,
                          .envp = envp,
                          .is_searched = true,
                          .pid = pid,
                          .actions = actions,
                          .attributes = attributes};
    return start_program(&start, run_spawnp, CALLER);
}

#if __GLIBC_PREREQ(2, 39)
static int run_pidfd_spawn(const struct start *s, char *const envp[]) {
    return real(pidfd_spawn)(s->pid, s->file, s->actions, s->attributes, s->argv, envp);
}

HOOK int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    struct start start = {.file = path,
                          .argv = argv,
                          .envp = envp,
                          .pid = pidfd,
                          .actions = actions,
                          .attributes = attributes};
    return start_program(&start, run_pidfd_spawn, CALLER);
}

static int run_pidfd_spawnp(const struct start *s, char *const envp[]) {
    return run_searching(s, envp, real(pidfd_spawnp), real(pidfd_spawn));
}

HOOK int pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
    struct start start = {.file = file,
                          .argv = argv,
                          .envp = envp,
                          .is_searched = true,
                          .pid = pidfd,
                          .actions = actions,
                          .attributes = attributes};
    return start_program(&start, run_pidfd_spawnp, CALLER);
}
#endif
