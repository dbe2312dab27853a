/* Runs a program where the kernel does not tell whether two descriptors share a description: kcmp
 * fails with EPERM, as in Docker's default profile, and fcntl(F_DUPFD_QUERY) with EINVAL, as before
 * Linux 6.10.
 *
 *   without_queries CMD ARG...
 */
#include "lock_probe.h"
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define DUPFD_QUERY 1027
#define LOW_HALF(field) (unsigned)offsetof(struct seccomp_data, field) /* little endian */

int main(int argc, char **argv) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_HALF(nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kcmp, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_HALF(args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DUPFD_QUERY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (argc < 2)
        return 2;
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
    must(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0L, 1L) == -1 && errno == EPERM,
         "kcmp denied");
    must(fcntl(0, DUPFD_QUERY, 1) == -1 && errno == EINVAL, "F_DUPFD_QUERY unknown");
    execvp(argv[1], argv + 1);
    must(0, argv[1]);
}
