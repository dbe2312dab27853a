#define _GNU_SOURCE
#include "live.h"

#include "../common/picture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXIT_FAILED 2
#define SECOND INT64_C(1000000000)
#define SEEN_MAX 4096

struct live {
    const char *session;
    int directory;
    struct picture picture;
    struct seen waits[SEEN_MAX];
    struct seen holds[SEEN_MAX];
    size_t wait_count;
    size_t hold_count;
};

static __attribute__((format(printf, 1, 2))) int refuse(const char *format, ...) {
    char text[4096 + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct output output = output_on(stderr);
    fputs("shim-report: ", stderr);
    output_text(&output, text, strlen(text), 0);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

/* ---- Which session ---- */

static bool is_ours(int directory, const char *name, struct stat *st) {
    return fstatat(directory, name, st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st->st_mode) &&
           st->st_uid == geteuid() && (st->st_mode & 077) == 0;
}

/* The one that was changed last; NULL: there is none. */
static char *newest_session(void) {
    const char *parent = getenv("TMPDIR");
    char *newest = NULL;
    struct timespec latest = {0};
    DIR *directory = opendir(parent && *parent ? parent : (parent = "/tmp"));
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        struct stat st;
        if (strncmp(entry->d_name, "raceshim-", 9) != 0 ||
            !is_ours(dirfd(directory), entry->d_name, &st) || st.st_mtim.tv_sec < latest.tv_sec ||
            (st.st_mtim.tv_sec == latest.tv_sec && st.st_mtim.tv_nsec < latest.tv_nsec))
            continue;
        free(newest);
        if (asprintf(&newest, "%s/%s", parent, entry->d_name) < 0)
            newest = NULL;
        latest = st.st_mtim;
    }
    if (directory)
        closedir(directory);
    return newest;
}

/* ---- Showing ---- */

static int64_t real_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* Whoever has waited or held longest comes first. */
static int by_since(const void *a, const void *b) {
    const struct seen *left = a, *right = b;
    return (left->since > right->since) - (left->since < right->since);
}

static void look(struct live *live) {
    live->wait_count = live->hold_count = 0;
    if (!picture_read(&live->picture, live->directory) ||
        !picture_read_holds(&live->picture, live->directory))
        return;
    live->wait_count = picture_waits(&live->picture, live->waits, SEEN_MAX);
    live->hold_count = picture_holds(&live->picture, live->holds, SEEN_MAX);
    qsort(live->waits, live->wait_count, sizeof *live->waits, by_since);
    qsort(live->holds, live->hold_count, sizeof *live->holds, by_since);
}

static void show_hold(const struct output *output, const struct live *live, const struct seen *hold,
                      int64_t now) {
    picture_show_process(output, hold);
    fputs(" has held ", output->file);
    picture_show_file(output, &live->picture, hold, live->waits, live->wait_count);
    fputs(hold->writes ? " (write" : " (read", output->file);
    if (hold->count > 1)
        fprintf(output->file, ", %u ranges", hold->count);
    fputs(") for ", output->file);
    picture_show_age(output, hold->since, now);
}

/* At most so many rows; the rest is counted. */
static void show(const struct output *output, struct live *live, size_t rows) {
    int64_t now = real_time();
    size_t total = live->wait_count + live->hold_count;
    for (size_t i = 0; i < total && i < rows; i++) {
        if (i < live->wait_count)
            picture_show_wait(output, &live->picture, &live->waits[i], live->holds,
                              live->hold_count, now);
        else
            show_hold(output, live, &live->holds[i - live->wait_count], now);
        fputc('\n', output->file);
    }
    if (total > rows)
        fprintf(output->file, "... and %zu more\n", total - rows);
    if (total == 0)
        fputs("nobody holds a lock or waits for one\n", output->file);
}

#define HOME_AND_CLEAR "\033[H\033[J"

static void watch(struct live *live) {
    struct stat st;
    while (fstat(live->directory, &st) == 0 && st.st_nlink > 0) {
        struct output output = output_on(stdout);
        size_t rows = output.rows > 4 ? output.rows - 3 : 4;
        look(live);
        fputs(HOME_AND_CLEAR, stdout);
        output_paint(&output, PAINT_STRONG);
        output_text(&output, live->session, strlen(live->session), 160);
        output_plain(&output);
        fputc('\n', stdout);
        show(&output, live, rows);
        fflush(stdout);
        sleep(1);
    }
}

int live_main(char **words) {
    static struct live live;
    setlocale(LC_CTYPE, "");
    if (words[0] && words[1])
        return refuse("--live takes one session");
    live.session = words[0] ? words[0] : newest_session();
    if (!live.session)
        return refuse("there is no session of yours in TMPDIR or /tmp; name its directory");
    live.directory = open(live.session, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (live.directory < 0)
        return refuse("cannot open session '%s': %s", live.session, strerror(errno));
    live.picture.directory = getcwd(NULL, 0);
    if (isatty(STDOUT_FILENO)) {
        watch(&live);
    } else {
        struct output output = output_on(stdout);
        look(&live);
        show(&output, &live, SIZE_MAX);
    }
    return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}
