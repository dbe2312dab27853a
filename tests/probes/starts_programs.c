/* Starts one program in every way there is, from the initial thread, another thread or a vfork child, with an
 * environment of each kind, and lets it print what it got.
 *
 *   starts_programs PROGRAM [WAY...]
 *   starts_programs PROGRAM contend [WAY...]
 *
 * PROGRAM's directory must be in PATH. With `contend` two threads first set X and Y to values of their own, one after
 * the other, and both start the program before either ends; the initial thread does it afterwards, while they live.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;

static const char *program; /* its path */
static const char *name;    /* its last part */

/* ---- The environments ---- */

enum kind { INHERITED, COPIED, CHANGED, SHORTENED, REBUILT, EMPTIED, KINDS };
static const char *const kind_names[] = {"inherited", "copied",  "changed",
                                         "shortened", "rebuilt", "emptied"};

#define MOST 8192
struct environment {
    char *entries[MOST];
};

static bool is_named(const char *entry, const char *of) {
    size_t length = strlen(of);
    return strncmp(entry, of, length) == 0 && entry[length] == '=';
}

/* Copies of the strings, as Rust's and Java's are. */
static char **make_environment(struct environment *e, enum kind kind) {
    size_t count = 0;
    if (kind == INHERITED)
        return environ;
    for (char **entry = environ; *entry && kind < REBUILT; entry++) {
        if (kind == SHORTENED && is_named(*entry, "X"))
            continue;
        bool is_changed = kind == CHANGED && is_named(*entry, "X");
        e->entries[count++] = strdup(is_changed ? "X=callers" : *entry);
    }
    if (kind == REBUILT) {
        e->entries[count++] = "ONLY=this";
        e->entries[count++] = "X=callers";
    }
    e->entries[count] = NULL;
    return e->entries;
}

/* ---- The ways ---- */

typedef void starter(char **envp);

static char *argv_given[] = {"given name", "an argument", NULL};

static void by_execve(char **envp) {
    execve(program, argv_given, envp);
}
static void by_execvpe(char **envp) {
    execvpe(name, argv_given, envp);
}
static void by_execle(char **envp) {
    execle(program, "given name", "an argument", NULL, envp);
}
static void by_fexecve(char **envp) {
    fexecve(open(program, O_RDONLY | O_CLOEXEC), argv_given, envp);
}
static void by_execveat(char **envp) {
    execveat(AT_FDCWD, program, argv_given, envp, 0);
}
static void by_syscall(char **envp) {
    syscall(SYS_execve, program, argv_given, envp);
}
static void by_syscall_at(char **envp) {
    syscall(SYS_execveat, AT_FDCWD, program, argv_given, envp, 0);
}
static void by_execv(char **envp) {
    (void)envp;
    execv(program, argv_given);
}
static void by_execvp(char **envp) {
    (void)envp;
    execvp(name, argv_given);
}
static void by_execl(char **envp) {
    (void)envp;
    execl(program, "given name", "an argument", NULL);
}
static void by_execlp(char **envp) {
    (void)envp;
    execlp(name, "given name", "an argument", NULL);
}

static void wait_for(pid_t pid) {
    int status = -1;
    waitpid(pid, &status, 0);
    printf("status=%x\n", (unsigned)status);
}

static void by_posix_spawn(char **envp) {
    pid_t pid;
    int error = posix_spawn(&pid, program, NULL, NULL, argv_given, envp);
    if (error == 0)
        wait_for(pid);
    else
        printf("error=%s\n", strerror(error));
}
static void by_posix_spawnp(char **envp) {
    pid_t pid;
    int error = posix_spawnp(&pid, name, NULL, NULL, argv_given, envp);
    if (error == 0)
        wait_for(pid);
    else
        printf("error=%s\n", strerror(error));
}

static void by_system(char **envp) {
    char command[4096];
    (void)envp;
    snprintf(command, sizeof command, "'%s' 'an argument'; exit 3", program);
    printf("system=%x\n", (unsigned)system(command));
}

static void by_popen(char **envp) {
    char command[4096], line[4096];
    (void)envp;
    snprintf(command, sizeof command, "'%s' 'an argument'; exit 4", program);
    FILE *stream = popen(command, "r");
    while (stream && fgets(line, sizeof line, stream))
        fputs(line, stdout);
    printf("pclose=%x\n", stream ? (unsigned)pclose(stream) : 0);
}

/* The lines of the output as words. */
static void by_wordexp(char **envp) {
    char words[4096];
    wordexp_t result;
    (void)envp;
    snprintf(words, sizeof words, "\"$('%s')\" $X", program);
    int error = wordexp(words, &result, 0);
    printf("wordexp=%d\n", error);
    for (size_t i = 0; error == 0 && i < result.we_wordc; i++)
        printf("%s\n", result.we_wordv[i]);
}

struct way {
    const char *name;
    starter *start;
    bool replaces;   /* wants a child of its own */
    bool takes_envp; /* else from environ */
};
static const struct way ways[] = {
    {"execve", by_execve, true, true},
    {"execvpe", by_execvpe, true, true},
    {"execle", by_execle, true, true},
    {"fexecve", by_fexecve, true, true},
    {"execveat", by_execveat, true, true},
    {"syscall", by_syscall, true, true},
    {"syscall_at", by_syscall_at, true, true},
    {"execv", by_execv, true, false},
    {"execvp", by_execvp, true, false},
    {"execl", by_execl, true, false},
    {"execlp", by_execlp, true, false},
    {"posix_spawn", by_posix_spawn, false, true},
    {"posix_spawnp", by_posix_spawnp, false, true},
    {"system", by_system, false, false},
    {"popen", by_popen, false, false},
    {"wordexp", by_wordexp, false, false},
};
#define WAYS (sizeof ways / sizeof *ways)

static void start_in_child(const struct way *way, bool is_vfork, char **envp) {
    fflush(stdout);
    pid_t pid = is_vfork ? vfork() : fork();
    if (pid == 0) {
        way->start(envp);
        _exit(errno);
    }
    wait_for(pid);
}

static char **chosen;

static bool is_chosen(const struct way *way) {
    for (char **one = chosen; *one; one++)
        if (strcmp(*one, way->name) == 0)
            return true;
    return !*chosen;
}

static void start_all(const char *who) {
    static struct environment environment;
    for (size_t i = 0; i < WAYS; i++)
        for (int kind = 0; kind < (ways[i].takes_envp ? KINDS : 1) && is_chosen(&ways[i]); kind++) {
            char **envp = make_environment(&environment, (enum kind)kind);
            for (int is_vfork = 0; is_vfork <= ways[i].replaces; is_vfork++) {
                printf("== %s %s %s%s\n", who, ways[i].name, kind_names[kind],
                       is_vfork ? " vfork" : "");
                fflush(stdout);
                errno = 0;
                if (ways[i].replaces)
                    start_in_child(&ways[i], is_vfork, envp);
                else
                    ways[i].start(envp);
            }
        }
    fflush(stdout);
}

/* ---- The threads ---- */

static void *start_all_in_thread(void *unused) {
    (void)unused;
    start_all("thread");
    return NULL;
}

static pthread_barrier_t barrier;

/* X: both write it. Y: only the first. GONE: only the second, who removes it. */
static void *first_contender(void *unused) {
    (void)unused;
    setenv("X", "first", 1);
    setenv("Y", "of the first", 1);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* the second has written */
    start_all("first");
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void *second_contender(void *unused) {
    (void)unused;
    pthread_barrier_wait(&barrier); /* the first has written */
    setenv("X", "second", 1);
    unsetenv("GONE");
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* the first has started all */
    start_all("second");
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    program = argv[1];
    name = strrchr(program, '/') + 1;
    bool contends = argc > 2 && strcmp(argv[2], "contend") == 0;
    chosen = argv + 2 + contends;
    pthread_t threads[2];
    if (!contends) {
        start_all("initial");
        pthread_create(&threads[0], NULL, start_all_in_thread, NULL);
        pthread_join(threads[0], NULL);
        return 0;
    }
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&threads[0], NULL, first_contender, NULL);
    pthread_create(&threads[1], NULL, second_contender, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    start_all("initial");
    return 0;
}
