#define _GNU_SOURCE
#include "session.h"

#include "fail.h"

#include "lock/trace_layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void write_time(char *text, size_t size, const struct timespec *time) {
    struct tm parts;
    gmtime_r(&time->tv_sec, &parts);
    size_t length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, size - length, ".%09ldZ", time->tv_nsec);
}

static void now(char *text, size_t size) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    write_time(text, size, &time);
}

/* The command may change its directory, and a slash at the end would follow a link. */
static char *absolute(const char *path) {
    char *result = NULL;
    if (path[0] == '/') {
        result = strdup(path);
    } else {
        char *here = getcwd(NULL, 0);
        if (!here)
            fail("cannot tell the working directory, which '%s' is relative to: %s", path,
                 strerror(errno));
        if (asprintf(&result, "%s/%s", here, path) < 0)
            result = NULL;
        free(here);
    }
    if (!result)
        fail("out of memory");
    for (size_t length = strlen(result); length > 1 && result[length - 1] == '/'; length--)
        result[length - 1] = '\0';
    return result;
}

/* Whatever the caller's umask: a directory that its owner cannot enter is of no use. */
static int make_private(const char *path) {
    mode_t saved = umask(077);
    int result = mkdir(path, 0700);
    umask(saved);
    return result;
}

static void make_temporary(struct session *session) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const char *directory = getenv("TMPDIR");
    if (!directory || !*directory)
        directory = "/tmp";
    char *parent = absolute(directory);
    session->temporary = true;
    for (int tries = 0; tries < 100; tries++) {
        unsigned char random[10];
        if (getrandom(random, sizeof random, 0) != sizeof random)
            fail("cannot get random bytes for a directory's name: %s", strerror(errno));
        char name[sizeof random + 1] = "";
        for (size_t i = 0; i < sizeof random; i++)
            name[i] = letters[random[i] % (sizeof letters - 1)];
        if (asprintf(&session->path, "%s/raceshim-%s", parent, name) < 0)
            fail("out of memory");
        if (make_private(session->path) == 0) {
            free(parent);
            return;
        }
        if (errno != EEXIST)
            break;
        free(session->path);
    }
    fail("cannot make a session directory in '%s': %s; set TMPDIR to a directory that you can "
         "write, or name the session with -o DIR",
         parent, strerror(errno));
}

/* What can be wrong with a directory that was there before. */
static void check_private(const struct session *session) {
    struct stat st;
    if (fstat(session->fd, &st) != 0)
        fail("cannot use session directory '%s': %s", session->path, strerror(errno));
    if (st.st_uid != geteuid())
        fail("session directory '%s' belongs to user %u, not to you; name another with -o DIR",
             session->path, (unsigned)st.st_uid);
    if ((st.st_mode & 07777) != 0700)
        fail("session directory '%s' has mode %04o, so others could read or change the records; "
             "chmod 0700 it, or name another with -o DIR",
             session->path, st.st_mode & 07777);
}

static int open_directory(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fd > 2)
        return fd;
    /* One of the first three was closed when we were started: it stays closed for the command. */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return high;
}

void session_open(struct session *session, const char *out) {
    *session = (struct session){0};
    now(session->since, sizeof session->since);
    if (out) {
        session->path = absolute(out);
        if (make_private(session->path) != 0 && errno != EEXIST)
            fail("cannot make session directory '%s': %s", session->path, strerror(errno));
    } else {
        make_temporary(session);
    }
    session->fd = open_directory(session->path);
    if (session->fd < 0) {
        struct stat st;
        if ((errno == ELOOP || errno == ENOTDIR) && lstat(session->path, &st) == 0)
            fail("session directory '%s' is %s; name a real directory with -o DIR", session->path,
                 S_ISLNK(st.st_mode) ? "a symbolic link, which shim-run does not follow"
                                     : "no directory");
        fail("cannot open session directory '%s': %s", session->path, strerror(errno));
    }
    check_private(session);
    if (faccessat(session->fd, ".", W_OK, AT_EACCESS) != 0)
        fail("cannot write in session directory '%s': %s", session->path, strerror(errno));
    session->used = session_has_records(session) || session_has_traces(session);
}

static DIR *list(const struct session *session) {
    int fd = openat(session->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory && fd >= 0)
        close(fd);
    return directory;
}

static bool is_record_file(const char *name) {
    size_t length = strlen(name);
    return length > 6 && strcmp(name + length - 6, ".jsonl") == 0;
}

static bool is_trace(const char *name) {
    return strncmp(name, TRACE_NAME, sizeof TRACE_NAME - 1) == 0;
}

/* Is there one that is not empty? */
static bool has_file(const struct session *session, bool (*is_wanted)(const char *name)) {
    DIR *directory = list(session);
    bool found = false;
    for (struct dirent *entry; directory && !found && (entry = readdir(directory));) {
        struct stat st;
        found = is_wanted(entry->d_name) &&
                fstatat(session->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                st.st_size > 0;
    }
    if (directory)
        closedir(directory);
    return found;
}

bool session_has_records(const struct session *session) {
    return has_file(session, is_record_file);
}

bool session_has_traces(const struct session *session) {
    return has_file(session, is_trace);
}

void session_remove(const struct session *session) {
    DIR *directory = list(session);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        unlinkat(session->fd, entry->d_name, 0); /* fails for directories, "." and ".." too */
    if (directory)
        closedir(directory);
    rmdir(session->path);
}

static uint64_t fingerprint(const char *text) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

/* The inside of a JSON string. Bytes beyond ASCII stand for characters of their own: a path in
 * another character set stays readable and the line valid. */
static void escape(char *text, size_t size, const char *path) {
    size_t used = 0;
    for (; *path && used + 7 < size; path++) {
        unsigned char c = (unsigned char)*path;
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            used += (size_t)sprintf(text + used, "\\u%04x", c);
        else
            text[used++] = (char)c;
    }
    text[used] = '\0';
}

/* more: further fields, each with the comma before it. */
static void write_record(const struct session *session, const char *kind, const char *severity,
                         const char *program, const char *detail, const char *more) {
    int fd = -1;
    for (int n = 0; fd < 0 && n < 1000; n++) {
        char name[40];
        snprintf(name, sizeof name, "%d.%d.jsonl", (int)getpid(), n);
        fd = openat(session->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    static char exe[8192];
    static char sentence[16384];
    char time[40];
    escape(exe, sizeof exe, program);
    escape(sentence, sizeof sentence, detail);
    now(time, sizeof time);
    if (fd < 0 ||
        dprintf(fd,
                "{\"v\":1,\"kind\":\"%s\",\"severity\":\"%s\",\"time\":\"%s\",\"pid\":%d,"
                "\"tid\":%d,\"thread\":\"shim-run\",\"exe\":\"%s\",\"action\":\"none\",\"count\":1,"
                "\"id\":\"%016" PRIx64 "\",\"detail\":\"%s\"%s}\n",
                kind, severity, time, (int)getpid(), (int)getpid(), exe,
                fingerprint(*more ? more : detail), sentence, more) < 0)
        fail("cannot write in session directory '%s': %s", session->path, strerror(errno));
    close(fd);
}

void session_record(const struct session *session, const char *kind, const char *program,
                    const char *detail) {
    write_record(session, kind, "note", program, detail, "");
}

void session_record_leak(const struct session *session, const char *program, const char *detail,
                         const struct session_leak *leak) {
    static char path[24576], exe[24576], command[4096], more[65536];
    char since[40];
    struct timespec time = {leak->since_ns / 1000000000, leak->since_ns % 1000000000};
    escape(path, sizeof path, leak->path);
    escape(exe, sizeof exe, leak->exe);
    escape(command, sizeof command, leak->command);
    write_time(since, sizeof since, &time);
    snprintf(more, sizeof more,
             ",\"file\":{\"path\":\"%s\",\"dev\":%" PRIu64 ",\"ino\":%" PRIu64
             "},\"range\":{\"start\":0,\"len\":0,\"type\":\"%s\"},\"there\":{\"pid\":%d,\"tid\":0,"
             "\"thread\":\"\",\"exe\":\"%s\",\"command\":\"%s\",\"fd\":%d,\"since\":\"%s\","
             "\"stack\":[]}",
             path, leak->dev, leak->ino, leak->writes ? "write" : "read", (int)leak->pid, exe,
             command, leak->fd, since);
    write_record(session, "leaked-lock", "warning", program, detail, more);
}
