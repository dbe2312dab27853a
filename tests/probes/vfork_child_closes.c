/* A vfork child closes what it inherited, in the parent's memory, before it runs a program or ends:
 * the way of Python's subprocess.
 *
 *   vfork_child_closes close|close_range|dup2|lock FILE
 */
#include "lock_probe.h"

static void close_in_child(const char *how, int fd) {
    if (strcmp(how, "close_range") == 0)
        close_range(3, ~0U, 0);
    else if (strcmp(how, "dup2") == 0)
        dup2(STDIN_FILENO, fd);
    else if (strcmp(how, "lock") == 0)
        unlock(fd, FIRST, LENGTH);
    else
        close(fd);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int fd = open_file(argv[2]);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    pid_t child = vfork();
    if (child == 0) {
        close_in_child(argv[1], fd);
        execlp("true", "true", (char *)NULL);
        _exit(127);
    }
    wait_for(child);
    fact_witness("after", argv[2]);
    fact("again", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    int second = open_file(argv[2]);
    fact("second", "%s", error_name(try_lock(second, FIRST, LENGTH)));
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_witness("after_unlock", argv[2]);
    return 0;
}
