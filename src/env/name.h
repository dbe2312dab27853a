/* Is this the entry of that name? As libc answers: the bytes of the name, up to its end and before any end of the entry,
 * and then a '='.
 *
 * An entry is first told from others by its tag, the first two bytes: one compare, as in libc. A string of one byte is
 * read one byte too far for that, as libc did for decades.
 */
#ifndef RACESHIM_ENV_NAME_H
#define RACESHIM_ENV_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NAME_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NAME_SANITIZED
#endif

/* Many bytes at a time; sanitizers would take it for a mistake. */
#if defined(__SSE2__) && !defined(NAME_SANITIZED)
#define NAME_VECTORS
#include <emmintrin.h>
#endif

/* Memory in which one may read a few bytes before and behind a string, within its page, without anybody's taking it for
 * a mistake: the kernel's strings (all zero before the library is loaded), and the first chunk of ours. Each is set
 * once. */
struct name_memory {
    uintptr_t begin;
    size_t size;
};
extern struct name_memory name_kernel, name_ours;

static inline bool name_lies_in(const struct name_memory *memory, const char *entry) {
    return (uintptr_t)entry - memory->begin < memory->size;
}

static inline uint16_t name_tag_of_entry(const char *entry) {
    uint16_t tag;
    __builtin_memcpy(&tag, entry, sizeof tag);
    return tag;
}

/* Of a name that is not empty: never 0. */
static inline uint16_t name_tag(const char *name) {
    const char short_name[2] = {name[0], '='};
    return name_tag_of_entry(name[1] ? name : short_name);
}

/* For a name that need not be followed by a NUL; no byte of it is one. */
static inline bool name_is(const char *entry, const char *name, size_t length) {
    size_t i = 0;
    while (i < length && entry[i] == name[i])
        i++;
    return i == length && entry[i] == '=';
}

static inline char *name_value_by_bytes(const char *entry, const char *name) {
    size_t i = 2;
    while (name[i] && entry[i] == name[i])
        i++;
    return !name[i] && entry[i] == '=' ? (char *)entry + i + 1 : NULL;
}

#ifdef NAME_VECTORS
#define NAME_PAGE 4096
#define NAME_STEP 16

/* The name is read in aligned pieces, which cannot leave its memory; the entry in pieces at the same distance from its
 * beginning, as long as they do not leave the page. */
static inline __attribute__((always_inline)) char *name_value_by_pieces(const char *entry,
                                                                        const char *name) {
    size_t lead = (uintptr_t)name % NAME_STEP;
    unsigned counts = 0xffffu << lead;
    for (const char *at = name - lead, *in = entry - lead;; at += NAME_STEP, in += NAME_STEP) {
        if (__builtin_expect((uintptr_t)in % NAME_PAGE > NAME_PAGE - NAME_STEP, 0))
            return name_value_by_bytes(entry, name);
        __m128i piece = _mm_load_si128((const __m128i *)at);
        __m128i other = _mm_loadu_si128((const __m128i *)in);
        unsigned equal = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(piece, other));
        unsigned ends = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(piece, _mm_setzero_si128()));
        unsigned stops = (~equal | ends) & counts & 0xffffu;
        if (__builtin_expect(stops != 0, 1)) {
            unsigned i = (unsigned)__builtin_ctz(stops);
            return ends >> i & 1 && in[i] == '=' ? (char *)in + i + 1 : NULL;
        }
        counts = 0xffffu;
    }
}
#endif

/* The entry's value, if it is of that name; the tags are equal. */
static inline __attribute__((always_inline)) char *name_value(const char *entry, const char *name) {
    if (__builtin_expect(!name[1], 0))
        return (char *)entry + 2;
#ifdef NAME_VECTORS
    if (__builtin_expect(name_lies_in(&name_kernel, entry), 1) || name_lies_in(&name_ours, entry))
        return name_value_by_pieces(entry, name);
#endif
    return name_value_by_bytes(entry, name);
}

#endif
