/* A process that holds a lock starts a program that inherits the descriptor.
 *
 *   program_is_excluded HOW FILE PROGRAM ARG...
 *
 * HOW: fork, vfork, clone_vfork (libc's clone, sharing memory), posix_spawn, posix_spawnp, system,
 * popen. {} in ARG stands for the number of the descriptor.
 */
#include "lock_probe.h"
#include <sched.h>
#include <signal.h>
#include <spawn.h>

extern char **environ;

static void join(char *command, size_t size, char **words) {
    size_t used = 0;
    for (; *words != NULL; words++)
        used += (size_t)snprintf(command + used, size - used, "'%s' ", *words);
    must(used < size, "a short command");
}

static void run_by_shell(const char *how, char **words) {
    char command[8192], line[512];
    join(command, sizeof command, words);
    if (strcmp(how, "system") == 0) {
        must(system(command) == 0, command);
        return;
    }
    FILE *stream = popen(command, "r");
    must(stream != NULL, "popen");
    while (fgets(line, sizeof line, stream) != NULL)
        must(write(STDOUT_FILENO, line, strlen(line)) > 0, "write");
    must(pclose(stream) == 0, "pclose");
}

static int exec_in_clone(void *words) {
    char **program = words;
    execv(program[0], program);
    _exit(127);
}

static pid_t start(const char *how, char **words) {
    static char stack[65536] __attribute__((aligned(16)));
    pid_t child = -1;
    if (strcmp(how, "posix_spawn") == 0)
        return posix_spawn(&child, words[0], NULL, NULL, words, environ) == 0 ? child : -1;
    if (strcmp(how, "posix_spawnp") == 0)
        return posix_spawnp(&child, words[0], NULL, NULL, words, environ) == 0 ? child : -1;
    if (strcmp(how, "clone_vfork") == 0)
        return clone(exec_in_clone, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, words);
    child = strcmp(how, "vfork") == 0 ? vfork() : fork();
    if (child == 0) {
        execv(words[0], words);
        _exit(127);
    }
    return child;
}

int main(int argc, char **argv) {
    char number[16];
    if (argc < 4)
        return 2;
    const char *how = argv[1], *path = argv[2];
    int fd = open_file(path);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    snprintf(number, sizeof number, "%d", fd);
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], "{}") == 0)
            argv[i] = number;
    if (strcmp(how, "system") == 0 || strcmp(how, "popen") == 0) {
        run_by_shell(how, argv + 3);
    } else {
        pid_t child = start(how, argv + 3);
        must(child > 0, how);
        wait_for(child);
    }
    fact_witness("after_end", path);
    fact("parent_second", "%s", error_name(try_lock(open_file(path), FIRST, LENGTH)));
    fact("parent_unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_witness("after_unlock", path);
    return 0;
}
