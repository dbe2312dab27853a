/* A child that is a copy of its parent has the parent's descriptor and none of its locks.
 *
 *   child_is_excluded fork|fork_of_fork|_Fork|clone|raw_fork|forkpty FILE
 */
#include "lock_probe.h"
#include <pty.h>
#include <signal.h>
#include <sys/syscall.h>

static const char *path;
static int fd, done[2];

static void try_everything(pid_t owner) {
    fact_holder("child_meets", fd, owner);
    fact("child_lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact("child_next_bytes", "%s", error_name(try_lock(fd, FIRST + LENGTH, LENGTH)));
    fact("child_unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_witness("after_child_unlock", path);
    fact("child_second", "%s", error_name(try_lock(open_file(path), FIRST, LENGTH)));
    fact("child_close", "%s", close(fd) == 0 ? "ok" : error_name(errno));
    fact_witness("after_child_close", path);
    tell(done[1]);
    _exit(0);
}

static pid_t start(const char *how) {
    int terminal;
    if (strcmp(how, "_Fork") == 0)
        return _Fork();
    if (strcmp(how, "clone") == 0)
        return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#ifdef SYS_fork
    if (strcmp(how, "raw_fork") == 0)
        return (pid_t)syscall(SYS_fork);
#endif
    if (strcmp(how, "forkpty") == 0)
        return forkpty(&terminal, NULL, NULL, NULL);
    return fork();
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    path = argv[2];
    fact_fd = dup(STDOUT_FILENO); /* forkpty gives the child another standard output */
    must(pipe(done) == 0, "pipe");
    fd = open_file(path);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the parent's lock");
    pid_t owner = getpid();
    pid_t child = start(argv[1]);
    must(child != -1, argv[1]);
    if (child == 0 && strcmp(argv[1], "fork_of_fork") == 0) {
        child = fork();
        if (child == 0)
            try_everything(owner);
        wait_for(child);
        _exit(0);
    }
    if (child == 0)
        try_everything(owner);
    wait_told(done[0]);
    wait_for(child);
    fact_witness("after_child_end", path);
    fact_witness_at("next_bytes_after_child_end", path, FIRST + LENGTH, LENGTH);
    fact("parent_unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_witness("after_unlock", path);
    return 0;
}
