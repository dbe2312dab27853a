#define _GNU_SOURCE
#include "skim.h"

#include "../common/output.h"

#include <string.h>

#define DEPTH_MAX 16
#define DIGITS_MAX 18

struct cursor {
    const char *at;
    const char *end;
    struct skimmed *skimmed;
};

static void skip_blanks(struct cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n'))
        c->at++;
}

static bool skip_char(struct cursor *c, char wanted) {
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Is there a quote, a backslash, a control character or a byte beyond ASCII among the eight? */
static bool has_special(uint64_t bytes) {
    uint64_t quote = bytes ^ EACH_BYTE('"');
    uint64_t backslash = bytes ^ EACH_BYTE('\\');
    uint64_t zero = ((quote - EACH_BYTE(1)) & ~quote) | ((backslash - EACH_BYTE(1)) & ~backslash);
    uint64_t control = (bytes - EACH_BYTE(0x20)) & ~bytes;
    return ((zero | control | bytes) & EACH_BYTE(0x80)) != 0;
}

static void skip_plain(struct cursor *c) {
    uint64_t bytes;
    while (c->end - c->at >= 8) {
        memcpy(&bytes, c->at, 8);
        if (has_special(bytes))
            break;
        c->at += 8;
    }
    for (; c->at < c->end; c->at++) {
        unsigned char byte = (unsigned char)*c->at;
        if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\')
            return;
    }
}

static bool skip_hex(struct cursor *c) {
    for (int i = 0; i < 4; i++, c->at++) {
        if (c->at == c->end || !strchr("0123456789abcdefABCDEF", *c->at) || *c->at == '\0')
            return false;
    }
    return true;
}

/* Halves of surrogate pairs are record_read's business. */
static bool skip_escape(struct cursor *c) {
    if (++c->at == c->end || *c->at == '\0')
        return false;
    if (*c->at != 'u')
        return strchr("\"\\/bfnrt", *c->at++) != NULL;
    c->at++;
    const char *digits = c->at;
    return skip_hex(c) && !(digits[0] == 'd' || digits[0] == 'D');
}

/* string gets what is between the quotes; its bytes are NULL if that has escapes. */
static bool skip_string(struct cursor *c, struct string *string) {
    if (!skip_char(c, '"'))
        return false;
    const char *begin = c->at;
    bool is_plain = true;
    for (;;) {
        unsigned character;
        size_t size;
        skip_plain(c);
        if (c->at == c->end)
            return false;
        if (*c->at == '"')
            break;
        if (*c->at == '\\') {
            is_plain = false;
            if (!skip_escape(c))
                return false;
        } else {
            size = *c->at & 0x80 ? utf8_decode(c->at, (size_t)(c->end - c->at), &character) : 0;
            if (size == 0)
                return false;
            c->at += size;
        }
    }
    *string = (struct string){is_plain ? begin : NULL, (size_t)(c->at - begin)};
    c->at++;
    return true;
}

/* An integer; fractions do not come. value is UINT64_MAX if it is negative or too long. */
static bool skip_number(struct cursor *c, uint64_t *value) {
    bool is_negative = skip_char(c, '-');
    const char *begin = c->at;
    *value = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (c->at - begin < DIGITS_MAX)
            *value = *value * 10 + (uint64_t)(*c->at - '0');
    }
    size_t length = (size_t)(c->at - begin);
    if (length == 0 || (length > 1 && *begin == '0') ||
        (c->at < c->end && strchr(".eE", *c->at) && *c->at))
        return false;
    /* record_read puts quotes round numbers of 19 digits, but not round their sign. */
    if (is_negative && length > DIGITS_MAX)
        return false;
    if (is_negative || length > DIGITS_MAX)
        *value = UINT64_MAX;
    return true;
}

static bool skip_word(struct cursor *c, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

static bool skip_value(struct cursor *c, unsigned depth);

static bool skip_array(struct cursor *c, unsigned depth) {
    c->at++;
    skip_blanks(c);
    if (skip_char(c, ']'))
        return true;
    do {
        if (!skip_value(c, depth + 1))
            return false;
        skip_blanks(c);
    } while (skip_char(c, ','));
    return skip_char(c, ']');
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
    uint64_t *number = is_key(key, "count") ? &c->skimmed->count
                       : is_key(key, "v")   ? &c->skimmed->version
                                            : NULL;
    if (!string && !number)
        return skip_value(c, 1);
    if (string && *c->at == '"')
        return skip_string(c, string) && string->bytes;
    if (number && *c->at != '"')
        return skip_number(c, number) && *number != UINT64_MAX;
    return false; /* of another type */
}

static bool skip_pair(struct cursor *c, unsigned depth) {
    struct string key;
    skip_blanks(c);
    if (!skip_string(c, &key) || !key.bytes)
        return false;
    skip_blanks(c);
    if (!skip_char(c, ':'))
        return false;
    skip_blanks(c);
    if (c->at == c->end)
        return false;
    if (depth == 0)
        return take_field(c, key);
    const char *begin = c->at;
    if (!skip_value(c, depth + 1))
        return false;
    struct skimmed *skimmed = c->skimmed;
    if (*begin == '[' && is_key(key, "stack") && skimmed->stack_count < SKIM_STACKS_MAX)
        skimmed->stacks[skimmed->stack_count++] = (struct string){begin, (size_t)(c->at - begin)};
    return true;
}

static bool skip_object(struct cursor *c, unsigned depth) {
    if (!skip_char(c, '{'))
        return false;
    skip_blanks(c);
    if (skip_char(c, '}'))
        return true;
    do {
        if (!skip_pair(c, depth))
            return false;
        skip_blanks(c);
    } while (skip_char(c, ','));
    return skip_char(c, '}');
}

static bool skip_value(struct cursor *c, unsigned depth) {
    struct string string;
    uint64_t number;
    skip_blanks(c);
    if (c->at == c->end || depth > DEPTH_MAX)
        return false;
    switch (*c->at) {
    case '{':
        return skip_object(c, depth);
    case '[':
        return skip_array(c, depth);
    case '"':
        return skip_string(c, &string);
    case 'n':
        return skip_word(c, "null");
    case 't':
        return skip_word(c, "true");
    case 'f':
        return skip_word(c, "false");
    default:
        return skip_number(c, &number);
    }
}

enum skim skim_record(struct skimmed *skimmed, const char *bytes, size_t length) {
    struct cursor c = {bytes, bytes + length, skimmed};
    *skimmed = (struct skimmed){0};
    skip_blanks(&c);
    if (!skip_object(&c, 0))
        return SKIM_UNSURE;
    skip_blanks(&c);
    bool is_record =
        c.at == c.end && skimmed->version == RECORD_VERSION && skimmed->kind.length > 0;
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
