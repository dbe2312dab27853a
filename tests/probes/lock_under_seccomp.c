/* Locks a file while the kernel refuses system calls that the program itself does not need.
 *
 *   lock_under_seccomp limit|kcmp|query|memory|all FILE
 *
 * limit: setting a resource limit; kcmp and query: asking whether two descriptors are the same
 * description; memory: process_vm_readv.
 */
#include "outsider.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif

#define WORD_OF(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define UNLESS(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skipped))

static void install(struct sock_filter *code, size_t length) {
    struct sock_fprog program = {(unsigned short)length, code};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
}

static void refuse(unsigned call, unsigned error) {
    struct sock_filter code[] = {WORD_OF(nr), UNLESS(call, 1), REFUSE(error), ALLOW};
    install(code, sizeof code / sizeof code[0]);
}

/* The pointer to the new limit is NULL where a limit is only read; its low word tells. */
static void refuse_setting_limits(void) {
    struct sock_filter code[] = {
        WORD_OF(nr),   UNLESS(SYS_prlimit64, 3), WORD_OF(args[2]), UNLESS(0, 2), ALLOW, ALLOW,
        REFUSE(EPERM),
    };
    install(code, sizeof code / sizeof code[0]);
#ifdef SYS_setrlimit
    refuse(SYS_setrlimit, EPERM);
#endif
}

static void refuse_queries(void) {
    struct sock_filter code[] = {
        WORD_OF(nr),      UNLESS(SYS_fcntl, 3),
        WORD_OF(args[1]), UNLESS(F_DUPFD_QUERY, 1),
        REFUSE(EINVAL),   ALLOW,
    };
    install(code, sizeof code / sizeof code[0]);
}

static void refuse_by_name(const char *what) {
    int all = strcmp(what, "all") == 0;
    if (all || strcmp(what, "limit") == 0)
        refuse_setting_limits();
    if (all || strcmp(what, "kcmp") == 0)
        refuse(SYS_kcmp, EPERM);
    if (all || strcmp(what, "query") == 0)
        refuse_queries();
    if (all || strcmp(what, "memory") == 0)
        refuse(SYS_process_vm_readv, EPERM);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    refuse_by_name(argv[1]);
    int fd = open_file(argv[2]);
    struct flock *lock = malloc(sizeof *lock);
    must(lock != NULL, "malloc");
    *lock = (struct flock){.l_type = F_WRLCK, .l_start = FIRST, .l_len = LENGTH};
    fact("lock", "%s", fcntl(fd, F_SETLK, lock) == 0 ? "ok" : error_name(errno));
    fact_outsider("locked", fd);
    int copy = dup(fd);
    fact("through_copy", "%s", error_name(try_lock(copy, 20, LENGTH)));
    fact("unlock", "%s", error_name(unlock(copy, FIRST, LENGTH)));
    fact_outsider("unlocked", fd);
    fact_outsider_at("other", fd, 20, LENGTH);
    fact("bad_pointer", "%s", fcntl(fd, F_SETLK, NULL) == 0 ? "ok" : strerror(errno));
    close(copy);
    close(fd);
    fact_outsider_at("closed", open_file(argv[2]), 20, LENGTH);
    free(lock);
    return 0;
}
