/* libc itself opens, reads and closes a file that the program has locked: mntent(3).
 *
 *   libc_opens_locked_file FILE
 */
#include "lock_probe.h"
#include <mntent.h>

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    int fd = open_file(argv[1]);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    FILE *table = setmntent(argv[1], "r");
    must(table != NULL, "setmntent");
    getmntent(table);
    endmntent(table);
    fact_witness("after", argv[1]);
    return 0;
}
