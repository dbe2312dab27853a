#define _GNU_SOURCE
#include "escape.h"

#include "../common/memory.h"
#include "../common/output.h"

#include <stdbool.h>
#include <string.h>

void escape_xml(FILE *file, const char *text) {
    for (; *text; text++) {
        if (strchr("<>&\"'", *text))
            fprintf(file, "&#%d;", *text);
        else
            fputc(*text, file);
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
    char *text = must_allocate(NULL, path.length + 1, 3);
    char *to = text;
    size_t size;
    for (size_t i = 0; i < path.length; i += size) {
        unsigned char c = (unsigned char)path.bytes[i];
        unsigned character = 0;
        size = 1;
        if (is_alphanumeric(c) || strchr("-._~/", c ? c : '%')) {
            *to++ = (char)c;
            continue;
        }
        if (c >= 0x80 && utf8_decode(path.bytes + i, path.length - i, &character) == 4 &&
            character >= RAW_BYTE_FIRST) {
            c = (unsigned char)(character & 0xff);
            size = 4;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    *to = '\0';
    return text;
}
