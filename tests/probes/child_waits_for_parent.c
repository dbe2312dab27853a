/* A process locks a file and starts a child that waits for the lock.
 *
 *     child_waits_for_parent KIND holds|releases FILE     KIND: fcntl, lockf, ofd, flock
 *
 * holds: the parent waits for its child to end, which begins its wait only then. releases: the
 * parent unlocks as soon as the child waits. Prints the parent's and the child's number, and what
 * the child's wait ended with.
 */
#include "lock_waits.h"
#include <sys/file.h>

static int act(const char *kind, int fd, int lock) {
    short type = lock ? F_WRLCK : F_UNLCK;
    int result;
    if (strcmp(kind, "flock") == 0)
        result = flock(fd, lock ? LOCK_EX : LOCK_UN);
    else if (strcmp(kind, "lockf") == 0)
        result = lockf(fd, lock ? F_LOCK : F_ULOCK, 0);
    else
        return lock_bytes(fd, strcmp(kind, "ofd") == 0 ? F_OFD_SETLKW : F_SETLKW, type, 0, 0);
    return result == -1 ? errno : 0;
}

static int waits_for_its_child(pid_t pid) {
    char path[64], text[128] = "";
    snprintf(path, sizeof path, "/proc/%ld/syscall", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd != -1, path);
    must(read(fd, text, sizeof text - 1) > 0, path);
    close(fd);
    return atol(text) == SYS_wait4 && text[0] != 'r';
}

static _Noreturn void child(const char *kind, int holds, const char *path) {
    int fd = open_file(path);
    long give_up = milliseconds() + DEADLINE_MS;
    while (holds && !waits_for_its_child(getppid())) {
        must(milliseconds() < give_up, "a parent that waits");
        sched_yield();
    }
    fact("ended", "%s", error_name(act(kind, fd, 1)));
    _exit(0);
}

int main(int argc, char **argv) {
    must(argc == 4, "arguments");
    int holds = strcmp(argv[2], "holds") == 0;
    int fd = open_file(argv[3]);
    must(act(argv[1], fd, 1) == 0, "the lock");
    fact("parent", "%ld", (long)getpid());
    pid_t pid = fork();
    must(pid != -1, "fork");
    if (pid == 0)
        child(argv[1], holds, argv[3]);
    fact("child", "%ld", (long)pid);
    if (!holds) {
        await_waiting(pid, pid);
        act(argv[1], fd, 0);
    }
    wait_for(pid);
    return 0;
}
