/* A malloc for preloading which opens, locks, copies and closes a file at each allocation, as those
 * that read /proc or a configuration file do. Nothing is ever freed.
 */
#include "lock_probe.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define RESERVED ((size_t)1 << 32)
#define ALIGNED 16

static _Atomic unsigned allocations, failures;
static __thread int inside __attribute__((tls_model("initial-exec")));

static void use_locks(void) {
    int kept_errno = errno;
    int fd = open("malloc.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int error = try_lock(fd, FIRST, LENGTH);
    int copy = dup(fd);
    int failed = fd == -1 || copy == -1 || (error != 0 && error != EAGAIN);
    failed |= error == 0 && unlock(copy, FIRST, LENGTH) != 0;
    failed |= close(copy) != 0 || close(fd) != 0;
    atomic_fetch_add(&failures, (unsigned)failed);
    errno = kept_errno;
}

/* One large reservation, of which only what is used costs memory. */
static char *reservation(void) {
    static _Atomic(char *) base;
    char *mapped = atomic_load(&base), *none = NULL;
    if (mapped != NULL)
        return mapped;
    mapped = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    return atomic_compare_exchange_strong(&base, &none, mapped) ? mapped : none;
}

/* The size is kept in front of the memory, for realloc. */
static void *take(size_t size, size_t alignment) {
    static _Atomic size_t used;
    char *base = reservation();
    size_t need = (size + sizeof size + alignment + ALIGNED) & ~(size_t)(ALIGNED - 1);
    size_t at = atomic_fetch_add(&used, need);
    if (base == NULL || at + need > RESERVED)
        return NULL;
    uintptr_t place = ((uintptr_t)base + at + sizeof size + alignment - 1) & ~(alignment - 1);
    memcpy((void *)(place - sizeof size), &size, sizeof size);
    return (void *)place;
}

static void *allocate(size_t size, size_t alignment) {
    atomic_fetch_add(&allocations, 1);
    if (inside++ == 0)
        use_locks();
    void *result = take(size, alignment < ALIGNED ? ALIGNED : alignment);
    inside--;
    return result;
}

void *malloc(size_t size) {
    return allocate(size, ALIGNED);
}

void *calloc(size_t count, size_t size) {
    size_t total;
    return __builtin_mul_overflow(count, size, &total) ? NULL : allocate(total, ALIGNED);
}

void free(void *memory) {
    (void)memory;
}

void *realloc(void *memory, size_t size) {
    size_t old;
    void *result = allocate(size, ALIGNED);
    if (memory == NULL || result == NULL)
        return result;
    memcpy(&old, (char *)memory - sizeof old, sizeof old);
    return memcpy(result, memory, old < size ? old : size);
}

void *memalign(size_t alignment, size_t size) {
    return allocate(size, alignment);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return allocate(size, alignment);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    *result = allocate(size, alignment);
    return *result ? 0 : ENOMEM;
}

__attribute__((destructor)) static void report(void) {
    if (atomic_load(&allocations) == 0 || atomic_load(&failures) != 0)
        fact("malloc_failures", "%u of %u", atomic_load(&failures), atomic_load(&allocations));
}
