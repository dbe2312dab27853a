#define _GNU_SOURCE
#include "skim.h"

#include "scan.h"

#include <string.h>

struct cursor {
    struct scan scan;
    struct skimmed *skimmed;
    struct tree_stacks *stacks;
};

static bool skip_value(struct cursor *c, unsigned depth);

static bool skip_array(struct cursor *c, unsigned depth) {
    c->scan.at++;
    scan_blanks(&c->scan);
    if (scan_char(&c->scan, ']'))
        return true;
    do {
        if (!skip_value(c, depth + 1))
            return false;
        scan_blanks(&c->scan);
    } while (scan_char(&c->scan, ','));
    return scan_char(&c->scan, ']');
}

static bool is_key(struct string key, const char *name) {
    return key.length == strlen(name) && memcmp(key.bytes, name, key.length) == 0;
}

static struct string *wanted_string(struct skimmed *skimmed, struct string key) {
    return is_key(key, "kind")       ? &skimmed->kind
           : is_key(key, "severity") ? &skimmed->severity
           : is_key(key, "action")   ? &skimmed->action
           : is_key(key, "time")     ? &skimmed->time
           : is_key(key, "id")       ? &skimmed->id
                                     : NULL;
}

/* A field of the record itself. Of a field that comes twice, the last one counts. */
static bool take_field(struct cursor *c, struct string key) {
    struct string *string = wanted_string(c->skimmed, key);
    int64_t value;
    uint64_t *number = is_key(key, "count") ? &c->skimmed->count
                       : is_key(key, "v")   ? &c->skimmed->version
                                            : NULL;
    if (!string && !number)
        return skip_value(c, 1);
    if (string && *c->scan.at == '"')
        return scan_string(&c->scan, string) && string->bytes;
    if (number && *c->scan.at != '"' && scan_number(&c->scan, &value) && value >= 0) {
        *number = (uint64_t)value;
        return true;
    }
    return false; /* of another type */
}

static bool skip_stack(struct cursor *c, unsigned depth) {
    const char *begin = c->scan.at;
    struct skimmed *skimmed = c->skimmed;
    struct string stack = tree_known_stack(c->stacks, begin, (size_t)(c->scan.end - begin));
    if (stack.bytes) {
        c->scan.at += stack.length;
    } else {
        if (!skip_value(c, depth))
            return false;
        stack = (struct string){begin, (size_t)(c->scan.at - begin)};
        tree_knows_stack(c->stacks, stack.bytes, stack.length);
    }
    if (skimmed->stack_count < SKIM_STACKS_MAX)
        skimmed->stacks[skimmed->stack_count++] = stack;
    return true;
}

static bool skip_pair(struct cursor *c, unsigned depth) {
    struct string key;
    scan_blanks(&c->scan);
    if (!scan_string(&c->scan, &key) || !key.bytes)
        return false;
    scan_blanks(&c->scan);
    if (!scan_char(&c->scan, ':'))
        return false;
    scan_blanks(&c->scan);
    if (c->scan.at == c->scan.end)
        return false;
    if (depth == 0)
        return take_field(c, key);
    if (*c->scan.at == '[' && is_key(key, "stack"))
        return skip_stack(c, depth + 1);
    return skip_value(c, depth + 1);
}

static bool skip_object(struct cursor *c, unsigned depth) {
    if (!scan_char(&c->scan, '{'))
        return false;
    scan_blanks(&c->scan);
    if (scan_char(&c->scan, '}'))
        return true;
    do {
        if (!skip_pair(c, depth))
            return false;
        scan_blanks(&c->scan);
    } while (scan_char(&c->scan, ','));
    return scan_char(&c->scan, '}');
}

static bool skip_value(struct cursor *c, unsigned depth) {
    struct string string;
    int64_t number;
    scan_blanks(&c->scan);
    if (c->scan.at == c->scan.end || depth > SCAN_DEPTH_MAX)
        return false;
    switch (*c->scan.at) {
    case '{':
        return skip_object(c, depth);
    case '[':
        return skip_array(c, depth);
    case '"':
        return scan_string(&c->scan, &string);
    case 'n':
        return scan_word(&c->scan, "null");
    case 't':
        return scan_word(&c->scan, "true");
    case 'f':
        return scan_word(&c->scan, "false");
    default:
        return scan_number(&c->scan, &number);
    }
}

enum skim skim_record(struct tree_stacks *stacks, struct skimmed *skimmed, const char *bytes,
                      size_t length) {
    struct cursor c = {{bytes, bytes + length}, skimmed, stacks};
    *skimmed = (struct skimmed){0};
    scan_blanks(&c.scan);
    if (!skip_object(&c, 0))
        return SKIM_UNSURE;
    scan_blanks(&c.scan);
    bool is_record =
        c.scan.at == c.scan.end && skimmed->version == RECORD_VERSION && skimmed->kind.length > 0;
    return is_record ? SKIM_GOOD : SKIM_UNSURE;
}

/* A stack within a stack was noted before it, and goes with it. */
size_t skim_without_stacks(const struct skimmed *skimmed, char *target, const char *bytes,
                           size_t length) {
    const char *at = bytes;
    char *to = target;
    for (size_t i = 0; i < skimmed->stack_count; i++) {
        struct string stack = skimmed->stacks[i];
        bool is_inside = i + 1 < skimmed->stack_count && skimmed->stacks[i + 1].bytes < stack.bytes;
        if (stack.bytes < at || is_inside)
            continue;
        to = mempcpy(to, at, (size_t)(stack.bytes - at));
        to = mempcpy(to, "[]", 2);
        at = stack.bytes + stack.length;
    }
    to = mempcpy(to, at, (size_t)(bytes + length - at));
    return (size_t)(to - target);
}
