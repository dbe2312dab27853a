/* Locks files when no memory can be mapped any more.
 *
 *   lock_without_memory FILE
 */
#include "outsider.h"
#include <sys/mman.h>
#include <sys/resource.h>

#define FILES 50

static rlim_t address_space(void) {
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    must(statm != NULL && fscanf(statm, "%lu", &pages) == 1, "/proc/self/statm");
    fclose(statm);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv) {
    char path[4200];
    int fds[FILES], failures = 0;
    if (argc != 2)
        return 2;
    struct rlimit limit = {address_space(), RLIM_INFINITY};
    must(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit");
    void *more = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fact("more", "%s", more == MAP_FAILED ? strerror(errno) : "mapped");
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s.%d", argv[1], i);
        fds[i] = open_file(path);
        failures += try_lock(fds[i], FIRST, LENGTH) != 0;
    }
    fact("failures", "%d", failures);
    fact_outsider("first", fds[0]);
    fact_outsider("last", fds[FILES - 1]);
    fact("unlock", "%s", error_name(unlock(fds[0], FIRST, LENGTH)));
    fact_outsider("unlocked", fds[0]);
    fact("close", "%d", close(fds[1]));
    snprintf(path, sizeof path, "%s.1", argv[1]);
    fact_outsider("closed", open_file(path));
    return 0;
}
