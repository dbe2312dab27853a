#include "base/owner.h"

#include "base/sys.h"

__thread int32_t owner_borrowed;
__thread uint32_t owner_held_signals;
__thread pid_t owner_tid_cache;

_Atomic pid_t owner_lender;

void owner_lend_memory(void) {
    atomic_store(&owner_lender, sys_getpid());
}

bool owner_is_guest_slow(void) {
    return sys_getpid() != atomic_load(&owner_lender);
}

pid_t owner_tid_ask(void) {
    return owner_tid_cache = sys_gettid();
}

void owner_after_fork(void) {
    owner_borrowed = 0;
    atomic_store(&owner_lender, 0);
    owner_tid_cache = 0;
}
