/* Closes every number that a descriptor can have, from three on, while it holds a lock.
 *
 *   close_every_number loop|range|from|cloexec self|stdin|vfork|fork LIMIT FILE
 *
 * self: the locked descriptor is the first to go; stdin: it is descriptor 0 and stays; vfork, fork:
 * a child does it, before it executes true.
 */
#include "limits.h"

static int limit;

static int close_all(const char *how) {
    int closed = 0;
    if (strcmp(how, "from") == 0)
        closefrom(3);
    else if (strcmp(how, "range") == 0)
        closed = close_range(3, ~0U, 0);
    else if (strcmp(how, "cloexec") == 0)
        closed = close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    else
        for (int fd = 3; fd < limit; fd++)
            closed += close(fd) == 0;
    return closed;
}

static void close_in_child(const char *how, int by_vfork) {
    pid_t child = by_vfork ? vfork() : fork();
    must(child != -1, "fork");
    if (child == 0) {
        close_all(how);
        execlp("true", "true", NULL);
        _exit(99);
    }
    wait_for(child);
}

static void set_limit(int wanted) {
    rlim_t hard = descriptor_limit().rlim_max;
    struct rlimit limits = {(rlim_t)wanted, (rlim_t)wanted > hard ? (rlim_t)wanted : hard};
    limit = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limits) == -1) {
        limit = (int)hard;
        limit_descriptors(hard, hard);
    }
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    int own = strcmp(argv[2], "self") == 0, keeps = strcmp(argv[2], "stdin") == 0;
    closefrom(3);
    set_limit(atoi(argv[3]));
    int fd = open_file(argv[4]);
    if (keeps) {
        must(dup2(fd, 0) == 0 && close(fd) == 0, "dup2");
        fd = 0;
    }
    fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    if (own || keeps)
        fact("closed", "%d", close_all(argv[1]));
    else
        close_in_child(argv[1], strcmp(argv[2], "vfork") == 0);
    int other = open_file("other");
    fact("next", "%d", other);
    if (own && strcmp(argv[1], "cloexec") != 0)
        fd = open_file(argv[4]);
    fact_outsider("held", fd);
    fact("lock_again", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    fact_outsider("unlocked", fd);
    return 0;
}
