/* Two descriptions of one file ask for one range each, in this order.
 *
 *   two_ranges_two_descriptions FILE read|write START LEN read|write START LEN
 */
#include "lock_probe.h"

static int ask(const char *path, char **range) {
    int fd = open_file(path);
    short type = strcmp(range[0], "read") == 0 ? F_RDLCK : F_WRLCK;
    return lock_bytes(fd, F_SETLK, type, atoll(range[1]), atoll(range[2]));
}

int main(int argc, char **argv) {
    if (argc != 8)
        return 2;
    fact("first", "%s", error_name(ask(argv[1], argv + 2)));
    fact("second", "%s", error_name(ask(argv[1], argv + 5)));
    return 0;
}
