#define _GNU_SOURCE
#include "scan.h"

#include "../common/eight.h"
#include "../common/output.h"

#include <endian.h>
#include <string.h>

/* The quotes, backslashes, control characters and bytes beyond ASCII among the eight. */
static uint64_t special_ones(uint64_t bytes) {
    uint64_t quote = bytes ^ EACH_BYTE('"');
    uint64_t backslash = bytes ^ EACH_BYTE('\\');
    return (HAS_ZERO(quote) | HAS_ZERO(backslash) | HAS_LESS(bytes, 0x20) | bytes) &
           EACH_BYTE(0x80);
}

static void skip_plain(struct scan *scan) {
    uint64_t bytes;
    while (scan->end - scan->at >= 8) {
        memcpy(&bytes, scan->at, 8);
        uint64_t special = special_ones(le64toh(bytes)); /* the first byte lowest */
        if (special) {
            scan->at += __builtin_ctzll(special) / 8;
            return;
        }
        scan->at += 8;
    }
    for (; scan->at < scan->end; scan->at++) {
        unsigned char byte = (unsigned char)*scan->at;
        if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\')
            return;
    }
}

static bool skip_hex(struct scan *scan) {
    for (int i = 0; i < 4; i++, scan->at++) {
        if (scan->at == scan->end || !strchr("0123456789abcdefABCDEF", *scan->at) ||
            *scan->at == '\0')
            return false;
    }
    return true;
}

/* Halves of surrogate pairs are refused. */
static bool skip_escape(struct scan *scan) {
    if (++scan->at == scan->end || *scan->at == '\0')
        return false;
    if (*scan->at != 'u')
        return strchr("\"\\/bfnrt", *scan->at++) != NULL;
    scan->at++;
    const char *digits = scan->at;
    return skip_hex(scan) && !(digits[0] == 'd' || digits[0] == 'D');
}

bool scan_string(struct scan *scan, struct string *string) {
    if (!scan_char(scan, '"'))
        return false;
    const char *begin = scan->at;
    bool is_plain = true;
    for (;;) {
        unsigned character;
        size_t size;
        skip_plain(scan);
        if (scan->at == scan->end)
            return false;
        if (*scan->at == '"')
            break;
        if (*scan->at == '\\') {
            is_plain = false;
            if (!skip_escape(scan))
                return false;
        } else {
            size = *scan->at & 0x80
                       ? utf8_decode(scan->at, (size_t)(scan->end - scan->at), &character)
                       : 0;
            if (size == 0)
                return false;
            scan->at += size;
        }
    }
    *string = (struct string){is_plain ? begin : NULL, (size_t)(scan->at - begin)};
    scan->at++;
    return true;
}

bool scan_number(struct scan *scan, int64_t *value) {
    bool is_negative = scan_char(scan, '-');
    const char *begin = scan->at;
    int64_t sum = 0;
    for (; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++) {
        if (scan->at - begin < SCAN_DIGITS_MAX)
            sum = sum * 10 + (*scan->at - '0');
    }
    size_t length = (size_t)(scan->at - begin);
    if (length == 0 || (length > 1 && *begin == '0') ||
        (scan->at < scan->end && strchr(".eE", *scan->at) && *scan->at))
        return false;
    /* record_read puts quotes round longer ones, but not round their sign. */
    if (is_negative && length > SCAN_DIGITS_MAX)
        return false;
    *value = length > SCAN_DIGITS_MAX ? SCAN_TOO_LONG : is_negative ? -sum : sum;
    return true;
}

bool scan_word(struct scan *scan, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
        return false;
    scan->at += length;
    return true;
}
