/* Locks a file, prints its process number, and holds the lock until its standard input ends.
 *
 *     holds_until_told KIND FILE     KIND: fcntl, ofd, flock
 */
#include "lock_probe.h"
#include <sys/file.h>

int main(int argc, char **argv) {
    char byte;
    must(argc == 3, "arguments");
    int fd = open_file(argv[2]), result;
    if (strcmp(argv[1], "flock") == 0)
        result = flock(fd, LOCK_EX);
    else
        result =
            lock_bytes(fd, strcmp(argv[1], "ofd") == 0 ? F_OFD_SETLKW : F_SETLKW, F_WRLCK, 0, 0);
    must(result == 0, "the lock");
    fact("holder", "%ld", (long)getpid());
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}
