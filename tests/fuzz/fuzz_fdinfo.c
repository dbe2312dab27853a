/* Any bytes as lock lines: however they are cut into chunks, the same locks come out, and they make
 * sense.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc tests/fuzz/fuzz_fdinfo.c \
 *         src/lock/fdinfo.c src/base/text.c
 *
 * The first byte chooses the chunks' size and the form of the lines. */
#include "lock/fdinfo.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOCKS_MAX 64

static size_t parse(const uint8_t *data, size_t size, size_t chunk, bool prefixed,
                    struct fdinfo_lock *locks) {
    struct fdinfo_parser parser = {.prefixed = prefixed};
    size_t count = 0;
    while (size > 0) {
        size_t length = chunk < size ? chunk : size;
        /* A copy of its own, so that the sanitizer sees a step beyond. */
        char *copy = malloc(length);
        memcpy(copy, data, length);
        const char *at = copy;
        struct fdinfo_lock lock;
        while (fdinfo_next(&parser, &at, copy + length, &lock)) {
            if (lock.start > lock.end || lock.end > RANGE_MAX || lock.type > RANGE_WRITE ||
                lock.lock_class > FDINFO_FLOCK || (lock.waiting && lock.pid < -INT32_MAX))
                abort();
            if (count < LOCKS_MAX)
                locks[count] = lock;
            count++;
        }
        if (at != copy + length)
            abort();
        free(copy);
        data += length;
        size -= length;
    }
    return count;
}

static bool same(const struct fdinfo_lock *a, const struct fdinfo_lock *b) {
    return a->inode == b->inode && a->start == b->start && a->end == b->end && a->pid == b->pid &&
           a->dev_major == b->dev_major && a->dev_minor == b->dev_minor && a->type == b->type &&
           a->lock_class == b->lock_class && a->waiting == b->waiting;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct fdinfo_lock whole[LOCKS_MAX];
    static struct fdinfo_lock cut[LOCKS_MAX];
    if (size == 0)
        return 0;
    bool prefixed = data[0] % 2;
    size_t chunk = 1 + data[0] / 2;
    data++;
    size--;
    size_t count = parse(data, size, size ? size : 1, prefixed, whole);
    if (parse(data, size, chunk, prefixed, cut) != count)
        abort();
    for (size_t i = 0; i < count && i < LOCKS_MAX; i++)
        if (!same(&whole[i], &cut[i]))
            abort();
    return 0;
}
