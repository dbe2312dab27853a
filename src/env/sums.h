/* Two sums over the pointers of a column of the array, one slot of each block of eight: s += pointer, t += s, as in
 * Fletcher's checksum. They stand for the pointers themselves, at half the memory to be read.
 *
 * A change of one slot in a column, or of two, is always seen: d1 + d2 = 0 and n1 d1 + n2 d2 = 0 have no solution in
 * differences of addresses. More changes would have to meet two equations in 64 bits by accident, and that behind our
 * calls: by assignments to environ[i].
 *
 * Pure and async-signal-safe.
 */
#ifndef RACESHIM_ENV_SUMS_H
#define RACESHIM_ENV_SUMS_H

#include "env/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUMS_BLOCK 8

struct sums {
    uint64_t s[SUMS_BLOCK], t[SUMS_BLOCK];
};

/* Adds the eight slots. */
void sums_add(struct sums *sums, char *const *slots);

bool sums_agree_narrow(const struct sums *sums, char *const *slots, size_t blocks);
#ifdef NAME_VECTORS
bool sums_agree_wide(const struct sums *sums, char *const *slots, size_t blocks);
/* Has the processor wide vectors? Asked once, when somebody is going to add. */
extern bool sums_wide;
void sums_ask_processor(void);
#else
#define sums_wide false
#define sums_agree_wide sums_agree_narrow
static inline void sums_ask_processor(void) {
}
#endif

/* Are these the sums of so many blocks, at least one? */
static inline bool sums_agree(const struct sums *sums, char *const *slots, size_t blocks) {
    return __builtin_expect(sums_wide, 1) ? sums_agree_wide(sums, slots, blocks)
                                          : sums_agree_narrow(sums, slots, blocks);
}

#endif
