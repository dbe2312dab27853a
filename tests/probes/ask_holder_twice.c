/* F_GETLK on the first byte of a file, twice, and how many times the process read from anything
 * meanwhile: to find the holder of a lock, one must look somewhere.
 *
 *   ask_holder_twice FILE
 */
#define _GNU_SOURCE
#include "lock_probe.h"

static long reads(void) {
    char text[512];
    long count = -1;
    int fd = open("/proc/self/io", O_RDONLY);
    ssize_t got = fd == -1 ? -1 : read(fd, text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    close(fd);
    const char *found = strstr(text, "syscr:");
    if (found != NULL)
        sscanf(found, "syscr: %ld", &count);
    return count;
}

static void ask(const char *when, int fd) {
    char key[32];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    long before = reads();
    must(fcntl(fd, F_GETLK, &lock) == 0, "F_GETLK");
    long after = reads();
    snprintf(key, sizeof key, "%s_pid", when);
    fact(key, "%ld", (long)lock.l_pid);
    snprintf(key, sizeof key, "%s_reads", when);
    /* Looking at the count is a read itself. */
    fact(key, "%ld", before == -1 ? -1 : after - before - 1);
}

int main(int argc, char **argv) {
    must(argc == 2, "usage: ask_holder_twice FILE");
    int fd = open_file(argv[1]);
    ask("first", fd);
    ask("again", fd);
    return 0;
}
