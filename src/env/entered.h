/* Scopes that a program enters itself, by raceshim.h: layers that it names.
 *
 * In the modes watch and off, nothing is entered and nothing is an error.
 */
#ifndef RACESHIM_ENV_ENTERED_H
#define RACESHIM_ENV_ENTERED_H

#include <stdint.h>

/* What raceshim.h calls opaque; all zero: not entered. */
struct entered {
    uint64_t place;
    uint64_t number;
    uint64_t unused[6];
};

/* `frame` is where the caller's stack is. 0, or -errno: EINVAL: it is entered already; ENOMEM. */
int entered_begin(struct entered *entered, const void *frame);

/* EINVAL: it is not entered, or one within it is and its function still runs; EPERM: another thread entered it. */
int entered_end(struct entered *entered, const void *frame);

#endif
