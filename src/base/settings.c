#include "base/settings.h"

#include "base/text.h"

#include <string.h>

#define SECOND INT64_C(1000000000)
#define WAIT_WARN_DEFAULT (10 * SECOND)

/* In the order of enum lock_mode and enum env_mode. */
static const char *const lock_modes[] = {"repair", "watch", "off", NULL};
static const char *const env_modes[] = {"scoped", "private", "watch", "off", NULL};

struct word {
    const char *at;
    size_t length;
};

void settings_default(struct settings *settings) {
    settings->lock_mode = LOCKS_REPAIR;
    settings->env_mode = ENV_SCOPED;
    settings->show_values = false;
    settings->follow = true;
    settings->trace = false;
    settings->wait_warn_ns = WAIT_WARN_DEFAULT;
    settings->lock_timeout_ns = 0;
    if (settings->out[0] != '\0')
        settings->out[0] = '\0';
    if (settings->rules[0] != '\0')
        settings->rules[0] = '\0';
}

static bool set_mode(const char *const *names, struct word value, uint8_t *mode) {
    for (uint8_t i = 0; names[i] != NULL; i++)
        if (text_is(value.at, value.length, names[i])) {
            *mode = i;
            return true;
        }
    return false;
}

/* A malformed value leaves what was there, and so is looked at before it is copied. */
static bool set_path(struct word value, char *path) {
    if (text_unescape(NULL, SETTINGS_PATH_MAX, value.at, value.length) <= 0)
        return false;
    text_unescape(path, SETTINGS_PATH_MAX, value.at, value.length);
    return true;
}

/* Returns what is wrong, or NULL. */
static const char *apply_value(struct settings *settings, struct word name, struct word value) {
    bool done;
    if (text_is(name.at, name.length, "locks"))
        done = set_mode(lock_modes, value, &settings->lock_mode);
    else if (text_is(name.at, name.length, "env"))
        done = set_mode(env_modes, value, &settings->env_mode);
    else if (text_is(name.at, name.length, "out"))
        done = set_path(value, settings->out);
    else if (text_is(name.at, name.length, "rules"))
        done = set_path(value, settings->rules);
    else if (text_is(name.at, name.length, "wait-warn"))
        done = text_seconds(value.at, value.length, &settings->wait_warn_ns);
    else if (text_is(name.at, name.length, "lock-timeout"))
        done = text_seconds(value.at, value.length, &settings->lock_timeout_ns);
    else
        return "there is no such setting with a value";
    return done ? NULL : "the value is malformed";
}

static const char *apply_flag(struct settings *settings, struct word name) {
    if (text_is(name.at, name.length, "show-values"))
        settings->show_values = true;
    else if (text_is(name.at, name.length, "no-follow"))
        settings->follow = false;
    else if (text_is(name.at, name.length, "trace"))
        settings->trace = true;
    else
        return "there is no such setting without a value";
    return NULL;
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

unsigned settings_parse(struct settings *settings, const char *string, settings_error *error,
                        void *context) {
    unsigned reported = 0;
    settings_default(settings);
    /* By hand: this runs in every process, and the loader would have to find each of libc's. */
    while (string != NULL && *string != '\0') {
        if (is_blank(*string)) {
            string++;
            continue;
        }
        struct word word = {string, 0};
        const char *equals = NULL, *wrong;
        for (; *string != '\0' && !is_blank(*string); string++)
            if (*string == '=' && equals == NULL)
                equals = string;
        word.length = (size_t)(string - word.at);
        if (equals == NULL) {
            wrong = apply_flag(settings, word);
        } else {
            struct word value = {equals + 1, (size_t)(string - equals - 1)};
            word.length = (size_t)(equals - word.at);
            wrong = apply_value(settings, word, value);
        }
        if (wrong == NULL)
            continue;
        reported++;
        if (error != NULL)
            error(context, word.at, word.length, wrong);
    }
    return reported;
}

static void add_seconds(struct text *text, const char *name, int64_t ns) {
    char fraction[16];
    struct text digits;
    text_add(text, name);
    text_add_decimal(text, (uint64_t)(ns / SECOND));
    if (ns % SECOND == 0)
        return;
    /* A leading 1 keeps the zeros behind the point. */
    text_begin(&digits, fraction, sizeof fraction);
    text_add_decimal(&digits, (uint64_t)(ns % SECOND + SECOND));
    text_add_char(text, '.');
    text_add(text, fraction + 1);
}

ssize_t settings_text(const struct settings *settings, char *buffer, size_t size) {
    struct text text;
    text_begin(&text, buffer, size);
    text_add(&text, "locks=");
    text_add(&text, lock_modes[settings->lock_mode]);
    text_add(&text, " env=");
    text_add(&text, env_modes[settings->env_mode]);
    if (settings->out[0] != '\0') {
        text_add(&text, " out=");
        text_add_escaped(&text, settings->out);
    }
    if (settings->rules[0] != '\0') {
        text_add(&text, " rules=");
        text_add_escaped(&text, settings->rules);
    }
    if (settings->wait_warn_ns != WAIT_WARN_DEFAULT)
        add_seconds(&text, " wait-warn=", settings->wait_warn_ns);
    if (settings->lock_timeout_ns != 0)
        add_seconds(&text, " lock-timeout=", settings->lock_timeout_ns);
    if (settings->show_values)
        text_add(&text, " show-values");
    if (!settings->follow)
        text_add(&text, " no-follow");
    if (settings->trace)
        text_add(&text, " trace");
    return text.cut ? -1 : (ssize_t)text.length;
}
