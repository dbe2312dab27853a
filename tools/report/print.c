/* JSON as record_print makes it: ASCII only, and of that nothing which is markup in a page or begins a command
 * in a CI job's log. */
#define _GNU_SOURCE
#include "../common/memory.h"
#include "../common/output.h"
#include "pool.h"
#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 4096 /* most records fit */

struct text {
    char *bytes;
    size_t length;
    size_t room;
    record_printed *printed;
    void *context;
};

static char *make_room(struct text *text, size_t more) {
    if (text->room - text->length < more) {
        text->room = text->room ? 2 * (text->room + more) : ROOM_FIRST + more;
        text->bytes = must_allocate(text->bytes, text->room, 1);
    }
    return text->bytes + text->length;
}

static void put(struct text *text, const char *bytes, size_t length) {
    memcpy(make_room(text, length), bytes, length);
    text->length += length;
}

static void put_char(struct text *text, char c) {
    *make_room(text, 1) = c;
    text->length++;
}

static void put_escape(struct text *text, const char *format, unsigned value) {
    text->length += (size_t)sprintf(make_room(text, sizeof "\\uXXXX"), format, value);
}

/* The bytes at the start that stand for themselves. */
static size_t plain_length(const char *bytes, size_t length) {
    static const bool is_plain[256] = {
        [' ' ... '!'] = true, ['$' ... '%'] = true, ['\'' ... ';'] = true,
        ['='] = true,         ['?' ... '['] = true, [']' ... '~'] = true,
    };
    size_t plain = 0;
    while (plain < length && is_plain[(unsigned char)bytes[plain]])
        plain++;
    return plain;
}

static void put_ascii(struct text *text, char c) {
    static const char named[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                    {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        if (c == named[i][0]) {
            put_char(text, '\\');
            put_char(text, named[i][1]);
            return;
        }
    }
    put_escape(text, "\\u%04x", (unsigned char)c);
}

static void put_character(struct text *text, unsigned character) {
    if (character >= RAW_BYTE_FIRST) {
        put_escape(text, "\\udc%02x", character & 0xff);
    } else if (character > 0xffff) {
        put_escape(text, "\\u%04X", 0xd800 + ((character - 0x10000) >> 10));
        put_escape(text, "\\u%04X", 0xdc00 + ((character - 0x10000) & 0x3ff));
    } else {
        put_escape(text, "\\u%04X", character);
    }
}

static void put_string(struct text *text, const char *bytes, size_t length) {
    size_t run;
    put_char(text, '"');
    for (size_t i = 0; i < length; i += run) {
        unsigned character = 0;
        run = plain_length(bytes + i, length - i);
        put(text, bytes + i, run);
        if (run > 0)
            continue;
        run = utf8_decode(bytes + i, length - i, &character);
        if (character == '#' && (i + 1 == length || bytes[i + 1] != '#'))
            put_char(text, '#');
        else if (character < 0x80)
            put_ascii(text, (char)character);
        else
            put_character(text, character);
    }
    put_char(text, '"');
}

static void put_value(struct text *text, const json_t *value);

static void put_object(struct text *text, const json_t *object) {
    const char *key;
    json_t *value;
    char before = '{';
    json_object_foreach((json_t *)object, key, value) {
        put_char(text, before);
        put_string(text, key, strlen(key));
        put_char(text, ':');
        put_value(text, value);
        before = ',';
    }
    if (before == '{')
        put_char(text, before);
    put_char(text, '}');
}

static void put_array(struct text *text, const json_t *array) {
    size_t size = json_array_size(array);
    struct string known = text->printed ? text->printed(text->context, array) : (struct string){0};
    if (known.bytes) {
        put(text, known.bytes, known.length);
        return;
    }
    put_char(text, '[');
    for (size_t i = 0; i < size; i++) {
        if (i > 0)
            put_char(text, ',');
        put_value(text, json_array_get(array, i));
    }
    put_char(text, ']');
}

static void put_integer(struct text *text, json_int_t value) {
    char digits[OUTPUT_DIGITS];
    size_t at = output_digits(digits, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        put_char(text, '-');
    put(text, digits + at, sizeof digits - at);
}

static void put_real(struct text *text, const json_t *value) {
    char *digits = json_dumps(value, JSON_ENCODE_ANY);
    put(text, digits, strlen(digits));
    pool_give_text(digits);
}

static void put_value(struct text *text, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(text, value);
        break;
    case JSON_ARRAY:
        put_array(text, value);
        break;
    case JSON_STRING:
        put_string(text, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        put_integer(text, json_integer_value(value));
        break;
    case JSON_REAL:
        put_real(text, value);
        break;
    case JSON_TRUE:
        put(text, "true", 4);
        break;
    case JSON_FALSE:
        put(text, "false", 5);
        break;
    case JSON_NULL:
        put(text, "null", 4);
        break;
    }
}

char *record_print_with(const json_t *record, record_printed *printed, void *context) {
    struct text text = {.printed = printed, .context = context};
    put_value(&text, record);
    put_char(&text, '\0');
    return text.bytes;
}

char *record_print(const json_t *record) {
    return record_print_with(record, NULL, NULL);
}
