#define _GNU_SOURCE
#include "leaks.h"

#include "../common/picture.h"
#include "base/proc.h"
#include "base/settings.h"
#include "base/text.h"
#include "lock/picture_layout.h"
#include "lock/range.h"
#include "lock/room.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A lock whose taker has ended. */
struct left {
    const struct picture_process *taker;
    uint64_t dev, ino;
    int64_t since;
    uint32_t lock_class;
    bool writes;
};

/* A program that has it. */
struct heir {
    pid_t pid;
    int fd;
    char exe[4096];
    char path[4096];
};

/* The clock tick that /proc tells starts in. */
#define TICK_NS INT64_C(10000000)

static bool is_of_session(pid_t pid, const char *session) {
    static char environment[256 * 1024];
    char wanted[SETTINGS_TEXT_MAX];
    struct text text;
    text_begin(&text, wanted, sizeof wanted);
    text_add(&text, "out=");
    text_add_escaped(&text, session);
    ssize_t got = proc_read(pid, "/environ", environment, sizeof environment);
    for (ssize_t at = 0; at < got; at += (ssize_t)strlen(environment + at) + 1)
        if (strncmp(environment + at, "RACESHIM=", 9) == 0 && strstr(environment + at, wanted))
            return true;
    return false;
}

static void read_link(const char *link, char *path, size_t size) {
    ssize_t length = readlink(link, path, size - 1);
    path[length > 0 ? length : 0] = '\0';
}

/* Has this descriptor the lock? fdinfo lists the locks of its description. */
static bool carries(pid_t pid, int fd, const struct left *left, char *path, size_t size) {
    char name[64], info[4096];
    struct stat st;
    snprintf(name, sizeof name, "/proc/%d/fd/%d", (int)pid, fd);
    if (stat(name, &st) != 0 || st.st_ino != left->ino || st.st_dev != left->dev)
        return false;
    read_link(name, path, size);
    snprintf(name, sizeof name, "/fdinfo/%d", fd);
    return proc_read(pid, name, info, sizeof info) > 0 &&
           strstr(info, left->lock_class == OWNER_FLOCK ? "FLOCK" : "OFDLCK");
}

static bool find_descriptor(const struct left *left, struct heir *heir) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/fd", (int)heir->pid);
    DIR *directory = opendir(name);
    bool found = false;
    for (struct dirent *entry; directory && !found && (entry = readdir(directory));) {
        heir->fd = atoi(entry->d_name);
        found = entry->d_name[0] != '.' &&
                carries(heir->pid, heir->fd, left, heir->path, sizeof heir->path);
    }
    if (directory)
        closedir(directory);
    return found;
}

/* As in the library's has_inherited (src/lock/picture.c). */
static bool has_inherited(const struct left *left, const char *session, struct heir *heir) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)heir->pid);
    read_link(link, heir->exe, sizeof heir->exe);
    return heir->exe[0] && strcmp(heir->exe, left->taker->exe) != 0 &&
           heir->pid != left->taker->parent && proc_started_at(heir->pid) + TICK_NS > left->since &&
           is_of_session(heir->pid, session) && find_descriptor(left, heir);
}

static bool find_heir(const struct left *left, const char *session, struct heir *heir) {
    DIR *proc = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; proc && !found && (entry = readdir(proc));) {
        heir->pid = atoi(entry->d_name);
        found = heir->pid > 0 && has_inherited(left, session, heir);
    }
    if (proc)
        closedir(proc);
    return found;
}

static void record(const struct session *session, const char *program, const struct left *left,
                   const struct heir *heir) {
    char detail[1024], command[512];
    ssize_t got = proc_read(heir->pid, "/cmdline", command, sizeof command);
    for (ssize_t i = 0; i + 1 < got; i++)
        if (command[i] == '\0')
            command[i] = ' ';
    snprintf(detail, sizeof detail,
             "process %d took the lock and has ended; the program that has it now was started with "
             "the descriptor, which is not close-on-exec, and is still there when the job is not",
             picture_pid(left->taker->tenant));
    session_record_leak(session, program, detail,
                        &(struct session_leak){.path = heir->path,
                                               .dev = left->dev,
                                               .ino = left->ino,
                                               .writes = left->writes,
                                               .pid = heir->pid,
                                               .fd = heir->fd,
                                               .exe = heir->exe,
                                               .command = got > 0 ? command : "",
                                               .since_ns = left->since});
}

static bool is_left(const struct picture *picture, uint32_t place, struct left *left) {
    const struct picture_hold *hold = picture_hold_at(picture->base, place);
    left->taker = picture_process_of(picture->base, atomic_load(&hold->owner));
    left->lock_class = atomic_load(&hold->lock_class);
    left->dev = atomic_load(&hold->dev);
    left->ino = atomic_load(&hold->ino);
    left->since = atomic_load(&hold->since);
    left->writes = atomic_load(&hold->type) == RANGE_WRITE;
    return left->taker && atomic_load(&hold->count) != 0 && left->lock_class != OWNER_RECORD &&
           left->taker->pid_namespace == picture->pid_namespace &&
           proc_started(picture_pid(left->taker->tenant)) != left->taker->started;
}

void leaks_record(const struct session *session, const char *program) {
    struct picture picture = {0};
    struct left left;
    static struct heir heir;
    if (!picture_read(&picture, session->fd) || !picture_read_holds(&picture, session->fd)) {
        picture_end(&picture);
        return;
    }
    for (uint32_t i = 0; i < PICTURE_BUCKETS * PICTURE_BUCKET; i++)
        if (is_left(&picture, i, &left) && find_heir(&left, session->path, &heir))
            record(session, program, &left, &heir);
    picture_end(&picture);
}
