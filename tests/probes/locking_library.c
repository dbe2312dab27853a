/* A library whose constructor and destructor lock files in the current directory, and which keeps a
 * lock from one to the other. Loaded before or after another library.
 */
#include "outsider.h"

static int kept = -1;

static void use_locks(const char *when, const char *path) {
    char key[64];
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    fact(when, "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    snprintf(key, sizeof key, "%s_held", when);
    fact_outsider(key, fd);
    int copy = dup(fd);
    close(fd);
    snprintf(key, sizeof key, "%s_unlock", when);
    fact(key, "%s", error_name(unlock(copy, FIRST, LENGTH)));
    close(copy);
}

__attribute__((constructor)) static void construct(void) {
    use_locks("library_constructor", "library_constructor.lock");
    kept = open("library_kept.lock", O_RDWR | O_CREAT, 0600);
    fact("library_keeps", "%s", error_name(try_lock(kept, FIRST, LENGTH)));
}

__attribute__((destructor)) static void destruct(void) {
    fact_outsider("library_kept", kept);
    fact("library_releases", "%s", error_name(unlock(kept, FIRST, LENGTH)));
    fact_outsider("library_released", kept);
    close(kept);
    use_locks("library_destructor", "library_destructor.lock");
}
