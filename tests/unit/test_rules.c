/* The rules file: its grammar, its errors, and which rule answers. */
#include "base/rules.h"

#include "base/text.h"
#include "check.h"

static struct rules rules;
static char errors[8192]; /* "LINE: MESSAGE\n" each */
static struct text errors_text;

static void note_error(void *context, unsigned line, const char *message) {
    struct text *text = context;
    text_add_decimal(text, line);
    text_add(text, ": ");
    text_add(text, message);
    text_add(text, "\n");
}

static unsigned parse_bytes(const char *bytes, size_t length) {
    memset(&rules, 0, sizeof rules);
    text_begin(&errors_text, errors, sizeof errors);
    return rules_parse(&rules, bytes, length, note_error, &errors_text);
}

static unsigned parse(const char *string) {
    return parse_bytes(string, strlen(string));
}

TEST("L6: a table of zero bytes has the built-in rule for pid files, and no other") {
    memset(&rules, 0, sizeof rules);
    CHECK_EQ(rules_lock_treatment(&rules, "/run/a.pid", "/bin/a"), LOCK_RULE_WATCH);
    CHECK_EQ(rules_lock_treatment(&rules, "/run/a.pid.lock", NULL), LOCK_RULE_NONE);
    CHECK_EQ(rules_env_treatment(&rules, "TZ", "/bin/a"), ENV_RULE_NONE);
    CHECK(!rules_has_handover(&rules, "/bin/a"));
}

TEST("L6: each path gets the treatment of the first line that matches it") {
    CHECK_EQ(parse("# our locks\n"
                   "\n"
                   "lock /srv/db/*.tdb process\n"
                   "lock /srv/db/* description   # the rest\n"
                   "lock /srv/* program=*/backup* off\r\n"
                   "\tlock\t/srv/* \t watch \t\n"
                   "lock /run/mine.pid description"),
             0);
    CHECK_STR(errors, "");
    CHECK_EQ(rules.count, 5);
    CHECK_EQ(rules_lock_treatment(&rules, "/srv/db/a.tdb", "/bin/x"), LOCK_RULE_PROCESS);
    CHECK_EQ(rules_lock_treatment(&rules, "/srv/db/deep/a.txt", "/bin/x"), LOCK_RULE_DESCRIPTION);
    CHECK_EQ(rules_lock_treatment(&rules, "/srv/a", "/usr/bin/backup2"), LOCK_RULE_OFF);
    CHECK_EQ(rules_lock_treatment(&rules, "/srv/a", "/usr/bin/other"), LOCK_RULE_WATCH);
    CHECK_EQ(rules_lock_treatment(&rules, "/srv/a", NULL), LOCK_RULE_WATCH);
    CHECK_EQ(rules_lock_treatment(&rules, "/srv/a", ""), LOCK_RULE_WATCH);
    CHECK_EQ(rules_lock_treatment(&rules, "/etc/a", "/bin/x"), LOCK_RULE_NONE);
    CHECK_EQ(rules_lock_treatment(&rules, "/run/mine.pid", "/bin/x"), LOCK_RULE_DESCRIPTION);
    CHECK_EQ(rules_lock_treatment(&rules, "/run/other.pid", "/bin/x"), LOCK_RULE_WATCH);
}

TEST("L6: a pattern without a slash is also compared with the last component") {
    CHECK_EQ(parse("lock Cargo.lock program=cargo process\nlock *cache* off\n"), 0);
    CHECK_EQ(rules_lock_treatment(&rules, "/a/Cargo.lock", "/usr/bin/cargo"), LOCK_RULE_PROCESS);
    CHECK_EQ(rules_lock_treatment(&rules, "/a/Cargo.lock", "/usr/bin/cargo2"), LOCK_RULE_NONE);
    CHECK_EQ(rules_lock_treatment(&rules, "/a/Cargo.lock2", "/usr/bin/cargo"), LOCK_RULE_NONE);
    CHECK_EQ(rules_lock_treatment(&rules, "/a/cache/x", "/usr/bin/cargo"), LOCK_RULE_OFF);
    CHECK_EQ(rules_lock_treatment(&rules, "Cargo.lock", "cargo"), LOCK_RULE_PROCESS);
}

TEST("L6: a backslash keeps a blank or a # in a pattern") {
    CHECK_EQ(parse("lock /my\\ files/* off\nlock \\#x watch\nlock /a#b off"), 0);
    CHECK_EQ(rules_lock_treatment(&rules, "/my files/a", NULL), LOCK_RULE_OFF);
    CHECK_EQ(rules_lock_treatment(&rules, "/#x", NULL), LOCK_RULE_WATCH);
    CHECK_EQ(rules_lock_treatment(&rules, "/a#b", NULL), LOCK_RULE_OFF);
}

TEST("L5: waits of the named programs are never refused") {
    CHECK_EQ(parse("wait program=*/handover-server handover\nwait program=pool? handover\n"), 0);
    CHECK(rules_has_handover(&rules, "/opt/handover-server"));
    CHECK(rules_has_handover(&rules, "/opt/pool1"));
    CHECK(!rules_has_handover(&rules, "/opt/pool"));
    CHECK(!rules_has_handover(&rules, NULL));
    CHECK(!rules_has_handover(&rules, ""));
    CHECK_EQ(rules_lock_treatment(&rules, "/opt/pool1", "/opt/pool1"), LOCK_RULE_NONE);
}

TEST("E7: variables are shared or kept apart by name and program") {
    CHECK_EQ(parse("env LC_* shared\n"
                   "env OUT_DIR program=rustc private\n"
                   "env OUT_DIR scoped\n"
                   "env ?[0-9] watch\n"),
             0);
    CHECK_EQ(rules_env_treatment(&rules, "LC_ALL", "/bin/x"), ENV_RULE_SHARED);
    CHECK_EQ(rules_env_treatment(&rules, "OUT_DIR", "/bin/rustc"), ENV_RULE_PRIVATE);
    CHECK_EQ(rules_env_treatment(&rules, "OUT_DIR", "/bin/cargo"), ENV_RULE_SCOPED);
    CHECK_EQ(rules_env_treatment(&rules, "V1", NULL), ENV_RULE_WATCH);
    CHECK_EQ(rules_env_treatment(&rules, "lc_all", NULL), ENV_RULE_NONE);
}

TEST("I2: a wrong line is named by number, left out, and the next one read") {
    CHECK_EQ(parse("lokc /a off\n"
                   "lock\n"
                   "lock # /a off\n"
                   "lock /a\n"
                   "lock /a program=b\n"
                   "lock /a of\n"
                   "lock /a off now\n"
                   "lock /a handover\n"
                   "lock program=a off\n"
                   "lock /a program= off\n"
                   "wait handover\n"
                   "wait program= handover\n"
                   "wait program=a off\n"
                   "env A process\n"
                   "env\n"
                   "wait\n"
                   "lock /a program=b program=c off\n"
                   "lock /b off\n"),
             17);
    CHECK_STR(errors, "1: neither lock, wait nor env: lokc\n"
                      "2: the pattern is missing\n"
                      "3: the pattern is missing\n"
                      "4: the treatment is missing\n"
                      "5: the treatment is missing\n"
                      "6: not a treatment for this: of\n"
                      "7: one word too many: now\n"
                      "8: not a treatment for this: handover\n"
                      "9: the pattern is missing\n"
                      "10: program= is missing\n"
                      "11: program= is missing\n"
                      "12: program= is missing\n"
                      "13: not a treatment for this: off\n"
                      "14: not a treatment for this: process\n"
                      "15: the pattern is missing\n"
                      "16: program= is missing\n"
                      "17: not a treatment for this: program=c\n");
    CHECK_EQ(rules.count, 1);
    CHECK_EQ(rules_lock_treatment(&rules, "/b", NULL), LOCK_RULE_OFF);
    CHECK_EQ(rules_lock_treatment(&rules, "/a", NULL), LOCK_RULE_NONE);
    CHECK_EQ(rules_parse(&rules, "x\n", 2, NULL, NULL), 1);
}

TEST("I2: bytes that are no text are refused, and no end is read beyond") {
    static const char nul[] = "lock /a\0b off\nlock /c off\n";
    CHECK_EQ(parse_bytes(nul, sizeof nul - 1), 1);
    CHECK_EQ(rules_lock_treatment(&rules, "/c", NULL), LOCK_RULE_OFF);
    static const char unended[] = {'l', 'o', 'c', 'k', ' ', 'a', ' ', 'o', 'f', 'f'};
    CHECK_EQ(parse_bytes(unended, sizeof unended), 0);
    CHECK_EQ(rules_lock_treatment(&rules, "/a", NULL), LOCK_RULE_OFF);
    static const char backslash[] = {'l', 'o', 'c', 'k', ' ', 'a', '\\'};
    CHECK_EQ(parse_bytes(backslash, sizeof backslash), 1);
    CHECK_EQ(parse_bytes("", 0), 0);
}

TEST("I2: a long word is cut in the message") {
    static char line[1000];
    memset(line, 'x', sizeof line - 1);
    CHECK_EQ(parse(line), 1);
    CHECK(strlen(errors) < 200);
}

TEST("L6: a full table says so, and keeps the rules that it has") {
    static char text[RULES_TEXT * 2];
    struct text all;
    text_begin(&all, text, sizeof text);
    for (unsigned i = 0; i < RULES_MAX + 2; i++) {
        text_add(&all, "lock /");
        text_add_decimal(&all, i);
        text_add(&all, " off\n");
    }
    CHECK_EQ(parse(text), 2);
    CHECK_STR(errors, "257: no room for more rules\n258: no room for more rules\n");
    CHECK_EQ(rules_lock_treatment(&rules, "/255", NULL), LOCK_RULE_OFF);
    CHECK_EQ(rules_lock_treatment(&rules, "/256", NULL), LOCK_RULE_NONE);

    /* Room for the text of three patterns of 10,000 bytes, not of a fourth; a short one fits again.
     */
    text_begin(&all, text, sizeof text);
    for (unsigned i = 0; i < 4; i++) {
        text_add(&all, "lock /");
        for (unsigned k = 0; k < 10000; k++)
            text_add_char(&all, (char)('a' + i));
        text_add(&all, " off\n");
    }
    text_add(&all, "lock /short off\n");
    CHECK_EQ(parse(text), 1);
    CHECK_STR(errors, "4: no room for more rules\n");
    CHECK_EQ(rules.count, 4);
    CHECK_EQ(rules_lock_treatment(&rules, "/short", NULL), LOCK_RULE_OFF);
}
