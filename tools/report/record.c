#define _GNU_SOURCE
#include "record.h"

#include "../common/memory.h"
#include "../common/output.h"
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPLACEMENT "\xef\xbf\xbd"

static bool is_utf8(const char *bytes, size_t length) {
    unsigned character;
    size_t size;
    for (size_t i = 0; i < length; i += size) {
        size = (unsigned char)bytes[i] < 0x80 ? 1 : utf8_decode(bytes + i, length - i, &character);
        if (size == 0)
            return false;
    }
    return true;
}

static char *repair_utf8(const char *bytes, size_t length, size_t *repaired) {
    char *copy = must_allocate(NULL, length, sizeof REPLACEMENT - 1);
    char *end = copy;
    size_t size;
    for (size_t i = 0; i < length; i += size) {
        unsigned character;
        size = utf8_decode(bytes + i, length - i, &character);
        if (size > 0) {
            end = mempcpy(end, bytes + i, size);
        } else {
            end = mempcpy(end, REPLACEMENT, sizeof REPLACEMENT - 1);
            size = 1;
        }
    }
    *repaired = (size_t)(end - copy);
    return copy;
}

/* Puts quotes round each number that fills 64 bits, as inode numbers may: jansson's integers have a
 * sign, and as text nothing is lost. target has room for three times the length. */
static size_t quote_long_numbers(char *target, const char *bytes, size_t length) {
    char *end = target;
    bool in_string = false;
    size_t run;
    for (size_t i = 0; i < length; i += run) {
        run = 1;
        if (in_string && bytes[i] == '\\' && i + 1 < length)
            run = 2;
        else if (bytes[i] == '"')
            in_string = !in_string;
        else if (!in_string && bytes[i] >= '0' && bytes[i] <= '9')
            while (i + run < length && bytes[i + run] && strchr("-+.eE0123456789", bytes[i + run]))
                run++;
        bool is_long = run >= 19;
        if (is_long)
            *end++ = '"';
        end = mempcpy(end, bytes + i, run);
        if (is_long)
            *end++ = '"';
    }
    return (size_t)(end - target);
}

/* The number that the escape at text means; -1 if there is none. */
static int unicode_escape(const char *text, const char *end) {
    char digits[5] = "";
    char *stop;
    if (end - text < 6 || text[0] != '\\' || text[1] != 'u')
        return -1;
    memcpy(digits, text + 2, 4);
    long value = strtol(digits, &stop, 16);
    return stop == digits + 4 ? (int)value : -1;
}

/* Gives each lone \udcXX a partner, so that both are the character RAW_BYTE + XX: jansson refuses
 * halves of pairs. target has room for twice the length and a NUL. */
static size_t pair_raw_bytes(char *target, const char *bytes, size_t length) {
    const char *end = bytes + length;
    char *to = target;
    size_t run;
    for (const char *at = bytes; at < end; at += run) {
        int value = unicode_escape(at, end);
        run = *at == '\\' && end - at > 1 ? 2 : 1;
        if (value >= 0xdc80 && value <= 0xdcff) {
            to += sprintf(to, "\\udbff\\udf%02x", value & 0xff);
            run = 6;
            continue;
        }
        if (value >= 0xd800 && value <= 0xdbff && unicode_escape(at + 6, end) >= 0xdc00)
            run = 12;
        to = mempcpy(to, at, run);
    }
    return (size_t)(to - target);
}

static json_t *parse(const char *bytes, size_t length) {
    json_error_t error;
    json_t *record = json_loadb(bytes, length, JSON_ALLOW_NUL, &error);
    if (!record && json_error_code(&error) == json_error_numeric_overflow) {
        char *copy = must_allocate(NULL, length, 3);
        record = json_loadb(copy, quote_long_numbers(copy, bytes, length), JSON_ALLOW_NUL, &error);
        free(copy);
    }
    return record;
}

/* Could it be one? A file of something else has a great many lines. */
static bool is_object(const char *bytes, size_t length) {
    size_t blanks = 0;
    while (blanks < length && strchr(" \t\r\n", bytes[blanks]) && bytes[blanks])
        blanks++;
    return blanks < length && bytes[blanks] == '{';
}

/* Whatever stands in it that JSON does not allow, but damage or a path's bytes have made. */
static json_t *read_unusual(const char *bytes, size_t length) {
    char *repaired = NULL;
    char *paired = NULL;
    if (!is_utf8(bytes, length))
        bytes = repaired = repair_utf8(bytes, length, &length);
    if (memchr(bytes, '\\', length) &&
        (memmem(bytes, length, "\\ud", 3) || memmem(bytes, length, "\\uD", 3))) {
        paired = must_allocate(NULL, length + 1, 2);
        length = pair_raw_bytes(paired, bytes, length);
        bytes = paired;
    }
    json_t *record = parse(bytes, length);
    free(repaired);
    free(paired);
    return record;
}

json_t *record_object(const char *bytes, size_t length) {
    return is_object(bytes, length) ? read_unusual(bytes, length) : NULL;
}

enum record_fault record_read_sharing(struct tree_stacks *stacks, const char *bytes, size_t length,
                                      json_t **record) {
    uint64_t version;
    *record = NULL;
    if (!is_object(bytes, length))
        return RECORD_BROKEN;
    *record = tree_read(stacks, bytes, length);
    if (!*record)
        *record = read_unusual(bytes, length);
    if (*record && record_number(*record, "v", &version)) {
        if (version == RECORD_VERSION && record_string(*record, "kind").length > 0)
            return RECORD_GOOD;
        if (version > RECORD_VERSION) {
            json_decref(*record);
            return RECORD_NEWER;
        }
    }
    json_decref(*record);
    return RECORD_BROKEN;
}

enum record_fault record_read(const char *bytes, size_t length, json_t **record) {
    return record_read_sharing(NULL, bytes, length, record);
}

json_t *record_text(const char *bytes) {
    size_t length = strlen(bytes);
    if (is_utf8(bytes, length))
        return json_stringn(bytes, length);
    char *repaired = repair_utf8(bytes, length, &length);
    json_t *text = json_stringn(repaired, length);
    free(repaired);
    return text;
}

char *record_path(struct string path, size_t *length) {
    char *raw = must_allocate(NULL, path.length + 1, 1);
    char *to = raw;
    size_t size;
    for (size_t i = 0; i < path.length; i += size) {
        unsigned character = 0;
        size = utf8_decode(path.bytes + i, path.length - i, &character);
        if (character >= RAW_BYTE_FIRST)
            *to++ = (char)(character & 0xff);
        else
            to = mempcpy(to, path.bytes + i, size = size ? size : 1);
    }
    *to = '\0';
    *length = (size_t)(to - raw);
    return raw;
}

struct string record_string(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return (struct string){json_string_value(value), json_string_length(value)};
}

struct string record_last_component(struct string path) {
    const char *slash = path.bytes ? memrchr(path.bytes, '/', path.length) : NULL;
    if (slash) {
        path.length -= (size_t)(slash + 1 - path.bytes);
        path.bytes = slash + 1;
    }
    return path;
}

struct string record_relative(struct string path) {
    static char here[4096];
    if (here[0] == '\0' && !getcwd(here, sizeof here))
        here[0] = '-'; /* the start of no path */
    size_t length = strlen(here);
    if (path.length > length + 1 && memcmp(path.bytes, here, length) == 0 &&
        path.bytes[length] == '/') {
        path.bytes += length + 1;
        path.length -= length + 1;
    }
    return path;
}

struct string record_basename(const json_t *object, const char *key) {
    return record_last_component(record_string(object, key));
}

bool record_number(const json_t *object, const char *key, uint64_t *value) {
    const json_t *field = json_object_get(object, key);
    if (json_is_integer(field) && json_integer_value(field) >= 0) {
        *value = (uint64_t)json_integer_value(field);
        return true;
    }
    if (json_is_real(field) && json_real_value(field) >= 0 && json_real_value(field) < 0x1p64) {
        *value = (uint64_t)json_real_value(field);
        return true;
    }
    const char *text = json_string_value(field);
    if (!text || text[0] < '0' || text[0] > '9')
        return false;
    char *end;
    errno = 0;
    *value = strtoull(text, &end, text[1] == 'x' ? 16 : 10);
    return *end == '\0' && errno == 0;
}

bool record_time(const char *text, size_t length, uint64_t *ns) {
    char copy[40];
    if (!text || length < 20 || length >= sizeof copy || text[length - 1] != 'Z')
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    struct tm parts = {0};
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &parts);
    time_t seconds = rest ? timegm(&parts) : -1;
    if (seconds < 0 || (*rest != '.' && *rest != 'Z'))
        return false;
    uint64_t fraction = 0;
    unsigned digits = 0;
    for (rest += *rest == '.'; *rest >= '0' && *rest <= '9'; rest++, digits++)
        fraction = digits < 9 ? fraction * 10 + (uint64_t)(*rest - '0') : fraction;
    for (; digits < 9; digits++)
        fraction *= 10;
    *ns = (uint64_t)seconds * 1000000000u + fraction;
    return strcmp(rest, "Z") == 0;
}
