#include "env/strings.h"

#include "env/memory.h"

#include <stdint.h>

/* Open addressing, at most three quarters full. A string of 4 GiB and more is not entered: it is kept anew each time.
 * Everything is guarded by env_lock; what is interrupted for ever leaves a string that is not found again, or a table
 * that is not used. */
struct kept {
    char *string;
    uint32_t length;
    uint32_t hash;
};

struct table {
    size_t size; /* a power of two */
    size_t count;
    struct kept slots[];
};

static struct table *table;

#define TABLE_FIRST 64

static uint64_t mix(uint64_t sum, uint64_t word) {
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 29;
}

static uint64_t add(uint64_t sum, const char *bytes, size_t length) {
    uint64_t word;
    for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        sum = mix(sum, word);
    }
    word = length;
    while (length-- > 0)
        word = word << 8 | (unsigned char)*bytes++;
    return mix(sum, word);
}

static bool same(const struct kept *kept, const char *name, size_t name_length, const char *value,
                 size_t value_length) {
    const char *string = kept->string;
    return kept->length == name_length + 1 + value_length &&
           memcmp(string, name, name_length) == 0 && string[name_length] == '=' &&
           memcmp(string + name_length + 1, value, value_length + 1) == 0;
}

static struct kept *free_slot(struct table *in, uint32_t hash) {
    size_t at = hash & (in->size - 1);
    while (in->slots[at].string)
        at = (at + 1) & (in->size - 1);
    return &in->slots[at];
}

static bool grow(void) {
    size_t size = table ? table->size * 2 : TABLE_FIRST;
    struct table *larger = env_memory(sizeof *larger + size * sizeof larger->slots[0]);
    if (!larger)
        return false;
    larger->size = size;
    for (size_t i = 0; table && i < table->size; i++)
        if (table->slots[i].string) {
            *free_slot(larger, table->slots[i].hash) = table->slots[i];
            larger->count++;
        }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    table = larger;
    return true;
}

char *strings_keep_sized(const char *name, size_t name_length, const char *value,
                         size_t value_length) {
    size_t length = name_length + 1 + value_length;
    uint32_t hash = (uint32_t)(add(add(0, name, name_length), value, value_length) >> 16);
    bool listed = length < UINT32_MAX;
    if (listed && table)
        for (size_t at = hash & (table->size - 1); table->slots[at].string;
             at = (at + 1) & (table->size - 1))
            if (table->slots[at].hash == hash &&
                same(&table->slots[at], name, name_length, value, value_length))
                return table->slots[at].string;
    if (listed && (!table || table->count >= table->size / 4 * 3) && !grow())
        return NULL;
    char *string = env_memory_bytes(length + 1);
    if (!string)
        return NULL;
    memcpy(string, name, name_length);
    string[name_length] = '=';
    memcpy(string + name_length + 1, value, value_length + 1);
    if (listed) {
        struct kept *kept = free_slot(table, hash);
        table->count++;
        kept->length = (uint32_t)length;
        kept->hash = hash;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        kept->string = string;
    }
    return string;
}

bool strings_has(const char *entry) {
    return env_memory_has_bytes(entry);
}
