#include "env/index.h"

#include "env/memory.h"
#include "env/strings.h"

struct index *_Atomic index_now;

#define CAPACITY_FIRST 256

static void begin(struct index *index) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_relaxed);
    atomic_store_explicit(&index->generation, generation | 1, memory_order_release);
    INDEX_WRITE();
}

static void end(struct index *index) {
    uint32_t generation = atomic_load_explicit(&index->generation, memory_order_relaxed);
    atomic_store_explicit(&index->generation, generation + 1, memory_order_release);
}

#define LINE 64
#define WHOLE_LINES(size) (((size) + LINE - 1) / LINE * LINE)

/* The last step may go beyond the tags of all slots. */
static struct index *make(size_t count) {
    size_t capacity = CAPACITY_FIRST;
    while (capacity <= count)
        capacity *= 2;
    if (capacity > UINT32_MAX)
        return NULL;
    size_t tags = WHOLE_LINES((capacity + INDEX_STEP) * sizeof(uint16_t));
    size_t sums = (INDEX_BLOCKS_TO(capacity)) * sizeof(struct sums);
    size_t first = INDEX_CLASSES * sizeof(uint32_t);
    char *memory = env_memory(tags + sums + first + sizeof(struct index));
    if (!memory)
        return NULL;
    struct index *index = (struct index *)(memory + tags + sums + first);
    index->capacity = (uint32_t)capacity;
    index->tags = (uint16_t *)memory;
    index->sums = (struct sums *)(memory + tags);
    index->first = (uint32_t *)(memory + tags + sums);
    sums_ask_processor();
    return index;
}

/* False: too many are loose. */
static bool set_tag(struct index *index, size_t at, const char *entry) {
    if (name_lies_in(&name_kernel, entry) || strings_has(entry)) {
        uint16_t tag = name_tag_of_entry(entry);
        uint32_t *first = &index->first[INDEX_CLASS(tag)];
        INDEX_SET(&index->tags[at], tag);
        if (at < *first)
            INDEX_SET(first, (uint32_t)at);
        return true;
    }
    INDEX_SET(&index->tags[at], 0);
    uint32_t i = index->loose_count;
    if (i == INDEX_LOOSE)
        return false;
    for (; i > 0 && index->loose[i - 1] > at; i--)
        INDEX_SET(&index->loose[i], index->loose[i - 1]);
    INDEX_SET(&index->loose[i], (uint32_t)at);
    INDEX_SET(&index->loose_count, index->loose_count + 1);
    return true;
}

/* From the block of this slot on to that of the NULL. */
static void add_up(struct index *index, char *const *base, size_t from) {
    struct sums sums = {{0}, {0}};
    size_t block = INDEX_BLOCKS_TO(from) - 1;
    if (block > 0)
        sums = index->sums[block - 1];
    for (; block < INDEX_BLOCKS_TO(index->count); block++) {
        sums_add(&sums, base + block * SUMS_BLOCK);
        for (int k = 0; k < SUMS_BLOCK; k++) {
            INDEX_SET(&index->sums[block].s[k], sums.s[k]);
            INDEX_SET(&index->sums[block].t[k], sums.t[k]);
        }
    }
}

static bool fill(struct index *index, char **base, size_t count) {
    INDEX_SET(&index->loose_count, 0);
    for (int class = 0; class < INDEX_CLASSES; class ++)
        INDEX_SET(&index->first[class], UINT32_MAX);
    for (size_t i = 0; i < count; i++)
        if (!set_tag(index, i, __atomic_load_n(base + i, __ATOMIC_ACQUIRE)))
            return false;
    for (size_t i = count; i < index->capacity; i++)
        INDEX_SET(&index->tags[i], 0);
    INDEX_SET(&index->count, count);
    add_up(index, base, 0);
    return true;
}

bool index_build(char **base, size_t count) {
    struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    if (count <= INDEX_LEAST)
        return false;
    if (!index || count >= index->capacity) {
        index_drop();
        index = make(count);
        if (!index)
            return false;
    }
    begin(index);
    bool done = fill(index, base, count);
    INDEX_SET(&index->base, done ? base : NULL);
    end(index);
    atomic_store_explicit(&index_now, index, memory_order_release);
    return done;
}

bool index_is_for(char *const *base) {
    const struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    return index && index->base == base &&
           sums_agree(&index->sums[INDEX_BLOCKS_TO(index->count) - 1], base,
                      INDEX_BLOCKS_TO(index->count));
}

static void forget_loose(struct index *index, size_t at) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < index->loose_count; i++)
        if (index->loose[i] != at)
            INDEX_SET(&index->loose[kept++], index->loose[i]);
    INDEX_SET(&index->loose_count, kept);
}

/* An array whose NULL is not where it was is another one. */
void index_put(char **base, size_t at, char *entry, bool added) {
    struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    begin(index);
    bool fits = added ? at == index->count && at + 1 < index->capacity : at < index->count;
    if (fits) {
        if (added)
            INDEX_SET(&index->count, at + 1);
        else if (index->tags[at] == 0)
            forget_loose(index, at);
        fits = set_tag(index, at, entry);
        add_up(index, base, at);
    }
    if (!fits)
        INDEX_SET(&index->base, NULL);
    end(index);
}

void index_drop(void) {
    struct index *index = atomic_load_explicit(&index_now, memory_order_relaxed);
    if (!index || (!index->base && index->generation % 2 == 0))
        return;
    begin(index);
    INDEX_SET(&index->base, NULL);
    end(index);
}
