/* What takes memory away: user_memory.h remembers pages that could be read. */
#include "hooks/hook.h"

#include "base/user_memory.h"

#include <stdarg.h>
#include <sys/mman.h>

HOOK int munmap(void *address, size_t length) {
    user_memory_forget();
    return real(munmap)(address, length);
}

HOOK int mprotect(void *address, size_t length, int protection) {
    user_memory_forget();
    return real(mprotect)(address, length, protection);
}

HOOK void *mremap(void *address, size_t old_length, size_t length, int flags, ...) {
    va_list list;
    va_start(list, flags);
    void *wanted = va_arg(list, void *);
    va_end(list);
    user_memory_forget();
    return real(mremap)(address, old_length, length, flags, wanted);
}

HOOK void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    if (flags & MAP_FIXED)
        user_memory_forget();
    return real(mmap)(address, length, protection, flags, fd, offset);
}

HOOK void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    if (flags & MAP_FIXED)
        user_memory_forget();
    return real(mmap64)(address, length, protection, flags, fd, offset);
}
