/* A lock is granted on a file whose name leads elsewhere by then.
 *
 *   locks_file_that_is_gone unlinked|replaced|waited FILE
 *
 * unlinked, replaced: between open and the lock. waited: the holder removes the file while this
 * process waits for the lock.
 */
#include "lock_probe.h"

static void replace(const char *path) {
    char other[4200];
    snprintf(other, sizeof other, "%s.new", path);
    close(open_file(other));
    must(rename(other, path) == 0, "rename");
}

/* Holds the lock until the parent waits for it, then removes the file and ends. */
static void hold_and_remove(const char *path, int ready) {
    long give_up = milliseconds() + DEADLINE_MS;
    must(try_lock(open_file(path), FIRST, LENGTH) == 0, "the holder's lock");
    tell(ready);
    while (count_waiters(path) == 0)
        must(milliseconds() < give_up, "a waiter");
    must(unlink(path) == 0, "unlink");
    _exit(0);
}

int main(int argc, char **argv) {
    int ready[2];
    if (argc != 3)
        return 2;
    int waits = strcmp(argv[1], "waited") == 0;
    int fd = open_file(argv[2]);
    pid_t holder = -1;
    fact("fd", "%d", fd);
    must(pipe(ready) == 0, "pipe");
    if (strcmp(argv[1], "unlinked") == 0)
        must(unlink(argv[2]) == 0, "unlink");
    else if (strcmp(argv[1], "replaced") == 0)
        replace(argv[2]);
    if (waits) {
        holder = fork();
        if (holder == 0)
            hold_and_remove(argv[2], ready[1]);
        wait_told(ready[0]);
    }
    fact("lock", "%s", error_name(lock_bytes(fd, F_SETLKW, F_WRLCK, FIRST, LENGTH)));
    if (waits)
        wait_for(holder);
    return 0;
}
