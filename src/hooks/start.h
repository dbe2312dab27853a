/* The one way in which every hook starts a program: with the environment of the calling thread's view, our settings
 * put back, and, where the program replaces this one, its locks handed over.
 *
 * All of it lies in one array on the stack, and nothing is allocated: this runs between fork and exec, in vfork
 * children and in signal handlers. Only an environment of more than a thousand entries lies in a mapping for the
 * moment, and on the stack in a vfork child, whose mapping nobody would take back.
 */
#ifndef RACESHIM_HOOKS_START_H
#define RACESHIM_HOOKS_START_H

#include "base/caller.h"

#include <spawn.h>
#include <stdbool.h>
#include <sys/types.h>

struct start {
    const char *file;
    char *const *argv;
    char *const *envp; /* as the caller gave it; `environ` where the call takes it from there */
    int dir;           /* AT_FDCWD, or as execveat has it */
    int flags;         /* as execveat has them */
    bool is_searched;  /* the file is looked up in PATH */
    bool replaces;     /* exec: locks go over */
    /* For those who make a child. */
    pid_t *pid;
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attributes;
    /* Set for `run`: the PATH to search in, where the view has another one than `environ`; else NULL. */
    const char *path;
};

/* Makes the real call with this environment and returns what it returns. */
typedef int start_run(const struct start *start, char *const envp[]);

/* Returns what `run` returns, with errno as that left it. */
int start_program(struct start *start, start_run *run, const struct caller *caller);

#endif
