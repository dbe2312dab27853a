/* Room for the end of the line is kept free all the time: one bracket for each open container, the
 * mark of truncation, and the newline. Everything is measured before it is written, so nothing is
 * taken back. */
#include "report/json.h"

#include <string.h>

#define TRUNCATED ",\"truncated\":true"
#define END_BYTES (sizeof TRUNCATED - 1 + 1) /* and '\n' */

_Static_assert(JSON_SIZE_MIN >= END_BYTES + 2, "an empty object must fit");

/* Bytes that may be written without touching what the end needs. */
static size_t room(const struct json *json) {
    return json->size - json->length - END_BYTES - json->depth;
}

static void put(struct json *json, const char *bytes, size_t length) {
    memcpy(json->bytes + json->length, bytes, length);
    json->length += length;
}

static void put_char(struct json *json, char c) {
    json->bytes[json->length++] = c;
}

/* What comes before a value: comma, key, colon. */
static size_t prefix_length(const struct json *json, const char *key) {
    return !json->empty + (key ? strlen(key) + 3 : 0);
}

static void put_prefix(struct json *json, const char *key) {
    if (!json->empty)
        put_char(json, ',');
    json->empty = false;
    if (key) {
        put_char(json, '"');
        put(json, key, strlen(key));
        put(json, "\":", 2);
    }
}

/* May a value of this length be written? Otherwise nothing else will be. */
static bool fits(struct json *json, const char *key, size_t length) {
    if (!json->cut && prefix_length(json, key) + length > room(json))
        json->cut = true;
    return !json->cut;
}

static void open_container(struct json *json, const char *key, bool array) {
    if (json->depth == JSON_DEPTH_MAX)
        json->cut = true;
    if (!fits(json, key, 2)) { /* the closing bracket counts from now on */
        json->skipped++;
        return;
    }
    put_prefix(json, key);
    put_char(json, array ? '[' : '{');
    uint32_t bit = UINT32_C(1) << json->depth;
    json->arrays = array ? json->arrays | bit : json->arrays & ~bit;
    json->depth++;
    json->empty = true;
}

void json_begin(struct json *json, char *bytes, size_t size) {
    *json = (struct json){.bytes = bytes, .size = size, .empty = true};
    open_container(json, NULL, false);
}

void json_object(struct json *json, const char *key) {
    open_container(json, key, false);
}

void json_array(struct json *json, const char *key) {
    open_container(json, key, true);
}

static void close_container(struct json *json) {
    json->depth--;
    put_char(json, json->arrays >> json->depth & 1 ? ']' : '}');
    json->empty = false;
}

void json_close(struct json *json) {
    if (json->skipped > 0)
        json->skipped--;
    else if (json->depth > 1)
        close_container(json);
}

size_t json_end(struct json *json) {
    while (json->depth > 1)
        close_container(json);
    if (json->cut)
        put(json, &TRUNCATED[json->empty], sizeof TRUNCATED - 1 - json->empty);
    close_container(json);
    put_char(json, '\n');
    return json->length;
}

/* The length of the valid UTF-8 character at the start of the bytes; 0 if there is none. */
static size_t decode(const unsigned char *bytes, size_t length, uint32_t *character) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = bytes[0];
    size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size == 0 || first > 0xf4 || size > length)
        return 0;
    uint32_t value = size == 1 ? first : first & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    if (value < least[size] || (value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff)
        return 0;
    *character = value;
    return size;
}

static bool is_written_as_number(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == '<' || c == '>' || c == '&' ||
           c == 0x061c ||                  /* turns the direction of text */
           (c >= 0x200b && c <= 0x200f) || /* no width; turns the direction */
           (c >= 0x2028 && c <= 0x202e) || /* ends a line; turns the direction */
           (c >= 0x2060 && c <= 0x206f) || /* no width; turns the direction */
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb);
}

static size_t put_number_escape(char *target, uint32_t value) {
    memcpy(target, "\\u", 2);
    for (int i = 0; i < 4; i++)
        target[2 + i] = "0123456789abcdef"[value >> (12 - 4 * i) & 15];
    return 6;
}

/* Writes the first character of the bytes to target (at most 6) and returns how much that is;
 * *taken says how many bytes it stands for. */
static size_t escape(char *target, const unsigned char *bytes, size_t length, size_t *taken) {
    uint32_t c;
    *taken = decode(bytes, length, &c);
    if (*taken == 0) {
        *taken = 1;
        return put_number_escape(target, 0xdc00u | bytes[0]);
    }
    if (is_written_as_number(c))
        return put_number_escape(target, c);
    size_t size = 0;
    if (c == '"' || c == '\\')
        target[size++] = '\\';
    memcpy(target + size, bytes, *taken);
    return size + *taken;
}

void json_string_of(struct json *json, const char *key, const char *bytes, size_t length) {
    if (!fits(json, key, 2))
        return;
    put_prefix(json, key);
    put_char(json, '"');
    while (length > 0) {
        char character[8];
        size_t taken;
        size_t size = escape(character, (const unsigned char *)bytes, length, &taken);
        if (size + 1 > room(json)) {
            json->cut = true;
            break;
        }
        put(json, character, size);
        bytes += taken;
        length -= taken;
    }
    put_char(json, '"');
}

static void put_word(struct json *json, const char *key, const char *word, size_t length) {
    if (fits(json, key, length)) {
        put_prefix(json, key);
        put(json, word, length);
    }
}

void json_raw(struct json *json, const char *key, const char *value) {
    put_word(json, key, value, strlen(value));
}

void json_string(struct json *json, const char *key, const char *value) {
    if (value)
        json_string_of(json, key, value, strlen(value));
    else
        put_word(json, key, "null", 4);
}

#define DIGITS_MAX 20

/* Writes the digits to the end of the array and returns where they begin. */
static size_t digits_of(char digits[static DIGITS_MAX], uint64_t value, unsigned base) {
    size_t first = DIGITS_MAX;
    do {
        digits[--first] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    return first;
}

void json_unsigned(struct json *json, const char *key, uint64_t value) {
    char digits[DIGITS_MAX];
    size_t first = digits_of(digits, value, 10);
    put_word(json, key, digits + first, DIGITS_MAX - first);
}

void json_signed(struct json *json, const char *key, int64_t value) {
    if (value >= 0) {
        json_unsigned(json, key, (uint64_t)value);
        return;
    }
    char digits[1 + DIGITS_MAX];
    size_t first = digits_of(digits + 1, -(uint64_t)value, 10);
    digits[first] = '-';
    put_word(json, key, digits + first, 1 + DIGITS_MAX - first);
}

void json_hex(struct json *json, const char *key, uint64_t value) {
    char digits[3 + DIGITS_MAX + 1];
    size_t first = digits_of(digits + 3, value, 16);
    memcpy(digits + first, "\"0x", 3);
    digits[sizeof digits - 1] = '"';
    put_word(json, key, digits + first, sizeof digits - first);
}

void json_padded_number(char *bytes, uint64_t value, unsigned width) {
    char digits[DIGITS_MAX];
    size_t first = digits_of(digits, value, 10);
    size_t length = DIGITS_MAX - first;
    if (length > width) {
        memset(bytes, '9', width);
        return;
    }
    memcpy(bytes, digits + first, length);
    memset(bytes + length, ' ', width - length);
}

size_t json_padded(struct json *json, const char *key, uint64_t value, unsigned width) {
    char number[DIGITS_MAX];
    json_padded_number(number, value, width);
    if (!fits(json, key, width))
        return 0;
    put_word(json, key, number, width);
    return json->length - width;
}
