#include "base/loaded.h"

#include "base/scratch.h"
#include "base/sys.h"

#include <stdatomic.h>
#include <string.h>

const char *loaded_program(void) {
    static char path[SETTINGS_PATH_MAX];
    static _Atomic bool known;
    if (!atomic_load_explicit(&known, memory_order_acquire)) {
        char *found = scratch_begin(SETTINGS_PATH_MAX);
        ssize_t length =
            found ? sys_readlinkat(AT_FDCWD, "/proc/self/exe", found, SETTINGS_PATH_MAX - 1) : -1;
        if (length > 0)
            memcpy(path, found, (size_t)length);
        scratch_end(found, SETTINGS_PATH_MAX);
        if (length <= 0)
            return "";
        atomic_store_explicit(&known, true, memory_order_release);
    }
    return path;
}
