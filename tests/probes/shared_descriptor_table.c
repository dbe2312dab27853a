/* A child with memory of its own and its parent's descriptor table (CLONE_FILES without CLONE_VM)
 * ends, or makes calls first.
 *
 *   shared_descriptor_table nothing|calls|duplicate FILE
 *
 * calls: it locks and closes another file. duplicate: it closes a copy of the locked descriptor,
 * which drops the locks under POSIX.
 */
#include "lock_probe.h"
#include <signal.h>

static const char *what;
static int fd;

static int call_and_end(void *unused) {
    (void)unused;
    if (strcmp(what, "duplicate") == 0)
        fact("child_duplicate", "%s", close(dup(fd)) == 0 ? "ok" : error_name(errno));
    if (strcmp(what, "calls") != 0)
        return 0;
    int other = open_file("other");
    fact("child_lock", "%s", error_name(try_lock(other, FIRST, LENGTH)));
    fact("child_unlock", "%s", error_name(unlock(other, FIRST, LENGTH)));
    fact("child_close", "%s", close(other) == 0 ? "ok" : error_name(errno));
    return 0;
}

int main(int argc, char **argv) {
    static char stack[1 << 18] __attribute__((aligned(16)));
    if (argc != 3)
        return 2;
    const char *path = argv[2];
    what = argv[1];
    fd = open_file(path);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    pid_t child = clone(call_and_end, stack + sizeof stack, CLONE_FILES | SIGCHLD, NULL);
    must(child != -1, "clone");
    wait_for(child);
    fact_witness("after", path);
    fact("again", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_witness("locked", path);
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_witness("after_unlock", path);
    return 0;
}
