/* Which calls that succeed leave errno as it was.
 *
 *   errno_kept FILE
 */
#include "limits.h"
#include <dirent.h>
#include <sys/file.h>

#define BEFORE 77

static void say(const char *call, int succeeded) {
    int after = errno;
    fact(call, "%s %s", succeeded ? "succeeded" : strerror(after),
         succeeded && after == BEFORE ? "kept" : "changed");
    errno = BEFORE;
}

static void lock_calls(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = LENGTH};
    errno = BEFORE;
    say("F_SETLK", fcntl(fd, F_SETLK, &lock) == 0);
    say("F_SETLKW", fcntl(fd, F_SETLKW, &lock) == 0);
    lock.l_type = F_UNLCK;
    say("F_UNLCK", fcntl(fd, F_SETLK, &lock) == 0);
    lock.l_type = F_WRLCK;
    say("F_GETLK", fcntl(fd, F_GETLK, &lock) == 0);
    say("lockf", lockf(fd, F_LOCK, 5) == 0);
    say("lockf_test", lockf(fd, F_TEST, 5) == 0);
    say("lockf_unlock", lockf(fd, F_ULOCK, 5) == 0);
    say("flock", flock(fd, LOCK_EX) == 0);
    say("flock_unlock", flock(fd, LOCK_UN) == 0);
    say("F_GETFL", fcntl(fd, F_GETFL) != -1);
    say("syscall", syscall(SYS_fcntl, fd, F_SETLK, &lock) == 0);
}

static void descriptor_calls(int fd) {
    int ends[2];
    say("dup", dup(fd) != -1);
    say("dup2", dup2(fd, 100) == 100);
    say("dup2_over_locked", dup2(fd, 100) == 100);
    say("dup3", dup3(fd, 101, O_CLOEXEC) == 101);
    say("F_DUPFD", fcntl(fd, F_DUPFD, 102) == 102);
    say("close", close(100) == 0);
    say("close_range", close_range(101, 200, 0) == 0);
    say("pipe", pipe(ends) == 0);
    closefrom(150);
    say("closefrom", 1);
}

static void other_calls(const char *path) {
    struct rlimit limit;
    errno = BEFORE;
    say("getrlimit", getrlimit(RLIMIT_NOFILE, &limit) == 0);
    say("setrlimit", setrlimit(RLIMIT_NOFILE, &limit) == 0);
    FILE *stream = fopen(path, "r+e");
    errno = BEFORE;
    say("fclose", fclose(stream) == 0);
    DIR *directory = opendir(".");
    errno = BEFORE;
    say("closedir", closedir(directory) == 0);
    pid_t child = vfork();
    if (child == 0)
        _exit(0);
    say("vfork", child > 0);
    wait_for(child);
}

static void fork_calls(void) {
    errno = BEFORE;
    pid_t child = fork();
    if (child == 0) {
        say("fork_child", 1);
        _exit(0);
    }
    int after = errno;
    wait_for(child); /* it says its own first */
    errno = after;
    say("fork", child > 0);
    FILE *pipe_end = popen("true", "re");
    errno = BEFORE;
    say("pclose", pclose(pipe_end) == 0);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    int fd = open_file(argv[1]);
    lock_calls(fd);
    descriptor_calls(fd);
    errno = BEFORE;
    say("close_last", close(fd) == 0);
    other_calls(argv[1]);
    fork_calls();
    return 0;
}
