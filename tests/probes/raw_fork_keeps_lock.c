/* A child made by an inline system call outlives the owner of a lock. It then closes a descriptor,
 * or executes a program.
 *
 *   raw_fork_keeps_lock close|exec FILE
 */
#include "outsider.h"

static void be_owner(const char *how, const char *path, const int *go, const int *done) {
    int fd = open_file(path);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    pid_t child = raw_fork();
    if (child != 0)
        kill(getpid(), SIGKILL);
    wait_told(go[0]);
    if (strcmp(how, "close") == 0) {
        close(fd);
        tell(done[1]);
        wait_told(go[0]);
        _exit(0);
    }
    /* The program's end closes its copy of the pipe. */
    execlp("cat", "cat", NULL);
    _exit(99);
}

int main(int argc, char **argv) {
    int go[2], done[2], input[2];
    if (argc != 3)
        return 2;
    int fd = open_file(argv[2]);
    must(pipe(go) == 0 && pipe(done) == 0 && pipe2(input, O_CLOEXEC) == 0, "pipe");
    pid_t owner = fork();
    must(owner != -1, "fork");
    if (owner == 0) {
        /* The executed program says that it runs by repeating what it reads. */
        must(dup2(input[0], 0) == 0, "dup2");
        if (strcmp(argv[1], "exec") == 0)
            dup2(done[1], 1);
        be_owner(argv[1], argv[2], go, done);
    }
    must(waitpid(owner, NULL, 0) == owner, "waitpid");
    tell(go[1]);
    tell(input[1]);
    wait_told(done[0]);
    fact_outsider("after_call", fd);
    tell(go[1]);
    return 0;
}
