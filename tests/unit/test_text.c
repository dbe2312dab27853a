/* Building and reading text; patterns against fnmatch(3). */
#define _GNU_SOURCE
#include "base/text.h"

#include "check.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <time.h>

static uint32_t random_state = 1;
static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

TEST("I3: numbers and strings are put together as written") {
    char bytes[200];
    struct text text;
    text_begin(&text, bytes, sizeof bytes);
    CHECK_STR(bytes, "");
    text_add(&text, "a=");
    text_add_decimal(&text, 0);
    text_add_char(&text, ' ');
    text_add_decimal(&text, UINT64_MAX);
    text_add_char(&text, ' ');
    text_add_signed(&text, INT64_MIN);
    text_add_char(&text, ' ');
    text_add_signed(&text, -1);
    text_add_signed(&text, 7);
    text_add_char(&text, ' ');
    text_add_hex(&text, 0, 0);
    text_add_hex(&text, 0xabc, 2);
    text_add_hex(&text, 0x1f, 16);
    text_add_hex(&text, UINT64_MAX, 1);
    CHECK_STR(bytes, "a=0 18446744073709551615 -9223372036854775808 -17 "
                     "0abc000000000000001fffffffffffffffff");
    CHECK(!text.cut);
    CHECK_EQ(text.length, strlen(bytes));
}

TEST("R3: text that does not fit is cut once, ended, and marked") {
    char bytes[8];
    struct text text;
    memset(bytes, 'x', sizeof bytes);
    text_begin(&text, bytes, 6);
    text_add(&text, "abc");
    text_add(&text, "de");
    CHECK(!text.cut);
    text_add(&text, "");
    CHECK(!text.cut);
    text_add_decimal(&text, 12);
    CHECK(text.cut);
    text_add(&text, "f");
    CHECK_STR(bytes, "abcde");
    CHECK(bytes[6] == 'x' && bytes[7] == 'x');
    text_begin(&text, bytes, 1);
    text_add_char(&text, 'a');
    CHECK(text.cut && bytes[0] == '\0');
}

static long long decimal(const char *text) {
    uint64_t value = 0;
    return text_decimal(text, strlen(text), &value) ? (long long)value : -1;
}

TEST("I2: an unsigned number is digits and nothing else, and fits") {
    CHECK_EQ(decimal("0"), 0);
    CHECK_EQ(decimal("0042"), 42);
    CHECK_EQ(decimal("9223372036854775807"), INT64_MAX);
    uint64_t value = 0;
    CHECK(text_decimal("18446744073709551615", 20, &value) && value == UINT64_MAX);
    CHECK(!text_decimal("18446744073709551616", 20, &value));
    CHECK(!text_decimal("99999999999999999999", 20, &value));
    static const char *const wrong[] = {"", "-1", "+1", " 1", "1 ", "1a", "0x1", "1.0", "/", ":"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_EQ(decimal(wrong[i]), -1);
}

static long long seconds(const char *text) {
    int64_t ns = 0;
    return text_seconds(text, strlen(text), &ns) ? ns : -1;
}

TEST("I2: seconds have a fraction of any length") {
    CHECK_EQ(seconds("0"), 0);
    CHECK_EQ(seconds("10"), 10000000000);
    CHECK_EQ(seconds("0.5"), 500000000);
    CHECK_EQ(seconds(".25"), 250000000);
    CHECK_EQ(seconds("1."), 1000000000);
    CHECK_EQ(seconds("1.000000001"), 1000000001);
    CHECK_EQ(seconds("1.0000000019999"), 1000000001);
    CHECK_EQ(seconds("9223372036.854775807"), INT64_MAX);
    static const char *const wrong[] = {
        "",    ".",    "-1",  "1.2.3", "1e3",  "1s",   "9223372036.854775808", "9223372037", " 1",
        "1,5", "1.-1", "inf", "nan",   "0x1p", "1. 0", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (seconds(wrong[i]) != -1)
            CHECK_FAILED("\"%s\" was taken", wrong[i]);
}

static const char *unescaped(const char *text) {
    static char target[16];
    memset(target, 'x', sizeof target);
    ssize_t length = text_unescape(target, sizeof target, text, strlen(text));
    if (length < 0)
        return "(malformed)";
    CHECK_EQ(length, strlen(target));
    return target;
}

TEST("I2: escapes become their bytes; malformed ones are refused") {
    CHECK_STR(unescaped("a%20b%25c"), "a b%c");
    CHECK_STR(unescaped("%c3%A4%4F%4f%4a%4A"), "\xc3\xa4OOJJ");
    char cut[8];
    CHECK_EQ(text_unescape(cut, sizeof cut, "%412", 2), -1);
    CHECK_EQ(text_unescape(cut, sizeof cut, "%412", 3), 1);
    CHECK_EQ(text_unescape(cut, 0, "", 0), -1);
    CHECK_EQ(text_unescape(cut, 1, "", 0), 0);
    CHECK_STR(unescaped(""), "");
    static const char *const wrong[] = {"%", "%2", "a%zz", "%0g", "%00", "%-1", "%%20"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_STR(unescaped(wrong[i]), "(malformed)");
    CHECK_STR(unescaped("123456789012345"), "123456789012345");
    CHECK_STR(unescaped("1234567890123456"), "(malformed)");
    CHECK_STR(unescaped("12345678901234%356"), "(malformed)");
    char same[] = "%41%42c";
    CHECK_EQ(text_unescape(same, sizeof same, same, strlen(same)), 3);
    CHECK_STR(same, "ABc");
}

TEST("I2: every byte but NUL survives escaping and unescaping") {
    char plain[32];
    struct text plain_text;
    text_begin(&plain_text, plain, sizeof plain);
    text_add_escaped(&plain_text, "/a-Z.~=\xc3\xa4 %\x7f");
    CHECK_STR(plain, "/a-Z.~=\xc3\xa4%20%25%7f");
    char all[256];
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    char escaped[1024];
    char back[256];
    struct text text;
    text_begin(&text, escaped, sizeof escaped);
    text_add_escaped(&text, all);
    CHECK(!text.cut && strpbrk(escaped, " \t\n\r\v\f") == NULL);
    CHECK_EQ(text_unescape(back, sizeof back, escaped, text.length), 255);
    CHECK_STR(back, all);
}

/* ---- patterns ---- */

TEST("L6: patterns match as fnmatch's, and a star takes slashes") {
    CHECK(glob_match("*.pid", "/run/a/b.pid"));
    CHECK(glob_match("*.pid", ".pid"));
    CHECK(!glob_match("*.pid", "/run/b.pid2"));
    CHECK(glob_match("/a/**/c", "/a/b/b/c"));
    CHECK(glob_match("/a/*c", "/a/b/b/c"));
    CHECK(glob_match("", "") && !glob_match("", "a") && !glob_match("?", ""));
    CHECK(glob_match("*", "") && glob_match("***", "abc"));
    CHECK(glob_match("[]a]", "]") && glob_match("[!]a]", "b") && !glob_match("[^]a]", "]"));
    CHECK(glob_match("[a-]", "-") && glob_match("[a\\-z]", "-") && !glob_match("[a\\-z]", "b"));
    CHECK(glob_match("[\\]]x", "]x"));
    CHECK(glob_match("a\\*b", "a*b") && !glob_match("a\\*b", "axb"));
    CHECK(glob_match("with\\ blank", "with blank"));
    CHECK(!glob_match("a\\", "a") && !glob_match("a\\", "a\\"));
    CHECK(glob_match("x[[:digit:][:upper:]_]", "x7") && glob_match("x[[:digit:][:upper:]_]", "xZ"));
    CHECK(!glob_match("x[[:digit:][:upper:]_]", "xz"));
    CHECK(!glob_match("[[:nonsense:]]", "n"));
    CHECK(glob_match("[a:digit:]", "t") && !glob_match("[a:digit:]", "7"));
    CHECK(glob_match("[[:digit0]", "g") && glob_match("[[:digit0]", ":"));
}

TEST("L6: a bracket that is never closed stands for itself") {
    CHECK(glob_match("a[b", "a[b"));
    CHECK(!glob_match("a[b", "ab"));
    CHECK(glob_match("*[[[", "x[[["));
    CHECK(glob_match("[", "["));
    CHECK(glob_match("[]", "[]"));
    CHECK(glob_match("[!", "[!"));
}

static char random_byte(void) {
    return "abcz/.-]!^*?"[random_below(12)];
}

/* A set that is closed where it seems to be: a '!' or '^' stands first only to invert. */
static size_t random_set(char *at) {
    static const char *const items[] = {"a", "b", "a-c", "/",   ".", "[:alpha:]", "[:punct:]",
                                        "z", "?", "\\]", "c-a", "!", "^",         "[:digit:]"};
    size_t used = 0;
    at[used++] = '[';
    if (random_below(3) == 0)
        at[used++] = "!^"[random_below(2)];
    at[used++] = 'a';
    for (uint32_t i = random_below(3); i > 0; i--) {
        const char *item = items[random_below(sizeof items / sizeof *items)];
        memcpy(at + used, item, strlen(item));
        used += strlen(item);
    }
    at[used++] = ']';
    return used;
}

TEST("L6: 300,000 random patterns and texts give fnmatch's answer") {
    int matched = 0;
    for (int step = 0; step < 300000 && check_failures == 0; step++) {
        char pattern[256];
        char text[16];
        size_t used = 0;
        for (uint32_t i = random_below(7); i > 0; i--) {
            uint32_t kind = random_below(8);
            if (kind < 3)
                pattern[used++] = '*';
            else if (kind == 3)
                used += random_set(pattern + used);
            else if (kind == 4)
                pattern[used++] = '?';
            else if (kind == 5) {
                pattern[used++] = '\\';
                pattern[used++] = random_byte();
            } else
                pattern[used++] = random_byte();
        }
        pattern[used] = '\0';
        size_t length = random_below(8);
        for (size_t i = 0; i < length; i++)
            text[i] = random_byte();
        text[length] = '\0';
        bool wanted = fnmatch(pattern, text, 0) == 0;
        matched += wanted;
        if (glob_match(pattern, text) != wanted)
            CHECK_FAILED("pattern \"%s\" text \"%s\": fnmatch says %d", pattern, text, wanted);
    }
    CHECK(matched > 10000);
}

TEST("L6: no pattern takes longer than its length times the text's") {
    enum { LONG = 8000 };
    static char pattern[LONG + 1];
    static char text[LONG + 1];
    static const char *const pieces[] = {"*a", "*[", "*[\\]", "*[ab]", "*?a", "*[[:alpha:]", "[!"};
    memset(text, 'a', LONG);
    clock_t start = clock();
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t piece = strlen(pieces[i]);
        size_t at = 0;
        for (; at + piece < LONG; at += piece)
            memcpy(pattern + at, pieces[i], piece);
        pattern[at] = 'b';
        CHECK(!glob_match(pattern, text));
        memset(pattern, 0, sizeof pattern);
    }
    /* Each '[' here is open to the end of the pattern, and matches. */
    for (size_t i = 0; i + 2 <= LONG; i += 2)
        memcpy(text + i, "[]", 2);
    pattern[0] = '*';
    size_t end = 1;
    for (; end + 4 < LONG; end += 3)
        memcpy(pattern + end, "[\\]", 3);
    pattern[end] = 'b';
    CHECK(!glob_match(pattern, text));
    /* Processor time, and a hundred times what it takes; with one power of the length more it takes
     * far longer. */
    CHECK((clock() - start) / CLOCKS_PER_SEC < 10);
}
