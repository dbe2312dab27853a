#include "base/user_memory.h"

#include "base/sys.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#define PAGE_BITS 12
#define PAGES 64

/* Pages that were found readable, each where its number says. A lost race costs a look. */
static _Atomic uintptr_t readable[PAGES];
_Atomic uint32_t user_memory_seen;

/* A place holds the page's number and one more, so that an empty one is no page. */
static bool seen(_Atomic uintptr_t *pages, uintptr_t page) {
    return atomic_load_explicit(&pages[page % PAGES], memory_order_relaxed) == page + 1;
}

static void mark_seen(_Atomic uintptr_t *pages, uintptr_t page) {
    atomic_store_explicit(&pages[page % PAGES], page + 1, memory_order_relaxed);
    atomic_store_explicit(&user_memory_seen, 1, memory_order_relaxed);
}

/* The kernel copies the event before it finds that there is no such epoll descriptor. A filter that
 * forbids the call leaves it unknown: then the memory is not touched. */
static bool kernel_reads(const void *pointer) {
    return sys_call6(SYS_epoll_ctl, -1, EPOLL_CTL_ADD, -1, (long)pointer, 0, 0) == -EBADF;
}

/* The kernel writes the current signal mask there. */
static bool kernel_writes(void *pointer) {
    return sys_call6(SYS_rt_sigprocmask, SIG_SETMASK, 0, (long)pointer, SYS_SIGSET_BYTES, 0, 0) ==
           0;
}

#define EVENT_BYTES sizeof(struct epoll_event)

bool user_readable_slow(const void *pointer, size_t size) {
    uintptr_t first = (uintptr_t)pointer >> PAGE_BITS;
    uintptr_t last = ((uintptr_t)pointer + size - 1) >> PAGE_BITS;
    if (seen(readable, first) && (first == last || seen(readable, last)))
        return true;
    if (!kernel_reads(pointer) || !kernel_reads((const char *)pointer + size - EVENT_BYTES))
        return false;
    mark_seen(readable, first);
    mark_seen(readable, last);
    return true;
}

/* Never remembered: an answer is rare, and a store to memory that may only be read is a crash. */
bool user_writable_slow(void *pointer, size_t size) {
    return kernel_writes(pointer) && kernel_writes((char *)pointer + size - SYS_SIGSET_BYTES);
}

void user_memory_forget_slow(void) {
    for (int i = 0; i < PAGES; i++)
        atomic_store_explicit(&readable[i], 0, memory_order_relaxed);
    atomic_store_explicit(&user_memory_seen, 0, memory_order_relaxed);
}
