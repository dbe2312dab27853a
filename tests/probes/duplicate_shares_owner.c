/* A second descriptor of the same description owns what the first locked; another description of
 * the file does not.
 *
 *   duplicate_shares_owner dup|dup2|dup3|dupfd|dupfd_cloexec|before|scm|raw|assembly FILE
 *
 * before: duplicated before the first lock. raw: by syscall(2). assembly: seen by no library.
 */
#include "lock_probe.h"
#include <sys/syscall.h>

#define HIGH 200

static int pass_to_myself(int fd) {
    int pair[2], got = -1;
    char byte = 0;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    must(sendmsg(pair[0], &message, 0) == 1, "sendmsg");
    must(recvmsg(pair[1], &message, 0) == 1, "recvmsg");
    memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
    return got;
}

static int dup_in_assembly(int fd) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_dup), "D"((long)fd)
                     : "rcx", "r11", "memory");
    return (int)result;
#else
    (void)fd;
    fact("skip", "no assembly for this architecture");
    exit(0);
#endif
}

static int duplicate(const char *how, int fd) {
    if (strcmp(how, "dup2") == 0)
        return dup2(fd, HIGH);
    if (strcmp(how, "dup3") == 0)
        return dup3(fd, HIGH, O_CLOEXEC);
    if (strcmp(how, "dupfd") == 0)
        return fcntl(fd, F_DUPFD, HIGH);
    if (strcmp(how, "dupfd_cloexec") == 0)
        return fcntl(fd, F_DUPFD_CLOEXEC, HIGH);
    if (strcmp(how, "scm") == 0)
        return pass_to_myself(fd);
    if (strcmp(how, "raw") == 0)
        return (int)syscall(SYS_dup, fd);
    if (strcmp(how, "assembly") == 0)
        return dup_in_assembly(fd);
    return dup(fd);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const char *path = argv[2];
    int first = open_file(path), copy = -1;
    int before = strcmp(argv[1], "before") == 0;
    if (before)
        copy = duplicate(argv[1], first);
    must(try_lock(first, FIRST, LENGTH) == 0, "the first lock");
    if (!before)
        copy = duplicate(argv[1], first);
    must(copy != -1, argv[1]);
    fact_holder("copy_meets", copy, getpid());
    fact("copy", "%s", error_name(try_lock(copy, FIRST, LENGTH)));
    fact("other_description", "%s", error_name(try_lock(open_file(path), FIRST, LENGTH)));
    fact("copy_unlocks", "%s", error_name(unlock(copy, FIRST, LENGTH)));
    fact_witness("after", path);
    return 0;
}
