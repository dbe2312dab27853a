#include "env/index.h"

#include "env/memory.h"
#include "env/name.h"
#include "env/strings.h"

#include <string.h>

struct index *_Atomic index_now;

/* Guarded by env_lock: what becomes of index_now. */

#define CAPACITY_FIRST 256
/* Tags that are compared at once. */
#define STEP 32

/* The order of loads is the processor's and the compiler's business where the fields are read many at once: x86 keeps
 * it. Elsewhere each is read with acquire. */
#ifdef NAME_VECTORS
#define GET(place) (*(place))
#define SET(place, value) (*(place) = (value))
#define IN_ORDER() atomic_signal_fence(memory_order_seq_cst)
#else
#define GET(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
#define SET(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
#define IN_ORDER() ((void)0)
#endif

static bool is_odd(uint32_t generation) {
    return generation & 1;
}

/* find_tag: the first slot from `at` on, a multiple of 8, that has this tag and this name; `count` if there is none. */
#ifdef NAME_VECTORS
/* A bit for each of STEP tags. */
static inline uint32_t tags_equal(const uint16_t *tags, __m128i wanted) {
    const __m128i *at = (const __m128i *)tags;
    __m128i first = _mm_packs_epi16(_mm_cmpeq_epi16(wanted, _mm_load_si128(at)),
                                    _mm_cmpeq_epi16(wanted, _mm_load_si128(at + 1)));
    __m128i second = _mm_packs_epi16(_mm_cmpeq_epi16(wanted, _mm_load_si128(at + 2)),
                                     _mm_cmpeq_epi16(wanted, _mm_load_si128(at + 3)));
    return (uint32_t)_mm_movemask_epi8(first) | (uint32_t)_mm_movemask_epi8(second) << 16;
}

static inline size_t find_tag(const struct index *index, size_t at, size_t count, const char *name,
                              uint16_t tag, char **value) {
    const __m128i wanted = _mm_set1_epi16((short)tag);
    for (; at < count; at += STEP)
        for (uint32_t bits = tags_equal(index->tags + at, wanted); bits; bits &= bits - 1) {
            size_t found = at + (unsigned)__builtin_ctz(bits);
            const char *entry =
                found < count ? __atomic_load_n(&index->shadow[found], __ATOMIC_RELAXED) : NULL;
            *value = entry ? name_value(entry, name) : NULL;
            if (*value)
                return found;
        }
    return count;
}

static bool same_pointers(char *const *one, char *const *other, size_t count) {
    return memcmp(one, other, count * sizeof(char *)) == 0;
}
#else
static size_t find_tag(const struct index *index, size_t at, size_t count, const char *name,
                       uint16_t tag, char **value) {
    for (; at < count; at++)
        if (GET(&index->tags[at]) == tag) {
            const char *entry = GET(&index->shadow[at]);
            *value = entry ? name_value(entry, name) : NULL;
            if (*value)
                return at;
        }
    return count;
}

static bool same_pointers(char *const *one, char *const *other, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (GET(&one[i]) != GET(&other[i]))
            return false;
    return true;
}
#endif

/* A string of the program's in front of what was found, or anywhere: at which slot. SIZE_MAX: one is there no more, and
 * may not be looked at. */
static size_t find_loose(const struct index *index, char **base, size_t before, const char *name,
                         uint16_t tag, char **value) {
    uint32_t count = GET(&index->loose_count);
    for (uint32_t i = 0; i < count && i < INDEX_LOOSE; i++) {
        size_t at = GET(&index->loose[i]);
        if (at >= before)
            break;
        const char *entry = __atomic_load_n(base + at, __ATOMIC_ACQUIRE);
        if (!entry || entry != GET(&index->shadow[at]))
            return SIZE_MAX;
        char *found = name_tag_of_entry(entry) == tag ? name_value(entry, name) : NULL;
        if (found) {
            *value = found;
            return at;
        }
    }
    return before;
}

/* What is read of a changing index is anything that was ever in it, and is not believed; but base and count must belong
 * together before the array is read that far. */
bool index_find(const struct index *index, char **base, const char *name, uint16_t tag,
                char **value) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_acquire);
    IN_ORDER();
    char **indexed = GET(&index->base);
    size_t count = GET(&index->count);
    IN_ORDER();
    if (is_odd(generation) || indexed != base ||
        atomic_load_explicit(&index->generation, memory_order_acquire) != generation)
        return false;
    char *found = NULL;
    size_t at = find_tag(index, INDEX_FROM, count, name, tag, &found);
    if (GET(&index->loose_count) != 0)
        at = find_loose(index, base, at, name, tag, &found);
    /* Where nothing was found, that includes the NULL. */
    if (at == SIZE_MAX ||
        (at >= INDEX_FROM &&
         !same_pointers(base + INDEX_FROM, index->shadow + INDEX_FROM, at + 1 - INDEX_FROM)))
        return false;
    IN_ORDER();
    if (atomic_load_explicit(&index->generation, memory_order_acquire) != generation)
        return false;
    *value = found;
    return true;
}

static bool is_loose(const char *entry) {
    return !name_lies_in(&name_kernel, entry) && !strings_has(entry);
}

static void begin(struct index *index) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_relaxed);
    atomic_store_explicit(&index->generation, generation | 1, memory_order_release);
    IN_ORDER();
}

static void end(struct index *index) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_relaxed);
    IN_ORDER();
    atomic_store_explicit(&index->generation, generation + 1, memory_order_release);
}

static struct index *make(size_t count) {
    size_t capacity = CAPACITY_FIRST;
    while (capacity <= count)
        capacity *= 2;
    if (capacity > UINT32_MAX)
        return NULL;
    /* The tags come first, because they want the most alignment. The last step may go beyond them. */
    size_t tags = (capacity + STEP) * sizeof(uint16_t);
    char *memory = env_memory(tags + (capacity + 1) * sizeof(char *) + sizeof(struct index));
    if (!memory)
        return NULL;
    char **shadow = (char **)(memory + tags);
    struct index *index = (struct index *)(shadow + capacity + 1);
    index->capacity = (uint32_t)capacity;
    index->tags = (uint16_t *)memory;
    index->shadow = shadow;
    return index;
}

/* False: too many are loose. */
static bool set_slot(struct index *index, size_t at, char *entry) {
    bool loose = is_loose(entry);
    SET(&index->tags[at], 0);
    SET(&index->shadow[at], entry);
    if (!loose) {
        SET(&index->tags[at], name_tag_of_entry(entry));
        return true;
    }
    if (index->loose_count == INDEX_LOOSE)
        return false;
    SET(&index->loose[index->loose_count], (uint32_t)at);
    SET(&index->loose_count, index->loose_count + 1);
    return true;
}

static bool fill(struct index *index, char **base, size_t count) {
    SET(&index->loose_count, 0);
    for (size_t i = 0; i < count; i++)
        if (!set_slot(index, i, __atomic_load_n(base + i, __ATOMIC_ACQUIRE)))
            return false;
    for (size_t i = count; i < index->capacity; i++)
        SET(&index->tags[i], 0);
    SET(&index->shadow[count], NULL);
    SET(&index->count, count);
    return true;
}

bool index_build(char **base, size_t count) {
    struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    if (count <= INDEX_LEAST)
        return false;
    if (!index || count >= index->capacity) {
        index_drop();
        index = make(count);
        if (!index)
            return false;
    }
    begin(index);
    bool done = fill(index, base, count);
    SET(&index->base, done ? base : NULL);
    end(index);
    atomic_store_explicit(&index_now, index, memory_order_release);
    return done;
}

static void forget_loose(struct index *index, size_t at) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < index->loose_count; i++)
        if (index->loose[i] != at)
            SET(&index->loose[kept++], index->loose[i]);
    SET(&index->loose_count, kept);
}

static void sort_loose(struct index *index) {
    for (uint32_t i = index->loose_count; i-- > 1 && index->loose[i - 1] > index->loose[i];) {
        uint32_t later = index->loose[i - 1];
        SET(&index->loose[i - 1], index->loose[i]);
        SET(&index->loose[i], later);
    }
}

void index_put(char **base, size_t at, char *entry) {
    struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    if (!index || index->base != base)
        return;
    begin(index);
    bool fits = at <= index->count && at < index->capacity;
    if (fits) {
        if (at == index->count) {
            SET(&index->shadow[at + 1], NULL);
            SET(&index->count, at + 1);
        } else if (index->tags[at] == 0) {
            forget_loose(index, at);
        }
        fits = set_slot(index, at, entry);
        sort_loose(index);
    }
    if (!fits)
        SET(&index->base, NULL);
    end(index);
}

void index_drop(void) {
    struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    if (!index || (!index->base && !is_odd(index->generation)))
        return;
    begin(index);
    SET(&index->base, NULL);
    end(index);
}
