/* A process that holds a lock fails to execute a program, and goes on.
 *
 *   failed_exec_keeps_lock FILE PROGRAM fits|too-long
 *
 * too-long: with one argument that no kernel takes.
 */
#include "lock_probe.h"

#define TOO_LONG (1 << 21)

int main(int argc, char **argv) {
    static char argument[TOO_LONG];
    if (argc != 4)
        return 2;
    int fd = open_file(argv[1]);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    if (strcmp(argv[3], "too-long") == 0)
        memset(argument, 'x', sizeof argument - 1);
    execlp(argv[2], argv[2], argument, (char *)NULL);
    fact("exec", "%s", strerrorname_np(errno));
    fact_witness("after", argv[1]);
    fact("again", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    int second = open_file(argv[1]);
    fact("second", "%s", error_name(try_lock(second, FIRST, LENGTH)));
    close(second);
    fact_witness("after_close", argv[1]);
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_witness("after_unlock", argv[1]);
    return 0;
}
