/* Large buffers for a moment: a signal handler's stack may be a few KiB, so nothing of ours takes
 * much of it. A mapping of its own, for as long as it is needed. Async-signal-safe.
 */
#ifndef RACESHIM_BASE_SCRATCH_H
#define RACESHIM_BASE_SCRATCH_H

#include "base/sys.h"

/* Zeroed; NULL where there is no memory. */
static inline void *scratch_begin(size_t size) {
    return sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                    0);
}

static inline void scratch_end(void *buffer, size_t size) {
    if (buffer)
        sys_munmap(buffer, size);
}

#endif
