#define _GNU_SOURCE
#include "escape.h"

#include "../common/memory.h"
#include "../common/output.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void escape_xml(FILE *file, const char *text) {
    for (;;) {
        size_t plain = strcspn(text, "<>&\"'");
        fwrite(text, 1, plain, file);
        text += plain;
        if (*text == '\0')
            return;
        fprintf(file, "&#%d;", *text++);
    }
}

static bool is_alphanumeric(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void escape_markdown(FILE *file, const char *text) {
    for (; *text; text++) {
        if (is_alphanumeric((unsigned char)*text) || *text == ' ' || (*text & 0x80))
            fputc(*text, file);
        else
            fprintf(file, "&#%d;", *text);
    }
}

static void escape_percent(FILE *file, const char *text, const char *special) {
    for (; *text; text++) {
        if (strchr(special, *text))
            fprintf(file, "%%%02X", (unsigned char)*text);
        else
            fputc(*text, file);
    }
}

void escape_command(FILE *file, const char *text) {
    escape_percent(file, text, "%\r\n");
}

void escape_command_property(FILE *file, const char *text) {
    escape_percent(file, text, "%\r\n:,");
}

char *escape_uri_path(struct string path) {
    static const char digits[] = "0123456789ABCDEF";
    size_t length;
    char *raw = record_path(path, &length);
    char *text = must_allocate(NULL, length + 1, 3);
    char *to = text;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)raw[i];
        if (is_alphanumeric(c) || strchr("-._~/", c ? c : '%')) {
            *to++ = raw[i];
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    *to = '\0';
    free(raw);
    return text;
}
