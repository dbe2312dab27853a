/* Reading the files of sessions line by line.
 *
 * Nothing about them is trusted. A session directory must be the user's own and no link; in it only
 * regular files are read, never a link, a FIFO or a device; a line longer than LINE_MAX_LENGTH is
 * passed over. The text of a line is not kept: lines_again reads it a second time.
 */
#ifndef RACESHIM_TOOLS_LINES_H
#define RACESHIM_TOOLS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LINE_MAX_LENGTH (1 << 20)

/* Where a line stands. */
struct place {
    uint32_t file;   /* an index into lines.files */
    uint32_t length; /* without the newline */
    uint64_t offset;
};

struct lines {
    struct line_file {
        char *path;
        dev_t dev; /* the file that was read, not another under its name */
        ino_t ino;
    } * files;
    size_t count;
    int open_fd; /* of files[open_file]: lines are read again file by file */
    size_t open_file;
    uint64_t size; /* of the files of the session that is read */
    uint64_t done; /* of it */
    char *again;   /* what was last read again: the bytes of files[open_file] from again_at on */
    uint64_t again_at;
    size_t again_used;
    uint64_t again_next; /* where the line behind the last one begins */
    size_t overlong;
    size_t refused; /* directory entries that are no regular files, or cannot be read */
    char *first_refused;
};

void lines_begin(struct lines *lines);
void lines_end(struct lines *lines);

/* bytes is not ended by a NUL and is valid during the call. */
typedef void lines_take(void *context, const char *bytes, struct place place);

/* Gives every line of a session directory's *.jsonl files, or of one file. Returns NULL, or what is
 * wrong with path as a whole: a text that the caller frees. */
char *lines_read(struct lines *lines, const char *path, lines_take *take, void *context);

/* The path without slashes at its end, which would follow a link; for the caller to free. */
char *lines_plain_path(const char *path);

/* The bytes of a line, valid until the next call; NULL if the file is no longer what it was. */
const char *lines_again(struct lines *lines, struct place place);

#endif
