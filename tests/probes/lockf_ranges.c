/* lockf from the descriptor's offset, forwards, backwards and to the end; and what another process
 * then meets in the first 1000 bytes.
 *
 *   lockf_ranges FILE
 */
#define _GNU_SOURCE
#include "lock_probe.h"
#include <stdint.h>

static const char *path;

/* "5+10 read 20+5": what is locked. In a child, which owns none of it. */
static void fact_table(const char *key) {
    pid_t child = fork();
    must(child != -1, "fork");
    if (child != 0) {
        wait_for(child);
        return;
    }
    char text[200] = "";
    int fd = open_file(path);
    off_t from = 0;
    while (from < 1000) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = 1};
        must(fcntl(fd, F_GETLK, &lock) == 0, "F_GETLK");
        off_t length = lock.l_type == F_UNLCK ? 1 : lock.l_len;
        if (lock.l_type != F_UNLCK)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %lld+%lld",
                     text[0] == '\0' ? "" : ", ", lock_type_name(lock.l_type),
                     (long long)lock.l_start, (long long)lock.l_len);
        from = length == 0 ? 1000 : (lock.l_type == F_UNLCK ? from : lock.l_start) + length;
    }
    fact(key, "%s", text);
    _exit(0);
}

static void ask(const char *key, int fd, off_t offset, int function, off_t length) {
    char table_key[64];
    must(lseek(fd, offset, SEEK_SET) == offset, "lseek");
    /* The two names are one function here; a hook might have forgotten one. */
    int result = offset % 2 ? lockf64(fd, function, length) : lockf(fd, function, length);
    fact(key, "%s", result == -1 ? strerrorname_np(errno) : "ok");
    snprintf(table_key, sizeof table_key, "%s_table", key);
    fact_table(table_key);
    must(lseek(fd, 0, SEEK_CUR) == offset, "an offset that lockf leaves alone");
}

static void other_process(void) {
    pid_t child = fork();
    must(child != -1, "fork");
    if (child != 0) {
        wait_for(child);
        return;
    }
    int fd = open_file(path);
    ask("other_test_held", fd, 10, F_TEST, 10);
    ask("other_test_free", fd, 0, F_TEST, 5);
    ask("other_test_backwards", fd, 15, F_TEST, -1);
    ask("other_test_to_end", fd, 0, F_TEST, 0);
    ask("other_try_held", fd, 10, F_TLOCK, 1);
    ask("other_try_free", fd, 300, F_TLOCK, 1);
    _exit(0);
}

int main(int argc, char **argv) {
    must(argc == 2, "usage: lockf_ranges FILE");
    path = argv[1];
    int fd = open_file(path), reader = open(path, O_RDONLY);
    must(fd != -1 && reader != -1, "open");
    ask("lock", fd, 10, F_LOCK, 10);
    ask("lock_backwards", fd, 10, F_LOCK, -3);
    ask("try_adjacent", fd, 20, F_TLOCK, 5);
    ask("try_again", fd, 10, F_TLOCK, 10);
    ask("unlock_middle", fd, 12, F_ULOCK, 2);
    ask("unlock_backwards", fd, 25, F_ULOCK, -5);
    ask("try_to_end", fd, 500, F_TLOCK, 0);
    ask("test_own", fd, 10, F_TEST, 1);
    other_process();
    ask("below_zero", fd, 5, F_LOCK, -6);
    ask("at_zero", fd, 0, F_TLOCK, -1);
    ask("overflow", fd, 2, F_TLOCK, INT64_MAX);
    ask("unknown_function", fd, 0, 4, 1);
    ask("reader_try", reader, 700, F_TLOCK, 1);
    ask("reader_lock", reader, 701, F_LOCK, 1);
    ask("reader_unlock", reader, 400, F_ULOCK, 1);
    fact("bad_descriptor", "%s", lockf(-1, F_TLOCK, 1) == -1 ? strerrorname_np(errno) : "ok");
    fact("bad_both", "%s", lockf(-1, 4, 1) == -1 ? strerrorname_np(errno) : "ok");
    return 0;
}
