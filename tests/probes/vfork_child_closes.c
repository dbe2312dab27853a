/* A child that borrows its parent's memory closes what it inherited before it runs a program: the
 * way of Python's subprocess (vfork) and of systemd (clone with a stack of its own).
 *
 *   vfork_child_closes vfork|clone close|close_range|dup2|unlock FILE
 */
#include "lock_probe.h"
#include <signal.h>

static const char *how;
static int fd;

static int close_and_run(void *unused) {
    (void)unused;
    if (strcmp(how, "close_range") == 0)
        close_range(3, ~0U, 0);
    else if (strcmp(how, "dup2") == 0)
        dup2(STDIN_FILENO, fd);
    else if (strcmp(how, "unlock") == 0)
        unlock(fd, FIRST, LENGTH);
    else
        close(fd);
    execlp("true", "true", (char *)NULL);
    _exit(127);
}

int main(int argc, char **argv) {
    static char stack[1 << 18] __attribute__((aligned(16)));
    pid_t child;
    if (argc != 4)
        return 2;
    how = argv[2];
    fd = open_file(argv[3]);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    if (strcmp(argv[1], "clone") == 0) {
        child = clone(close_and_run, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    } else {
        child = vfork();
        if (child == 0)
            close_and_run(NULL);
    }
    must(child != -1, argv[1]);
    wait_for(child);
    fact_witness("after", argv[3]);
    fact("again", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    int second = open_file(argv[3]);
    fact("second", "%s", error_name(try_lock(second, FIRST, LENGTH)));
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_witness("after_unlock", argv[3]);
    return 0;
}
