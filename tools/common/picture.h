/* Reads the picture of a session (src/lock/picture_layout.h): who holds and who waits.
 *
 * The file is copied before it is looked at, so that whatever happens to it meanwhile is no harm;
 * what it says is untrusted, and bounded here.
 */
#ifndef RACESHIM_TOOLS_PICTURE_H
#define RACESHIM_TOOLS_PICTURE_H

#include "output.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct picture {
    char *base; /* the copy */
    char *again;
    uint64_t pid_namespace; /* ours */
    const char *directory;  /* that paths are shown relative to; NULL: absolute */
};

/* A lock that is held, or a wait for one, of a process that lives. Strings end within the copy. */
struct seen {
    uint32_t place; /* in the picture */
    uint32_t seq;   /* another one for each wait at a place */
    pid_t pid;      /* as it is known here; 0: it has no number here */
    pid_t ns_pid;   /* in its own PID namespace, if that is another one; else 0 */
    pid_t tid;
    int fd;
    const char *exe;
    const char *command; /* words separated by NULs, command_length bytes */
    size_t command_length;
    const char *path; /* of a wait; "" of a hold */
    uint64_t dev, ino, start, end;
    int64_t since;
    bool is_flock;
    bool writes;
    uint32_t count; /* of a hold: its ranges */
    pid_t holder;   /* of a wait: as it began; 0: not known */
};

/* Copies the head and the waits. False: there is no picture, or it is of another version. */
bool picture_read(struct picture *picture, int directory);
/* Is there a wait at all, of a process that lives or not? */
bool picture_has_waits(const struct picture *picture);
/* Copies the processes and the holds, without which nothing can be seen. */
bool picture_read_holds(struct picture *picture, int directory);
void picture_end(struct picture *picture);

/* At most max of them; the number that was written. */
size_t picture_waits(const struct picture *picture, struct seen *seen, size_t max);
size_t picture_holds(const struct picture *picture, struct seen *seen, size_t max);

/* Who of these holds keeps the wait out? NULL: none of them. */
const struct seen *picture_holder_of(const struct seen *wait, const struct seen *holds,
                                     size_t count);

/* program[pid] (command) */
void picture_show_process(const struct output *output, const struct seen *seen);

/* The file's path; of a hold, as its process has it open, or as one of the waits knows it. */
void picture_show_file(const struct output *output, const struct picture *picture,
                       const struct seen *seen, const struct seen *waits, size_t wait_count);

/* "1.5 s", "3 min 20 s": the time from then to now. */
void picture_show_age(const struct output *output, int64_t since, int64_t now);

/* Who waits for what since when, and who holds it, in one line without its end. */
void picture_show_wait(const struct output *output, const struct picture *picture,
                       const struct seen *wait, const struct seen *holds, size_t hold_count,
                       int64_t now);

#endif
