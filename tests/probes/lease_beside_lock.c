/* Asks for a lease on a file that was never locked, and on one that it has locked.
 *
 *   lease_beside_lock FILE
 */
#include "outsider.h"

static void lease(const char *key, int fd) {
    fact(key, "%s", fcntl(fd, F_SETLEASE, F_WRLCK) == 0 ? "ok" : error_name(errno));
    fcntl(fd, F_SETLEASE, F_UNLCK);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    int fd = open_file(argv[1]);
    lease("never_locked", fd);
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    lease("locked", fd);
    close(fd);
    fd = open_file(argv[1]);
    lease("reopened", fd);
    return 0;
}
