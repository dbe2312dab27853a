/* Which numbers a program gets for its descriptors while it locks files. Its facts go to a file,
 * opened last, so that the standard descriptors may be closed.
 *
 *   numbers_seen FACTS
 */
#include "outsider.h"
#include <sys/select.h>

#define OPENS 6
#define MOST 64

static struct {
    const char *key;
    int value;
} seen[MOST];
static int count;

static int see(const char *key, int value) {
    seen[count].key = key;
    seen[count++].value = value == -1 ? -errno : value;
    return value;
}

static void open_and_lock(int *fds) {
    char path[32];
    for (int i = 0; i < OPENS; i++) {
        snprintf(path, sizeof path, "numbers%d", i);
        fds[i] = see("open", open(path, O_RDWR | O_CREAT, 0600));
        see("lock", try_lock(fds[i], FIRST, LENGTH));
    }
}

static void copy_and_close(const int *fds) {
    int ends[2];
    see("dup", dup(fds[0]));
    see("close", close(fds[2]));
    see("dup_low", dup(fds[1]));
    see("dup2", dup2(fds[1], 500));
    see("dup2_self", dup2(fds[1], fds[1]));
    see("dup3", dup3(fds[1], 501, O_CLOEXEC));
    see("dup3_self", dup3(fds[1], fds[1], 0));
    see("dupfd", fcntl(fds[3], F_DUPFD, 300));
    see("dupfd_cloexec", fcntl(fds[3], F_DUPFD_CLOEXEC, 300));
    see("dupfd_too_high", fcntl(fds[3], F_DUPFD, 1 << 30));
    see("dup2_too_high", dup2(fds[3], 1 << 30));
    see("close_unknown", close(400));
    see("close_negative", close(-1));
    see("close_huge", close(1 << 30));
    see("pipe", pipe(ends));
    see("pipe_read", ends[0]);
    see("pipe_write", ends[1]);
    see("flags", fcntl(fds[3], F_GETFD));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    see("write", (int)write(ends[1], "", 1));
    see("select", select(FD_SETSIZE, &set, NULL, NULL, NULL));
}

int main(int argc, char **argv) {
    int fds[OPENS];
    if (argc != 2)
        return 2;
    closefrom(3);
    open_and_lock(fds);
    copy_and_close(fds);
    fact_fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fact_fd == -1)
        return 3;
    fact("facts", "%d", fact_fd);
    for (int i = 0; i < count; i++)
        fact(seen[i].key, "%d", seen[i].value);
    fact_outsider("held", fds[5]);
    return 0;
}
