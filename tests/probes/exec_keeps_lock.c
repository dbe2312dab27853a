/* A process that holds a lock executes PROGRAM, which inherits the descriptor.
 *
 *   exec_keeps_lock HOW FILE PROGRAM ARG...
 *
 * HOW: execv, execve, execvp, execvpe, execl, execle, execlp, fexecve, execveat, raw (syscall(2)),
 * thread (execv by another thread). {} in ARG stands for the number of the descriptor.
 */
#include "lock_probe.h"
#include <pthread.h>
#include <sys/syscall.h>

#define MOST_WORDS 20

extern char **environ;

/* With seven words: those functions take them one by one. */
static void execute_list(const char *how, char **w) {
    if (w[6] == NULL || w[7] != NULL)
        return;
    if (strcmp(how, "execl") == 0)
        execl(w[0], w[0], w[1], w[2], w[3], w[4], w[5], w[6], (char *)NULL);
    else if (strcmp(how, "execlp") == 0)
        execlp(w[0], w[0], w[1], w[2], w[3], w[4], w[5], w[6], (char *)NULL);
    else if (strcmp(how, "execle") == 0)
        execle(w[0], w[0], w[1], w[2], w[3], w[4], w[5], w[6], (char *)NULL, environ);
}

static void execute(const char *how, char **words) {
    execute_list(how, words);
    if (strcmp(how, "execve") == 0)
        execve(words[0], words, environ);
    else if (strcmp(how, "execvp") == 0)
        execvp(words[0], words);
    else if (strcmp(how, "execvpe") == 0)
        execvpe(words[0], words, environ);
    else if (strcmp(how, "fexecve") == 0)
        fexecve(open(words[0], O_RDONLY | O_CLOEXEC), words, environ);
    else if (strcmp(how, "execveat") == 0)
        execveat(AT_FDCWD, words[0], words, environ, 0);
    else if (strcmp(how, "raw") == 0)
        syscall(SYS_execve, words[0], words, environ);
    else if (strcmp(how, "execv") == 0)
        execv(words[0], words);
    must(0, words[0]);
}

static void *execute_in_thread(void *words) {
    execute("execv", words);
    return NULL;
}

int main(int argc, char **argv) {
    char number[16], *words[MOST_WORDS] = {NULL};
    if (argc < 4 || argc - 3 >= MOST_WORDS - 1)
        return 2;
    int fd = open_file(argv[2]);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    snprintf(number, sizeof number, "%d", fd);
    for (int i = 3; i < argc; i++)
        words[i - 3] = strcmp(argv[i], "{}") == 0 ? number : argv[i];
    if (strcmp(argv[1], "thread") == 0) {
        pthread_t thread;
        must(pthread_create(&thread, NULL, execute_in_thread, words) == 0, "pthread_create");
        pthread_join(thread, NULL);
    }
    execute(argv[1], words);
}
