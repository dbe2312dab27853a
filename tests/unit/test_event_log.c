/* Findings become records: whole lines, right counts, and no harm to the program. */
#define _GNU_SOURCE
#include "check.h"
#include "json_reader.h"

#include "report/log.h"
#include "report/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Sessions ---- */

static char session[64];

/* Each test runs in a child of its own: a process has one log. */
static int in_child(int (*function)(void)) {
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int result = function();
        fflush(stdout);
        _exit(result || check_failures ? 1 : 0);
    }
    waitpid(child, &status, 0);
    return status;
}

static void make_session(void) {
    const char *where = getenv("TMPDIR");
    snprintf(session, sizeof session, "%.40s/log.XXXXXX", where ? where : "/tmp");
    if (mkdtemp(session) == NULL) {
        perror(session);
        exit(2);
    }
}

static char *session_path(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", session, name);
    return path;
}

static void remove_session(void) {
    DIR *directory = opendir(session);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        unlink(session_path(entry->d_name));
    if (directory)
        closedir(directory);
    rmdir(session);
}

/* All records of the session, file after file. */
static char *lines;
static size_t lines_length;
static int files;

static int is_record_file(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 6 && strcmp(entry->d_name + length - 6, ".jsonl") == 0;
}

static void read_file(const char *name) {
    struct stat st;
    int fd = open(session_path(name), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    CHECK_EQ(st.st_mode & 07777, 0600);
    lines = realloc(lines, lines_length + (size_t)st.st_size + 1);
    CHECK_EQ(read(fd, lines + lines_length, (size_t)st.st_size), st.st_size);
    lines_length += (size_t)st.st_size;
    lines[lines_length] = '\0';
    close(fd);
}

/* Before a record that begins a page, and what is left of one that was taken back. */
static size_t blanks(const char *at) {
    return strspn(at, " \n");
}

/* Reads everything; each line must be a whole record, or blank. Returns how many there are. */
static int read_session(void) {
    struct dirent **entries = NULL;
    int count = 0;
    lines_length = 0;
    files = scandir(session, &entries, is_record_file, alphasort);
    for (int i = 0; i < files; i++) {
        read_file(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    for (const char *at = lines; lines_length > 0 && *(at += blanks(at)); count++) {
        const char *end = strchr(at, '\n');
        if (end == NULL) {
            CHECK(!"the last line ends");
            break;
        }
        CHECK(json_is_line(at, (size_t)(end + 1 - at)));
        CHECK(json_is_harmless(at, (size_t)(end + 1 - at)));
        at = end + 1;
    }
    return count;
}

static const char *line_number(int number) {
    const char *at = lines;
    while (number-- > 0 && at && *(at += blanks(at)))
        at = strchr(at, '\n') + 1;
    return at ? at + blanks(at) : NULL;
}

/* Does each line hold a record, as a reader wants it that knows no more than JSON Lines? */
static bool has_blank_line(void) {
    return lines[0] == '\n' || strstr(lines, "\n\n") || strstr(lines, " \n");
}

/* A field of a record; "(none)" if there is none. */
static const char *field(int line, const char *path) {
    static char values[4][RECORD_LINE_MAX];
    static int next;
    const char *at = line_number(line);
    char *value = values[next++ % 4];
    if (at == NULL || *at == '\0')
        return "(no line)";
    const char *found = json_get(at, strcspn(at, "\n") + 1, path, value, sizeof values[0]);
    return found ? found : "(none)";
}

static long count_of(int line) {
    return atol(field(line, "count"));
}

/* ---- Findings ---- */

static const struct event_file file = {.path = "/some/file", .dev = 5, .ino = 77};
static const struct event_range range = {.start = 10, .len = 20, .type = EVENT_LOCK_WRITE};

static struct event plain(const char *detail) {
    return (struct event){.kind = EVENT_SELF_LOCK,
                          .action = ACTION_DENIED,
                          .file = &file,
                          .range = &range,
                          .detail = detail};
}

static void log_plain(const char *detail) {
    struct event event = plain(detail);
    log_event(&event);
}

static void begin_log(void) {
    log_open_settings(session, NULL);
    log_after_fork(); /* the test's own fork */
}

#define LOG_TEST(number, name)                                                                     \
    static int CHECK_JOIN(in_log_test_, number)(void);                                             \
    TEST(name) {                                                                                   \
        make_session();                                                                            \
        CHECK_EQ(in_child(CHECK_JOIN(in_log_test_, number)), 0);                                   \
        remove_session();                                                                          \
    }                                                                                              \
    static int CHECK_JOIN(in_log_test_, number)(void)

/* ---- What a record holds ---- */

__attribute__((noinline)) static stack_id capture(void) {
    return stack_capture(__builtin_return_address(0), __builtin_frame_address(0));
}

static void log_everything(void) {
    struct event_party here = {.pid = getpid(), .tid = gettid(), .fd = 4, .stack = capture()};
    struct event_party there = {.pid = getpid(),
                                .tid = gettid(),
                                .thread = "other",
                                .fd = -1,
                                .since = {.tv_sec = 1767225599, .tv_nsec = 5}};
    struct event_party edges[2] = {here, there};
    struct event event = plain("a sentence");
    event.var = "NAME";
    event.here = &here;
    event.there = &there;
    event.edges = edges;
    event.edge_count = 2;
    prctl(PR_SET_NAME, "tester");
    log_event(&event);
}

LOG_TEST(1, "R4: a record has every field, in the words of the vocabulary") {
    char pid[16], exe[512] = "";
    begin_log();
    log_everything();
    CHECK_EQ(read_session(), 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    CHECK(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    const char *const wanted[][2] = {
        {"v", "1"},
        {"count", "1"},
        {"kind", "self-lock"},
        {"severity", "warning"},
        {"action", "denied"},
        {"pid", pid},
        {"tid", pid},
        {"thread", "tester"},
        {"exe", exe},
        {"file", "{\"path\":\"/some/file\",\"dev\":5,\"ino\":77}"},
        {"range", "{\"start\":10,\"len\":20,\"type\":\"write\"}"},
        {"var", "NAME"},
        {"detail", "a sentence"},
        {"here.pid", pid},
        {"here.tid", pid},
        {"here.thread", "tester"},
        {"here.fd", "4"},
        {"here.since", "null"},
        {"there.thread", "other"},
        {"there.fd", "-1"},
        {"there.since", "2025-12-31T23:59:59.000000005Z"},
        {"there.stack", "[]"},
        {"edges.0.thread", "tester"},
        {"edges.1.thread", "other"},
        {"here.stack.0.module", exe},
        {"truncated", "(none)"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        CHECK_STR(field(0, wanted[i][0]), wanted[i][1]);
    CHECK_EQ(strlen(field(0, "id")), 16);
    CHECK_EQ(strlen(field(0, "time")), strlen("2025-12-31T23:59:59.000000005Z"));
    CHECK(strlen(field(0, "here.stack.0.build_id")) >= 16);
    CHECK(strncmp(field(0, "here.stack.0.offset"), "0x", 2) == 0);
    return 0;
}

static void time_is(time_t seconds, long ns, const char *wanted) {
    char text[RECORD_TIME_LENGTH + 1];
    struct timespec time = {.tv_sec = seconds, .tv_nsec = ns};
    record_time(text, &time);
    CHECK_STR(text, wanted);
}

TEST("R1: times are those of the calendar, leap years too") {
    time_is(0, 0, "1970-01-01T00:00:00.000000000Z");
    time_is(951782399, 999999999, "2000-02-28T23:59:59.999999999Z");
    time_is(951782400, 0, "2000-02-29T00:00:00.000000000Z");
    time_is(951868800, 0, "2000-03-01T00:00:00.000000000Z");
    time_is(-1, 0, "1969-12-31T23:59:59.000000000Z");
    time_is(4107542400, 0, "2100-03-01T00:00:00.000000000Z");
    for (time_t seconds = -400000000; seconds < 5000000000; seconds += 86400 * 5 + 12345) {
        char wanted[64];
        struct tm parts;
        strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%S.000000001Z", gmtime_r(&seconds, &parts));
        time_is(seconds, 1, wanted);
    }
}

TEST("R1: how serious a finding is follows from its kind and from what became of it") {
    CHECK_EQ(event_severity(EVENT_SELF_LOCK, ACTION_DENIED), SEVERITY_WARNING);
    CHECK_EQ(event_severity(EVENT_SELF_DEADLOCK, ACTION_REFUSED), SEVERITY_ERROR);
    CHECK_EQ(event_severity(EVENT_LOCK_LOST, ACTION_KEPT), SEVERITY_WARNING);
    CHECK_EQ(event_severity(EVENT_LOCK_LOST, ACTION_LOST), SEVERITY_ERROR);
    CHECK_EQ(event_severity(EVENT_NOT_COVERED, ACTION_NONE), SEVERITY_NOTE);
    CHECK_EQ(event_severity(EVENT_DEGRADED, ACTION_NONE), SEVERITY_WARNING);
    for (int kind = 0; kind < EVENT_KIND_COUNT; kind++)
        CHECK(strcmp(event_kind_name((enum event_kind)kind), "unknown") != 0);
    CHECK_STR(event_kind_name(EVENT_KIND_COUNT), "unknown");
    CHECK_STR(event_kind_name(EVENT_DEGRADED), "degraded");
    CHECK_STR(event_action_name(ACTION_ISOLATED), "isolated");
}

LOG_TEST(2, "R2: no path, name or sentence can forge a line") {
    struct event_file hostile = {.path = "a\n{\"v\":1,\"kind\":\"forged\"}\n\x1b[2J</script>\xff"};
    struct event event = plain("\n\n");
    event.file = &hostile;
    begin_log();
    prctl(PR_SET_NAME, "\"}\n\x1b[31m");
    log_event(&event);
    CHECK_EQ(read_session(), 1);
    CHECK_STR(field(0, "file.path"), hostile.path);
    CHECK_STR(field(0, "thread"), "\"}\n\x1b[31m");
    return 0;
}

LOG_TEST(3, "R4: a record that is too long says so and keeps its first fields") {
    size_t size = 2 * RECORD_LINE_MAX;
    char *path = malloc(size);
    memset(path, 'x', size);
    path[size - 1] = '\0';
    struct event_file large = {.path = path};
    struct event event = plain("after");
    event.file = &large;
    begin_log();
    log_event(&event);
    log_event(&event);
    log_plain("next");
    CHECK_EQ(read_session(), 2);
    CHECK_STR(field(0, "truncated"), "true");
    CHECK_STR(field(0, "kind"), "self-lock");
    CHECK_EQ(count_of(0), 2);
    CHECK_STR(field(1, "detail"), "next");
    free(path);
    return 0;
}

/* ---- Counts ---- */

LOG_TEST(4, "R1: equal findings are one record with its count, others are others") {
    begin_log();
    for (int i = 0; i < 1000; i++) {
        log_plain("one");
        if (i % 2)
            log_plain("two");
    }
    struct event other = plain("one");
    other.action = ACTION_GRANTED;
    log_event(&other);
    struct event_file elsewhere = file;
    elsewhere.ino++;
    other = plain("one");
    other.file = &elsewhere;
    log_event(&other);
    CHECK_EQ(read_session(), 4);
    CHECK_EQ(count_of(0), 1000);
    CHECK_EQ(count_of(1), 500);
    CHECK_EQ(count_of(2), 1);
    CHECK_EQ(count_of(3), 1);
    return 0;
}

static stack_id stacks[2];

__attribute__((noinline)) static void capture_twice(void) {
    stacks[0] = capture();
    stacks[1] = capture();
}

LOG_TEST(5,
         "R1: findings at different places are different, and have the same id in every process") {
    struct event_party here = {.fd = 3};
    struct event event = plain(NULL);
    event.here = &here;
    begin_log();
    capture_twice();
    for (int i = 0; i < 4; i++) {
        here.stack = stacks[i % 2];
        log_event(&event);
    }
    pid_t child = fork();
    if (child == 0) {
        log_after_fork();
        log_event(&event);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    CHECK_EQ(read_session(), 3);
    CHECK_EQ(files, 2);
    int parent = atoi(field(0, "pid")) == getpid() ? 0 : 1;
    CHECK_EQ(count_of(parent), 2);
    CHECK_EQ(count_of(parent + 1), 2);
    CHECK(strcmp(field(parent, "id"), field(parent + 1, "id")) != 0);
    CHECK_STR(field(parent + 1, "id"), field(parent == 0 ? 2 : 0, "id"));
    return 0;
}

LOG_TEST(6, "R3: what was recorded survives SIGKILL at the next instruction, with its count") {
    int status;
    pid_t child = fork();
    if (child == 0) {
        begin_log();
        for (int i = 0; i < 77; i++)
            log_plain("before the end");
        syscall(SYS_kill, getpid(), SIGKILL);
    }
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(read_session(), 1);
    CHECK_EQ(count_of(0), 77);
    return 0;
}

/* Records of 400 to 5,400 bytes, until it is killed. */
__attribute__((noreturn)) static void log_without_end(void) {
    static char detail[5001];
    begin_log();
    for (unsigned i = 0;; i++) {
        unsigned length = i * 997 % 5000;
        memset(detail, 'x', length);
        snprintf(detail + length, sizeof detail - length, "%u", i);
        log_plain(detail);
    }
}

/* Longer than a page: what is left of it has no newline. */
static void expect_whole_records_until(const char *end) {
    CHECK(!has_blank_line());
    for (const char *at = lines, *next; *(at += blanks(at)); at = next) {
        next = strchr(at, '\n');
        next = next ? next + 1 : end;
        size_t begins = (size_t)(at - lines) % RECORD_PAGE;
        CHECK(begins == 0 || begins + (size_t)(next - at) <= RECORD_PAGE);
        if (next[-1] == '\n')
            CHECK(json_is_line(at, (size_t)(next - at)));
        else
            CHECK_EQ((size_t)(next - at) % RECORD_PAGE, 0);
    }
}

LOG_TEST(31, "R3: SIGKILL in the midst of a record that fits into a page leaves nothing of it") {
    for (int i = 0; i < 300; i++) {
        char name[32];
        pid_t child = fork();
        if (child == 0)
            log_without_end();
        snprintf(name, sizeof name, "%d.0.jsonl", (int)child);
        struct timespec time = {.tv_nsec = i * 7919 % 3000000};
        nanosleep(&time, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        lines_length = 0;
        if (access(session_path(name), F_OK) == 0) {
            read_file(name);
            expect_whole_records_until(lines + lines_length);
            unlink(session_path(name));
        }
    }
    return 0;
}

/* ---- Threads and handlers ---- */

#define THREADS 8
#define ROUNDS 500
#define DIFFERENT 10

static void *log_from_thread(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        char detail[] = {"0"};
        detail[0] = (char)('0' + i % DIFFERENT);
        log_plain(detail);
    }
    return unused;
}

LOG_TEST(7, "R3: threads that record at once lose nothing and spoil no line") {
    pthread_t threads[THREADS];
    long sum = 0;
    begin_log();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_from_thread, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    int count = read_session();
    /* More than DIFFERENT only if a thread could not have the lock for a tenth of a second. */
    CHECK(count >= DIFFERENT);
    for (int i = 0; i < count; i++)
        sum += count_of(i);
    CHECK_EQ(sum, THREADS * ROUNDS);
    return 0;
}

static _Atomic int handled;

static void log_in_handler(int signal) {
    (void)signal;
    log_plain("handler");
    handled++;
}

struct beater {
    pthread_t target;
    _Atomic bool stop;
};

static void *beat(void *argument) {
    struct beater *beater = argument;
    for (int sent = 0; !beater->stop; sent++) {
        pthread_kill(beater->target, SIGUSR1);
        while (handled <= sent && !beater->stop)
            sched_yield();
    }
    return NULL;
}

LOG_TEST(8, "H2: a handler records while the main line does") {
    struct sigaction action = {.sa_handler = log_in_handler};
    struct beater beater = {.target = pthread_self()};
    pthread_t thread;
    long main_count = 0, sum = 0;
    begin_log();
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, beat, &beater);
    while (handled < 200) {
        log_plain("main");
        main_count++;
    }
    beater.stop = true;
    pthread_join(thread, NULL);
    int count = read_session();
    for (int i = 0; i < count; i++)
        sum += count_of(i);
    CHECK_EQ(sum, main_count + handled);
    return 0;
}

/* ---- Processes ---- */

LOG_TEST(9, "R3: a forked child that nobody told begins a file of its own") {
    begin_log();
    log_plain("same");
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        log_plain("same");
        log_plain("same");
        _exit(0);
    }
    waitpid(child, NULL, 0);
    log_plain("same");
    CHECK_EQ(read_session(), 2);
    CHECK_EQ(files, 2);
    CHECK_EQ(count_of(0), 2);
    CHECK_EQ(count_of(1), 2);
    return 0;
}

/* The runtime of a thread sanitizer cannot follow a child in shared memory. */
#if defined(__SANITIZE_THREAD__)
#define SHARED_MEMORY false
#elif defined(__has_feature)
#define SHARED_MEMORY (!__has_feature(thread_sanitizer))
#else
#define SHARED_MEMORY true
#endif

static int log_in_shared_memory(void *unused) {
    (void)unused;
    log_plain("same");
    log_plain("same");
    _exit(0);
}

static void run_in_shared_memory(void) {
    size_t size = 256 << 10;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t child = clone(log_in_shared_memory, stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    munmap(stack, size);
}

LOG_TEST(10, "H2: a child in its parent's memory writes apart and leaves the parent's log alone") {
    if (!SHARED_MEMORY) {
        printf("# a thread sanitizer: not tried\n");
        return 0;
    }
    begin_log();
    for (int i = 0; i < 2; i++) { /* before the parent's first finding, and after it */
        run_in_shared_memory();
        log_plain("same");
        log_plain("same");
    }
    CHECK_EQ(read_session(), 5);
    CHECK_EQ(files, 5);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(count_of(i), atoi(field(i, "pid")) == getpid() ? 4 : 1);
    return 0;
}

LOG_TEST(11,
         "R3: a new program in the same process, and a reused process number, begin a new file") {
    begin_log();
    char name[32];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%d.%d.jsonl", (int)getpid(), i);
        close(open(session_path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    log_plain("new");
    CHECK_EQ(read_session(), 1);
    CHECK_EQ(files, 4);
    snprintf(name, sizeof name, "%d.3.jsonl", (int)getpid());
    CHECK(access(session_path(name), F_OK) == 0);
    return 0;
}

/* ---- Where it goes ---- */

LOG_TEST(12, "R5: a directory that others may write to, or that is a link, gets no record") {
    char link[80];
    begin_log();
    CHECK(chmod(session, 0770) == 0);
    log_plain("group");
    CHECK(chmod(session, 0702) == 0);
    log_plain("others");
    CHECK(chmod(session, 0700) == 0);
    CHECK_EQ(read_session(), 0);
    snprintf(link, sizeof link, "%s.link", session);
    CHECK(symlink(session, link) == 0);
    log_open_settings(link, NULL);
    log_plain("link");
    unlink(link);
    CHECK_EQ(read_session(), 0);
    log_open_settings(session, NULL);
    log_plain("good");
    CHECK_EQ(read_session(), 1);
    return 0;
}

LOG_TEST(13, "R5: a name that is taken, as a link too, is not written through") {
    char name[32];
    begin_log();
    snprintf(name, sizeof name, "%d.0.jsonl", (int)getpid());
    char target[600];
    snprintf(target, sizeof target, "%s/target", session);
    CHECK(symlink(target, session_path(name)) == 0);
    log_plain("not there");
    CHECK(access(target, F_OK) != 0);
    unlink(session_path(name));
    CHECK_EQ(read_session(), 1);
    return 0;
}

LOG_TEST(14, "H3: without a directory findings are lost, and recorded once there is one") {
    log_after_fork();
    log_open_settings(NULL, NULL);
    log_plain("nowhere");
    log_open_settings("", NULL);
    log_plain("nowhere");
    CHECK(rmdir(session) == 0);
    begin_log();
    log_plain("lost");
    CHECK(mkdir(session, 0700) == 0);
    log_plain("found");
    CHECK_EQ(read_session(), 1);
    CHECK_STR(field(0, "detail"), "found");
    return 0;
}

LOG_TEST(15, "H3: when the file was removed, the next finding begins another") {
    begin_log();
    log_plain("same");
    CHECK_EQ(read_session(), 1);
    char name[32];
    snprintf(name, sizeof name, "%d.0.jsonl", (int)getpid());
    CHECK(unlink(session_path(name)) == 0);
    log_plain("same");
    log_plain("same");
    CHECK_EQ(read_session(), 1);
    CHECK_EQ(count_of(0), 2);
    return 0;
}

LOG_TEST(16, "I2: a relative directory is taken from where the program was at the start") {
    char above[64], *name;
    snprintf(above, sizeof above, "%s", session);
    name = strrchr(above, '/');
    *name++ = '\0';
    CHECK(chdir(above) == 0);
    log_open_settings(name, NULL);
    log_after_fork();
    CHECK(chdir("/") == 0);
    log_plain("found");
    CHECK_EQ(read_session(), 1);
    return 0;
}

/* ---- Full disks ---- */

LOG_TEST(17, "R3: at the file size limit records are lost, without a signal") {
    struct rlimit limit = {.rlim_cur = 1200, .rlim_max = RLIM_INFINITY};
    begin_log();
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    for (int i = 0; i < 100; i++) {
        char detail[16];
        snprintf(detail, sizeof detail, "%d", i % 50);
        log_plain(detail);
    }
    int before = read_session();
    CHECK(before >= 1 && before < 10);
    limit.rlim_cur = 100;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    log_plain("0");      /* its count lies below the limit */
    log_plain("1");      /* its count, or itself, above it */
    log_plain("beyond"); /* a whole record */
    limit.rlim_cur = RLIM_INFINITY;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    log_plain("after");
    CHECK_EQ(read_session(), before + 1);
    return 0;
}

/* A mount namespace of our own: as root at once, otherwise in a user namespace in which we are
 * root. */
static bool mount_tiny_disk(void) {
    char map[32];
    int length = snprintf(map, sizeof map, "0 %d 1", (int)geteuid());
    if (unshare(CLONE_NEWNS) != 0) {
        int fd = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0
                     ? open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC)
                     : -1;
        if (fd < 0 || write(fd, map, (size_t)length) != length)
            return false;
        close(fd);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", session, "tmpfs", 0, "size=8k,mode=700") == 0;
}

LOG_TEST(18, "R3: a full disk loses records, and leaves no part of one") {
    if (!mount_tiny_disk()) {
        printf("# no mount namespace here: not tried\n");
        return 0;
    }
    begin_log();
    for (int i = 0; i < 100; i++) {
        char detail[16];
        snprintf(detail, sizeof detail, "%d", i);
        log_plain(detail);
        log_plain(detail);
    }
    int count = read_session();
    CHECK(count > 2 && count < 100);
    for (int i = 0; i < count; i++)
        CHECK_EQ(count_of(i), 2);
    CHECK(mount("none", session, "tmpfs", MS_REMOUNT, "size=64k") == 0);
    log_plain("after");
    CHECK_EQ(read_session(), count + 1);
    CHECK_STR(field(count, "detail"), "after");
    return 0;
}

LOG_TEST(19, "R3: beyond the limit findings are counted in one record") {
    begin_log();
    struct event event = plain(NULL);
    struct event_file many = file;
    event.file = &many;
    for (uint32_t i = 0; i < LOG_RECORDS_MAX + 100; i++) {
        many.ino = i + 1;
        log_event(&event);
    }
    many.ino = 1;
    log_event(&event);
    CHECK_EQ(read_session(), LOG_RECORDS_MAX + 1);
    CHECK_EQ(count_of(0), 2);
    CHECK_STR(field(LOG_RECORDS_MAX, "kind"), "degraded");
    CHECK_EQ(count_of(LOG_RECORDS_MAX), 100);
    return 0;
}

/* ---- The hidden descriptor ---- */

static int hidden = -1, hide_calls, close_calls, making;
static bool cannot_hide;

static void begin_making(void) {
    making++;
}
static void end_making(void) {
    making--;
}
static int hide(int fd) {
    hide_calls++;
    hidden = cannot_hide ? -EMFILE : fcntl(fd, F_DUPFD_CLOEXEC, 500);
    close(fd);
    return hidden;
}
static void close_hidden(int fd) {
    close_calls++;
    close(fd);
}

static const struct log_host host = {begin_making, end_making, hide, close_hidden};

static void begin_hiding(void) {
    begin_log();
    log_open_settings(session, &host);
}

LOG_TEST(20, "H4: the descriptor stays open where the host hides it, and nothing else does") {
    int before = dup(0);
    close(before);
    begin_hiding();
    CHECK_EQ(log_descriptor(), -1);
    for (int i = 0; i < 3; i++)
        log_plain("same");
    CHECK_EQ(hide_calls, 1);
    CHECK_EQ(making, 0);
    CHECK_EQ(log_descriptor(), hidden);
    CHECK(fcntl(hidden, F_GETFD) == FD_CLOEXEC);
    int after = dup(0);
    CHECK_EQ(after, before);
    log_release_descriptor();
    CHECK_EQ(close_calls, 1);
    CHECK_EQ(log_descriptor(), -1);
    log_plain("same");
    CHECK_EQ(hide_calls, 2);
    CHECK_EQ(read_session(), 1);
    CHECK_EQ(count_of(0), 4);
    return 0;
}

LOG_TEST(21, "H1: a number that the program took over is the program's") {
    begin_hiding();
    log_plain("same");
    int own = open(session_path("own"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(write(own, "untouched", 9) == 9);
    CHECK_EQ(dup3(own, hidden, O_CLOEXEC), hidden);
    int taken = hidden;
    log_plain("same");
    log_plain("other");
    struct stat st;
    CHECK(fstat(taken, &st) == 0);
    CHECK_EQ(st.st_size, 9);
    CHECK_EQ(close_calls, 0);
    CHECK_EQ(read_session(), 2);
    CHECK_EQ(count_of(0), 2);
    return 0;
}

LOG_TEST(22, "H3: where nothing can be hidden the file is opened for each record") {
    cannot_hide = true;
    begin_hiding();
    for (int i = 0; i < 5; i++)
        log_plain("same");
    CHECK_EQ(log_descriptor(), -1);
    CHECK_EQ(making, 0);
    CHECK_EQ(read_session(), 1);
    CHECK_EQ(count_of(0), 5);
    return 0;
}

LOG_TEST(23, "H3: without a free descriptor the record is lost, and the next one is not") {
    struct rlimit limit, none;
    begin_log();
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    errno = 4711;
    log_plain("lost");
    CHECK_EQ(errno, 4711);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    log_plain("found");
    CHECK_EQ(errno, 4711);
    CHECK_EQ(read_session(), 1);
    return 0;
}

LOG_TEST(24, "H1: the signals that a thread blocks are as they were") {
    sigset_t before, after;
    sigemptyset(&before);
    sigaddset(&before, SIGHUP);
    CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
    begin_log();
    log_plain("same");
    log_plain("same");
    CHECK(sigprocmask(SIG_SETMASK, NULL, &after) == 0);
    CHECK(sigismember(&after, SIGHUP) && !sigismember(&after, SIGTERM) &&
          !sigismember(&after, SIGSEGV));
    return 0;
}

/* ---- Provisional records ---- */

static struct log_place provisional(const char *detail) {
    struct event event = plain(detail);
    struct log_place place;
    log_provisional(&event, &place);
    return place;
}

LOG_TEST(25, "L5: a provisional record is there at once, and gone when it was taken back") {
    begin_log();
    struct log_place first = provisional("same"), second = provisional("same");
    CHECK_EQ(read_session(), 2);
    CHECK_EQ(count_of(0), 1);
    CHECK_EQ(count_of(1), 1);
    CHECK_STR(field(1, "detail"), "same");
    log_take_back(&first);
    CHECK_EQ(read_session(), 1);
    log_take_back(&first); /* forgotten: nothing happens */
    CHECK_EQ(read_session(), 1);
    log_take_back(&second);
    CHECK_EQ(read_session(), 0);
    CHECK_EQ(lines_length, 0);
    return 0;
}

LOG_TEST(26, "L5: taking a record back leaves those round it as they are") {
    begin_log();
    log_plain("before");
    struct log_place place = provisional("between"), last = provisional("last");
    log_plain("after");
    log_take_back(&place);
    log_take_back(&last);
    log_plain("before");
    log_plain("after");
    log_plain("other");
    CHECK_EQ(read_session(), 3);
    CHECK(!has_blank_line());
    CHECK_STR(field(0, "detail"), "before");
    CHECK_STR(field(1, "detail"), "after");
    CHECK_STR(field(2, "detail"), "other");
    CHECK_EQ(count_of(0), 2);
    CHECK_EQ(count_of(1), 2);
    return 0;
}

LOG_TEST(27, "R1: the log does not grow with the records that were taken back") {
    begin_log();
    struct log_place before = provisional("before");
    log_plain("between");
    struct log_place place = provisional("first");
    read_session();
    size_t length = lines_length;
    for (int i = 0; i < 1000; i++) { /* there is always one that is not taken back yet */
        struct log_place next = provisional("next");
        log_take_back(i % 2 ? &place : &before);
        *(i % 2 ? &place : &before) = next;
    }
    CHECK_EQ(read_session(), 3);
    CHECK(lines_length <= 2 * length);
    log_take_back(&before);
    log_take_back(&place);
    CHECK_EQ(read_session(), 1);
    CHECK(!has_blank_line());
    return 0;
}

LOG_TEST(28, "R1: so many provisional records are written, and no more") {
    struct log_place places[LOG_PROVISIONAL_MAX + 2];
    begin_log();
    for (size_t i = 0; i < LOG_PROVISIONAL_MAX + 2; i++)
        places[i] = provisional("same");
    CHECK_EQ(read_session(), LOG_PROVISIONAL_MAX);
    for (size_t i = 0; i < LOG_PROVISIONAL_MAX + 2; i++)
        log_take_back(&places[i * 7 % (LOG_PROVISIONAL_MAX + 2)]); /* in another order */
    CHECK_EQ(read_session(), 0);
    CHECK_EQ(lines_length, 0);
    return 0;
}

LOG_TEST(29, "L5: a provisional record is its process's, and that of its file") {
    begin_log();
    struct log_place place = provisional("of the parent");
    pid_t child = fork();
    if (child == 0) {
        log_after_fork();
        struct log_place own = provisional("of the child");
        log_take_back(&place);
        CHECK(own.generation != 0);
        syscall(SYS_kill, getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    CHECK_EQ(read_session(), 2);
    char name[32];
    snprintf(name, sizeof name, "%d.0.jsonl", (int)getpid());
    CHECK(unlink(session_path(name)) == 0);
    struct log_place again = provisional("of the next file");
    log_take_back(&place);
    CHECK_EQ(read_session(), 2);
    log_take_back(&again);
    CHECK_EQ(read_session(), 1);
    CHECK_STR(field(0, "detail"), "of the child");
    return 0;
}

LOG_TEST(30, "R3: at the file size limit provisional records are lost, without a signal") {
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
    begin_log();
    log_plain("before");
    struct log_place place = provisional("stays"), last = provisional("taken back");
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    struct log_place none = provisional("lost");
    CHECK_EQ(none.generation, 0);
    log_take_back(&place); /* blanks cannot be written */
    log_take_back(&last);  /* a file may always be cut off */
    limit.rlim_cur = RLIM_INFINITY;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    log_plain("after");
    CHECK_EQ(read_session(), 3);
    CHECK_STR(field(1, "detail"), "stays");
    CHECK_STR(field(2, "detail"), "after");
    return 0;
}
