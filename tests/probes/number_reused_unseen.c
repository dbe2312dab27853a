/* The number of a descriptor that held a lock is closed and names another description, and no
 * library saw the close, or the open either; then it is locked.
 *
 *   number_reused_unseen assembly|raw_close|endmntent assembly|open FILE OTHER
 *
 * assembly: seen by no library. raw_close: by syscall(2). endmntent: closed by libc from inside.
 * OTHER may be FILE.
 */
#include "ways_to_close.h"

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    const char *path = argv[3], *other = argv[4];
    long reused;
    close(open_file(other));
    int fd = open_file(path);
    struct closing old = prepare_closing(argv[1], fd);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the first lock");
    finish_closing(&old);
    if (strcmp(argv[2], "assembly") == 0)
        reused = assembly_call(SYS_openat, AT_FDCWD, (long)other, O_RDWR);
    else
        reused = open(other, O_RDWR);
    must(reused == fd, "the same number");
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_witness("other", other);
    fact_witness("file", path);
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_witness("other_unlocked", other);
    return 0;
}
