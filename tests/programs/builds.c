/* Two builds in two threads of one process. Each sets its own value of every variable that a build script is given, and
 * starts compilers in every way that C has. The first build sets all before the second does, so without a scope each,
 * every compiler of the first build is given the second one's values.
 *
 *     builds threads    the builds only set variables
 *     builds scopes     each enters a scope of raceshim.h, and an inner one for its last compiler
 *
 * Prints BUILD_WAY=N: how many of the variables the compiler had from its own build; BUILD_get the same for getenv.
 */
#include <fcntl.h>
#include <pthread.h>
#include <raceshim.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define COMPILER "/usr/bin/env"

extern char **environ;

/* The first is the one that an inner scope changes. */
static const char *const names[] = {
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_AUTHORS",
    "CARGO_MANIFEST_DIR",
    "CARGO_CFG_UNIX",
    "OUT_DIR",
    "TARGET",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "PROFILE",
    "DEBUG",
    "DEP_CORE_ROOT",
    "RUSTC_LINKER",
};

struct build {
    const char *name;
    const char *package; /* what CARGO_PKG_NAME should be */
    bool scopes;
    char report[4096];
};

static pthread_barrier_t turn, both;

static void value_for(const struct build *build, size_t which, char value[64]) {
    snprintf(value, 64, "%s-%s", which == 0 ? build->package : build->name, names[which]);
}

static void set_all(const struct build *build) {
    for (size_t i = 0; i < COUNT(names); i++) {
        char value[64];
        value_for(build, i, value);
        setenv(names[i], value, 1);
    }
}

__attribute__((format(printf, 2, 3))) static void say(struct build *build, const char *format,
                                                      ...) {
    size_t length = strlen(build->report);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(build->report + length, sizeof build->report - length, format, arguments);
    va_end(arguments);
}

/* How many lines of the compiler's output are this build's variables. */
static void count_own(struct build *build, const char *way, FILE *stream) {
    char line[8192];
    int own = 0;
    while (fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < COUNT(names); i++) {
            size_t length = strlen(names[i]);
            char value[64];
            value_for(build, i, value);
            own += strncmp(line, names[i], length) == 0 && line[length] == '=' &&
                   strcmp(line + length + 1, value) == 0;
        }
    }
    say(build, "%s_%s=%d\n", build->name, way, own);
}

static void count_read(struct build *build) {
    int own = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        char value[64];
        const char *found = getenv(names[i]);
        value_for(build, i, value);
        own += found && strcmp(found, value) == 0;
    }
    say(build, "%s_get=%d\n", build->name, own);
}

static void by_popen(struct build *build, const char *way, const char *command) {
    FILE *stream = popen(command, "r");
    if (stream) {
        count_own(build, way, stream);
        pclose(stream);
    }
}

static void by_system(struct build *build) {
    char file[64], command[128];
    snprintf(file, sizeof file, "system.%s", build->name);
    snprintf(command, sizeof command, COMPILER " >%s", file);
    int status = system(command);
    FILE *stream = status == 0 ? fopen(file, "r") : NULL;
    if (stream) {
        count_own(build, "system", stream);
        fclose(stream);
    }
}

/* A copy of `environ` with one entry more. */
static char **built_environment(void) {
    size_t count = 0;
    while (environ[count])
        count++;
    char **built = calloc(count + 2, sizeof *built);
    for (size_t i = 0; i < count; i++)
        built[i] = environ[i];
    built[count] = "JOB_OTHER=other";
    return built;
}

static pid_t spawn(char **environment, int output, bool search) {
    char *argv[] = {"env", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (search)
        posix_spawnp(&pid, "env", &actions, NULL, argv, environment);
    else
        posix_spawn(&pid, COMPILER, &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

enum way {
    SPAWN,
    SPAWN_BUILT,
    FORK_EXECV,
    FORK_EXECVE,
    FORK_EXECVP,
    FORK_BUILT,
    VFORK_EXECV,
    VFORK_EXECVE,
    VFORK_BUILT
};

static const char *const way_names[] = {
    [SPAWN] = "spawn",
    [SPAWN_BUILT] = "spawnp_built",
    [FORK_EXECV] = "fork_execv",
    [FORK_EXECVE] = "fork_execve",
    [FORK_EXECVP] = "fork_execvp",
    [FORK_BUILT] = "fork_built",
    [VFORK_EXECV] = "vfork_execv",
    [VFORK_EXECVE] = "vfork_execve",
    [VFORK_BUILT] = "vfork_built",
};

static pid_t start(enum way way, char **built, int output) {
    char *argv[] = {"env", NULL};
    char **volatile given = way == FORK_BUILT || way == VFORK_BUILT ? built : environ;
    pid_t pid;
    switch (way) {
    case SPAWN:
        return spawn(environ, output, false);
    case SPAWN_BUILT:
        return spawn(built, output, true);
    case FORK_EXECV:
    case FORK_EXECVE:
    case FORK_EXECVP:
    case FORK_BUILT:
        pid = fork();
        break;
    default:
        pid = vfork();
    }
    if (pid != 0)
        return pid;
    dup2(output, 1);
    if (way == FORK_EXECV || way == VFORK_EXECV)
        execv(COMPILER, argv);
    else if (way == FORK_EXECVP)
        execvp("env", argv);
    else
        execve(COMPILER, argv, given);
    _exit(127);
}

static void by_process(struct build *build, enum way way) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    char **built = built_environment();
    pid_t pid = start(way, built, ends[1]);
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    count_own(build, way_names[way], stream);
    fclose(stream);
    waitpid(pid, NULL, 0);
    free(built);
}

static void compile_all_ways(struct build *build) {
    count_read(build);
    by_popen(build, "popen", COMPILER);
    by_popen(build, "popen_deep", "sh -c 'sh -c " COMPILER "; :'");
    by_system(build);
    for (enum way way = SPAWN; way <= VFORK_BUILT; way++)
        by_process(build, way);
}

/* "one" does it before "two" begins. */
static void take_turns(struct build *build, void (*function)(const struct build *)) {
    if (build->name[0] == 't')
        pthread_barrier_wait(&turn);
    function(build);
    if (build->name[0] == 'o')
        pthread_barrier_wait(&turn);
    pthread_barrier_wait(&both);
}

static void set_package(const struct build *build) {
    char value[64];
    value_for(build, 0, value);
    setenv(names[0], value, 1);
}

static void compile_in_inner_scope(struct build *build) {
    const char *package = build->package;
    raceshim_scope inner = {{0}};
    if (raceshim_scope_enter(&inner) != 0)
        perror("inner enter");
    build->package = build->name[0] == 'o' ? "inner-one" : "inner-two";
    take_turns(build, set_package);
    by_popen(build, "inner", COMPILER);
    pthread_barrier_wait(&both);
    if (raceshim_scope_leave(&inner) != 0)
        perror("inner leave");
    build->package = package;
    by_popen(build, "inner_left", COMPILER);
}

static void *run(void *argument) {
    struct build *build = argument;
    raceshim_scope outer = {{0}};
    if (build->scopes && raceshim_scope_enter(&outer) != 0)
        perror("outer enter");
    take_turns(build, set_all);
    compile_all_ways(build);
    pthread_barrier_wait(&both);
    if (build->scopes)
        compile_in_inner_scope(build);
    pthread_barrier_wait(&both);
    if (build->scopes && raceshim_scope_leave(&outer) != 0)
        perror("outer leave");
    return NULL;
}

int main(int argc, char **argv) {
    bool scopes = argc > 1 && strcmp(argv[1], "scopes") == 0;
    struct build builds[2] = {{"one", "one", scopes, ""}, {"two", "two", scopes, ""}};
    pthread_t threads[2];
    pthread_barrier_init(&turn, NULL, 2);
    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run, &builds[i]) != 0)
            return 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        fputs(builds[i].report, stdout);
    printf("outside=%d\n", getenv(names[0]) != NULL);
    return 0;
}
