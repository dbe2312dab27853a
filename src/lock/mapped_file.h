/* A file of the user's that processes map together: nobody else may have a hand in it, and no page is
 * touched before there is memory for it, because on a full file system that would be a signal.
 * Async-signal-safe.
 */
#ifndef RACESHIM_LOCK_MAPPED_FILE_H
#define RACESHIM_LOCK_MAPPED_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPPED_PAGE 4096
#define MAPPED_WORDS(size) ((size) / MAPPED_PAGE / 64 + 1)

struct mapped_file {
    char *base; /* NULL: there is none to be had */
    size_t size;
    uint64_t dev;
    uint64_t ino;
    size_t page;              /* the system's */
    _Atomic uint64_t *usable; /* pages that can be touched, a bit for each: MAPPED_WORDS(size) */
};

/* Maps the open file, made as long as `size` if it is shorter. usable is the caller's, all zero.
 * False: it is not the user's alone, or there is no room for it; base is NULL then. Afterwards the
 * first page can be touched. */
bool mapped_file_map(struct mapped_file *file, int fd, size_t size, _Atomic uint64_t *usable);

/* The same for a file of the session directory, which is opened with O_RDWR, O_CREAT, O_NOFOLLOW, O_CLOEXEC and `flags`,
 * unseen by the locks' tables. */
bool mapped_file_of_session(struct mapped_file *file, const char *name, int flags, size_t size,
                            _Atomic uint64_t *usable);

/* Can these bytes be touched? They are made so, once for each page. */
bool mapped_file_touch(const struct mapped_file *file, size_t at, size_t size);

#endif
