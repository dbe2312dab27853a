#define _GNU_SOURCE
#include "lines.h"

#include "../common/memory.h"
#include "../common/regular.h"
#include "progress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void lines_begin(struct lines *lines) {
    *lines = (struct lines){.open_fd = -1};
    lines->again = must_allocate(NULL, 1, LINE_MAX_LENGTH);
}

void lines_end(struct lines *lines) {
    if (lines->open_fd >= 0)
        close(lines->open_fd);
    for (size_t i = 0; i < lines->count; i++)
        free(lines->files[i].path);
    free(lines->files);
    free(lines->again);
    free(lines->first_refused);
}

static uint32_t add_file(struct lines *lines, const char *path, const struct stat *st) {
    lines->files = must_allocate(lines->files, lines->count + 1, sizeof *lines->files);
    lines->files[lines->count] =
        (struct line_file){.path = must_print("%s", path), .dev = st->st_dev, .ino = st->st_ino};
    return (uint32_t)lines->count++;
}

/* A buffer that holds the longest line and the start of the next. */
struct window {
    char *bytes;
    size_t used;
    uint64_t offset; /* of bytes[0] in the file */
    bool skipping;   /* inside an overlong line */
};

/* Blanks are left where a record was taken back. */
static bool is_blank(const char *line, size_t length) {
    while (length > 0 && line[length - 1] == ' ')
        length--;
    return length == 0;
}

/* Gives the whole lines of the window and moves the rest to its start. */
static void take_whole_lines(struct lines *lines, struct window *window, uint32_t file, bool at_end,
                             lines_take *take, void *context) {
    size_t start = 0;
    while (start < window->used) {
        const char *line = window->bytes + start;
        const char *newline = memchr(line, '\n', window->used - start);
        if (!newline && !at_end)
            break;
        size_t length = newline ? (size_t)(newline - line) : window->used - start;
        struct place place = {file, (uint32_t)length, window->offset + start};
        if (window->skipping)
            window->skipping = false;
        else if (length > LINE_MAX_LENGTH)
            lines->overlong++;
        else if (!is_blank(line, length))
            take(context, line, place);
        start += length + (newline != NULL);
    }
    if (start == 0 && window->used > LINE_MAX_LENGTH) {
        lines->overlong += !window->skipping;
        window->skipping = true;
        start = window->used;
    }
    memmove(window->bytes, window->bytes + start, window->used - start);
    window->used -= start;
    window->offset += start;
}

static void read_file(struct lines *lines, int fd, uint32_t file, lines_take *take, void *context) {
    const size_t size = 2 * LINE_MAX_LENGTH;
    struct window window = {.bytes = must_allocate(NULL, 1, size)};
    ssize_t got;
    do {
        got = read(fd, window.bytes + window.used, size - window.used);
        if (got > 0) {
            window.used += (size_t)got;
            lines->done += (uint64_t)got;
        }
        progress_show("reading", lines->done, lines->size);
        take_whole_lines(lines, &window, file, got <= 0, take, context);
    } while (got > 0);
    free(window.bytes);
}

static void refuse_file(struct lines *lines, const char *path, int error) {
    lines->refused++;
    if (!lines->first_refused)
        lines->first_refused = must_print("%s: %s", path,
                                          error == ELOOP    ? "a symbolic link"
                                          : error == EINVAL ? "no regular file"
                                                            : strerror(error));
}

static int is_record_file(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 6 && strcmp(entry->d_name + length - 6, ".jsonl") == 0;
}

static void add_size(struct lines *lines, const char *path) {
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        lines->size += (uint64_t)st.st_size;
}

static void add_sizes(struct lines *lines, const char *path, struct dirent **entries, int count) {
    for (int i = 0; i < count; i++) {
        char *name = must_print("%s/%s", path, entries[i]->d_name);
        add_size(lines, name);
        free(name);
    }
}

static char *read_directory(struct lines *lines, const char *path, lines_take *take,
                            void *context) {
    struct dirent **entries;
    int count = scandir(path, &entries, is_record_file, alphasort);
    if (count < 0)
        return must_print("cannot read '%s': %s", path, strerror(errno));
    add_sizes(lines, path, entries, count);
    for (int i = 0; i < count; i++) {
        char *name = must_print("%s/%s", path, entries[i]->d_name);
        struct stat st;
        int fd = open_regular(AT_FDCWD, name, &st);
        if (fd < 0) {
            refuse_file(lines, name, errno);
        } else {
            read_file(lines, fd, add_file(lines, name, &st), take, context);
            close(fd);
        }
        free(name);
        free(entries[i]);
    }
    free(entries);
    return NULL;
}

char *lines_plain_path(const char *path) {
    char *copy = must_print("%s", path);
    for (size_t length = strlen(copy); length > 1 && copy[length - 1] == '/'; length--)
        copy[length - 1] = '\0';
    return copy;
}

static char *read_named(struct lines *lines, const char *path, lines_take *take, void *context) {
    struct stat st;
    if (lstat(path, &st) != 0)
        return must_print("cannot read '%s': %s", path, strerror(errno));
    if (S_ISLNK(st.st_mode))
        return must_print("'%s' is a symbolic link, which is not followed; name what it points to",
                          path);
    if (S_ISDIR(st.st_mode)) {
        if (st.st_uid != geteuid())
            return must_print("session directory '%s' belongs to user %u, not to you", path,
                              (unsigned)st.st_uid);
        return read_directory(lines, path, take, context);
    }
    int fd = open_regular(AT_FDCWD, path, &st);
    if (fd < 0)
        return must_print("cannot read '%s': %s", path,
                          errno == EINVAL ? "neither a directory nor a regular file"
                                          : strerror(errno));
    lines->size += (uint64_t)st.st_size;
    read_file(lines, fd, add_file(lines, path, &st), take, context);
    close(fd);
    return NULL;
}

char *lines_read(struct lines *lines, const char *path, lines_take *take, void *context) {
    char *name = lines_plain_path(path);
    lines->size = lines->done = 0;
    char *wrong = read_named(lines, name, take, context);
    progress_end();
    free(name);
    return wrong;
}

/* The file of that number, if it is still the one that was read. */
static bool open_again(struct lines *lines, size_t number) {
    const struct line_file *file = &lines->files[number];
    struct stat st;
    if (lines->open_fd >= 0 && lines->open_file == number)
        return true;
    if (lines->open_fd >= 0)
        close(lines->open_fd);
    lines->open_fd = open_regular(AT_FDCWD, file->path, &st);
    lines->open_file = number;
    lines->again_used = 0;
    lines->again_next = 0;
    if (lines->open_fd >= 0 && (st.st_dev != file->dev || st.st_ino != file->ino)) {
        close(lines->open_fd);
        lines->open_fd = -1;
    }
    return lines->open_fd >= 0;
}

#define AHEAD ((size_t)64 << 10)

/* Lines that are asked for one after the other are read many at a time. */
const char *lines_again(struct lines *lines, struct place place) {
    if (!open_again(lines, place.file))
        return NULL;
    if (place.offset < lines->again_at ||
        place.offset + place.length > lines->again_at + lines->again_used) {
        size_t size = place.length;
        if (place.offset - lines->again_next < AHEAD && size < AHEAD)
            size = AHEAD;
        ssize_t got = pread(lines->open_fd, lines->again, size, (off_t)place.offset);
        lines->again_at = place.offset;
        lines->again_used = got > 0 ? (size_t)got : 0;
    }
    lines->again_next = place.offset + place.length + 1;
    size_t begin = (size_t)(place.offset - lines->again_at);
    return begin + place.length <= lines->again_used ? lines->again + begin : NULL;
}
