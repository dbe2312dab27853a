/* Reads what report/json.h writes, by a grammar of its own: strict JSON (RFC 8259) on one line.
 *
 *     json_is_line(line, length)                           is it one whole object and a '\n'?
 *     json_get(line, length, "here.stack.0.module", ...)   the value at a path
 */
#ifndef RACESHIM_TESTS_JSON_READER_H
#define RACESHIM_TESTS_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_READER __attribute__((unused)) static

struct json_reader {
    const unsigned char *at, *end;
};

JSON_READER void json_skip_blanks(struct json_reader *r) {
    while (r->at < r->end && *r->at == ' ')
        r->at++;
}

JSON_READER bool json_take(struct json_reader *r, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

/* One UTF-8 character that may stand in a string as it is. */
JSON_READER bool json_plain_character(struct json_reader *r, uint32_t *c) {
    unsigned char first = *r->at;
    unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    static const uint32_t least[] = {0x20, 0x80, 0x800, 0x10000};
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || r->end - r->at <= more)
        return false;
    *c = more == 0 ? first : first & (0x3fu >> more);
    for (unsigned i = 1; i <= more; i++) {
        if ((r->at[i] & 0xc0) != 0x80)
            return false;
        *c = *c << 6 | (r->at[i] & 0x3f);
    }
    r->at += more + 1;
    return *c >= least[more] && *c <= 0x10ffff && !(*c >= 0xd800 && *c <= 0xdfff);
}

JSON_READER size_t json_encode(char *target, uint32_t c) {
    if (c >= 0xdc80 && c <= 0xdcff) { /* a byte that was no character */
        target[0] = (char)(c & 0xff);
        return 1;
    }
    if (c < 0x80) {
        target[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--, c >>= 6)
        target[i] = (char)(0x80 | (c & 0x3f));
    target[0] = (char)((0xff00u >> (more + 1) & 0xff) | c);
    return more + 1;
}

JSON_READER bool json_escape(struct json_reader *r, uint32_t *c) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end)
        return false;
    unsigned char letter = *r->at++;
    const char *name = letter ? strchr(names, letter) : NULL;
    if (name) {
        *c = (unsigned char)values[name - names];
        return true;
    }
    if (letter != 'u' || r->end - r->at < 4)
        return false;
    *c = 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = *r->at ? strchr(digits, *r->at) : NULL;
        if (!digit)
            return false;
        *c = *c << 4 | (uint32_t)(digit - digits);
        r->at++;
    }
    return true;
}

/* Decodes into out (as much as fits, with a NUL) unless it is NULL. *length is that of the whole.
 */
JSON_READER bool json_read_string(struct json_reader *r, char *out, size_t size, size_t *length) {
    size_t used = 0;
    if (!json_take(r, "\""))
        return false;
    while (r->at < r->end && *r->at != '"') {
        uint32_t c = 0;
        char bytes[4];
        if (json_take(r, "\\") ? !json_escape(r, &c) : !json_plain_character(r, &c))
            return false;
        size_t count = json_encode(bytes, c);
        if (out && used + count < size)
            memcpy(out + used, bytes, count);
        used += count;
    }
    if (out && size > 0)
        out[used < size ? used : size - 1] = '\0';
    if (length)
        *length = used;
    return json_take(r, "\"");
}

JSON_READER bool json_skip_number(struct json_reader *r) {
    json_take(r, "-");
    const unsigned char *first = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at > first && (*first != '0' || r->at == first + 1);
}

/* Passes over a value; depth bounds the recursion. */
JSON_READER bool json_skip(struct json_reader *r, int depth) {
    if (r->at == r->end || depth == 0)
        return false;
    unsigned char first = *r->at;
    if (first == '"')
        return json_read_string(r, NULL, 0, NULL);
    if (first != '{' && first != '[')
        return json_take(r, "null") || json_take(r, "true") || json_take(r, "false") ||
               json_skip_number(r);
    const char *close = first == '{' ? "}" : "]";
    r->at++;
    if (json_take(r, close))
        return true;
    for (;;) {
        if (first == '{' && (!json_read_string(r, NULL, 0, NULL) || !json_take(r, ":")))
            return false;
        if (!json_skip(r, depth - 1))
            return false;
        json_skip_blanks(r);
        if (json_take(r, close))
            return true;
        if (!json_take(r, ","))
            return false;
    }
}

JSON_READER bool json_is_line(const char *line, size_t length) {
    struct json_reader r = {(const unsigned char *)line, (const unsigned char *)line + length};
    json_skip_blanks(&r);
    return r.at < r.end && *r.at == '{' && json_skip(&r, 64) && json_take(&r, "\n") &&
           r.at == r.end;
}

/* Bytes that must not stand in a line as they are, though JSON would let them. */
JSON_READER bool json_is_harmless(const char *line, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)line[i];
        unsigned char next = i + 1 < length ? (unsigned char)line[i + 1] : 0;
        if ((c < 0x20 && !(c == '\n' && i + 1 == length)) || c == 0x7f || strchr("<>&", c))
            return false;
        if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            return false;
        if (i + 2 < length &&
            (memcmp(line + i, "\xe2\x80\xa8", 3) == 0 || memcmp(line + i, "\xe2\x80\xa9", 3) == 0))
            return false;
    }
    return true;
}

/* Goes to the member or item that the path's first step names. */
JSON_READER bool json_step(struct json_reader *r, const char *step, size_t length) {
    bool array = json_take(r, "[");
    char name[64];
    size_t wanted = 0;
    for (size_t i = 0; array && i < length; i++)
        wanted = wanted * 10 + (size_t)(step[i] - '0');
    if (!array && !json_take(r, "{"))
        return false;
    for (size_t index = 0;; index++) {
        if (r->at == r->end || *r->at == ']' || *r->at == '}')
            return false;
        if (!array && (!json_read_string(r, name, sizeof name, NULL) || !json_take(r, ":")))
            return false;
        if (array ? index == wanted : strlen(name) == length && memcmp(name, step, length) == 0)
            return true;
        if (!json_skip(r, 64))
            return false;
        json_skip_blanks(r);
        json_take(r, ",");
    }
}

/* The value at a path of names and indexes: a string decoded, anything else as it is written. NULL
 * if there is none. The result is in out. */
JSON_READER const char *json_get(const char *line, size_t length, const char *path, char *out,
                                 size_t size) {
    struct json_reader r = {(const unsigned char *)line, (const unsigned char *)line + length};
    json_skip_blanks(&r);
    while (*path) {
        size_t step = strcspn(path, ".");
        if (!json_step(&r, path, step))
            return NULL;
        path += step + (path[step] == '.');
    }
    if (r.at < r.end && *r.at == '"')
        return json_read_string(&r, out, size, NULL) ? out : NULL;
    const unsigned char *first = r.at;
    if (!json_skip(&r, 64) || (size_t)(r.at - first) >= size)
        return NULL;
    memcpy(out, first, (size_t)(r.at - first));
    out[r.at - first] = '\0';
    return out;
}

#endif
