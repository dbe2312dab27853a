/* What shim-report makes of one line: records, damage, and text that must do no harm. Every line is
 * read from memory of exactly its size, so that a sanitizer sees a step beyond. */
#define _GNU_SOURCE
#include "../../tools/common/output.h"
#include "../../tools/report/record.h"
#include "../../tools/report/skim.h"
#include "../../tools/report/tree.h"

#include "check.h"

#include <stdlib.h>

static enum record_fault read_bytes(const char *bytes, size_t length, json_t **record) {
    char *exact = malloc(length ? length : 1);
    memcpy(exact, bytes, length);
    enum record_fault fault = record_read(exact, length, record);
    free(exact);
    return fault;
}

/* The record of a line, as it is printed; "" if it is none. */
static char *printed(const char *line) {
    json_t *record;
    if (read_bytes(line, strlen(line), &record) != RECORD_GOOD)
        return strdup("");
    char *text = record_print(record);
    json_decref(record);
    return text;
}

#define CHECK_PRINTED(line, wanted)                                                                \
    do {                                                                                           \
        char *text = printed(line);                                                                \
        CHECK_STR(text, wanted);                                                                   \
        free(text);                                                                                \
    } while (0)

#define SAME(line) CHECK_PRINTED(line, line)

TEST("R4: a record comes out as it went in, with fields that are not known") {
    SAME("{\"v\":1,\"kind\":\"k\",\"new\":[1,{\"a\":null}],\"count\":3}");
    SAME("{\"v\":1,\"kind\":\"k\",\"path\":\"/a\\udcff\\udc80/b\"}");
    SAME("{\"v\":1,\"kind\":\"k\",\"path\":\"\\\\udcff\"}");
    CHECK_PRINTED("{\"v\":1,\"kind\":\"k\",\"count\":7    }",
                  "{\"v\":1,\"kind\":\"k\",\"count\":7}");
    CHECK_PRINTED("{\"v\":1,\"kind\":\"k\",\"ino\":18446744073709551615}",
                  "{\"v\":1,\"kind\":\"k\",\"ino\":\"18446744073709551615\"}");
    CHECK_PRINTED("{\"v\":1,\"kind\":\"k\",\"a\":\"\xff\xc3\"}",
                  "{\"v\":1,\"kind\":\"k\",\"a\":\"\\uFFFD\\uFFFD\"}");
    CHECK_PRINTED("{\"v\":1,\"kind\":\"k\",\"a\":\"<\x7f&>\"}",
                  "{\"v\":1,\"kind\":\"k\",\"a\":\"\\u003c\\u007f\\u0026\\u003e\"}");
}

TEST("R4: what is no record is told from what is one of a newer version") {
    static const char *const broken[] = {
        "",          "{",         "}",           "[]",       "7",      "{}",
        "\xff",      "\xe2\x80",  "\\udc80",     "\\ud8",    "\\",     "\"",
        "{\"v\":1}", "{\"v\":0}", "{\"v\":\"1a", "{\"v\":9", "1e9999", "99999999999999999999",
    };
    json_t *record;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        if (read_bytes(broken[i], strlen(broken[i]), &record) != RECORD_BROKEN)
            CHECK_FAILED("taken for a record: %s", broken[i]);
    }
    const char *newer = "{\"v\":2,\"kind\":\"k\"}";
    CHECK_EQ(read_bytes(newer, strlen(newer), &record), RECORD_NEWER);
}

static const char seed_record[] =
    "{\"v\":1,\"count\":1           ,\"kind\":\"self-lock\",\"severity\":\"warning\","
    "\"time\":\"2026-11-23T12:00:01.5Z\",\"id\":\"00000000000000aa\",\"exe\":\"/b\\udcffin/"
    "p\\\\q\","
    "\"file\":{\"path\":\"/t/\\udce9\\ud83d\\ude00x\",\"dev\":1,\"ino\":18446744073709551615},"
    "\"here\":{\"pid\":7,\"stack\":[{\"module\":\"/p\",\"offset\":\"0x10\"}]}}";

/* Without escapes that are read with care, so that most of it can be skimmed. */
static const char plain_record[] =
    "{\"v\":1,\"count\":1           ,\"kind\":\"self-lock\",\"severity\":\"warning\","
    "\"time\":\"2026-11-23T12:00:01.5Z\",\"id\":\"00000000000000aa\",\"action\":\"denied\","
    "\"file\":{\"path\":\"/t/caf\xc3\xa9 \\u0041\",\"dev\":1,\"ino\":77},"
    "\"here\":{\"pid\":7,\"stack\":[{\"module\":\"/p\",\"offset\":\"0x10\"}]}}";

static const char plain_stacks[] = "{\"v\":1,\"here\":{\"pid\":7,\"stack\":[{\"module\":\"/"
                                   "p\",\"offset\":\"0x10\"},{\"module\":\"/q\"}]},"
                                   "\"there\":{\"pid\":7,\"stack\":[{\"module\":\"/"
                                   "p\",\"offset\":\"0x10\"},{\"module\":\"/q\"}]}}";

static unsigned random_state;
static unsigned random_below(unsigned limit) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

/* Returns the length of a damaged copy of the seed. */
static size_t damage(char *line, const char *seed) {
    static const char *const pieces[] = {
        "\\u",      "\\udc80", "\\ud83d",       "\"", "\\", "{", "]", "\xff",
        "\xe2\x80", "9",       "\\udbff\\udf80"};
    size_t length = strlen(seed);
    memcpy(line, seed, length);
    for (unsigned n = random_below(6); n > 0; n--) {
        const char *piece = pieces[random_below(sizeof pieces / sizeof *pieces)];
        size_t at = random_below((unsigned)length);
        size_t size = strlen(piece) < length - at ? strlen(piece) : length - at;
        memcpy(line + at, piece, size);
        if (random_below(8) == 0)
            length = at + 1;
    }
    return length;
}

TEST("R4: damaged records do no harm, and what is read of them is printed as ASCII") {
    unsigned read = 0;
    random_state = 1;
    for (unsigned round = 0; round < 20000; round++) {
        char line[sizeof seed_record];
        json_t *record;
        size_t length = damage(line, seed_record);
        if (read_bytes(line, length, &record) != RECORD_GOOD)
            continue;
        char *text = record_print(record);
        for (const char *at = text; *at; at++) {
            if (*at < ' ' || *at == 0x7f)
                CHECK_FAILED("round %u printed byte %d", round, *at);
        }
        read++;
        free(text);
        json_decref(record);
    }
    CHECK(read > 1000);
}

static void check_same(unsigned round, struct string skimmed, const json_t *record,
                       const char *key) {
    struct string read = record_string(record, key);
    if (skimmed.length != read.length || (skimmed.bytes == NULL) != (read.bytes == NULL) ||
        (read.bytes && memcmp(skimmed.bytes, read.bytes, read.length) != 0))
        CHECK_FAILED("round %u: %s differs", round, key);
}

/* Skims a line as exactly its memory, and compares with what reading it in full gives. stacks: of lines before. */
static bool check_skimmed(struct tree_stacks *stacks, unsigned round, const char *line,
                          size_t length) {
    struct skimmed skimmed;
    uint64_t count = 0;
    json_t *record;
    char *exact = malloc(length ? length : 1);
    memcpy(exact, line, length);
    bool is_good = skim_record(stacks, &skimmed, exact, length) == SKIM_GOOD;
    if (is_good && record_read(exact, length, &record) != RECORD_GOOD) {
        CHECK_FAILED("round %u: skimmed, but not read: %.*s", round, (int)length, exact);
    } else if (is_good) {
        check_same(round, skimmed.kind, record, "kind");
        check_same(round, skimmed.severity, record, "severity");
        check_same(round, skimmed.action, record, "action");
        check_same(round, skimmed.time, record, "time");
        check_same(round, skimmed.id, record, "id");
        record_number(record, "count", &count);
        CHECK_EQ(skimmed.count, count);
        json_decref(record);
    }
    free(exact);
    return is_good;
}

TEST("I3: what is skimmed of a record is what reading it in full gives") {
    static const char *const good[] = {
        "{\"v\":1,\"kind\":\"k\"}",
        " {\"kind\":\"a\",\"v\":1,\"x\":[{},[],-1,0,true,false,null,\"\\\"\\u00e9\"],\"kind\":"
        "\"b\"} ",
        "{\"v\":1,\"kind\":\"k\",\"a\":\"caf\xc3\xa9\",\"ino\":18446744073709551615}",
        "{\"v\":1,\"kind\":\"k\",\"count\":7   "
        ",\"id\":\"x\",\"time\":\"t\",\"action\":\"\",\"n\":{\"kind\":3}}",
    };
    static const char *const unsure[] = {
        "{\"v\":1,\"kind\":\"\\u006b\"}",     "{\"v\":1,\"kind\":7}",
        "{\"v\":1,\"kind\":\"k\",\"a\":1.5}", "{\"v\":1,\"kind\":\"k\"}x",
        "{\"v\":1,\"kind\":\"k\",}",          "{\"v\":2,\"kind\":\"k\"}",
        "{\"v\":1,\"kind\":\"k\",\"a\":01}",  "{\"v\":1,\"kind\":\"k\",\"a\":\"\xff\"}",
        "{\"v\":1,\"kind\":\"k\",\"a\":\"",   "{\"v\":1,\"kind\":\"k\",\"a\":\"\n\"}",
    };
    struct tree_stacks stacks = {0};
    unsigned skimmed = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(check_skimmed(&stacks, 0, good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof unsure / sizeof *unsure; i++)
        CHECK(!check_skimmed(&stacks, 0, unsure[i], strlen(unsure[i])));
    random_state = 2;
    for (unsigned round = 0; round < 20000; round++) {
        char line[sizeof plain_record];
        skimmed += check_skimmed(&stacks, round, line, damage(line, plain_record));
    }
    CHECK(skimmed > 1000);
    tree_stacks_end(&stacks);
}

/* Reads a line as exactly its memory, by both parsers. */
static bool check_tree(unsigned round, struct tree_stacks *stacks, const char *line,
                       size_t length) {
    char *exact = malloc(length ? length : 1);
    memcpy(exact, line, length);
    json_t *tree = tree_read(stacks, exact, length);
    if (tree) {
        json_t *wanted = json_loadb(exact, length, JSON_ALLOW_NUL, NULL);
        if (!json_equal(tree, wanted))
            CHECK_FAILED("round %u: read otherwise: %.*s", round, (int)length, exact);
        json_decref(wanted);
    }
    json_decref(tree);
    free(exact);
    return tree != NULL;
}

TEST("R4: a usual record is read as jansson reads it, with stacks that came before too") {
    static const char *const good[] = {
        "{\"v\":1,\"a\":[{},[],-1,0,true,false,null,\"caf\xc3\xa9\"],\"a\":7,\"\":-0} ",
        "{\"stack\":[1,[2]],\"x\":{\"stack\":[1,[2]],\"y\":[{\"stack\":[]}]}}",
        "{\"x\":{\"stack\":[{\"m\":\"]\"}]},\"y\":{\"stack\":[{\"m\":\"]\"}]}}",
    };
    static const char *const unusual[] = {
        "{\"a\":1.5}",
        "{\"a\":\"\\u0041\"}",
        "{\"a\":1}x",
        "{\"a\":}",
        "{\"a\"",
        "{\"stack\":[1",
        "{\"stack\":[1,]}",
        "{\"a\":9223372036854775807}",
        "{\"a\":\"\xff\"}",
        "",
        "[",
        "tru",
    };
    struct tree_stacks stacks = {0};
    unsigned read = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(check_tree(0, &stacks, good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof unusual / sizeof *unusual; i++)
        CHECK(!check_tree(0, &stacks, unusual[i], strlen(unusual[i])));
    random_state = 3;
    for (unsigned round = 0; round < 20000; round++) {
        char line[sizeof plain_stacks];
        read += check_tree(round, &stacks, line, damage(line, plain_stacks));
    }
    CHECK(read > 1000);
    tree_stacks_end(&stacks);
}

TEST("I3: records with one stack share it, and no more of them are kept than there is room for") {
    struct tree_stacks stacks = {0};
    char line[100];
    json_t *first = NULL;
    for (unsigned i = 0; i < 3 * TREE_STACKS; i++) {
        int length = sprintf(line, "{\"n\":%u,\"stack\":[\"/usr/bin/%u\"]}", i, i / 2);
        json_t *record = tree_read(&stacks, line, (size_t)length);
        CHECK(tree_is_shared(json_object_get(record, "stack")));
        if (i % 2)
            CHECK(json_object_get(record, "stack") == json_object_get(first, "stack"));
        json_decref(first);
        first = record;
    }
    json_decref(first);
    tree_stacks_end(&stacks);
}

TEST("I3: a record without its stacks is the same but for them") {
    static const char line[] = "{\"v\":1,\"kind\":\"k\",\"here\":{\"stack\":[{\"stack\":[1]},2],"
                               "\"pid\":1},\"there\":{\"stack\":[],\"tid\":2},\"stack\":7}";
    struct tree_stacks stacks = {0};
    struct skimmed skimmed;
    char shorter[sizeof line];
    for (int i = 0; i < 2; i++) { /* the second time its stacks are known */
        CHECK_EQ(skim_record(&stacks, &skimmed, line, sizeof line - 1), SKIM_GOOD);
        size_t length = skim_without_stacks(&skimmed, shorter, line, sizeof line - 1);
        shorter[length] = '\0';
        CHECK_STR(shorter, "{\"v\":1,\"kind\":\"k\",\"here\":{\"stack\":[],\"pid\":1},"
                           "\"there\":{\"stack\":[],\"tid\":2},\"stack\":7}");
    }
    tree_stacks_end(&stacks);
}

TEST("R2: a path is the bytes that it was on disk") {
    static const char wanted[] = "/\xff\0\\caf\xc3\xa9\x80";
    static const char line[] =
        "{\"v\":1,\"kind\":\"k\",\"path\":\"/\\udcff\\u0000\\\\caf\xc3\xa9\\udc80\"}";
    json_t *record;
    size_t length;
    CHECK_EQ(read_bytes(line, sizeof line - 1, &record), RECORD_GOOD);
    char *path = record_path(record_string(record, "path"), &length);
    CHECK_EQ(length, sizeof wanted - 1);
    CHECK(memcmp(path, wanted, sizeof wanted) == 0);
    free(path);
    json_decref(record);
}

TEST("I3: times are read to the nanosecond, and nothing else is taken for one") {
    static const struct {
        const char *text;
        uint64_t ns; /* 0: none */
    } table[] = {
        {"1970-01-01T00:00:01Z", 1000000000},
        {"1970-01-01T00:00:00.5Z", 500000000},
        {"1970-01-02T00:00:00.000000001Z", 86400000000001},
        {"1970-01-01T00:00:00.0000000019Z", 1},
        {"2026-11-23T12:00:00.123456789Z", 1795435200123456789},
        {"2026-11-23T12:00:00", 0},
        {"2026-11-23T12:00:00+01:00", 0},
        {"2026-11-23 12:00:00Z", 0},
        {"2026-11-23T12:00:00.5", 0},
        {"2026-11-23T12:00:00.5xZ", 0},
        {"yesterday", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint64_t ns = 0;
        bool is_time = record_time(table[i].text, strlen(table[i].text), &ns);
        if (is_time != (table[i].ns != 0) || (is_time && ns != table[i].ns))
            CHECK_FAILED("%s is %d, %llu", table[i].text, is_time, (unsigned long long)ns);
    }
}

/* What output_text makes of the bytes. */
static char *shown(const char *bytes, size_t length, size_t limit, bool utf8) {
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    struct output output = {.file = memory, .utf8 = utf8, .columns = 80, .rows = 24};
    output_text(&output, bytes, length, limit);
    fclose(memory);
    return text;
}

#define CHECK_SHOWN(bytes, limit, utf8, wanted)                                                    \
    do {                                                                                           \
        char *text = shown(bytes, sizeof bytes - 1, limit, utf8);                                  \
        CHECK_STR(text, wanted);                                                                   \
        free(text);                                                                                \
    } while (0)

TEST("R2: text of others is shown without what drives a terminal or forges a line") {
    CHECK_SHOWN("plain /text", 0, true, "plain /text");
    CHECK_SHOWN("a\nb\033[2J\r\t\0\x7f\\", 0, true, "a\\x0ab\\x1b[2J\\x0d\\x09\\x00\\x7f\\\\");
    CHECK_SHOWN("\xff\xc3\x28\xed\xa0\x80\xf4\x90\x80\x80", 0, true,
                "\\xff\\xc3(\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80");
    CHECK_SHOWN("caf\xc3\xa9 \xf0\x9f\x98\x80", 0, true, "caf\xc3\xa9 \xf0\x9f\x98\x80");
    CHECK_SHOWN("caf\xc3\xa9", 0, false, "caf\\u{e9}");
    CHECK_SHOWN("a #b ##[c] ###", 0, true, "a #b \\x23#[c] \\x23\\x23#");
    CHECK_SHOWN("\xef\xbf\xbe\xef\xbf\xbd", 0, true, "\\u{fffe}\xef\xbf\xbd");
    CHECK_SHOWN("\xc2\x9b\xe2\x80\xae\xe2\x80\xa8\xef\xbb\xbf", 0, true,
                "\\u{9b}\\u{202e}\\u{2028}\\u{feff}");
    CHECK_SHOWN("\xf4\x8f\xbe\x80\xf4\x8f\xbf\xbf", 0, true, "\\x80\\xff");
}

TEST("R2: long text is cut in the middle, between characters") {
    CHECK_SHOWN("0123456789", 10, true, "0123456789");
    CHECK_SHOWN("0123456789abcdef", 9, true, "012...abcdef");
    CHECK_SHOWN("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 9, true,
                "\xc3\xa9...\xc3\xa9\xc3\xa9\xc3\xa9");
}

TEST("I1: the rows of a line on a terminal are counted without its colours") {
    struct output output = {.columns = 10, .rows = 24};
    static const struct {
        const char *text;
        unsigned rows;
    } table[] = {
        {"short\n", 1},
        {"0123456789\n", 1},
        {"0123456789a\n", 2},
        {"\033[1;31m0123456789\033[0m\n", 1},
        {"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\n", 1},
        {"012345678901234567890\n", 3},
        {"a\nb\n", 2},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CHECK_EQ(output_rows(&output, table[i].text, strlen(table[i].text)), table[i].rows);
}
