/* What the environment's rooms record: which kind, about whom, how often, and never a value that was not asked for. */
#define _GNU_SOURCE
#include "base/owner.h"
#include "base/rules.h"
#include "base/settings.h"
#include "env/fork.h"
#include "env/lock.h"
#include "env/tell.h"
#include "env_actors.h"
#include "json_reader.h"
#include "report/log.h"
#include "report/record.h"

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct settings settings;
struct rules rules;

#define HERE NULL
#define CALLER (&(const struct caller){__builtin_return_address(0), __builtin_frame_address(0)})

static struct actor a, b;

/* ---- The records ---- */

static char lines[1 << 20];
static char file_path[SETTINGS_PATH_MAX + 300];

static void read_records(void) {
    DIR *directory = opendir(settings.out);
    lines[0] = '\0';
    for (struct dirent *entry; (entry = readdir(directory));) {
        snprintf(file_path, sizeof file_path, "%s/%s", settings.out, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(file_path, "re");
        size_t used = strlen(lines);
        if (!file)
            continue;
        lines[used + fread(lines + used, 1, sizeof lines - 1 - used, file)] = '\0';
        fclose(file);
    }
    closedir(directory);
}

static const char *next_record(const char *line) {
    const char *end = strchr(line, '\n');
    return end && end[1] ? end + 1 : NULL;
}

/* A field of the record of that kind about the variable; "(no record)", "(none)". */
static const char *field(const char *kind, const char *var, const char *path) {
    static char values[8][RECORD_LINE_MAX], found[2][256];
    static int next;
    char *value = values[next++ % 8];
    read_records();
    for (const char *line = *lines ? lines : NULL; line; line = next_record(line)) {
        size_t length = strcspn(line, "\n") + 1;
        CHECK(json_is_line(line, length));
        if (strcmp(json_get(line, length, "kind", found[0], 256), kind) != 0 ||
            (var && strcmp(json_get(line, length, "var", found[1], 256), var) != 0))
            continue;
        const char *got = json_get(line, length, path, value, RECORD_LINE_MAX);
        return got ? got : "(none)";
    }
    return "(no record)";
}

static int records(void) {
    int count = 0;
    read_records();
    for (const char *line = *lines ? lines : NULL; line; line = next_record(line))
        count++;
    return count;
}

/* ---- Each test in a process of its own ---- */

static void remove_records(void) {
    DIR *directory = opendir(settings.out);
    for (struct dirent *entry; (entry = readdir(directory));) {
        snprintf(file_path, sizeof file_path, "%s/%s", settings.out, entry->d_name);
        unlink(file_path);
    }
    closedir(directory);
    rmdir(settings.out);
}

static void in_process(void (*test)(void), enum env_mode mode) {
    const char *where = getenv("TMPDIR");
    snprintf(settings.out, sizeof settings.out, "%.100s/tell.XXXXXX", where ? where : "/tmp");
    if (!mkdtemp(settings.out)) {
        CHECK_FAILED("%s cannot be made", settings.out);
        return;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        check_failures = 0;
        owner_after_fork();
        settings.env_mode = mode;
        log_open_settings(settings.out, NULL);
        thread_begin();
        test();
        fflush(stdout);
        _exit(check_failures != 0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    remove_records();
    settings.show_values = false;
}

/* ---- What threads do ---- */

struct act {
    const char *name, *value;
};

static __attribute__((noinline)) void set_from_one_place(void *context) {
    struct act *act = context;
    if (act->value)
        change_set(act->name, act->value, 1, CALLER);
    else
        change_unset(act->name, CALLER);
}

static void set(struct actor *actor, const char *name, const char *value) {
    struct act act = {name, value};
    actor_do(actor, set_from_one_place, &act);
}

static void read_it(void *name) {
    view_get(name, CALLER);
}

static void get(struct actor *actor, char *name) {
    actor_do(actor, read_it, name);
}

static void start_program(void *context) {
    (void)context;
    view_program_starts(CALLER);
}

/* ---- env-unsafe-write ---- */

static void count_writes(void) {
    actor_start(&a);
    for (int i = 0; i < 5; i++)
        set(&a, "COUNTED", "secret value");
    CHECK_STR(field("env-unsafe-write", "COUNTED", "count"), "4");
    tell_counts();
    CHECK_STR(field("env-unsafe-write", "COUNTED", "count"), "5");
    CHECK_STR(field("env-unsafe-write", "COUNTED", "severity"), "warning");
    CHECK_STR(field("env-unsafe-write", "COUNTED", "here.value.len"), "12");
    CHECK_STR(field("env-unsafe-write", "COUNTED", "here.value.text"), "(none)");
    for (int i = 0; i < 1000; i++)
        set(&a, "COUNTED", i % 2 ? NULL : "other");
    tell_counts();
    tell_counts();
    CHECK_EQ(records(), 1);
    CHECK(strstr(lines, "secret") == NULL);
    actor_join(&a);
    set(HERE, "COUNTED", "alone");
    tell_counts();
    CHECK_STR(field("env-unsafe-write", "COUNTED", "count"), "1005");
}

TEST("R1: a write beside other threads is one record for each call site, with a count") {
    in_process(count_writes, ENV_SCOPED);
}

#ifndef __SANITIZE_THREAD__ /* which allows no threads in a child of a process that had some */
static void count_in_child(void) {
    actor_start(&a);
    for (int i = 0; i < 6; i++)
        set(&a, "COUNTED", "value");
    pid_t pid = fork();
    if (pid == 0) {
        owner_after_fork();
        log_after_fork();
        env_after_fork_child();
        tell_counts();
        set(HERE, "COUNTED", "alone");
        actor_start(&b);
        set(&b, "COUNTED", "b");
        tell_counts();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    tell_counts();
    read_records();
    CHECK_EQ(records(), 2);
    CHECK(strstr(lines, "\"count\":6 ") && strstr(lines, "\"count\":1 "));
    actor_join(&a);
}

TEST("R3: a forked child counts anew") {
    in_process(count_in_child, ENV_SCOPED);
}
#endif

/* ---- env-clobber, env-child, env-hidden ---- */

static void contend(void) {
    actor_start(&a);
    actor_start(&b);
    set(&a, "X", "secret of a");
    set(&b, "X", "secret of b");
}

static void end_both(void) {
    actor_join(&a);
    actor_join(&b);
    CHECK(settings.show_values || strstr(lines, "secret") == NULL);
}

static void tell_clobber(const char *action, const char *severity) {
    contend();
    get(&a, "X");
    get(&a, "X");
    CHECK_STR(field("env-clobber", "X", "count"), "1");
    CHECK_STR(field("env-clobber", "X", "action"), action);
    CHECK_STR(field("env-clobber", "X", "severity"), severity);
    CHECK_STR(field("env-clobber", "X", "here.value.len"), "11");
    CHECK(strcmp(field("env-clobber", "X", "here.value.hash"),
                 field("env-clobber", "X", "there.value.hash")) != 0);
    CHECK_EQ(atoi(field("env-clobber", "X", "here.tid")), a.thread->tid);
    CHECK_EQ(atoi(field("env-clobber", "X", "there.tid")), b.thread->tid);
    CHECK(strcmp(field("env-clobber", "X", "there.since"), "null") != 0);
    set(&b, "X", "secret again");
    get(&a, "X");
    CHECK_STR(field("env-clobber", "X", "count"), "2");
    get(&b, "X");
    get(HERE, "X");
    actor_do(&a, start_program, NULL);
    CHECK_STR(field("env-child", "X", "count"), "1");
    CHECK_STR(field("env-child", "X", "action"), action);
    CHECK_STR(field("env-child", "X", "severity"), severity);
    actor_do(&a, start_program, NULL);
    CHECK_STR(field("env-child", "X", "count"), "2");
    CHECK_STR(field("env-hidden", NULL, "kind"), "(no record)");
    end_both();
}

static void tell_clobber_scoped(void) {
    tell_clobber("isolated", "warning");
}

static void tell_clobber_watched(void) {
    tell_clobber("none", "error");
}

TEST("R1: a thread's own variable that another one overwrote is told once for each new value, and "
     "for each program") {
    in_process(tell_clobber_scoped, ENV_SCOPED);
}

TEST("L8: watched, the same is an error, because that value was got") {
    in_process(tell_clobber_watched, ENV_WATCH);
}

static void tell_values(void) {
    contend();
    get(&a, "X");
    CHECK_STR(field("env-clobber", "X", "here.value.text"), "secret of a");
    CHECK_STR(field("env-clobber", "X", "there.value.text"), "secret of b");
    end_both();
}

TEST("R2: values are in the records if they were asked for") {
    settings.show_values = true;
    in_process(tell_values, ENV_SCOPED);
}

static void take_name(void *name) {
    prctl(PR_SET_NAME, name);
}

static void tell_of_ended(void) {
    actor_start(&a);
    actor_start(&b);
    actor_do(&b, take_name, "worker-7");
    int tid = b.thread->tid;
    set(&a, "X", "1");
    set(&b, "X", "2");
    actor_join(&b);
    get(&a, "X");
    CHECK_STR(field("env-clobber", "X", "there.thread"), "worker-7");
    CHECK_EQ(atoi(field("env-clobber", "X", "there.tid")), tid);
    actor_join(&a);
}

TEST("R1: a thread that has ended is told of by the name that it had") {
    in_process(tell_of_ended, ENV_SCOPED);
}

static void tell_hidden(void) {
    set(HERE, "HIDDEN", "0");
    actor_start(&a);
    set(&a, "HIDDEN", "secret");
    get(&a, "HIDDEN");
    CHECK_STR(field("env-hidden", "HIDDEN", "kind"), "(no record)");
    get(HERE, "HIDDEN");
    CHECK_STR(field("env-hidden", "HIDDEN", "severity"), "note");
    CHECK_STR(field("env-hidden", "HIDDEN", "action"), "isolated");
    CHECK_STR(field("env-hidden", "HIDDEN", "count"), "1");
    CHECK(strstr(lines, "secret") == NULL);
    actor_join(&a);
}

TEST("E2: that a private value is not seen elsewhere is a note") {
    in_process(tell_hidden, ENV_PRIVATE);
}

static void tell_lack(void) {
    tell_degraded(TELL_TOO_MANY_SCOPES, CALLER);
    tell_degraded(TELL_TOO_MANY_SCOPES, CALLER);
    CHECK_STR(field("degraded", NULL, "count"), "1");
    CHECK_EQ(records(), 1);
}

TEST("H3: what cannot be done is told once") {
    in_process(tell_lack, ENV_SCOPED);
}
