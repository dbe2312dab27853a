#include "env/index.h"

#include "env/memory.h"
#include "env/name.h"
#include "env/strings.h"

#include <string.h>
#ifdef NAME_VECTORS
#include <cpuid.h>
#endif

/* Two sums over the pointers of a column, one slot of each block: s += pointer, t += s, as in Fletcher's checksum. They
 * stand for the pointers themselves, at half the memory to be read. A change of one slot in a column, or of two, is
 * always seen: d1 + d2 = 0 and n1 d1 + n2 d2 = 0 have no solution in differences of addresses. More changes would have
 * to meet two equations in 64 bits by accident, and that behind our calls: assignments to environ[i]. */
struct sums {
    uint64_t s[INDEX_BLOCK], t[INDEX_BLOCK];
};

struct index {
    _Atomic uint32_t generation;
    uint32_t capacity; /* entries, with room for the NULL */
    char **base;       /* what `environ` was; NULL: it says nothing */
    size_t count;
    uint32_t loose_count;
    uint32_t loose[INDEX_LOOSE]; /* ascending */
    uint16_t *tags;              /* 0: loose, or none */
    struct sums *sums;           /* of each block from slot INDEX_FROM on, and all before it */
};

struct index *_Atomic index_now;

#define CAPACITY_FIRST 256
/* Tags that are compared at once. */
#define STEP 32
#define BLOCK_OF(slot) (((slot)-INDEX_FROM) / INDEX_BLOCK)

/* Where fields are read many at once, or without saying so, the order is kept by fences. Sanitizers know none: there,
 * each is read with acquire and written with release. */
#ifdef NAME_SANITIZED
#define GET(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
#define SET(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
#define READ_IN_ORDER() ((void)0)
#define WRITE_IN_ORDER() ((void)0)
#else
#define GET(place) __atomic_load_n(place, __ATOMIC_RELAXED)
#define SET(place, value) __atomic_store_n(place, value, __ATOMIC_RELAXED)
#define READ_IN_ORDER() atomic_thread_fence(memory_order_acquire)
#define WRITE_IN_ORDER() atomic_thread_fence(memory_order_release)
#endif

/* Do the blocks from `slots` on, up to the last one, add up to what is known of them? In vectors of so many columns. */
#define DEFINE_AGREE(name, vector, width)                                                          \
    static bool name(const struct sums *wanted, char *const *slots, size_t last_block) {           \
        enum { parts = INDEX_BLOCK / (width) };                                                    \
        vector s[parts] = {{0}}, t[parts] = {{0}}, part, differ = {0};                             \
        for (size_t i = 0; i <= last_block; i++)                                                   \
            for (int k = 0; k < parts; k++) {                                                      \
                memcpy(&part, slots + i * INDEX_BLOCK + k * (width), sizeof part);                 \
                s[k] += part;                                                                      \
                t[k] += s[k];                                                                      \
            }                                                                                      \
        for (int k = 0; k < parts; k++) {                                                          \
            memcpy(&part, wanted[last_block].s + k * (width), sizeof part);                        \
            differ |= s[k] ^ part;                                                                 \
            memcpy(&part, wanted[last_block].t + k * (width), sizeof part);                        \
            differ |= t[k] ^ part;                                                                 \
        }                                                                                          \
        uint64_t any = 0;                                                                          \
        for (int k = 0; k < (width); k++)                                                          \
            any |= differ[k];                                                                      \
        return any == 0;                                                                           \
    }

static void add_block(struct sums *sums, char *const *slots) {
    for (int k = 0; k < INDEX_BLOCK; k++) {
        sums->s[k] += (uint64_t)__atomic_load_n(slots + k, __ATOMIC_ACQUIRE);
        sums->t[k] += sums->s[k];
    }
}

#ifdef NAME_SANITIZED
static bool agree(const struct sums *wanted, char *const *slots, size_t last_block) {
    struct sums sums = {{0}, {0}};
    for (size_t i = 0; i <= last_block; i++)
        add_block(&sums, slots + i * INDEX_BLOCK);
    uint64_t differ = 0;
    for (int k = 0; k < INDEX_BLOCK; k++)
        differ |= (sums.s[k] ^ GET(&wanted[last_block].s[k])) |
                  (sums.t[k] ^ GET(&wanted[last_block].t[k]));
    return differ == 0;
}
#else
typedef uint64_t two_columns __attribute__((vector_size(16)));
DEFINE_AGREE(agree, two_columns, 2)
#endif

#ifdef NAME_VECTORS
typedef uint64_t four_columns __attribute__((vector_size(32)));
__attribute__((target("avx2"))) DEFINE_AGREE(agree_wide, four_columns, 4)

    /* Set before there is an index. Asked of the processor itself: what compilers offer asks when the library is loaded, and
 * under a hypervisor that costs as much as all the rest of loading. */
    static bool wide;

static void ask_processor(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    wide = (low & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}
#else
#define wide false
#define agree_wide agree
static void ask_processor(void) {
}
#endif

/* find_tag: the first slot from `at` on, a multiple of 8, that has this tag and this name; `count` if there is none. The
 * array's own pointers are looked at, so that it is nothing that libc would not look at; there may be fewer by now. */
static inline char *value_at(char *const *slot, const char *name, uint16_t tag) {
    const char *entry = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    return entry && name_tag_of_entry(entry) == tag ? name_value(entry, name) : NULL;
}

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

static inline size_t find_tag(const struct index *index, char *const *base, size_t count,
                              const char *name, uint16_t tag, char **value) {
    const __m128i wanted = _mm_set1_epi16((short)tag);
    for (size_t at = INDEX_FROM; at < count; at += STEP)
        for (uint32_t bits = tags_equal(index->tags + at, wanted); bits; bits &= bits - 1) {
            size_t found = at + (unsigned)__builtin_ctz(bits);
            if (found < count && (*value = value_at(base + found, name, tag)))
                return found;
        }
    return count;
}
#else
static size_t find_tag(const struct index *index, char *const *base, size_t count, const char *name,
                       uint16_t tag, char **value) {
    for (size_t at = INDEX_FROM; at < count; at++)
        if (GET(&index->tags[at]) == tag && (*value = value_at(base + at, name, tag)))
            return at;
    return count;
}
#endif

/* A string of the program's in front of what was found, or anywhere: at which slot. */
static size_t find_loose(const struct index *index, char **base, size_t before, const char *name,
                         uint16_t tag, char **value) {
    uint32_t count = GET(&index->loose_count);
    for (uint32_t i = 0; i < count && i < INDEX_LOOSE; i++) {
        size_t at = GET(&index->loose[i]);
        if (at >= before)
            break;
        char *found = value_at(base + at, name, tag);
        if (found) {
            *value = found;
            return at;
        }
    }
    return before;
}

static inline bool is_right(const struct index *index, char *const *base, size_t to) {
    char *const *from = base + INDEX_FROM;
    return wide ? agree_wide(index->sums, from, BLOCK_OF(to))
                : agree(index->sums, from, BLOCK_OF(to));
}

/* What is read of a changing index is anything that was ever in it, and is not believed; but base and count must belong
 * together before the array is read that far. */
bool index_find(const struct index *index, char **base, const char *name, uint16_t tag,
                char **value) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_acquire);
    char **indexed = GET(&index->base);
    size_t count = GET(&index->count);
    READ_IN_ORDER();
    if (generation % 2 != 0 || indexed != base ||
        atomic_load_explicit(&index->generation, memory_order_relaxed) != generation)
        return false;
    char *found = NULL;
    size_t at = find_tag(index, base, count, name, tag, &found);
    if (GET(&index->loose_count) != 0)
        at = find_loose(index, base, at, name, tag, &found);
    /* Where nothing was found, that includes the NULL. */
    if (at >= INDEX_FROM && !is_right(index, base, at))
        return false;
    READ_IN_ORDER();
    if (atomic_load_explicit(&index->generation, memory_order_relaxed) != generation)
        return false;
    *value = found;
    return true;
}

static void begin(struct index *index) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_relaxed);
    atomic_store_explicit(&index->generation, generation | 1, memory_order_release);
    WRITE_IN_ORDER();
}

static void end(struct index *index) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_relaxed);
    atomic_store_explicit(&index->generation, generation + 1, memory_order_release);
}

#define LINE 64
#define WHOLE_LINES(size) (((size) + LINE - 1) / LINE * LINE)

/* The last step may go beyond the tags of all slots. */
static struct index *make(size_t count) {
    size_t capacity = CAPACITY_FIRST;
    while (capacity <= count)
        capacity *= 2;
    if (capacity > UINT32_MAX)
        return NULL;
    size_t tags = WHOLE_LINES((capacity + STEP) * sizeof(uint16_t));
    size_t sums = (BLOCK_OF(capacity) + 1) * sizeof(struct sums);
    char *memory = env_memory(tags + sums + sizeof(struct index));
    if (!memory)
        return NULL;
    struct index *index = (struct index *)(memory + tags + sums);
    index->capacity = (uint32_t)capacity;
    index->tags = (uint16_t *)memory;
    index->sums = (struct sums *)(memory + tags);
    ask_processor();
    return index;
}

/* False: too many are loose. */
static bool set_tag(struct index *index, size_t at, const char *entry) {
    if (name_lies_in(&name_kernel, entry) || strings_has(entry)) {
        SET(&index->tags[at], name_tag_of_entry(entry));
        return true;
    }
    SET(&index->tags[at], 0);
    uint32_t i = index->loose_count;
    if (i == INDEX_LOOSE)
        return false;
    for (; i > 0 && index->loose[i - 1] > at; i--)
        SET(&index->loose[i], index->loose[i - 1]);
    SET(&index->loose[i], (uint32_t)at);
    SET(&index->loose_count, index->loose_count + 1);
    return true;
}

/* From the block of this slot on to that of the NULL. */
static void add_up(struct index *index, char *const *base, size_t from) {
    struct sums sums = {{0}, {0}};
    size_t i = from > INDEX_FROM ? BLOCK_OF(from) : 0;
    if (i > 0)
        sums = index->sums[i - 1];
    for (; i <= BLOCK_OF(index->count); i++) {
        add_block(&sums, base + INDEX_FROM + i * INDEX_BLOCK);
        for (int k = 0; k < INDEX_BLOCK; k++) {
            SET(&index->sums[i].s[k], sums.s[k]);
            SET(&index->sums[i].t[k], sums.t[k]);
        }
    }
}

static bool fill(struct index *index, char **base, size_t count) {
    SET(&index->loose_count, 0);
    for (size_t i = 0; i < count; i++)
        if (!set_tag(index, i, __atomic_load_n(base + i, __ATOMIC_ACQUIRE)))
            return false;
    for (size_t i = count; i < index->capacity; i++)
        SET(&index->tags[i], 0);
    SET(&index->count, count);
    add_up(index, base, 0);
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

bool index_is_for(char *const *base) {
    const struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    return index && index->base == base && is_right(index, base, index->count);
}

static void forget_loose(struct index *index, size_t at) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < index->loose_count; i++)
        if (index->loose[i] != at)
            SET(&index->loose[kept++], index->loose[i]);
    SET(&index->loose_count, kept);
}

/* An array whose NULL is not where it was is another one. */
void index_put(char **base, size_t at, char *entry, bool added) {
    struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    begin(index);
    bool fits = added ? at == index->count && at + 1 < index->capacity : at < index->count;
    if (fits) {
        if (added)
            SET(&index->count, at + 1);
        else if (index->tags[at] == 0)
            forget_loose(index, at);
        fits = set_tag(index, at, entry);
        add_up(index, base, at);
    }
    if (!fits)
        SET(&index->base, NULL);
    end(index);
}

void index_drop(void) {
    struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    if (!index || (!index->base && index->generation % 2 == 0))
        return;
    begin(index);
    SET(&index->base, NULL);
    end(index);
}
