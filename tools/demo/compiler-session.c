/* A compiler that deletes its own work.
 *
 * It keeps its incremental session in CACHE/s-ID-working and locks CACHE/s-ID.lock while it uses
 * it. Before it saves, it collects the sessions that others left behind: whatever lock file it can
 * lock, nobody uses any more. Record locks belong to the process: if its own session is old enough
 * to be tried, the second lock is granted, and the compiler deletes the directory in which it
 * works.
 *
 * It is an ordinary program: it uses nothing of raceshim.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STALE_AFTER_SECONDS 10
#define SLOW_LOAD_SECONDS 25

/* Only a real frame of its own can be seen on a stack. */
#define STEP __attribute__((noinline)) static

struct session {
    int cache; /* the directory of all sessions */
    int lock;
    char directory[64];
    char lock_file[64];
};

static void die(const char *what) {
    printf("error: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Locks the whole file for writing; false if someone else has it locked. */
STEP bool lock_without_waiting(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    return fcntl(fd, F_SETLK, &lock) == 0;
}

STEP void begin_session(struct session *session) {
    snprintf(session->directory, sizeof session->directory, "s-%04x-working", (unsigned)getpid());
    snprintf(session->lock_file, sizeof session->lock_file, "s-%04x.lock", (unsigned)getpid());

    session->lock = openat(session->cache, session->lock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (session->lock < 0 || !lock_without_waiting(session->lock))
        die(session->lock_file);
    if (mkdirat(session->cache, session->directory, 0700) != 0)
        die(session->directory);
    printf("compiler:  my session is %s; locked %s through descriptor %d\n", session->directory,
           session->lock_file, session->lock);
}

static int open_directory(const struct session *session) {
    return openat(session->cache, session->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

STEP void compile(const struct session *session) {
    int directory = open_directory(session);
    int part = openat(directory, "dep-graph.part.bin", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (part < 0 || dprintf(part, "what depends on what\n") < 0)
        die("dep-graph.part.bin");
    close(part);

    /* A slow machine takes this long to load the previous graph. Nobody need wait for it here: a
     * session whose times lie so far back looks the same. */
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= SLOW_LOAD_SECONDS;
    times[1] = times[0];
    futimens(directory, times);
    close(directory);
    printf("compiler:  loaded the previous graph and compiled, which took %d s\n",
           SLOW_LOAD_SECONDS);
}

STEP void delete_directory(int cache, const char *name) {
    DIR *stream = fdopendir(openat(cache, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (stream == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
    unlinkat(cache, name, AT_REMOVEDIR);
}

STEP void collect_if_unused(int cache, const char *lock_file, const char *directory) {
    int lock = openat(cache, lock_file, O_RDWR | O_CLOEXEC);
    if (lock < 0)
        return;
    if (lock_without_waiting(lock)) {
        printf("collector: %s: locked through descriptor %d, so nobody uses it: deleting %s\n",
               lock_file, lock, directory);
        delete_directory(cache, directory);
        unlinkat(cache, lock_file, 0);
    } else {
        printf("collector: %s: in use (%s): keeping %s\n", lock_file, strerror(errno), directory);
    }
    close(lock);
}

STEP void collect_stale_sessions(int cache) {
    printf("collector: looking for sessions older than %d s\n", STALE_AFTER_SECONDS);
    DIR *stream = fdopendir(openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (stream == NULL)
        die("the cache");
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        char id[32];
        int length = 0;
        if (sscanf(entry->d_name, "s-%31[0-9a-f].lock%n", id, &length) != 1 || length == 0)
            continue;
        char directory[64];
        snprintf(directory, sizeof directory, "s-%s-working", id);
        struct stat status;
        if (fstatat(cache, directory, &status, 0) == 0 &&
            status.st_mtime < time(NULL) - STALE_AFTER_SECONDS)
            collect_if_unused(cache, entry->d_name, directory);
    }
    closedir(stream);
}

STEP void save(const struct session *session) {
    int directory = open_directory(session);
    if (directory < 0 || renameat(directory, "dep-graph.part.bin", directory, "dep-graph.bin") != 0)
        die("dep-graph.part.bin");
    close(directory);
    printf("compiler:  saved %s/dep-graph.bin\n", session->directory);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CACHE-DIRECTORY\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct session session = {.cache = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (session.cache < 0)
        die(argv[1]);
    begin_session(&session);
    compile(&session);
    collect_stale_sessions(session.cache);
    save(&session);
    close(session.lock);
    return 0;
}
