/* A keyed hash of bytes: SipHash-2-4, as its authors describe it.
 *
 * Records tell equal values from different ones by it, and tell nothing else: the key is this process's (its forked
 * children have it too) and is written nowhere. Async-signal-safe.
 */
#ifndef RACESHIM_REPORT_KEYED_HASH_H
#define RACESHIM_REPORT_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t keyed_hash_with(const uint64_t key[2], const void *bytes, size_t size);

/* With the process's key, which is made at the first call. */
uint64_t keyed_hash(const void *bytes, size_t size);

#endif
