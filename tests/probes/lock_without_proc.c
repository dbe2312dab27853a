/* Locks a file after it has lost /proc.
 *
 *   lock_without_proc before|after FILE
 *
 * before: the first lock of the file is older than the loss.
 */
#include "outsider.h"
#include <sys/mount.h>

static void lose_proc(void) {
    must(unshare(CLONE_NEWNS) == 0, "unshare");
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mount");
    must(umount2("/proc", MNT_DETACH) == 0, "umount2");
    fact("proc", "%s", access("/proc/self", F_OK) == 0 ? "there" : "gone");
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int fd = open_file(argv[2]);
    if (strcmp(argv[1], "before") == 0)
        fact("early", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    lose_proc();
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_outsider("locked", fd);
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_outsider("unlocked", fd);
    fact("again", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact("close", "%d", close(fd));
    fd = open_file(argv[2]);
    fact_outsider("closed", fd);
    return 0;
}
