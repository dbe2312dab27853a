/* Eight bytes of text looked at in one number: in each macro's result the high bit of a byte tells of that byte.
 * The lowest bit that is set is right; a borrow may set others above it.
 */
#ifndef RACESHIM_TOOLS_EIGHT_H
#define RACESHIM_TOOLS_EIGHT_H

#include <stdint.h>

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* limit: up to 0x80. Of a byte from 0x80 on it tells nothing. */
#define HAS_LESS(bytes, limit) (((bytes)-EACH_BYTE(limit)) & ~(bytes))
#define HAS_ZERO(bytes) HAS_LESS(bytes, 1)

#endif
