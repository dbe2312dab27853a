#include "base/text.h"

#include "base/layout.h"

#include <string.h>

void text_begin(struct text *text, char *bytes, size_t size) {
    *text = (struct text){.bytes = bytes, .size = size};
    bytes[0] = '\0';
}

void text_add_bytes(struct text *text, const char *bytes, size_t length) {
    if (text->cut)
        return;
    size_t room = text->size - 1 - text->length;
    if (length > room) {
        length = room;
        text->cut = true;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *string) {
    text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char c) {
    text_add_bytes(text, &c, 1);
}

/* Inlined for each base: dividing by what is not a constant takes ten times as long. */
static inline __attribute__((always_inline)) void add_number(struct text *text, uint64_t value,
                                                             unsigned base, unsigned min_digits) {
    char digits[64];
    size_t first = sizeof digits;
    while (value != 0 || (sizeof digits - first < min_digits && first > 0)) {
        digits[--first] = "0123456789abcdef"[value % base];
        value /= base;
    }
    text_add_bytes(text, digits + first, sizeof digits - first);
}

void text_add_decimal(struct text *text, uint64_t value) {
    add_number(text, value, 10, 1);
}

FEW_PROCESSES void text_add_signed(struct text *text, int64_t value) {
    if (value < 0)
        text_add_char(text, '-');
    text_add_decimal(text, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

FEW_PROCESSES void text_add_hex(struct text *text, uint64_t value, unsigned min_digits) {
    add_number(text, value, 16, min_digits > 0 ? min_digits : 1);
}

bool text_is(const char *text, size_t length, const char *string) {
    size_t same = 0;
    while (same < length && string[same] != '\0' && text[same] == string[same])
        same++;
    return same == length && string[same] == '\0';
}

bool text_decimal(const char *text, size_t length, uint64_t *value) {
    uint64_t sum = 0;
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        unsigned digit = (unsigned)(text[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

FEW_PROCESSES bool text_seconds(const char *text, size_t length, int64_t *ns) {
    const uint64_t second = 1000000000;
    const char *point = memchr(text, '.', length);
    size_t whole = point != NULL ? (size_t)(point - text) : length;
    uint64_t seconds = 0;
    uint64_t fraction = 0;
    size_t fraction_length = point != NULL ? length - whole - 1 : 0;
    if (whole + fraction_length == 0)
        return false;
    if (whole > 0 && !text_decimal(text, whole, &seconds))
        return false;
    uint64_t unit = second;
    for (size_t i = 0; i < fraction_length; i++) {
        char c = point[1 + i];
        if (c < '0' || c > '9')
            return false;
        unit /= 10;
        fraction += unit * (unsigned)(c - '0');
    }
    if (seconds > ((uint64_t)INT64_MAX - fraction) / second)
        return false;
    *ns = (int64_t)(seconds * second + fraction);
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

ssize_t text_unescape(char *target, size_t size, const char *text, size_t length) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0 || high + low == 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (used + 1 >= size)
            return -1;
        if (target != NULL)
            target[used] = c;
        used++;
    }
    if (used >= size)
        return -1;
    if (target != NULL)
        target[used] = '\0';
    return (ssize_t)used;
}

FEW_PROCESSES void text_add_escaped(struct text *text, const char *string) {
    for (; *string != '\0'; string++) {
        unsigned char c = (unsigned char)*string;
        if (c > ' ' && c != '%' && c != 0x7f) {
            text_add_char(text, (char)c);
            continue;
        }
        text_add_char(text, '%');
        text_add_hex(text, c, 2);
    }
}

/* Pairs of bounds, in ASCII. */
static const struct {
    char name[7];
    char ranges[9];
} glob_classes[] = {
    {"alnum", "09AZaz"},   {"alpha", "AZaz"},   {"blank", "\t\t  "}, {"cntrl", "\1\37\177\177"},
    {"digit", "09"},       {"graph", "!~"},     {"lower", "az"},     {"print", " ~"},
    {"punct", "!/:@[`{~"}, {"space", "\t\r  "}, {"upper", "AZ"},     {"xdigit", "09AFaf"},
};

static bool in_class(const char *name, size_t length, unsigned char c) {
    for (size_t i = 0; i < sizeof glob_classes / sizeof *glob_classes; i++) {
        if (!text_is(name, length, glob_classes[i].name))
            continue;
        for (const char *range = glob_classes[i].ranges; *range != '\0'; range += 2)
            if (c >= (unsigned char)range[0] && c <= (unsigned char)range[1])
                return true;
    }
    return false;
}

/* The length of the class name in "[:name:]", 0 if that is not what stands here. */
static size_t class_name_length(const char *p) {
    size_t length = 0;
    if (p[0] != '[' || p[1] != ':')
        return 0;
    while (p[2 + length] >= 'a' && p[2 + length] <= 'z')
        length++;
    return p[2 + length] == ':' && p[3 + length] == ']' ? length : 0;
}

static unsigned char set_byte(const char **p) {
    if (**p == '\\' && (*p)[1] != '\0')
        (*p)++;
    return (unsigned char)*(*p)++;
}

/* p stands behind the '['. Returns what follows the set, NULL if it is never closed. */
static const char *match_set(const char *p, unsigned char c, bool *matches) {
    bool inverted = *p == '!' || *p == '^';
    bool found = false;
    if (inverted)
        p++;
    const char *first = p;
    while (*p != ']' || p == first) {
        if (*p == '\0')
            return NULL;
        size_t name = class_name_length(p);
        if (name > 0) {
            found |= in_class(p + 2, name, c);
            p += name + 4;
            continue;
        }
        unsigned char low = set_byte(&p);
        unsigned char high = low;
        if (p[0] == '-' && p[1] != ']' && p[1] != '\0') {
            p++;
            high = set_byte(&p);
        }
        found |= low <= c && c <= high;
    }
    *matches = found != inverted;
    return p + 1;
}

/* Returns what follows the one element of the pattern that stands at p, NULL if it does not match.
 * Where one '[' is not closed, a later one is not looked at: otherwise each would be searched to
 * the end, again and again. */
static const char *match_element(const char *p, unsigned char c, const char **unclosed) {
    if (*p == '?')
        return p + 1;
    if (*p == '[' && (*unclosed == NULL || p < *unclosed)) {
        bool matches = false;
        const char *behind = match_set(p + 1, c, &matches);
        if (behind != NULL)
            return matches ? behind : NULL;
        *unclosed = p;
    }
    if (*p == '\\')
        p++;
    return *p != '\0' && (unsigned char)*p == c ? p + 1 : NULL;
}

FEW_PROCESSES bool glob_match(const char *pattern, const char *text) {
    const char *unclosed = NULL;
    const char *behind_star = NULL;
    const char *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            /* Only the last star need ever be tried again: whatever an earlier one would take in
             * addition, this one can take as well. */
            while (*pattern == '*')
                pattern++;
            behind_star = pattern;
            retry = text;
            continue;
        }
        const char *next = match_element(pattern, (unsigned char)*text, &unclosed);
        if (next != NULL) {
            pattern = next;
            text++;
        } else if (behind_star != NULL) {
            pattern = behind_star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
