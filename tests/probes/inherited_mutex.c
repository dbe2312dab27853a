/* Three processes use one inherited descriptor as a mutex, as GNU make -O and prefork servers do.
 *
 *   inherited_mutex record|lockf|ofd FILE
 *
 * ofd takes locks that belong to the description which the three share: no mutex at all.
 */
#include "lock_probe.h"
#include <stdatomic.h>
#include <sys/mman.h>

#define PROCESSES 3
#define ENTRIES 500

struct room {
    atomic_int inside, entered, violations;
};

static int enter(const char *how, int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    if (strcmp(how, "lockf") == 0)
        return lockf(fd, F_LOCK, 1);
    return fcntl(fd, strcmp(how, "ofd") == 0 ? F_OFD_SETLKW : F_SETLKW, &lock);
}

static int leave(const char *how, int fd) {
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_len = 1};
    if (strcmp(how, "lockf") == 0)
        return lockf(fd, F_ULOCK, 1);
    return fcntl(fd, strcmp(how, "ofd") == 0 ? F_OFD_SETLKW : F_SETLKW, &lock);
}

static void enter_often(const char *how, int fd, struct room *room) {
    for (int i = 0; i < ENTRIES; i++) {
        must(enter(how, fd) == 0, "enter");
        if (atomic_fetch_add(&room->inside, 1) != 0)
            atomic_fetch_add(&room->violations, 1);
        sched_yield();
        atomic_fetch_add(&room->entered, 1);
        atomic_fetch_sub(&room->inside, 1);
        must(leave(how, fd) == 0, "leave");
    }
}

int main(int argc, char **argv) {
    pid_t children[PROCESSES - 1];
    if (argc != 3)
        return 2;
    int fd = open_file(argv[2]);
    struct room *room =
        mmap(NULL, sizeof *room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(room != MAP_FAILED, "mmap");
    /* The parent has used the mutex before the children get it. */
    must(enter(argv[1], fd) == 0 && leave(argv[1], fd) == 0, "first use");
    for (int i = 0; i < PROCESSES - 1; i++) {
        children[i] = fork();
        must(children[i] != -1, "fork");
        if (children[i] == 0) {
            enter_often(argv[1], fd, room);
            _exit(0);
        }
    }
    enter_often(argv[1], fd, room);
    for (int i = 0; i < PROCESSES - 1; i++)
        wait_for(children[i]);
    fact("entered", "%d", atomic_load(&room->entered));
    fact("excluded", "%s", atomic_load(&room->violations) == 0 ? "yes" : "no");
    return 0;
}
