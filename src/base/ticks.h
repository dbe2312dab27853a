/* A counter of time that costs no system call: is a moment ago still a moment ago?
 *
 * A descriptor's number can be closed and opened again by system calls that no hook sees. A look at
 * the descriptor (fstat) finds out, but costs half a lock. It is left out only while fewer than
 * TICKS_MOMENT have passed since the number's last use: a close and an open are two system calls,
 * for which that is too short on any machine.
 */
#ifndef RACESHIM_BASE_TICKS_H
#define RACESHIM_BASE_TICKS_H

#include <stdint.h>

#if defined(__x86_64__)
/* 1 to 5 GHz: 80 to 400 ns. */
#define TICKS_MOMENT 400
static inline uint64_t ticks_now(void) {
    return __builtin_ia32_rdtsc();
}
#else
#define TICKS_MOMENT 0 /* always look */
static inline uint64_t ticks_now(void) {
    return 0;
}
#endif

#endif
