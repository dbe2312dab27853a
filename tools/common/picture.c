#define _GNU_SOURCE
#include "picture.h"

#include "base/proc.h"
#include "lock/ancestor.h"
#include "lock/picture_layout.h"
#include "lock/range.h"
#include "lock/room.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ---- The copy ---- */

static bool copy_part(char *base, int fd, size_t at, size_t size) {
    size_t got = 0;
    while (got < size) {
        ssize_t count = pread(fd, base + at + got, size - got, (off_t)(at + got));
        if (count <= 0)
            return false;
        got += (size_t)count;
    }
    return true;
}

static int open_picture(int directory) {
    struct stat st;
    int fd = openat(directory, PICTURE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= PICTURE_BYTES)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool is_of_our_version(const struct picture *picture) {
    const struct picture_head *head = (const struct picture_head *)picture->base;
    return atomic_load(&head->magic) == PICTURE_MAGIC &&
           atomic_load(&head->version) == PICTURE_VERSION;
}

bool picture_has_waits(const struct picture *picture) {
    for (uint32_t i = 0; i < PICTURE_WAITS; i++)
        if (atomic_load(&picture_wait_at(picture->base, i)->owner) != 0)
            return true;
    return false;
}

/* Two copies, a moment apart: what is alike in both was not being written. */
static bool copy_waits(struct picture *picture, int fd) {
    size_t size = PICTURE_ORDERS_AT - PICTURE_WAITS_AT;
    return copy_part(picture->base, fd, 0, sizeof(struct picture_head)) &&
           copy_part(picture->base, fd, PICTURE_WAITS_AT, size) &&
           (!picture_has_waits(picture) || copy_part(picture->again, fd, PICTURE_WAITS_AT, size));
}

bool picture_read(struct picture *picture, int directory) {
    struct stat st;
    int fd = open_picture(directory);
    if (fd < 0)
        return false;
    if (!picture->base)
        picture->base = calloc(1, PICTURE_BYTES);
    if (!picture->again)
        picture->again = calloc(1, PICTURE_BYTES);
    picture->pid_namespace = stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
    bool read = picture->base && picture->again && copy_waits(picture, fd);
    close(fd);
    return read && is_of_our_version(picture);
}

bool picture_read_holds(struct picture *picture, int directory) {
    int fd = open_picture(directory);
    size_t size = PICTURE_WAITS_AT - PICTURE_PROCESSES_AT;
    bool read = fd >= 0 && copy_part(picture->base, fd, PICTURE_PROCESSES_AT, size) &&
                copy_part(picture->again, fd, PICTURE_PROCESSES_AT, size);
    if (fd >= 0)
        close(fd);
    return read;
}

void picture_end(struct picture *picture) {
    free(picture->base);
    free(picture->again);
    *picture = (struct picture){0};
}

/* ---- Processes ---- */

static size_t command_length(const char *command, size_t size) {
    while (size > 0 && command[size - 1] == '\0')
        size--;
    return size;
}

static const char *ended(const char *text, size_t size) {
    return memchr(text, '\0', size) ? text : "";
}

/* False: it has ended. */
static bool see_process(const struct picture *picture, uint64_t owner, struct seen *seen) {
    const struct picture_process *process = picture_process_of(picture->base, owner);
    if (!process || process->started == 0)
        return false;
    pid_t pid = picture_pid(atomic_load(&process->tenant));
    bool is_here = process->pid_namespace == picture->pid_namespace;
    seen->ns_pid = is_here ? 0 : pid;
    if (is_here)
        seen->pid = pid;
    else if (process->proc_pid > 0 && proc_started(process->proc_pid) == process->started)
        seen->pid = process->proc_pid;
    else
        seen->pid = proc_find(pid, process->started);
    if (seen->pid <= 0 || proc_started(seen->pid) != process->started)
        return false;
    seen->exe = ended(process->exe, sizeof process->exe);
    seen->command = process->command;
    seen->command_length = command_length(process->command, sizeof process->command);
    return true;
}

/* ---- Holds and waits ---- */

static bool is_stable(const struct picture *picture, const void *entry, size_t size) {
    size_t at = (size_t)((const char *)entry - picture->base);
    return memcmp(entry, picture->again + at, size) == 0;
}

static bool see_wait(const struct picture *picture, uint32_t place, struct seen *seen) {
    const struct picture_wait *wait = picture_wait_at(picture->base, place);
    uint64_t owner = atomic_load(&wait->owner);
    uint32_t seq = atomic_load(&wait->seq);
    if (owner == 0 || seq % 2 != 0 || !is_stable(picture, wait, sizeof *wait))
        return false;
    *seen = (struct seen){.place = place,
                          .seq = seq,
                          .tid = wait->tid,
                          .fd = wait->fd,
                          .path = ended(wait->path, sizeof wait->path),
                          .dev = wait->dev,
                          .ino = wait->ino,
                          .start = wait->start,
                          .end = wait->end,
                          .since = wait->since,
                          .is_flock = wait->lock_class == OWNER_FLOCK,
                          .writes = wait->type == RANGE_WRITE,
                          .holder = atomic_load(&wait->holder)};
    return see_process(picture, owner, seen);
}

static bool see_hold(const struct picture *picture, uint32_t place, struct seen *seen) {
    const struct picture_hold *hold = picture_hold_at(picture->base, place);
    uint64_t owner = atomic_load(&hold->owner);
    uint32_t count = atomic_load(&hold->count);
    if (owner == 0 || count == 0 || atomic_load(&hold->seq) % 2 != 0 ||
        !is_stable(picture, hold, sizeof *hold))
        return false;
    *seen = (struct seen){.place = place,
                          .seq = atomic_load(&hold->seq),
                          .tid = atomic_load(&hold->tid),
                          .fd = atomic_load(&hold->fd),
                          .path = "",
                          .dev = atomic_load(&hold->dev),
                          .ino = atomic_load(&hold->ino),
                          .start = atomic_load(&hold->start),
                          .end = atomic_load(&hold->end),
                          .since = atomic_load(&hold->since),
                          .is_flock = atomic_load(&hold->lock_class) == OWNER_FLOCK,
                          .writes = atomic_load(&hold->type) == RANGE_WRITE,
                          .count = count};
    return see_process(picture, owner, seen);
}

size_t picture_waits(const struct picture *picture, struct seen *seen, size_t max) {
    size_t count = 0;
    for (uint32_t i = 0; i < PICTURE_WAITS && count < max; i++)
        count += see_wait(picture, i, &seen[count]);
    return count;
}

size_t picture_holds(const struct picture *picture, struct seen *seen, size_t max) {
    size_t count = 0;
    for (uint32_t i = 0; i < PICTURE_BUCKETS * PICTURE_BUCKET && count < max; i++)
        count += see_hold(picture, i, &seen[count]);
    return count;
}

static bool keeps_out(const struct seen *hold, const struct seen *wait) {
    return hold->dev == wait->dev && hold->ino == wait->ino && hold->is_flock == wait->is_flock &&
           (hold->writes || wait->writes) && hold->pid != wait->pid &&
           (hold->count > 1 || (hold->start <= wait->end && wait->start <= hold->end));
}

const struct seen *picture_holder_of(const struct seen *wait, const struct seen *holds,
                                     size_t count) {
    const struct seen *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (keeps_out(&holds[i], wait) && (!found || holds[i].pid == wait->holder))
            found = &holds[i];
    return found;
}

/* ---- Showing ---- */

#define COMMAND_LIMIT 80
#define PATH_LIMIT 160

static void show_command(const struct output *output, const char *command, size_t length) {
    char words[512];
    if (length >= sizeof words)
        length = sizeof words - 1;
    for (size_t i = 0; i < length; i++)
        words[i] = command[i] == '\0' ? ' ' : command[i];
    if (length == 0)
        return;
    fputs(" (", output->file);
    output_text(output, words, length, COMMAND_LIMIT);
    fputc(')', output->file);
}

static void show_program(const struct output *output, const char *exe, pid_t pid) {
    const char *slash = strrchr(exe, '/');
    const char *name = slash ? slash + 1 : exe;
    output_text(output, *name ? name : "process", strlen(*name ? name : "process"), 60);
    fprintf(output->file, "[%d]", (int)pid);
}

void picture_show_process(const struct output *output, const struct seen *seen) {
    show_program(output, seen->exe, seen->pid);
    show_command(output, seen->command, seen->command_length);
}

/* A process of which only the number is known. */
static void show_number(const struct output *output, pid_t pid) {
    char exe[4096], link[64], command[512];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(link, exe, sizeof exe - 1);
    exe[length > 0 ? length : 0] = '\0';
    show_program(output, exe, pid);
    ssize_t got = proc_read(pid, "/cmdline", command, sizeof command);
    show_command(output, command, got > 0 ? command_length(command, (size_t)got) : 0);
}

static bool path_of_open_file(const struct seen *seen, char *path, size_t size) {
    char link[64];
    struct stat st;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)seen->pid, seen->fd);
    if (stat(link, &st) != 0 || st.st_ino != seen->ino || st.st_dev != seen->dev)
        return false;
    ssize_t length = readlink(link, path, size - 1);
    path[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static void show_path(const struct output *output, const struct picture *picture,
                      const char *path) {
    size_t length = picture->directory ? strlen(picture->directory) : 0;
    if (length > 1 && strncmp(path, picture->directory, length) == 0 && path[length] == '/')
        path += length + 1;
    output_text(output, path, strlen(path), PATH_LIMIT);
}

void picture_show_file(const struct output *output, const struct picture *picture,
                       const struct seen *seen, const struct seen *waits, size_t wait_count) {
    char path[4096];
    for (size_t i = 0; i < wait_count && !*seen->path; i++)
        if (waits[i].dev == seen->dev && waits[i].ino == seen->ino && *waits[i].path)
            seen = &waits[i];
    if (*seen->path)
        show_path(output, picture, seen->path);
    else if (path_of_open_file(seen, path, sizeof path))
        show_path(output, picture, path);
    else
        fprintf(output->file, "a file (device %u:%u, inode %" PRIu64 ")", major(seen->dev),
                minor(seen->dev), seen->ino);
}

void picture_show_age(const struct output *output, int64_t since, int64_t now) {
    int64_t tenths = now > since && since > 0 ? (now - since) / 100000000 : 0;
    int64_t seconds = tenths / 10;
    if (seconds < 10)
        fprintf(output->file, "%" PRId64 ".%" PRId64 " s", seconds, tenths % 10);
    else if (seconds < 60)
        fprintf(output->file, "%" PRId64 " s", seconds);
    else if (seconds < 3600)
        fprintf(output->file, "%" PRId64 " min %" PRId64 " s", seconds / 60, seconds % 60);
    else
        fprintf(output->file, "%" PRId64 " h %" PRId64 " min", seconds / 3600, seconds / 60 % 60);
}

static void show_holder(const struct output *output, const struct seen *wait,
                        const struct seen *holder, int64_t now) {
    if (holder) {
        fputs(", held for ", output->file);
        picture_show_age(output, holder->since, now);
        fputs(" by ", output->file);
        picture_show_process(output, holder);
    } else if (wait->holder > 0 && proc_started(wait->holder) != 0) {
        fputs(", held by ", output->file);
        show_number(output, wait->holder);
    }
    struct proc_stat stat;
    enum ancestry ancestry = ANCESTRY_NONE;
    if (proc_stat(wait->pid, &stat) == 0)
        ancestry = ancestry_of(stat.parent, holder ? holder->pid : wait->holder);
    if (ancestry == ANCESTRY_HANGS)
        fputs(", an ancestor that waits for it: this will never end", output->file);
    else if (ancestry == ANCESTRY_ANCESTOR)
        fputs(", its ancestor", output->file);
}

void picture_show_wait(const struct output *output, const struct picture *picture,
                       const struct seen *wait, const struct seen *holds, size_t hold_count,
                       int64_t now) {
    picture_show_process(output, wait);
    fputs(" has waited ", output->file);
    picture_show_age(output, wait->since, now);
    fputs(" for ", output->file);
    picture_show_file(output, picture, wait, NULL, 0);
    fputs(wait->writes ? " (write)" : " (read)", output->file);
    show_holder(output, wait, picture_holder_of(wait, holds, hold_count), now);
}
