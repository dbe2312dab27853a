/* A process that gives up its rights locks a file that it could not open any more.
 *
 *   lock_after_setuid before|after|found FILE
 *
 * before: the first lock is taken while it still has the right; after: later; found: later too, but
 * it has asked against a lock of its own before.
 */
#include "outsider.h"
#include <grp.h>
#include <sys/stat.h>

#define NOBODY 65534

static void ask_against_own_lock(const char *path) {
    char other[4200];
    snprintf(other, sizeof other, "%s.other", path);
    int first = open_file(other), second = open_file(other);
    try_lock(first, FIRST, LENGTH);
    try_lock(second, FIRST, LENGTH);
    close(second);
    close(first);
}

static void become_nobody(void) {
    must(setgroups(0, NULL) == 0, "setgroups");
    must(setresgid(NOBODY, NOBODY, NOBODY) == 0, "setresgid");
    must(setresuid(NOBODY, NOBODY, NOBODY) == 0, "setresuid");
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int fd = open_file(argv[2]);
    must(fchmod(fd, 0) == 0, "fchmod");
    if (strcmp(argv[1], "before") == 0)
        fact("early", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    if (strcmp(argv[1], "found") == 0)
        ask_against_own_lock(argv[2]);
    become_nobody();
    fact("reopen", "%s", open(argv[2], O_RDWR) == -1 ? error_name(errno) : "ok");
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact_outsider("locked", fd);
    fact("other", "%s", error_name(try_lock(fd, 100, LENGTH)));
    fact_outsider_at("other_locked", fd, 100, LENGTH);
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_outsider("unlocked", fd);
    fact("close", "%d", close(fd));
    return 0;
}
