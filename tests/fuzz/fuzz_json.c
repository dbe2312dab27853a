/* Any strings in any structure and any room: the line is valid JSON, harmless to read, and a string
 * that was written whole can be recovered.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc -Itests/unit tests/fuzz/fuzz_json.c \
 *         src/report/json.c
 *
 * The first two bytes choose the room, then each byte a step; a string takes its length from the
 * next byte. */
#include "json_reader.h"
#include "report/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t take(const uint8_t **data, size_t *size) {
    if (*size == 0)
        return 0;
    --*size;
    return *(*data)++;
}

/* A copy of its own, so that the sanitizer sees a step beyond. */
static void add_string(struct json *json, const char *key, const uint8_t *data, size_t length) {
    char *copy = malloc(length + 1);
    memcpy(copy, data, length);
    json_string_of(json, key, copy, length);
    free(copy);
}

static void recovers(const uint8_t *data, size_t size) {
    size_t room = 6 * size + 64;
    char *line = malloc(room), *back = malloc(size + 1);
    struct json json;
    json_begin(&json, line, room);
    add_string(&json, "s", data, size);
    size_t length = json_end(&json);
    struct json_reader r = {(const unsigned char *)line + 5, (const unsigned char *)line + length};
    size_t back_length;
    if (json.cut || !json_read_string(&r, back, size + 1, &back_length) || back_length != size ||
        memcmp(back, data, size) != 0)
        abort();
    free(line);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json json;
    bool in_array[256] = {false};
    int depth = 0;
    recovers(data, size);
    size_t room = JSON_SIZE_MIN + take(&data, &size) + 16 * (size_t)take(&data, &size);
    char *line = malloc(room);
    json_begin(&json, line, room);
    while (size > 0 && depth < 255) {
        const char *key = in_array[depth] ? NULL : "key";
        uint8_t step = take(&data, &size);
        size_t length = 0;
        switch (step % 8) {
        case 0:
        case 1:
            in_array[++depth] = step % 8 == 0;
            (step % 8 == 0 ? json_array : json_object)(&json, key);
            break;
        case 2:
            depth -= depth > 0;
            json_close(&json);
            break;
        case 3:
            json_signed(&json, key, (int64_t)((uint64_t)step << 56));
            break;
        case 4:
            json_padded(&json, key, (uint64_t)step * step, 1 + step % 20);
            break;
        case 5:
            json_hex(&json, key, (uint64_t)step << (step % 57));
            break;
        default:
            length = take(&data, &size);
            length = length < size ? length : size;
            add_string(&json, key, data, length);
        }
        data += length;
        size -= length;
    }
    size_t length = json_end(&json);
    if (length > room || !json_is_line(line, length) || !json_is_harmless(line, length))
        abort();
    free(line);
    return 0;
}
