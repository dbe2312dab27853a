/* The JSON writer: always one valid line, harmless to read, explicit about what is missing. */
#include "check.h"
#include "json_reader.h"

#include "report/json.h"

#include <stdint.h>
#include <stdlib.h>

static char buffer[8192];
static struct json json;

static void begin(void) {
    memset(buffer, '#', sizeof buffer);
    json_begin(&json, buffer, sizeof buffer);
}

/* The line as a string. */
static const char *line(void) {
    size_t length = json_end(&json);
    CHECK(json_is_line(buffer, length));
    CHECK(json_is_harmless(buffer, length));
    CHECK_EQ(buffer[length], '#');
    buffer[length] = '\0';
    return buffer;
}

TEST("R4: an object of every kind of value is written as it should be") {
    begin();
    json_string(&json, "text", "a b");
    json_string(&json, "none", NULL);
    json_signed(&json, "least", INT64_MIN);
    json_unsigned(&json, "most", UINT64_MAX);
    json_hex(&json, "hex", 0x1fa);
    json_object(&json, "inner");
    json_close(&json);
    json_array(&json, "list");
    json_unsigned(&json, NULL, 0);
    json_array(&json, NULL);
    json_close(&json);
    json_object(&json, NULL);
    json_signed(&json, "x", -1);
    json_close(&json);
    json_close(&json);
    CHECK_STR(line(), "{\"text\":\"a b\",\"none\":null,\"least\":-9223372036854775808,"
                      "\"most\":18446744073709551615,\"hex\":\"0x1fa\",\"inner\":{},"
                      "\"list\":[0,[],{\"x\":-1}]}\n");
}

TEST("R4: what was left open is closed at the end, and a close too many is none") {
    begin();
    json_close(&json);
    json_array(&json, "a");
    json_object(&json, NULL);
    CHECK_STR(line(), "{\"a\":[{}]}\n");
}

static void written_as(const char *string, const char *wanted) {
    char expected[256] = "{\"s\":\"";
    begin();
    json_string(&json, "s", string);
    strcat(strcat(expected, wanted), "\"}\n");
    CHECK_STR(line(), expected);
}

TEST("R2: no string can end the line, drive a terminal or be markup") {
    written_as("\n\r\t\x1b[31m\x7f", "\\u000a\\u000d\\u0009\\u001b[31m\\u007f");
    written_as("</script>&", "\\u003c/script\\u003e\\u0026");
    written_as("\"\\", "\\\"\\\\");
    written_as("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\u0080\\u009b\\u009f\xc2\xa0");
    written_as("\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029");
    written_as("\xe2\x80\xae\xe2\x81\xa6\xd8\x9c\xef\xbb\xbf", "\\u202e\\u2066\\u061c\\ufeff");
    written_as("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST("R2: bytes that are no UTF-8 come out as halves of a pair") {
    written_as("a\xff", "a\\udcff");
    written_as("\xc3", "\\udcc3");
    written_as("\xc3(", "\\udcc3(");
    written_as("\xc0\x80", "\\udcc0\\udc80");            /* too long for NUL */
    written_as("\xe0\x80\xaf", "\\udce0\\udc80\\udcaf"); /* too long for '/' */
    written_as("\xed\xa0\x80", "\\udced\\udca0\\udc80"); /* a surrogate */
    written_as("\xf4\x90\x80\x80", "\\udcf4\\udc90\\udc80\\udc80");
    written_as("\xf0\x9f\x98", "\\udcf0\\udc9f\\udc98");
    written_as("\xf8\x88\x80\x80\x80", "\\udcf8\\udc88\\udc80\\udc80\\udc80");
}

TEST("R1: a padded number can be overwritten in place") {
    begin();
    size_t at = json_padded(&json, "count", 7, 12);
    json_string(&json, "k", "v");
    CHECK_STR(line(), "{\"count\":7           ,\"k\":\"v\"}\n");
    json_padded_number(buffer + at, 123456, 12);
    CHECK_STR(buffer, "{\"count\":123456      ,\"k\":\"v\"}\n");
    json_padded_number(buffer + at, 1000000000000, 12);
    CHECK_STR(buffer, "{\"count\":999999999999,\"k\":\"v\"}\n");
}

TEST("R4: what does not fit is left out, and the line says so") {
    char small[64];
    json_begin(&json, small, sizeof small);
    json_string(&json, "s", "0123456789012345678901234567890123456789");
    json_string(&json, "after", "");
    size_t length = json_end(&json);
    CHECK(length <= sizeof small);
    CHECK(json_is_line(small, length));
    char value[64];
    CHECK_STR(json_get(small, length, "truncated", value, sizeof value), "true");
    CHECK(json_get(small, length, "after", value, sizeof value) == NULL);
    CHECK(strstr(json_get(small, length, "s", value, sizeof value), "0123456789") == value);
}

TEST("R4: an object in which nothing fits is empty but for the mark") {
    char small[JSON_SIZE_MIN];
    json_begin(&json, small, sizeof small);
    json_string(&json, "a key that is longer than the line", "");
    size_t length = json_end(&json);
    CHECK_EQ(length, strlen("{\"truncated\":true}\n"));
    CHECK(memcmp(small, "{\"truncated\":true}\n", length) == 0);
}

TEST("R4: containers deeper than the limit are left out") {
    begin();
    for (int i = 0; i < 100; i++)
        json_array(&json, i == 0 ? "a" : NULL);
    json_unsigned(&json, NULL, 1);
    for (int i = 0; i < 100; i++)
        json_close(&json);
    json_unsigned(&json, "after", 1);
    CHECK(strstr(line(), "\"truncated\":true") != NULL);
}

/* ---- Any structure, any bytes, any size ---- */

static uint64_t state = 1;

static unsigned below(unsigned limit) {
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(state >> 33) % limit;
}

static size_t random_bytes(char *bytes, size_t max) {
    static const char *const pieces[] = {"\xc3\xa9", "\xe2\x80\xa8", "\xf0\x9f\x98\x80", "\"",
                                         "\\",       "\x1b",         "\xed\xb2\x80",     "<",
                                         "a"};
    size_t length = below((unsigned)max);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(1 + below(255));
    for (unsigned n = below(4); n > 0; n--) {
        const char *piece = pieces[below(sizeof pieces / sizeof *pieces)];
        if (strlen(piece) <= length)
            memcpy(bytes + below((unsigned)(length - strlen(piece) + 1)), piece, strlen(piece));
    }
    return length;
}

static void random_member(const char *key) {
    char bytes[64];
    switch (below(6)) {
    case 0:
        json_unsigned(&json, key, state);
        break;
    case 1:
        json_signed(&json, key, (int64_t)state);
        break;
    case 2:
        json_hex(&json, key, state);
        break;
    case 3:
        json_padded(&json, key, below(1000), 1 + below(20));
        break;
    default:
        json_string_of(&json, key, bytes, random_bytes(bytes, sizeof bytes));
    }
}

static void random_object(size_t size) {
    char *bytes = malloc(size);
    json_begin(&json, bytes, size);
    bool in_array[200] = {false};
    int depth = 0;
    for (unsigned n = below(60); n > 0; n--) {
        const char *key = in_array[depth] ? NULL : "key";
        unsigned what = below(8);
        if (what < 2) {
            in_array[++depth] = what == 0;
            (what == 0 ? json_array : json_object)(&json, key);
        } else if (what == 2 && depth > 0) {
            depth--;
            json_close(&json);
        } else {
            random_member(key);
        }
    }
    size_t length = json_end(&json);
    CHECK(length <= size);
    CHECK(json_is_line(bytes, length));
    CHECK(json_is_harmless(bytes, length));
    char value[8];
    bool cut = json_get(bytes, length, "truncated", value, sizeof value) != NULL;
    CHECK_EQ(cut, json.cut);
    free(bytes);
}

TEST("R4: whatever is written, in whatever room, the line is valid and harmless") {
    for (int i = 0; i < 20000 && check_failures == 0; i++)
        random_object(JSON_SIZE_MIN + below(i % 2 ? 100 : 4000));
}

TEST("R2: the bytes of a string can be recovered, whatever they are") {
    for (int i = 0; i < 20000 && check_failures == 0; i++) {
        char bytes[64], back[64];
        size_t length = random_bytes(bytes, sizeof bytes);
        begin();
        json_string_of(&json, "s", bytes, length);
        size_t line_length = json_end(&json);
        CHECK(json_get(buffer, line_length, "s", back, sizeof back) != NULL);
        CHECK(memcmp(back, bytes, length) == 0 && back[length] == '\0');
    }
}
