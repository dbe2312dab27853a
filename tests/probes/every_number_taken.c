/* Holds five locks, raises its soft limit to the hard one and then takes every number there is.
 *
 *   every_number_taken dup2|dupfd|open|look user|root HARD
 *
 * user: without the right to raise the hard limit. look: only asks which numbers are in use.
 */
#include "limits.h"

#define FILES 5

static int files[FILES];
static int hard;

static int is_file(int fd) {
    for (int i = 0; i < FILES; i++)
        if (files[i] == fd)
            return 1;
    return 0;
}

static int take_by_dup2(void) {
    int taken = 0;
    for (int fd = 3; fd < hard; fd++)
        taken += !is_file(fd) && dup2(0, fd) == fd;
    return taken;
}

static int take_by_dupfd(void) {
    int taken = 0;
    for (int fd = 3; fd < hard; fd++)
        taken += !is_file(fd) && fcntl(0, F_DUPFD, fd) == fd;
    return taken;
}

static int take_by_open(void) {
    int taken = 0;
    while (open("/dev/null", O_RDONLY) != -1)
        taken++;
    return taken;
}

static int look(void) {
    int used = 0;
    for (int fd = 0; fd < hard; fd++)
        used += fcntl(fd, F_GETFD) != -1;
    return used;
}

static int count_held_from(int first) {
    int held = 0;
    for (int i = first; i < FILES; i++)
        held += outsider_look(files[i], FIRST, LENGTH).type == F_WRLCK;
    return held;
}

int main(int argc, char **argv) {
    char path[32];
    if (argc != 4)
        return 2;
    hard = atoi(argv[3]);
    closefrom(3);
    limit_descriptors((rlim_t)(hard < 64 ? hard / 2 : 64), (rlim_t)hard);
    if (strcmp(argv[2], "user") == 0)
        drop_right_to_raise();
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "taken%d", i);
        files[i] = open_file(path);
        fact(path, "%s", error_name(try_lock(files[i], FIRST, LENGTH)));
    }
    limit_descriptors((rlim_t)hard, (rlim_t)hard);
    fact("held_after_raise", "%d", count_held_from(0));
    int taken = strcmp(argv[1], "dup2") == 0    ? take_by_dup2()
                : strcmp(argv[1], "dupfd") == 0 ? take_by_dupfd()
                : strcmp(argv[1], "open") == 0  ? take_by_open()
                                                : look();
    fact("taken", "%d", taken);
    fact("held", "%d", count_held_from(0));
    fact("unlock", "%s", error_name(unlock(files[0], FIRST, LENGTH)));
    fact("close", "%d", close(files[1]));
    fact("held_of_rest", "%d", count_held_from(2));
    return 0;
}
