#define _GNU_SOURCE
#include "fingerprint.h"

#include "../common/memory.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deep enough to tell callers apart; what lies further out is the same for many. */
#define FUNCTIONS_MAX 16

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211); /* FNV-1a */
    return hash;
}

/* With its end, so that no string runs into the next. */
static uint64_t hash_string(uint64_t hash, struct string string) {
    return hash_bytes(hash_bytes(hash, string.bytes, string.length), "", 1);
}

static bool is_word(char c) {
    return isalnum((unsigned char)c) || (c & 0x80);
}

/* Of one run or machine only? */
static bool is_passing(const char *word, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (isdigit((unsigned char)word[i]))
            return true;
        if (length >= 6 && i > 0 && isupper((unsigned char)word[i]) &&
            islower((unsigned char)word[i - 1]))
            return true;
    }
    return false;
}

char *fingerprint_plain_name(struct string name) {
    char *plain = must_allocate(NULL, name.length + 1, 1);
    char *to = plain;
    size_t run;
    for (size_t i = 0; i < name.length; i += run) {
        run = 1;
        while (is_word(name.bytes[i]) && i + run < name.length && is_word(name.bytes[i + run]))
            run++;
        if (is_passing(name.bytes + i, run))
            *to++ = '#';
        else
            to = mempcpy(to, name.bytes + i, run);
    }
    *to = '\0';
    return plain;
}

static uint64_t hash_name(uint64_t hash, struct string name) {
    char *plain = fingerprint_plain_name(name);
    hash = hash_string(hash, (struct string){plain, strlen(plain)});
    free(plain);
    return hash;
}

/* Without what the optimizer appended: take.part.0 is take. */
static struct string function_of(const struct frame *frame) {
    const char *name = frame->symbol.function;
    if (!name) /* libx.so.1.2 is libx */
        return (struct string){frame_module_name(frame).bytes,
                               strcspn(frame_module_name(frame).bytes, ".")};
    return (struct string){name, strcspn(name + 1, ".") + 1};
}

static uint64_t hash_functions(uint64_t hash, const struct frames *frames) {
    struct string last = {0};
    size_t used = 0;
    for (size_t i = 0; i < frames->count && used < FUNCTIONS_MAX; i++) {
        const struct frame *frame = &frames->items[i];
        if (frame->is_plumbing || (!frame->symbol.function && frame->module.length == 0))
            continue;
        struct string function = function_of(frame);
        /* A recursion may be deeper the next time. */
        if (last.length == function.length && memcmp(last.bytes, function.bytes, last.length) == 0)
            continue;
        hash = hash_string(hash, function);
        last = function;
        used++;
    }
    return hash;
}

static uint64_t hash_side(const char *name, const json_t *party, struct symbols *symbols) {
    struct frames frames;
    frames_read(&frames, symbols, party);
    return hash_functions(hash_string(0, (struct string){name, strlen(name)}), &frames);
}

/* Who closes a cycle, and so is named first, is chance. */
static uint64_t hash_sides(const json_t *record, struct symbols *symbols) {
    const json_t *edges = json_object_get(record, "edges");
    const json_t *party;
    size_t index = 0;
    uint64_t sum = 0;
    json_array_foreach(edges, index, party) sum += hash_side("", party, symbols);
    if (index > 0)
        return sum;
    return hash_side("here", json_object_get(record, "here"), symbols) +
           hash_side("there", json_object_get(record, "there"), symbols);
}

void fingerprint_of(char text[static FINGERPRINT_LENGTH + 1], const json_t *record,
                    struct symbols *symbols) {
    uint64_t hash = UINT64_C(14695981039346656037);
    hash = hash_string(hash, record_string(record, "kind"));
    hash = hash_name(hash, record_basename(record, "exe"));
    hash = hash_string(hash, record_string(record, "var"));
    hash = hash_name(hash, record_basename(json_object_get(record, "file"), "path"));
    /* A finding without sides is told by its sentence. */
    if (!json_object_get(record, "there"))
        hash = hash_name(hash, record_string(record, "detail"));
    uint64_t sides = hash_sides(record, symbols);
    hash = hash_bytes(hash, (const char *)&sides, sizeof sides);
    sprintf(text, "%016" PRIx64, hash);
}
