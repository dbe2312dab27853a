/* What a program is told of its limit of descriptors, and what it may do to it, while it locks. */
#include "limits.h"

static void say_limit(const char *when) {
    struct rlimit by_get, by_prlimit, by_pid;
    char key[64];
    must(getrlimit(RLIMIT_NOFILE, &by_get) == 0, "getrlimit");
    must(prlimit(0, RLIMIT_NOFILE, NULL, &by_prlimit) == 0, "prlimit");
    must(prlimit(getpid(), RLIMIT_NOFILE, NULL, &by_pid) == 0, "prlimit of the pid");
    fact(when, "%ld %ld", (long)by_get.rlim_cur, (long)by_get.rlim_max);
    snprintf(key, sizeof key, "%s_agree", when);
    fact(key, "%d %d", memcmp(&by_get, &by_prlimit, sizeof by_get),
         memcmp(&by_get, &by_pid, sizeof by_get));
    snprintf(key, sizeof key, "%s_sysconf", when);
    fact(key, "%ld %d", sysconf(_SC_OPEN_MAX), getdtablesize());
}

static void say_result(const char *key, int result) {
    fact(key, "%s", result == -1 ? strerror(errno) : "ok");
}

static void say_child_limits(void) {
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0) {
        say_limit("child");
        execlp("sh", "sh", "-c", "echo program=$(ulimit -Sn) $(ulimit -Hn)", NULL);
        _exit(99);
    }
    wait_for(child);
}

static void lock_one(int number) {
    char path[32];
    snprintf(path, sizeof path, "limits%d", number);
    fact("lock", "%s", error_name(try_lock(open_file(path), FIRST, LENGTH)));
}

int main(void) {
    struct rlimit old = descriptor_limit(), limit = old;
    say_limit("before");
    lock_one(0);
    say_limit("locked");
    say_child_limits();
    limit.rlim_cur = 100;
    say_result("lower", prlimit(0, RLIMIT_NOFILE, &limit, &old));
    fact("old", "%ld %ld", (long)old.rlim_cur, (long)old.rlim_max);
    lock_one(1);
    say_limit("lowered");
    say_result("dup2_at_limit", dup2(0, 100));
    say_result("dup2_below_limit", dup2(0, 99));
    limit.rlim_cur = limit.rlim_max + 1;
    say_result("soft_above_hard", setrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    say_result("raise_to_hard", setrlimit(RLIMIT_NOFILE, &limit));
    lock_one(2);
    say_limit("raised");
    say_child_limits();
    limit.rlim_cur = limit.rlim_max = 200;
    say_result("lower_hard", setrlimit(RLIMIT_NOFILE, &limit));
    say_limit("hard_lowered");
    lock_one(3);
    say_limit("end");
    return 0;
}
