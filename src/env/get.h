/* getenv as libc's (array_get in array.h), with its beginning in line: a variable among the first is found in no more time
 * than by libc. For the hook of getenv; everybody else calls array_get.
 */
#ifndef RACESHIM_ENV_GET_H
#define RACESHIM_ENV_GET_H

#include "base/layout.h"
#include "env/array.h"
#include "env/index.h"
#include "env/name.h"

/* Not `environ`: see array.c. */
extern char **__environ;

/* So many slots are looked at before the index is: what is found there is found as fast as by libc. */
#define GET_FIRST 4
/* Where there is an index: from slot GET_FIRST of `base` on. */
char *get_further(const struct index *index, const char *name, uint16_t tag, char **base);
/* A walk went beyond INDEX_LEAST entries, to the one of this number. */
void get_passed_many(size_t count);

static inline char *get_load(char *const *slot) {
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static inline __attribute__((always_inline)) bool get_is(const char *entry, const char *name,
                                                         uint16_t tag, char **value) {
    return name_tag_of_entry(entry) == tag && (*value = name_value(entry, name));
}

/* Two entries at a time: processors remember the way out of a loop of so many turns, and not of twice as many. */
ALL_THE_TIME static inline char *get_walk(char **base, char **slot, const char *name,
                                          uint16_t tag) {
    char *entry, *value = NULL;
    for (;; slot += 2) {
        if (!(entry = get_load(slot)) || get_is(entry, name, tag, &value))
            break;
        if (!(entry = get_load(slot + 1)) || get_is(entry, name, tag, &value))
            break;
    }
    if (__builtin_expect(slot - base > INDEX_LEAST, 0))
        get_passed_many((size_t)(slot - base));
    return value;
}

ALL_THE_TIME static inline char *get_once(const char *name, uint16_t tag) {
    const struct index *index = atomic_load_explicit(&index_now, memory_order_acquire);
    char **base = __atomic_load_n(&__environ, __ATOMIC_ACQUIRE), *entry, *value;
    if (!base)
        return NULL;
    if (__builtin_expect(!index, 1))
        return get_walk(base, base, name, tag);
    for (char **slot = base; slot < base + GET_FIRST; slot++) {
        if (!(entry = get_load(slot)))
            return NULL;
        if (get_is(entry, name, tag, &value))
            return value;
    }
    return get_further(index, name, tag, base);
}

static inline char *get(const char *name) {
    if (!name[0])
        return NULL;
    uint16_t tag = name_tag(name);
    for (;;) {
        uint32_t losses = atomic_load_explicit(&array_losses, memory_order_acquire);
        char *value = get_once(name, tag);
        if (value || atomic_load_explicit(&array_losses, memory_order_acquire) == losses)
            return value;
    }
}

#endif
