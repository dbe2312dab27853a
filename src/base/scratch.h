/* Large buffers for a moment: a signal handler's stack may be a few KiB, so nothing of ours takes
 * much of it. A mapping of its own, for as long as it is needed. Async-signal-safe.
 */
#ifndef RACESHIM_BASE_SCRATCH_H
#define RACESHIM_BASE_SCRATCH_H

#include "base/sys.h"

#ifdef __SANITIZE_THREAD__
/* The sanitizer must see them, or it takes one thread's buffer for another's at the same place. */
#define SCRATCH_MAP(size, flags) mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0)
#define SCRATCH_UNMAP munmap
#else
#define SCRATCH_MAP(size, flags) sys_mmap(size, PROT_READ | PROT_WRITE, flags, -1, 0)
#define SCRATCH_UNMAP sys_munmap
#endif

/* Zeroed; NULL where there is no memory. */
static inline void *scratch_begin(size_t size) {
    return SCRATCH_MAP(size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
}

static inline void scratch_end(void *buffer, size_t size) {
    if (buffer)
        SCRATCH_UNMAP(buffer, size);
}

#endif
