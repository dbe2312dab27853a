/* One description holds a lock; the same bytes are unlocked through another one.
 *
 *   unlocking_second_description fcntl|whole|wait|lockf FILE
 */
#include "lock_probe.h"

int main(int argc, char **argv) {
    int error;
    if (argc != 3)
        return 2;
    int first = open_file(argv[2]), second = open_file(argv[2]);
    must(try_lock(first, FIRST, LENGTH) == 0, "the lock");
    fact("first_fd", "%d", first);
    fact("second_fd", "%d", second);
    if (strcmp(argv[1], "whole") == 0)
        error = unlock(second, 0, 0);
    else if (strcmp(argv[1], "wait") == 0)
        error = lock_bytes(second, F_SETLKW, F_UNLCK, FIRST, LENGTH);
    else if (strcmp(argv[1], "lockf") == 0)
        error = lockf(second, F_ULOCK, 0) == -1 ? errno : 0;
    else
        error = unlock(second, FIRST, LENGTH);
    fact("second_unlocks", "%s", error_name(error));
    fact_witness("after", argv[2]);
    return 0;
}
