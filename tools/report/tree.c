#define _GNU_SOURCE
#include "tree.h"

#include "../common/memory.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX 64

struct reader {
    struct scan scan;
    struct tree_stacks *stacks;
};

void tree_stacks_end(struct tree_stacks *stacks) {
    for (size_t i = 0; i < TREE_STACKS; i++) {
        free(stacks->items[i].text);
        json_decref(stacks->items[i].stack);
    }
}

/* One reference is the record's, the other the table's. */
bool tree_is_shared(const json_t *stack) {
    return stack && stack->refcount > 1;
}

static json_t *read_value(struct reader *reader, unsigned depth);

static bool read_items(struct reader *reader, json_t *array, unsigned depth) {
    scan_blanks(&reader->scan);
    if (scan_char(&reader->scan, ']'))
        return true;
    do {
        if (json_array_append_new(array, read_value(reader, depth + 1)) != 0)
            return false;
        scan_blanks(&reader->scan);
    } while (scan_char(&reader->scan, ','));
    return scan_char(&reader->scan, ']');
}

static json_t *read_array(struct reader *reader, unsigned depth) {
    json_t *array = json_array();
    reader->scan.at++;
    if (read_items(reader, array, depth))
        return array;
    json_decref(array);
    return NULL;
}

/* Eight bytes at a time; what is left at the end counts by the length and the last eight. */
static uint64_t hash_of(const char *bytes, size_t length) {
    uint64_t hash = length;
    uint64_t eight;
    for (size_t at = 0; at + 8 <= length; at += 8) {
        memcpy(&eight, bytes + at, 8);
        hash = (hash ^ eight) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    if (length >= 8) {
        memcpy(&eight, bytes + length - 8, 8);
        hash = (hash ^ eight) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return hash >> 32;
}

static bool is_of(const struct tree_stack *item, const char *text, size_t length) {
    return item->length == length && memcmp(item->text, text, length) == 0;
}

/* The item with this text; else a free one, or one to be replaced. */
static struct tree_stack *find_item(struct tree_stacks *stacks, const char *text, size_t length) {
    uint64_t hash = hash_of(text, length);
    struct tree_stack *other = &stacks->items[hash % TREE_STACKS];
    for (unsigned i = 0; i < TREE_STACKS_PROBED; i++) {
        struct tree_stack *item = &stacks->items[(hash + i) % TREE_STACKS];
        if (!item->text || is_of(item, text, length))
            return item;
    }
    return other;
}

static void keep_stack(struct tree_stack *item, const char *text, size_t length, json_t *stack) {
    free(item->text);
    json_decref(item->stack);
    *item = (struct tree_stack){must_allocate(NULL, length, 1), length, json_incref(stack)};
    memcpy(item->text, text, length);
}

/* Up to the first bracket that closes: a stack of the library's has no other. */
static size_t stack_length(const char *bytes, size_t length) {
    const char *close = memchr(bytes, ']', length);
    size_t wanted = close ? (size_t)(close + 1 - bytes) : 0;
    return wanted <= TREE_STACK_MAX ? wanted : 0;
}

/* A text that was an array once is one wherever it stands: what is known need not be read. Of a text with a bracket
 * within it nothing is known. */
static json_t *read_stack(struct reader *reader, unsigned depth) {
    const char *begin = reader->scan.at;
    size_t length = reader->stacks ? stack_length(begin, (size_t)(reader->scan.end - begin)) : 0;
    if (length == 0)
        return read_array(reader, depth);
    struct tree_stack *item = find_item(reader->stacks, begin, length);
    if (item->stack && is_of(item, begin, length)) {
        reader->scan.at = begin + length;
        return json_incref(item->stack);
    }
    json_t *stack = read_array(reader, depth);
    if (stack && reader->scan.at == begin + length)
        keep_stack(item, begin, length, stack);
    return stack;
}

struct string tree_known_stack(struct tree_stacks *stacks, const char *bytes, size_t length) {
    length = stack_length(bytes, length);
    const struct tree_stack *item = length ? find_item(stacks, bytes, length) : NULL;
    bool is_known = item && item->text && is_of(item, bytes, length);
    return is_known ? (struct string){bytes, length} : (struct string){NULL, 0};
}

void tree_knows_stack(struct tree_stacks *stacks, const char *bytes, size_t length) {
    if (length != stack_length(bytes, length))
        return;
    struct tree_stack *item = find_item(stacks, bytes, length);
    if (!item->text || !is_of(item, bytes, length))
        keep_stack(item, bytes, length, NULL);
}

static bool read_key(struct reader *reader, char key[static KEY_MAX]) {
    struct string string;
    scan_blanks(&reader->scan);
    if (!scan_string(&reader->scan, &string) || !string.bytes || string.length >= KEY_MAX)
        return false;
    *(char *)mempcpy(key, string.bytes, string.length) = '\0';
    scan_blanks(&reader->scan);
    return scan_char(&reader->scan, ':');
}

static bool read_pair(struct reader *reader, json_t *object, unsigned depth) {
    char key[KEY_MAX];
    if (!read_key(reader, key))
        return false;
    scan_blanks(&reader->scan);
    bool is_stack =
        reader->scan.at < reader->scan.end && *reader->scan.at == '[' && strcmp(key, "stack") == 0;
    json_t *value = is_stack ? read_stack(reader, depth + 1) : read_value(reader, depth + 1);
    return json_object_set_new_nocheck(object, key, value) == 0;
}

static bool read_pairs(struct reader *reader, json_t *object, unsigned depth) {
    scan_blanks(&reader->scan);
    if (scan_char(&reader->scan, '}'))
        return true;
    do {
        if (!read_pair(reader, object, depth))
            return false;
        scan_blanks(&reader->scan);
    } while (scan_char(&reader->scan, ','));
    return scan_char(&reader->scan, '}');
}

static json_t *read_object(struct reader *reader, unsigned depth) {
    json_t *object = json_object();
    reader->scan.at++;
    if (read_pairs(reader, object, depth))
        return object;
    json_decref(object);
    return NULL;
}

static json_t *read_string(struct reader *reader) {
    struct string string;
    bool is_plain = scan_string(&reader->scan, &string) && string.bytes;
    return is_plain ? json_stringn_nocheck(string.bytes, string.length) : NULL;
}

static json_t *read_number(struct reader *reader) {
    int64_t value;
    bool is_short = scan_number(&reader->scan, &value) && value != SCAN_TOO_LONG;
    return is_short ? json_integer(value) : NULL;
}

static json_t *read_value(struct reader *reader, unsigned depth) {
    scan_blanks(&reader->scan);
    if (reader->scan.at == reader->scan.end || depth > SCAN_DEPTH_MAX)
        return NULL;
    switch (*reader->scan.at) {
    case '{':
        return read_object(reader, depth);
    case '[':
        return read_array(reader, depth);
    case '"':
        return read_string(reader);
    case 'n':
        return scan_word(&reader->scan, "null") ? json_null() : NULL;
    case 't':
        return scan_word(&reader->scan, "true") ? json_true() : NULL;
    case 'f':
        return scan_word(&reader->scan, "false") ? json_false() : NULL;
    default:
        return read_number(reader);
    }
}

json_t *tree_read(struct tree_stacks *stacks, const char *bytes, size_t length) {
    struct reader reader = {{bytes, bytes + length}, stacks};
    scan_blanks(&reader.scan);
    if (reader.scan.at == reader.scan.end || *reader.scan.at != '{')
        return NULL;
    json_t *tree = read_object(&reader, 0);
    scan_blanks(&reader.scan);
    if (reader.scan.at == reader.scan.end)
        return tree;
    json_decref(tree);
    return NULL;
}
