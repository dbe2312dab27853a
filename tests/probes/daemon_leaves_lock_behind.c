/* A process takes a lock and becomes a daemon: the owner ends, the daemon owns nothing.
 *
 *   daemon_leaves_lock_behind FILE
 */
#include "lock_probe.h"

static void be_the_daemon(const char *path) {
    int fd = open_file(path);
    long give_up = milliseconds() + DEADLINE_MS;
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    pid_t owner = getpid();
    must(daemon(1, 1) == 0, "daemon");
    /* The owner ends after the fork inside daemon, and its locks go when it does. */
    while (getppid() == owner)
        must(milliseconds() < give_up, "the end of the owner");
    fact_witness("in_daemon", path);
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_witness("locked", path);
    fact("close", "%s", close(fd) == 0 ? "ok" : error_name(errno));
    fact_witness("closed", path);
    _exit(0);
}

int main(int argc, char **argv) {
    int alive[2];
    char byte;
    if (argc != 2)
        return 2;
    must(pipe(alive) == 0, "pipe");
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0) {
        close(alive[0]);
        be_the_daemon(argv[1]);
    }
    close(alive[1]);
    wait_for(child);
    /* The daemon holds the other end until it ends. */
    fact("ended", "%s", read(alive[0], &byte, 1) == 0 ? "yes" : "no");
    return 0;
}
