#include "base/real.h"

#include "base/symbol.h"

#include <stddef.h>
#include <stdint.h>

void *real_slots[REAL_COUNT];

/* One string after the other and where each begins: an array of pointers would be relocated in
 * every process. */
static const struct names {
#define CALL(name) char name[sizeof #name];
#include "base/calls.h"
} names = {
#define CALL(name) #name,
#include "base/calls.h"
};

static const uint16_t name_at[REAL_COUNT] = {
#define CALL(name) offsetof(struct names, name),
#include "base/calls.h"
};

void *real_resolve(enum real_index index) {
    void *found = symbol_next((const char *)&names + name_at[index]);
    __atomic_store_n(&real_slots[index], found, __ATOMIC_RELAXED);
    return found;
}

int real_exists(enum real_index index) {
    return real_slot(index) != NULL;
}
