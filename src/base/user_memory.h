/* The program's memory: may this pointer be used, or would the kernel have said EFAULT?
 *
 * A struct flock on the caller's stack, or in a page that was looked at before, costs a few
 * instructions; else the kernel is asked to read (or write) a few bytes there by a call that fails
 * in any case. Async-signal-safe. Pages that libc itself unmaps (a large block given to free) are
 * not noticed.
 */
#ifndef RACESHIM_BASE_USER_MEMORY_H
#define RACESHIM_BASE_USER_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At least 8 bytes, at most a page. */
bool user_readable_slow(const void *pointer, size_t size);
/* Overwrites the first and last 8 bytes with something: only for memory that is written next. */
bool user_writable_slow(void *pointer, size_t size);

/* Memory above the stack pointer that is this near is the callers' frames. */
#define USER_STACK_NEAR 4096

/* Memory is about to be unmapped or protected: what was seen no longer counts. */
extern _Atomic uint32_t user_memory_seen;
void user_memory_forget_slow(void);
static inline void user_memory_forget(void) {
    if (__builtin_expect(atomic_load_explicit(&user_memory_seen, memory_order_relaxed) != 0, 0))
        user_memory_forget_slow();
}

static inline bool user_on_stack(const void *pointer) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return (uintptr_t)pointer - here < USER_STACK_NEAR;
}

static inline bool user_readable(const void *pointer, size_t size) {
    return __builtin_expect(user_on_stack(pointer), 1) || user_readable_slow(pointer, size);
}

static inline bool user_writable(void *pointer, size_t size) {
    return __builtin_expect(user_on_stack(pointer), 1) || user_writable_slow(pointer, size);
}

#endif
