/* A process that holds a lock fails to execute a program, and goes on.
 *
 *   failed_exec_keeps_lock FILE
 */
#include "lock_probe.h"

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    int fd = open_file(argv[1]);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    execl("./there-is-no-such-program", "no", (char *)NULL);
    fact("exec", "%s", error_name(errno));
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
