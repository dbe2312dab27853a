/* Takes record locks through one descriptor of any kind.
 *
 *   lock_by_kind pipe|fifo|socket|tty|directory|devnull|memfd|tmpfile|unlinked|opath [copy]
 *
 * copy: closes a copy of the descriptor at the end, which drops a lock of POSIX's.
 */
#include "outsider.h"
#include <pty.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* /dev/null is everybody's: bytes that nobody else locks. */
static off_t start;

static int open_pipe(void) {
    int ends[2];
    must(pipe(ends) == 0, "pipe");
    return ends[1];
}

static int open_fifo(void) {
    must(mkfifo("fifo", 0600) == 0 || errno == EEXIST, "mkfifo");
    return open("fifo", O_RDWR);
}

static int open_socket(void) {
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    return ends[0];
}

static int open_tty(void) {
    int master, slave;
    must(openpty(&master, &slave, NULL, NULL, NULL) == 0, "openpty");
    return slave;
}

static int open_unlinked(void) {
    int fd = open_file("unlinked");
    must(unlink("unlinked") == 0, "unlink");
    return fd;
}

static int open_kind(const char *kind) {
    if (strcmp(kind, "pipe") == 0)
        return open_pipe();
    if (strcmp(kind, "fifo") == 0)
        return open_fifo();
    if (strcmp(kind, "socket") == 0)
        return open_socket();
    if (strcmp(kind, "tty") == 0)
        return open_tty();
    if (strcmp(kind, "directory") == 0)
        return open(".", O_RDONLY | O_DIRECTORY);
    if (strcmp(kind, "devnull") == 0)
        return open("/dev/null", O_RDWR);
    if (strcmp(kind, "memfd") == 0)
        return memfd_create("probe", 0);
    if (strcmp(kind, "tmpfile") == 0)
        return open(".", O_TMPFILE | O_RDWR, 0600);
    if (strcmp(kind, "unlinked") == 0)
        return open_unlinked();
    return strcmp(kind, "opath") == 0 ? open(".", O_PATH) : -1;
}

static void request(const char *key, int fd, short type, off_t from) {
    fact(key, "%s", error_name(lock_bytes(fd, F_SETLK, type, from, LENGTH)));
}

static void query(int fd) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = LENGTH};
    int result = fcntl(fd, F_GETLK, &lock);
    fact("query", "%s", result == -1 ? error_name(errno) : lock_type_name(lock.l_type));
}

static void look(const char *key, int fd, int is_path_only) {
    if (!is_path_only)
        fact_outsider_at(key, fd, start, LENGTH);
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    int is_path_only = strcmp(argv[1], "opath") == 0;
    int fd = open_kind(argv[1]);
    must(fd != -1, argv[1]);
    start = 100000000 + getpid() * 100L;
    request("write", fd, F_WRLCK, start);
    look("written", fd, is_path_only);
    request("other_write", fd, F_WRLCK, start + 50);
    request("read", fd, F_RDLCK, start);
    look("readable", fd, is_path_only);
    query(fd);
    request("unlock", fd, F_UNLCK, start);
    look("unlocked", fd, is_path_only);
    request("again", fd, F_RDLCK, start);
    if (argc > 2) {
        fact("copy", "%d", close(dup(fd)));
        look("copy_closed", fd, is_path_only);
    }
    fact("close", "%d", close(fd));
    return 0;
}
