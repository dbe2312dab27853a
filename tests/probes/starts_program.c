/* Starts a program in the way that is asked for, some times over.
 *
 *     starts_program WAY TIMES PROGRAM     WAY: execv, execvp, vfork, fexecve, posix_spawn, posix_spawnp, system
 *
 * Prints ended=N, the number of those that exited with 0.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_way(const char *way, const char *name) {
    return strcmp(way, name) == 0;
}

static _Noreturn void become(const char *way, char **argv) {
    if (is_way(way, "execvp"))
        execvp(argv[0], argv);
    else if (is_way(way, "fexecve"))
        fexecve(open(argv[0], O_RDONLY | O_CLOEXEC), argv, environ);
    else
        execv(argv[0], argv);
    _exit(127);
}

static pid_t start(const char *way, char **argv) {
    pid_t pid = -1;
    if (is_way(way, "posix_spawn"))
        return posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) == 0 ? pid : -1;
    if (is_way(way, "posix_spawnp"))
        return posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0 ? pid : -1;
    pid = is_way(way, "vfork") ? vfork() : fork();
    if (pid == 0)
        become(way, argv);
    return pid;
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    int ended = 0;
    for (int i = atoi(argv[2]); i > 0; i--) {
        int status = -1;
        if (is_way(argv[1], "system"))
            status = system(argv[3]);
        else if (waitpid(start(argv[1], argv + 3), &status, 0) < 0)
            status = -1;
        ended += status == 0;
    }
    printf("ended=%d\n", ended);
    return 0;
}
