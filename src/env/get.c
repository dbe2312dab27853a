/* getenv. Why it may walk beside any number of writers is proved in array.c. */
#include "env/get.h"

#include "base/sys.h"
#include "env/lock.h"
#include "env/strings.h"

/* One call, or what each saves on the stack would take a fourth of the time. */
#define INLINE inline __attribute__((always_inline))

/* What the index knows of a name. */
enum known { FOUND, MISSING, UNKNOWN };

/* In the slots before, walking is as fast. */
#define NEAR 32

/* The entry in a slot whose tag is the name's. It is read only if it is a string that nobody frees: another one would be
 * read by libc too, unless the program has put a NULL before it. */
static INLINE enum known look_at(char *const *slot, const char *name, uint16_t tag, char **value) {
    const char *entry = get_load(slot);
    if (!name_lies_in(&name_kernel, entry) && !name_lies_in(&name_ours, entry) &&
        !strings_has(entry))
        return UNKNOWN;
    *value = name_tag_of_entry(entry) == tag ? name_value(entry, name) : NULL;
    return *value ? FOUND : MISSING;
}

/* find_tag: the first slot that has this tag, and this name; FOUND or MISSING holds if the index is right. */
#ifdef NAME_VECTORS
/* A bit for each of INDEX_STEP tags. */
static inline uint32_t tags_equal(const uint16_t *tags, __m128i wanted) {
    const __m128i *at = (const __m128i *)tags;
    __m128i first = _mm_packs_epi16(_mm_cmpeq_epi16(wanted, _mm_load_si128(at)),
                                    _mm_cmpeq_epi16(wanted, _mm_load_si128(at + 1)));
    __m128i second = _mm_packs_epi16(_mm_cmpeq_epi16(wanted, _mm_load_si128(at + 2)),
                                     _mm_cmpeq_epi16(wanted, _mm_load_si128(at + 3)));
    return (uint32_t)_mm_movemask_epi8(first) | (uint32_t)_mm_movemask_epi8(second) << 16;
}

/* Behind slot *at. */
ALL_THE_TIME static __attribute__((noinline)) enum known
find_tag_behind(const struct index *index, char *const *base, size_t count, const char *name,
                uint16_t tag, size_t *at, char **value) {
    const __m128i wanted = _mm_set1_epi16((short)tag);
    size_t next = *at + 1;
    uint32_t counts = UINT32_MAX << next % INDEX_STEP;
    for (size_t from = next - next % INDEX_STEP; from < count; from += INDEX_STEP) {
        uint32_t bits = tags_equal(index->tags + from, wanted) & counts;
        for (counts = UINT32_MAX; bits; bits &= bits - 1) {
            *at = from + (unsigned)__builtin_ctz(bits);
            if (*at >= count)
                return UNKNOWN;
            enum known known = look_at(base + *at, name, tag, value);
            if (known != MISSING)
                return known;
        }
    }
    *at = count;
    return MISSING;
}

static INLINE enum known find_tag(const struct index *index, char *const *base, size_t count,
                                  const char *name, uint16_t tag, size_t *at, char **value) {
    *at = INDEX_GET(&index->first[INDEX_CLASS(tag)]);
    if (*at >= count) {
        *at = count;
        return MISSING;
    }
    enum known known = look_at(base + *at, name, tag, value);
    return __builtin_expect(known != MISSING, 1)
               ? known
               : find_tag_behind(index, base, count, name, tag, at, value);
}
#else
static enum known find_tag(const struct index *index, char *const *base, size_t count,
                           const char *name, uint16_t tag, size_t *at, char **value) {
    for (*at = INDEX_GET(&index->first[INDEX_CLASS(tag)]); *at < count; ++*at) {
        if (INDEX_GET(&index->tags[*at]) != tag)
            continue;
        enum known known = look_at(base + *at, name, tag, value);
        if (known != MISSING)
            return known;
    }
    *at = count;
    return MISSING;
}
#endif

/* A string of the program's in front of what was found. The slots are what they were, so libc would read it too. */
__attribute__((noinline)) static char *find_loose(const struct index *index, char **base,
                                                  size_t before, const char *name, uint16_t tag) {
    uint32_t count = INDEX_GET(&index->loose_count);
    for (uint32_t i = 0; i < count && i < INDEX_LOOSE; i++) {
        size_t at = INDEX_GET(&index->loose[i]);
        if (at >= before)
            break;
        const char *entry = get_load(base + at);
        char *found = entry && name_tag_of_entry(entry) == tag ? name_value(entry, name) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

/* What is read of a changing index is anything that was ever in it, and is not believed;
 * but base and count must belong together before the array is read that far. */
static INLINE enum known ask_index(const struct index *index, char **base, const char *name,
                                   uint16_t tag, char **value) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_acquire);
    char **indexed = INDEX_GET(&index->base);
    size_t count = INDEX_GET(&index->count);
    INDEX_READ();
    if (generation % 2 != 0 || indexed != base ||
        atomic_load_explicit(&index->generation, memory_order_relaxed) != generation)
        return UNKNOWN;
    size_t at = count;
    char *found = NULL, *loose;
    enum known known = find_tag(index, base, count, name, tag, &at, &found);
    /* Where nothing was found, that includes the NULL. */
    size_t blocks = INDEX_BLOCKS_TO(at);
    if (known == UNKNOWN || at < NEAR || !sums_agree(&index->sums[blocks - 1], base, blocks))
        return UNKNOWN;
    if (__builtin_expect(INDEX_GET(&index->loose_count) != 0, 0) &&
        (loose = find_loose(index, base, at, name, tag))) {
        known = FOUND;
        found = loose;
    }
    INDEX_READ();
    if (atomic_load_explicit(&index->generation, memory_order_relaxed) != generation)
        return UNKNOWN;
    *value = found;
    return known;
}

/* How many entries this thread has passed in long walks since it last asked for an index; less than 0: since it was told
 * that there can be none. */
static __thread int32_t passed __attribute__((tls_model("initial-exec")));

#define PASSED_PER_ENTRY 16
#define PASSED_IN_VAIN (1 << 18)

/* An index costs about as much as looking at each entry a few times. Signals are blocked so that no handler of this thread
 * finds the lock held by it. */
void get_passed_many(size_t count) {
    passed += count < PASSED_IN_VAIN ? (int32_t)count : PASSED_IN_VAIN;
    if (passed < 0 || (size_t)passed < PASSED_PER_ENTRY * count)
        return;
    struct sys_sigset saved;
    sys_block_signals(&saved);
    if (env_lock_try()) {
        passed = array_index() ? 0 : -PASSED_IN_VAIN;
        env_unlock();
    }
    sys_restore_signals(&saved);
}

ALL_THE_TIME char *get_further(const struct index *index, const char *name, uint16_t tag,
                               char **base) {
    char *value = NULL;
    return ask_index(index, base, name, tag, &value) != UNKNOWN
               ? value
               : get_walk(base, base + GET_FIRST, name, tag);
}

char *array_get(const char *name) {
    return get(name);
}
