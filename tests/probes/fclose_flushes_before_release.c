/* fclose writes what is buffered while the lock is still held. The write is stopped in the middle:
 * it passes the file size limit, and the handler of SIGXFSZ asks who holds the lock.
 *
 *   fclose_flushes_before_release FILE
 */
#include "lock_probe.h"
#include <signal.h>
#include <sys/resource.h>

static const char *path;

static void on_flush(int signal) {
    (void)signal;
    fact_witness("during_flush", path);
}

int main(int argc, char **argv) {
    struct rlimit none;
    if (argc != 2)
        return 2;
    path = argv[1];
    int fd = open_file(path);
    FILE *stream = fdopen(fd, "r+");
    must(stream != NULL && try_lock(fd, FIRST, LENGTH) == 0, "a locked stream");
    signal(SIGXFSZ, on_flush);
    must(getrlimit(RLIMIT_FSIZE, &none) == 0, "getrlimit");
    none.rlim_cur = 0;
    must(fputs("buffered", stream) >= 0, "fputs");
    must(setrlimit(RLIMIT_FSIZE, &none) == 0, "setrlimit");
    fact("fclose", "%s", fclose(stream) == 0 ? "ok" : strerrorname_np(errno));
    fact_witness("after", path);
    return 0;
}
