/* Eight locked files where few descriptors are allowed; then all the others are used up.
 *
 *   lock_at_descriptor_limit soft|hard|root LIMIT [full]
 *
 * soft: the hard limit stays where it is; hard: it is LIMIT too, and final; root: LIMIT too, but
 * the right to raise it is kept. full: every descriptor is taken before the first lock.
 */
#include "limits.h"

#define FILES 8

static int files[FILES];

static void set_limit(const char *which, rlim_t allowed) {
    rlim_t hard = descriptor_limit().rlim_max;
    if (strcmp(which, "hard") == 0)
        drop_right_to_raise();
    limit_descriptors(allowed, strcmp(which, "soft") == 0 ? hard : allowed);
}

static void open_files(void) {
    char path[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "file%d", i);
        files[i] = open(path, O_RDWR | O_CREAT, 0600);
        fact(path, "%d", files[i]);
    }
}

static void lock_files(void) {
    char key[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(key, sizeof key, "lock%d", i);
        fact(key, "%s", error_name(try_lock(files[i], FIRST, LENGTH)));
        snprintf(key, sizeof key, "locked%d", i);
        fact_outsider(key, files[i]);
    }
}

static int use_up(void) {
    int fd, last = -1;
    while ((fd = open("/dev/null", O_RDWR)) != -1)
        last = fd;
    fact("last_fd", "%d", last);
    fact("then", "%s", strerror(errno));
    return last;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    closefrom(3);
    set_limit(argv[1], (rlim_t)atoi(argv[2]));
    open_files();
    if (argc > 3)
        use_up();
    lock_files();
    if (argc == 3)
        use_up();
    fact("unlock", "%s", error_name(unlock(files[0], FIRST, LENGTH)));
    fact_outsider("unlocked", files[0]);
    fact("close", "%d", close(files[0]));
    fact("reopened", "%d", open("file0", O_RDWR));
    fact("soft", "%ld", (long)descriptor_limit().rlim_cur);
    fact("hard_kept", "%d", descriptor_limit().rlim_max >= (rlim_t)atoi(argv[2]));
    return 0;
}
