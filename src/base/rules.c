#include "base/rules.h"

#include "base/text.h"

#include <string.h>

struct word {
    const char *at;
    size_t length;
};

struct parser {
    struct rules *rules;
    rules_error *error;
    void *context;
    unsigned line;
    unsigned reported;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void report(struct parser *parser, const char *message, const struct word *word) {
    char bytes[160];
    struct text text;
    text_begin(&text, bytes, sizeof bytes);
    text_add(&text, message);
    if (word != NULL) {
        text_add(&text, ": ");
        text_add_bytes(&text, word->at, word->length);
    }
    parser->reported++;
    if (parser->error != NULL)
        parser->error(parser->context, parser->line, bytes);
}

/* The next word of the line; a blank behind a backslash is part of it. */
static bool next_word(struct word *line, struct word *word) {
    const char *at = line->at;
    const char *end = at + line->length;
    while (at < end && is_blank(*at))
        at++;
    const char *first = at;
    while (at < end && !is_blank(*at))
        at += *at == '\\' && at + 1 < end ? 2 : 1;
    *word = (struct word){first, (size_t)(at - first)};
    *line = (struct word){at, (size_t)(end - at)};
    return word->length > 0 && *first != '#';
}

static bool word_is(const struct word *word, const char *string) {
    return text_is(word->at, word->length, string);
}

/* Cuts "program=" off the word; false if it does not begin so. */
static bool is_program(struct word *word) {
    static const char prefix[] = "program=";
    const size_t length = sizeof prefix - 1;
    if (word->length < length || memcmp(word->at, prefix, length) != 0)
        return false;
    word->at += length;
    word->length -= length;
    return true;
}

static uint8_t treatment_of(enum rule_kind kind, const struct word *word) {
    static const struct {
        uint8_t kind;
        uint8_t treatment;
        char name[14];
    } names[] = {
        {RULE_LOCK, LOCK_RULE_DESCRIPTION, "description"},
        {RULE_LOCK, LOCK_RULE_PROCESS, "process"},
        {RULE_LOCK, LOCK_RULE_WATCH, "watch"},
        {RULE_LOCK, LOCK_RULE_OFF, "off"},
        {RULE_WAIT, 1, "handover"},
        {RULE_ENV, ENV_RULE_SHARED, "shared"},
        {RULE_ENV, ENV_RULE_SCOPED, "scoped"},
        {RULE_ENV, ENV_RULE_PRIVATE, "private"},
        {RULE_ENV, ENV_RULE_WATCH, "watch"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].kind == kind && word_is(word, names[i].name))
            return names[i].treatment;
    return 0;
}

static bool kind_of(const struct word *word, enum rule_kind *kind) {
    if (word_is(word, "lock"))
        *kind = RULE_LOCK;
    else if (word_is(word, "wait"))
        *kind = RULE_WAIT;
    else if (word_is(word, "env"))
        *kind = RULE_ENV;
    else
        return false;
    return true;
}

static uint16_t keep(struct rules *rules, const struct word *word) {
    if (word->at == NULL)
        return RULES_NO_PATTERN;
    uint16_t at = (uint16_t)rules->used;
    memcpy(rules->text + at, word->at, word->length);
    rules->text[at + word->length] = '\0';
    rules->used += (uint32_t)word->length + 1;
    return at;
}

static void add_rule(struct parser *parser, enum rule_kind kind, uint8_t treatment,
                     const struct word *pattern, const struct word *program) {
    struct rules *rules = parser->rules;
    size_t size = pattern->length + program->length + 2;
    if (rules->count == RULES_MAX || size > sizeof rules->text - rules->used) {
        report(parser, "no room for more rules", NULL);
        return;
    }
    struct rule *rule = &rules->items[rules->count];
    rule->kind = (uint8_t)kind;
    rule->treatment = treatment;
    rule->pattern = keep(rules, pattern);
    rule->program = keep(rules, program);
    rules->count++;
}

static void parse_line(struct parser *parser, struct word line) {
    struct word word;
    struct word pattern = {NULL, 0};
    struct word program = {NULL, 0};
    enum rule_kind kind;
    if (memchr(line.at, '\0', line.length) != NULL) {
        report(parser, "a NUL byte: this is no text", NULL);
        return;
    }
    if (!next_word(&line, &word))
        return;
    if (!kind_of(&word, &kind)) {
        report(parser, "neither lock, wait nor env", &word);
        return;
    }
    bool more = next_word(&line, &word);
    if (kind != RULE_WAIT) {
        pattern = word;
        if (!more || is_program(&word)) {
            report(parser, "the pattern is missing", NULL);
            return;
        }
        more = next_word(&line, &word);
    }
    if (more && is_program(&word)) {
        program = word;
        more = next_word(&line, &word);
    }
    bool wants_program = kind == RULE_WAIT || program.at != NULL;
    if (wants_program && program.length == 0) {
        report(parser, "program= is missing", NULL);
        return;
    }
    if (!more) {
        report(parser, "the treatment is missing", NULL);
        return;
    }
    uint8_t treatment = treatment_of(kind, &word);
    if (treatment == 0)
        report(parser, "not a treatment for this", &word);
    else if (next_word(&line, &word))
        report(parser, "one word too many", &word);
    else
        add_rule(parser, kind, treatment, &pattern, &program);
}

unsigned rules_parse(struct rules *rules, const char *text, size_t length, rules_error *error,
                     void *context) {
    struct parser parser = {.rules = rules, .error = error, .context = context};
    while (length > 0) {
        const char *newline = memchr(text, '\n', length);
        size_t line = newline != NULL ? (size_t)(newline - text) : length;
        parser.line++;
        parse_line(&parser, (struct word){text, line});
        line += newline != NULL;
        text += line;
        length -= line;
    }
    return parser.reported;
}

static const char *last_component(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool path_matches(const char *pattern, const char *path) {
    if (glob_match(pattern, path))
        return true;
    return strchr(pattern, '/') == NULL && glob_match(pattern, last_component(path));
}

static bool rule_applies(const struct rules *rules, const struct rule *rule, enum rule_kind kind,
                         const char *program) {
    if (rule->kind != kind)
        return false;
    if (rule->program == RULES_NO_PATTERN)
        return true;
    return program != NULL && *program != '\0' &&
           path_matches(rules->text + rule->program, program);
}

enum lock_treatment rules_lock_treatment(const struct rules *rules, const char *path,
                                         const char *program) {
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->items[i];
        if (rule_applies(rules, rule, RULE_LOCK, program) &&
            path_matches(rules->text + rule->pattern, path))
            return rule->treatment;
    }
    return glob_match("*.pid", path) ? LOCK_RULE_WATCH : LOCK_RULE_NONE;
}

enum env_treatment rules_env_treatment(const struct rules *rules, const char *name,
                                       const char *program) {
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->items[i];
        if (rule_applies(rules, rule, RULE_ENV, program) &&
            glob_match(rules->text + rule->pattern, name))
            return rule->treatment;
    }
    return ENV_RULE_NONE;
}

bool rules_has_handover(const struct rules *rules, const char *program) {
    for (uint32_t i = 0; i < rules->count; i++)
        if (rule_applies(rules, &rules->items[i], RULE_WAIT, program))
            return true;
    return false;
}
