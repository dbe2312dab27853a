#include "lock/fdinfo.h"

#include "base/text.h"

#include <string.h>

/* What is left of a line. */
struct rest {
    const char *at;
    const char *end;
};

static bool next_word(struct rest *rest, struct rest *word) {
    while (rest->at < rest->end && (*rest->at == ' ' || *rest->at == '\t'))
        rest->at++;
    word->at = rest->at;
    while (rest->at < rest->end && *rest->at != ' ' && *rest->at != '\t')
        rest->at++;
    word->end = rest->at;
    return word->at < word->end;
}

static bool word_is(const struct rest *word, const char *string) {
    return text_is(word->at, (size_t)(word->end - word->at), string);
}

static bool word_decimal(const struct rest *word, uint64_t limit, uint64_t *value) {
    return text_decimal(word->at, (size_t)(word->end - word->at), value) && *value <= limit;
}

static bool word_pid(struct rest word, int32_t *pid) {
    bool negative = word.at < word.end && *word.at == '-';
    uint64_t value = 0;
    word.at += negative;
    if (!word_decimal(&word, INT32_MAX, &value))
        return false;
    *pid = negative ? -(int32_t)value : (int32_t)value;
    return true;
}

/* "08:01:42": major and minor in hexadecimal, the inode in decimal. */
static bool word_file(const struct rest *word, struct fdinfo_lock *lock) {
    uint32_t device[2] = {0, 0};
    const char *at = word->at;
    for (int i = 0; i < 2; i++) {
        const char *first = at;
        for (; at < word->end && *at != ':'; at++) {
            char c = *at;
            uint32_t digit;
            if (c >= '0' && c <= '9')
                digit = (uint32_t)(c - '0');
            else if (c >= 'a' && c <= 'f')
                digit = (uint32_t)(c - 'a') + 10;
            else
                return false;
            device[i] = device[i] * 16 + digit;
        }
        if (at == first || at - first > 8 || at == word->end)
            return false;
        at++;
    }
    struct rest inode = {at, word->end};
    lock->dev_major = device[0];
    lock->dev_minor = device[1];
    return word_decimal(&inode, UINT64_MAX, &lock->inode);
}

static bool word_class(const struct rest *word, struct fdinfo_lock *lock) {
    if (word_is(word, "POSIX"))
        lock->lock_class = FDINFO_POSIX;
    else if (word_is(word, "OFDLCK"))
        lock->lock_class = FDINFO_OFD;
    else if (word_is(word, "FLOCK"))
        lock->lock_class = FDINFO_FLOCK;
    else
        return false;
    return true;
}

static bool word_type(const struct rest *word, struct fdinfo_lock *lock) {
    lock->type = word_is(word, "WRITE") ? RANGE_WRITE : RANGE_READ;
    return lock->type == RANGE_WRITE || word_is(word, "READ");
}

bool fdinfo_parse_line(const char *line, size_t length, struct fdinfo_lock *lock) {
    struct rest rest = {line, line + length};
    struct rest word;
    *lock = (struct fdinfo_lock){0};
    if (!next_word(&rest, &word) || word.end[-1] != ':' || !next_word(&rest, &word))
        return false;
    if (word_is(&word, "->")) {
        lock->waiting = true;
        if (!next_word(&rest, &word))
            return false;
    }
    if (!word_class(&word, lock))
        return false;
    /* Advisory or mandatory: the same to whoever asks. */
    if (!next_word(&rest, &word))
        return false;
    if (!next_word(&rest, &word) || !word_type(&word, lock))
        return false;
    if (!next_word(&rest, &word) || !word_pid(word, &lock->pid))
        return false;
    if (!next_word(&rest, &word) || !word_file(&word, lock))
        return false;
    if (!next_word(&rest, &word) || !word_decimal(&word, RANGE_MAX, &lock->start))
        return false;
    if (!next_word(&rest, &word))
        return false;
    lock->end = RANGE_MAX;
    if (!word_is(&word, "EOF") && !word_decimal(&word, RANGE_MAX, &lock->end))
        return false;
    return lock->start <= lock->end && !next_word(&rest, &word);
}

/* The line is complete. */
static bool take_line(struct fdinfo_parser *parser, struct fdinfo_lock *lock) {
    static const char prefix[] = "lock:";
    const size_t prefix_length = sizeof prefix - 1;
    size_t length = parser->used;
    const char *line = parser->line;
    bool skipped = parser->skipping;
    parser->used = 0;
    parser->skipping = false;
    if (skipped)
        return false;
    if (parser->prefixed) {
        if (length < prefix_length || memcmp(line, prefix, prefix_length) != 0)
            return false;
        line += prefix_length;
        length -= prefix_length;
    }
    return fdinfo_parse_line(line, length, lock);
}

bool fdinfo_next(struct fdinfo_parser *parser, const char **at, const char *end,
                 struct fdinfo_lock *lock) {
    while (*at < end) {
        size_t left = (size_t)(end - *at);
        const char *newline = memchr(*at, '\n', left);
        size_t length = newline != NULL ? (size_t)(newline - *at) : left;
        if (length > sizeof parser->line - parser->used) {
            parser->skipping = true;
        } else {
            memcpy(parser->line + parser->used, *at, length);
            parser->used = (uint16_t)(parser->used + length);
        }
        *at += length;
        if (newline == NULL)
            break;
        (*at)++;
        if (take_line(parser, lock))
            return true;
    }
    return false;
}
