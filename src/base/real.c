#include "base/real.h"

#include <dlfcn.h>

void *real_slots[REAL_COUNT];

static const char *const names[REAL_COUNT] = {
#define CALL(name) [REAL_##name] = #name,
#include "base/calls.h"
};

static const unsigned char eager[REAL_COUNT] = {
#define CALL(name) [REAL_##name] = 1,
#define CALL_LAZY(name)
#define CALL_SINCE(name) [REAL_##name] = 1,
#include "base/calls.h"
};

void *real_resolve(enum real_index index) {
    void *found = dlsym(RTLD_NEXT, names[index]);
    __atomic_store_n(&real_slots[index], found, __ATOMIC_RELAXED);
    return found;
}

int real_exists(enum real_index index) {
    return real_slot(index) != NULL;
}

void real_resolve_all(void) {
    for (int i = 0; i < REAL_COUNT; i++)
        if (eager[i])
            real_resolve((enum real_index)i);
}
