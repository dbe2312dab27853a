/* The words of RACESHIM. */
#include "base/settings.h"

#include "base/text.h"
#include "check.h"

static struct settings settings;
static char errors[1024]; /* "NAME: MESSAGE\n" each */
static struct text errors_text;

static void note_error(void *context, const char *name, size_t length, const char *message) {
    struct text *text = context;
    text_add_bytes(text, name, length);
    text_add(text, ": ");
    text_add(text, message);
    text_add(text, "\n");
}

static unsigned parse(const char *string) {
    memset(&settings, 0x5a, sizeof settings);
    text_begin(&errors_text, errors, sizeof errors);
    return settings_parse(&settings, string, note_error, &errors_text);
}

static const char *printed(void) {
    static char buffer[SETTINGS_TEXT_MAX];
    CHECK_EQ(settings_text(&settings, buffer, sizeof buffer), strlen(buffer));
    return buffer;
}

static void check_defaults(void) {
    CHECK(settings.lock_mode == LOCKS_REPAIR && settings.env_mode == ENV_SCOPED);
    CHECK(!settings.show_values && settings.follow);
    CHECK(settings.wait_warn_ns == 10000000000 && settings.lock_timeout_ns == 0);
    CHECK_STR(settings.out, "");
    CHECK_STR(settings.rules, "");
}

TEST("I2: without a word, and without the variable, everything has its default") {
    CHECK_EQ(parse(""), 0);
    check_defaults();
    CHECK_EQ(parse(" \t\n "), 0);
    check_defaults();
    CHECK_EQ(parse(NULL), 0);
    check_defaults();
    CHECK_STR(printed(), "locks=repair env=scoped");
}

TEST("I2: every word sets what it names") {
    CHECK_EQ(parse("locks=watch env=private out=/tmp/a%20b rules=/etc/r%25 wait-warn=0.25 "
                   "lock-timeout=30 show-values no-follow trace"),
             0);
    CHECK_STR(errors, "");
    CHECK(settings.lock_mode == LOCKS_WATCH && settings.env_mode == ENV_PRIVATE);
    CHECK_STR(settings.out, "/tmp/a b");
    CHECK_STR(settings.rules, "/etc/r%");
    CHECK_EQ(settings.wait_warn_ns, 250000000);
    CHECK_EQ(settings.lock_timeout_ns, 30000000000);
    CHECK(settings.show_values && !settings.follow && settings.trace);
    CHECK_STR(printed(),
              "locks=watch env=private out=/tmp/a%20b rules=/etc/r%25 wait-warn=0.250000000 "
              "lock-timeout=30 show-values no-follow trace");
    CHECK_EQ(parse("locks=off env=off"), 0);
    CHECK(settings.lock_mode == LOCKS_OFF && settings.env_mode == ENV_OFF);
    CHECK_EQ(parse("locks=repair env=watch"), 0);
    CHECK(settings.lock_mode == LOCKS_REPAIR && settings.env_mode == ENV_WATCH);
    CHECK_EQ(parse("env=scoped wait-warn=0 wait-warn=1 wait-warn=0"), 0);
    CHECK_EQ(settings.wait_warn_ns, 0);
}

TEST("I2: a wrong word is named without its value, and changes nothing") {
    CHECK_EQ(parse("locks=repairs env= nonsense nonsense=secret out=%zz rules= wait-warn=soon "
                   "lock-timeout=-1 show-values=1 follow =x out LOCKS=off out=/a%00b"),
             14);
    check_defaults();
    CHECK_STR(errors, "locks: the value is malformed\n"
                      "env: the value is malformed\n"
                      "nonsense: there is no such setting without a value\n"
                      "nonsense: there is no such setting with a value\n"
                      "out: the value is malformed\n"
                      "rules: the value is malformed\n"
                      "wait-warn: the value is malformed\n"
                      "lock-timeout: the value is malformed\n"
                      "show-values: there is no such setting with a value\n"
                      "follow: there is no such setting without a value\n"
                      ": there is no such setting with a value\n"
                      "out: there is no such setting without a value\n"
                      "LOCKS: there is no such setting with a value\n"
                      "out: the value is malformed\n");
    CHECK_EQ(settings_parse(&settings, "x", NULL, NULL), 1);
}

TEST("I2: a malformed word leaves what an earlier one has set") {
    CHECK_EQ(parse("out=/a lock-timeout=3 locks=off out=/b% lock-timeout=x locks=x"), 3);
    CHECK_STR(settings.out, "/a");
    CHECK_EQ(settings.lock_timeout_ns, 3000000000);
    CHECK_EQ(settings.lock_mode, LOCKS_OFF);
}

TEST("I2: the longest path fits, one byte more is refused") {
    static char string[SETTINGS_PATH_MAX + 16];
    strcpy(string, "out=");
    memset(string + 4, 'a', SETTINGS_PATH_MAX - 1);
    CHECK_EQ(parse(string), 0);
    CHECK_EQ(strlen(settings.out), SETTINGS_PATH_MAX - 1);
    string[4 + SETTINGS_PATH_MAX - 1] = 'a';
    CHECK_EQ(parse(string), 1);
    CHECK_STR(settings.out, "");
}

TEST("E6: what is printed for the next program says the same, whatever the bytes") {
    static char buffer[SETTINGS_TEXT_MAX];
    static char again[SETTINGS_TEXT_MAX];
    static struct settings copy;
    memset(&settings, 0, sizeof settings);
    settings_default(&settings);
    settings.wait_warn_ns = INT64_MAX;
    settings.lock_timeout_ns = 1;
    /* The longest possible: every byte needs an escape. */
    memset(settings.out, ' ', SETTINGS_PATH_MAX - 1);
    for (int i = 0; i < SETTINGS_PATH_MAX - 1; i++)
        settings.rules[i] = (char)(1 + i % 32);
    settings.show_values = true;
    settings.follow = false;
    settings.env_mode = ENV_PRIVATE;
    ssize_t length = settings_text(&settings, buffer, sizeof buffer);
    CHECK(length > 0);
    CHECK_EQ(settings_parse(&copy, buffer, note_error, &errors_text), 0);
    CHECK_EQ(settings_text(&copy, again, sizeof again), length);
    CHECK_STR(again, buffer);
    CHECK(memcmp(copy.out, settings.out, sizeof copy.out) == 0);
    CHECK(memcmp(copy.rules, settings.rules, sizeof copy.rules) == 0);
    CHECK(copy.wait_warn_ns == INT64_MAX && copy.lock_timeout_ns == 1);
    CHECK(copy.show_values && !copy.follow);
    /* Too small a buffer is said, and ended. */
    CHECK_EQ(settings_text(&settings, again, 8), -1);
    CHECK_STR(again, "locks=r");
}
