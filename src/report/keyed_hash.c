#include "report/keyed_hash.h"

#include "base/sys.h"

#include <stdatomic.h>
#include <string.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, unsigned bits) {
    return word << bits | word >> (64 - bits);
}

static void mix(struct state *s, unsigned rounds) {
    for (; rounds > 0; rounds--) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void absorb(struct state *s, uint64_t word) {
    s->v3 ^= word;
    mix(s, 2);
    s->v0 ^= word;
}

static uint64_t little_endian(const unsigned char *at, size_t size) {
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

uint64_t keyed_hash_with(const uint64_t key[2], const void *bytes, size_t size) {
    struct state s = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };
    const unsigned char *at = bytes;
    size_t left = size;
    for (; left >= 8; at += 8, left -= 8)
        absorb(&s, little_endian(at, 8));
    absorb(&s, (uint64_t)size << 56 | little_endian(at, left));
    s.v2 ^= 0xff;
    mix(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* Two threads that make it at once agree: the first one's first word counts, then its second. */
static void make_key(_Atomic uint64_t key[2]) {
    uint64_t fresh[2] = {0, 0}, none = 0;
    sys_call3(SYS_getrandom, (long)fresh, sizeof fresh, 0);
    atomic_compare_exchange_strong(&key[1], &none, fresh[1]);
    none = 0;
    atomic_compare_exchange_strong(&key[0], &none, fresh[0] | 1);
}

uint64_t keyed_hash(const void *bytes, size_t size) {
    static _Atomic uint64_t key[2]; /* key[0] is 0 until both are there */
    if (atomic_load(&key[0]) == 0)
        make_key(key);
    const uint64_t mine[2] = {atomic_load(&key[0]), atomic_load(&key[1])};
    return keyed_hash_with(mine, bytes, size);
}
