/* Locks two files, one after the other, and unlocks them.
 *
 *     takes_two_locks KIND waits|tries FIRST SECOND [TIMES]     KIND: fcntl, ofd, flock, mixed
 *
 * mixed: a file whose name has "flocked" in it by flock, the other one by fcntl. Prints taken=N, how often both were had.
 */
#include "lock_probe.h"
#include <sys/file.h>

static int act(const char *kind, int waits, int fd, int lock) {
    if (strcmp(kind, "flock") == 0)
        return flock(fd, lock ? LOCK_EX | (waits ? 0 : LOCK_NB) : LOCK_UN) == -1 ? errno : 0;
    int ofd = strcmp(kind, "ofd") == 0;
    int command = waits ? (ofd ? F_OFD_SETLKW : F_SETLKW) : ofd ? F_OFD_SETLK : F_SETLK;
    return lock_bytes(fd, command, lock ? F_WRLCK : F_UNLCK, 0, 0);
}

int main(int argc, char **argv) {
    must(argc >= 5, "arguments");
    const char *first_kind = argv[1], *second_kind = argv[1];
    if (strcmp(argv[1], "mixed") == 0) {
        first_kind = strstr(argv[3], "flocked") ? "flock" : "fcntl";
        second_kind = strstr(argv[4], "flocked") ? "flock" : "fcntl";
    }
    int waits = strcmp(argv[2], "waits") == 0;
    int first = open_file(argv[3]), second = open_file(argv[4]), taken = 0;
    for (int i = argc > 5 ? atoi(argv[5]) : 1; i > 0; i--) {
        must(act(first_kind, waits, first, 1) == 0, "the first lock");
        must(act(second_kind, waits, second, 1) == 0, "the second lock");
        taken++;
        must(act(second_kind, waits, second, 0) == 0, "unlocking the second");
        must(act(first_kind, waits, first, 0) == 0, "unlocking the first");
    }
    fact("taken", "%d", taken);
    return 0;
}
