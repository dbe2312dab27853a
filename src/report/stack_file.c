#include "report/stack_file.h"

#include "base/scratch.h"
#include "base/sys.h"
#include "base/text.h"
#include "report/log.h"
#include "report/record.h"

#include <string.h>

/* A line is written by one system call, at the end as it is then. */
static void append(const char *name, const char *line, size_t length) {
    int directory = log_open_directory();
    int fd = directory < 0
                 ? -1
                 : sys_openat(directory, name,
                              O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        if (log_may_write_up_to(length + (uint64_t)sys_lseek(fd, 0, SEEK_END)))
            sys_write(fd, line, length);
        sys_close(fd);
    }
    if (directory >= 0)
        sys_close(directory);
}

void stack_file_add(const char *name, stack_id id) {
    char *line = scratch_begin(RECORD_LINE_MAX);
    if (line)
        append(name, line, record_stack(line, RECORD_LINE_MAX, id));
    scratch_end(line, RECORD_LINE_MAX);
}

struct path_line {
    char path[RECORD_PATH_MAX];
    char line[8 * RECORD_PATH_MAX];
};

void stack_file_add_path(const char *name, const char *link, uint64_t dev, uint64_t ino) {
    struct json json;
    struct path_line *w = scratch_begin(sizeof *w);
    if (!w)
        return;
    if (sys_readlinkat(AT_FDCWD, link, w->path, sizeof w->path - 1) > 0) {
        json_begin(&json, w->line, sizeof w->line);
        json_unsigned(&json, "dev", dev);
        json_unsigned(&json, "ino", ino);
        json_string(&json, "path", w->path);
        append(name, w->line, json_end(&json));
    }
    scratch_end(w, sizeof *w);
}

/* From the line's stack on, without the brace at its end. */
static bool copy_frames(const char *line, size_t length, char *frames, size_t size) {
    static const char key[] = "\"stack\":[";
    for (size_t i = 0; i + sizeof key < length; i++) {
        if (memcmp(line + i, key, sizeof key - 1) != 0)
            continue;
        const char *from = line + i + sizeof key - 2;
        size_t count = length - (size_t)(from - line) - 1;
        if (count + 1 > size || from[count - 1] != ']' || memchr(from, '\0', count))
            return false;
        memcpy(frames, from, count);
        frames[count] = '\0';
        return true;
    }
    return false;
}

#define FILE_MAX ((size_t)16 << 20)

bool stack_file_find(const char *name, uint32_t id, char *frames, size_t size) {
    char wanted[32];
    struct text text;
    struct stat st;
    bool found = false;
    int directory = log_open_directory();
    int fd = directory < 0
                 ? -1
                 : sys_openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (directory >= 0)
        sys_close(directory);
    if (fd < 0)
        return false;
    text_begin(&text, wanted, sizeof wanted);
    text_add(&text, "{\"id\":");
    text_add_decimal(&text, id);
    text_add_char(&text, ',');
    size_t length = sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
                            st.st_size <= (off_t)FILE_MAX
                        ? (size_t)st.st_size
                        : 0;
    char *bytes = length ? scratch_begin(length) : NULL;
    ssize_t got = bytes ? sys_pread(fd, bytes, length, 0) : 0;
    for (const char *line = bytes, *end; got > 0 && !found && line < bytes + got; line = end + 1) {
        end = memchr(line, '\n', (size_t)(bytes + got - line));
        if (!end)
            break;
        if ((size_t)(end - line) > text.length && memcmp(line, wanted, text.length) == 0)
            found = copy_frames(line, (size_t)(end - line), frames, size);
    }
    scratch_end(bytes, length);
    sys_close(fd);
    return found;
}
