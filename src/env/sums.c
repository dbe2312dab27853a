#include "env/sums.h"

#include <string.h>
#ifdef NAME_VECTORS
#include <cpuid.h>
#endif

void sums_add(struct sums *sums, char *const *slots) {
    for (int k = 0; k < SUMS_BLOCK; k++) {
        sums->s[k] += (uint64_t)__atomic_load_n(slots + k, __ATOMIC_ACQUIRE);
        sums->t[k] += sums->s[k];
    }
}

#ifdef NAME_SANITIZED
bool sums_agree_narrow(const struct sums *sums, char *const *slots, size_t blocks) {
    struct sums added = {{0}, {0}};
    for (size_t i = 0; i < blocks; i++)
        sums_add(&added, slots + i * SUMS_BLOCK);
    uint64_t differ = 0;
    for (int k = 0; k < SUMS_BLOCK; k++)
        differ |= (added.s[k] ^ __atomic_load_n(&sums->s[k], __ATOMIC_ACQUIRE)) |
                  (added.t[k] ^ __atomic_load_n(&sums->t[k], __ATOMIC_ACQUIRE));
    return differ == 0;
}
#else
/* With vectors of so many columns. */
#define DEFINE_AGREE(name, vector, width)                                                          \
    bool name(const struct sums *sums, char *const *slots, size_t blocks) {                        \
        enum { parts = SUMS_BLOCK / (width) };                                                     \
        vector s[parts] = {{0}}, t[parts] = {{0}}, part, differ = {0};                             \
        _Pragma("GCC unroll 4") for (; blocks > 0; blocks--) {                                     \
            for (int k = 0; k < parts; k++, slots += (width)) {                                    \
                memcpy(&part, slots, sizeof part);                                                 \
                s[k] += part;                                                                      \
                t[k] += s[k];                                                                      \
            }                                                                                      \
        }                                                                                          \
        for (int k = 0; k < parts; k++) {                                                          \
            memcpy(&part, sums->s + k * (width), sizeof part);                                     \
            differ |= s[k] ^ part;                                                                 \
            memcpy(&part, sums->t + k * (width), sizeof part);                                     \
            differ |= t[k] ^ part;                                                                 \
        }                                                                                          \
        uint64_t any = 0;                                                                          \
        for (int k = 0; k < (width); k++)                                                          \
            any |= differ[k];                                                                      \
        return any == 0;                                                                           \
    }

typedef uint64_t two_columns __attribute__((vector_size(16)));
DEFINE_AGREE(sums_agree_narrow, two_columns, 2)
#endif

#ifdef NAME_VECTORS
typedef uint64_t four_columns __attribute__((vector_size(32)));
__attribute__((target("avx2"))) DEFINE_AGREE(sums_agree_wide, four_columns, 4)

    bool sums_wide;

/* What compilers offer asks when the library is loaded, and under a hypervisor each question costs a microsecond. */
void sums_ask_processor(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2))
        sums_wide = true;
}
#endif
