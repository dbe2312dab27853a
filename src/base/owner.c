#include "base/owner.h"

#include "base/sys.h"

__thread int32_t owner_borrowed;
__thread pid_t owner_tid_cache;

pid_t owner_tid_ask(void) {
    return owner_tid_cache = sys_gettid();
}

void owner_after_fork(void) {
    owner_borrowed = 0;
    owner_tid_cache = sys_gettid();
}
