/* What F_GETLK writes into the struct when nobody holds the bytes: l_type, and nothing else. Each
 * question has memory of its own, the first one also the process's first lock call of all.
 *
 *   ask_free_bytes FILE
 */
#define _GNU_SOURCE
#include "lock_probe.h"
#include <sys/mman.h>
#include <sys/syscall.h>

static struct flock in_data = {.l_type = F_WRLCK};
static int asked;

static void ask(const char *where, int fd, struct flock *lock, int through_syscall) {
    char key[64];
    *lock = (struct flock){.l_type = asked++ % 2 ? F_RDLCK : F_WRLCK,
                           .l_whence = SEEK_CUR,
                           .l_start = 3,
                           .l_len = -2,
                           .l_pid = 4711};
    int result =
        through_syscall ? (int)syscall(SYS_fcntl, fd, F_GETLK, lock) : fcntl(fd, F_GETLK, lock);
    snprintf(key, sizeof key, "%s_%s", where, through_syscall ? "syscall" : "fcntl");
    fact(key, "%d type=%d whence=%d start=%lld len=%lld pid=%ld", result, lock->l_type,
         lock->l_whence, (long long)lock->l_start, (long long)lock->l_len, (long)lock->l_pid);
}

static void ask_everywhere(const char *when, int fd, int through_syscall) {
    char where[64];
    struct flock on_stack, *mapped;
    mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(mapped != MAP_FAILED, "mmap");
    snprintf(where, sizeof where, "%s_mapped", when);
    ask(where, fd, mapped, through_syscall);
    ask(where, fd, mapped, through_syscall);
    snprintf(where, sizeof where, "%s_stack", when);
    ask(where, fd, &on_stack, through_syscall);
    snprintf(where, sizeof where, "%s_data", when);
    ask(where, fd, &in_data, through_syscall);
}

int main(int argc, char **argv) {
    must(argc == 2, "usage: ask_free_bytes FILE");
    int fd = open_file(argv[1]), other = open_file(argv[1]);
    must(lseek(fd, 100, SEEK_SET) == 100 && lseek(other, 100, SEEK_SET) == 100, "lseek");
    ask_everywhere("never_locked", fd, 0);
    ask_everywhere("never_locked", fd, 1);
    must(try_lock(fd, 0, 10) == 0, "F_SETLK");
    ask_everywhere("locked", fd, 0);
    ask_everywhere("beside_locked", other, 0);
    ask_everywhere("beside_locked", other, 1);
    return 0;
}
