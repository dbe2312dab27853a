/* Two threads lock the same bytes through one description, the second while the first holds them.
 *
 *   threads_share_description fcntl|lockf|flock|ofd same|copy FILE
 *
 * copy: the second thread uses a duplicate of the descriptor.
 */
#include "lock_probe.h"
#include <pthread.h>
#include <sys/file.h>
#include <sys/syscall.h>

static const char *kind;
static int second;

static int ask(int fd) {
    if (strcmp(kind, "flock") == 0)
        return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    if (strcmp(kind, "lockf") == 0)
        return lockf(fd, F_TLOCK, LENGTH) == 0 ? 0 : errno;
    return lock_bytes(fd, strcmp(kind, "ofd") == 0 ? F_OFD_SETLK : F_SETLK, F_WRLCK, FIRST, LENGTH);
}

static void *ask_in_thread(void *unused) {
    fact("second", "%s", error_name(ask(second)));
    fact("second_tid", "%ld", syscall(SYS_gettid));
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc != 4)
        return 2;
    kind = argv[1];
    int first = open_file(argv[3]);
    second = strcmp(argv[2], "copy") == 0 ? dup(first) : first;
    fact("first", "%s", error_name(ask(first)));
    fact("first_fd", "%d", first);
    fact("second_fd", "%d", second);
    fact("first_tid", "%ld", syscall(SYS_gettid));
    must(pthread_create(&thread, NULL, ask_in_thread, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    return 0;
}
