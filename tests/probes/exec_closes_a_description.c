/* exec closes one of two descriptions of a locked file and leaves the other to PROGRAM.
 *
 *   exec_closes_a_description second|first|copy HOW FILE PROGRAM ARG...
 *
 * second: only the description that is left holds the lock. first: the one that goes holds ten
 * bytes, the one that is left the next ten. copy: the one that goes is a duplicate of the one that
 * is left. HOW: open (O_CLOEXEC), fcntl (F_SETFD), range (CLOSE_RANGE_CLOEXEC).
 * {} in ARG stands for the number that is left.
 */
#include "lock_probe.h"

static void mark(const char *how, int fd) {
    if (strcmp(how, "fcntl") == 0)
        must(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0, "F_SETFD");
    else if (strcmp(how, "range") == 0)
        must(close_range((unsigned)fd, (unsigned)fd, CLOSE_RANGE_CLOEXEC) == 0, "close_range");
}

int main(int argc, char **argv) {
    char number[16];
    if (argc < 5)
        return 2;
    const char *which = argv[1], *path = argv[3];
    int left = open_file(path), goes;
    int flags = strcmp(argv[2], "open") == 0 ? O_CLOEXEC : 0;
    if (strcmp(which, "copy") == 0)
        goes = fcntl(left, flags != 0 ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
    else
        goes = open(path, O_RDWR | flags);
    must(goes != -1, "the one that goes");
    if (strcmp(which, "first") == 0) {
        must(try_lock(goes, FIRST, LENGTH) == 0, "the lock that goes");
        must(try_lock(left, FIRST + LENGTH, LENGTH) == 0, "the lock that is left");
    } else {
        must(try_lock(left, FIRST, LENGTH) == 0, "the lock that is left");
    }
    mark(argv[2], goes);
    snprintf(number, sizeof number, "%d", left);
    for (int i = 4; i < argc; i++)
        if (strcmp(argv[i], "{}") == 0)
            argv[i] = number;
    execv(argv[4], argv + 4);
    must(0, argv[4]);
}
