/* SipHash-2-4, against the vectors that its authors published: key 00 01 .. 0f, input 00 01 02 .. */
#include "report/keyed_hash.h"

#include "check.h"

static uint64_t of_bytes(size_t size) {
    static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    unsigned char bytes[64];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)i;
    return keyed_hash_with(key, bytes, size);
}

TEST("R2: the keyed hash is that of its authors") {
    static const struct vector {
        size_t size;
        uint64_t hash;
    } vectors[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {2, UINT64_C(0x0d6c8009d9a94f5a)},  {3, UINT64_C(0x85676696d7fb7e2d)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)}, {63, UINT64_C(0x958a324ceb064572)},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        if (of_bytes(vectors[i].size) != vectors[i].hash)
            CHECK_FAILED("%zu bytes", vectors[i].size);
}

TEST("R2: it is the same again in one process, and another for another value") {
    CHECK(keyed_hash("value", 5) == keyed_hash("value", 5));
    CHECK(keyed_hash("value", 5) != keyed_hash("valuf", 5));
    CHECK(keyed_hash("value", 5) != keyed_hash("value", 4));
    CHECK(keyed_hash("", 0) == keyed_hash("x", 0));
}

TEST("R2: its key is no constant") {
    static const uint64_t none[2] = {0, 0}, one[2] = {1, 0};
    CHECK(keyed_hash("value", 5) != keyed_hash_with(none, "value", 5));
    CHECK(keyed_hash("value", 5) != keyed_hash_with(one, "value", 5));
}
