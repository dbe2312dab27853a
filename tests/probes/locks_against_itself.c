/* A process takes a lock through one description and asks for it through another, as often as told.
 *
 *   locks_against_itself fcntl|lockf|flock|ofd TIMES FILE
 */
#include "lock_probe.h"
#include <sys/file.h>

static int ask(const char *kind, int fd) {
    if (strcmp(kind, "flock") == 0)
        return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    if (strcmp(kind, "lockf") == 0)
        return lockf(fd, F_TLOCK, LENGTH) == 0 ? 0 : errno;
    return lock_bytes(fd, strcmp(kind, "ofd") == 0 ? F_OFD_SETLK : F_SETLK, F_WRLCK, FIRST, LENGTH);
}

int main(int argc, char **argv) {
    int error = 0;
    if (argc != 4)
        return 2;
    int first = open_file(argv[3]), second = open_file(argv[3]);
    must(ask(argv[1], first) == 0, "the first lock");
    for (int i = 0; i < atoi(argv[2]); i++)
        error = ask(argv[1], second);
    fact("first_fd", "%d", first);
    fact("second_fd", "%d", second);
    fact("second", "%s", error_name(error));
    return 0;
}
