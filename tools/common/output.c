#include "output.h"

#include "eight.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TEXT_LIMIT 4096

struct output output_on(FILE *file) {
    struct output output = {.file = file, .utf8 = true, .columns = 80, .rows = 24};
    int fd = fileno(file);
    if (fd < 0 || !isatty(fd))
        return output;
    output.terminal = true;
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    output.colour = !(no_colour && *no_colour) && terminal && strcmp(terminal, "dumb") != 0;
    /* Elsewhere the bytes of a UTF-8 character could be control characters of the terminal's own
     * character set. */
    output.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        output.columns = size.ws_col;
        output.rows = size.ws_row;
    }
    return output;
}

struct output output_like(const struct output *output, FILE *file) {
    struct output copy = *output;
    copy.file = file;
    return copy;
}

size_t utf8_decode(const char *bytes, size_t length, unsigned *character) {
    const unsigned char *at = (const unsigned char *)bytes;
    if (length == 0)
        return 0;
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (size == 0 || at[0] > 0xf4 || size > length)
        return 0;
    static const unsigned lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned value = at[0] & lead[size];
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (at[i] & 0x3f);
    }
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *character = value;
    return size;
}

/* Characters beyond ASCII that a terminal or an editor obeys instead of showing them. */
static bool is_unseen(unsigned character) {
    return (character >= 0x80 && character <= 0x9f) ||     /* C1 controls */
           character == 0xad || character == 0x61c ||      /* soft hyphen, Arabic letter mark */
           (character >= 0x200b && character <= 0x200f) || /* zero width, direction marks */
           (character >= 0x2028 && character <= 0x202e) || /* line ends, embeddings */
           (character >= 0x2060 && character <= 0x206f) || /* joiners, isolates */
           character == 0xfeff || (character >= 0xfff9 && character <= 0xfffb) ||
           (character >= 0xe0000 && character <= 0xe0fff) || /* tags */
           (character & 0xfffe) == 0xfffe;                   /* no characters, which XML forbids */
}

/* Of these eight, is there one that is not shown as it is wherever it stands? */
static bool has_special(uint64_t bytes) {
    uint64_t backslash = bytes ^ EACH_BYTE('\\');
    uint64_t hash = bytes ^ EACH_BYTE('#');
    uint64_t delete = bytes ^ EACH_BYTE(0x7f);
    return ((HAS_ZERO(backslash) | HAS_ZERO(hash) | HAS_ZERO(delete) | HAS_LESS(bytes, 0x20) |
             bytes) &
            EACH_BYTE(0x80)) != 0;
}

/* The bytes at the start that are shown as they are, wherever they stand. */
static size_t plain_length(const char *bytes, size_t length) {
    size_t plain = 0;
    for (uint64_t eight; length - plain >= 8; plain += 8) {
        memcpy(&eight, bytes + plain, 8);
        if (has_special(eight))
            break;
    }
    while (plain < length && bytes[plain] >= 0x20 && bytes[plain] < 0x7f && bytes[plain] != '\\' &&
           bytes[plain] != '#')
        plain++;
    return plain;
}

static void put_text(const struct output *output, const char *bytes, size_t length) {
    size_t size;
    for (size_t i = 0; i < length; i += size) {
        unsigned character = 0;
        size = plain_length(bytes + i, length - i);
        if (size > 0) {
            fwrite(bytes + i, 1, size, output->file);
            continue;
        }
        size = utf8_decode(bytes + i, length - i, &character);
        if (size == 0) {
            fprintf(output->file, "\\x%02x", (unsigned char)bytes[i]);
            size = 1;
        } else if (character < 0x20 || character == 0x7f || character >= RAW_BYTE_FIRST) {
            fprintf(output->file, "\\x%02x", character & 0xff);
        } else if (character == '\\') {
            fputs("\\\\", output->file);
        } else if (character == '#' && i + 1 < length && bytes[i + 1] == '#') {
            fputs("\\x23",
                  output->file); /* ##[ and ##vso[ are commands, wherever in a CI job's log */
        } else if (size > 1 && (!output->utf8 || is_unseen(character))) {
            fprintf(output->file, "\\u{%x}", character);
        } else {
            fwrite(bytes + i, 1, size, output->file);
        }
    }
}

/* Both cuts fall between characters, or half a character would be shown as an escape. */
void output_text(const struct output *output, const char *bytes, size_t length, size_t limit) {
    if (limit == 0)
        limit = TEXT_LIMIT;
    if (length <= limit) {
        put_text(output, bytes, length);
        return;
    }
    size_t head = limit / 3;
    size_t tail = length - (limit - head);
    while (head > 0 && ((unsigned char)bytes[head] & 0xc0) == 0x80)
        head--;
    while (tail < length && ((unsigned char)bytes[tail] & 0xc0) == 0x80)
        tail++;
    put_text(output, bytes, head);
    fputs("...", output->file);
    put_text(output, bytes + tail, length - tail);
}

void output_again(const struct output *output, const char *text) {
    size_t size;
    for (; *text; text += size) {
        unsigned character;
        size = output->utf8 ? 1 : utf8_decode(text, strlen(text), &character);
        if (size > 1)
            fprintf(output->file, "\\u{%x}", character);
        else
            fwrite(text, 1, size = 1, output->file);
    }
}

size_t output_digits(char digits[static OUTPUT_DIGITS], uint64_t number) {
    size_t at = OUTPUT_DIGITS;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return at;
}

void output_number(const struct output *output, uint64_t number) {
    char digits[OUTPUT_DIGITS];
    size_t at = output_digits(digits, number);
    fwrite(digits + at, 1, sizeof digits - at, output->file);
}

void output_paint(const struct output *output, enum paint paint) {
    static const char *const codes[] = {"\033[1;31m", "\033[1;33m", "\033[36m", "\033[1m",
                                        "\033[2m"};
    if (output->colour)
        fputs(codes[paint], output->file);
}

void output_plain(const struct output *output) {
    if (output->colour)
        fputs("\033[0m", output->file);
}

/* An escape character in the text can only be ours. */
unsigned output_rows(const struct output *output, const char *text, size_t length) {
    unsigned rows = 1;
    unsigned column = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\033') {
            while (i < length && text[i] != 'm')
                i++;
        } else if (text[i] == '\n') {
            rows += i + 1 < length;
            column = 0;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80 && column++ == output->columns) {
            rows++;
            column = 1;
        }
    }
    return rows;
}
