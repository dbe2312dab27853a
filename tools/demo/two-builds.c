/* Two builds in two threads of one process, as a language server runs them: each sets the variables of its package, then
 * starts the package's compiler, which writes where OUT_DIR says. Nothing here knows of the shim.
 *
 *     two-builds DIRECTORY
 *
 * The builds meet where it hurts: both have set their variables before either starts its compiler. The status is 1 if
 * a package's output is not where it belongs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct build {
    const char *package;
    const char *version;
    char out[4096];
};

static pthread_barrier_t both_are_set_up;

static void set_variables(const struct build *build) {
    setenv("CARGO_PKG_NAME", build->package, 1);
    setenv("CARGO_PKG_VERSION", build->version, 1);
    setenv("OUT_DIR", build->out, 1);
}

/* The compiler: a program that takes all it needs from its environment. */
static void start_compiler(void) {
    static const char compiler[] =
        "printf '%s %s\\n' \"$CARGO_PKG_NAME\" \"$CARGO_PKG_VERSION\" >>\"$OUT_DIR/unit\"";
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", compiler, (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void *run(void *argument) {
    const struct build *build = argument;
    set_variables(build);
    pthread_barrier_wait(&both_are_set_up);
    printf("%s: my package is %s, compiling to %s\n", build->package, getenv("CARGO_PKG_NAME"),
           strrchr(getenv("OUT_DIR"), '/') + 1);
    start_compiler();
    return NULL;
}

static int check(const struct build *build) {
    char path[4200], line[256] = "nothing", wanted[256];
    snprintf(path, sizeof path, "%s/unit", build->out);
    snprintf(wanted, sizeof wanted, "%s %s\n", build->package, build->version);
    FILE *file = fopen(path, "r");
    int good = file && fgets(line, sizeof line, file) && strcmp(line, wanted) == 0 &&
               !fgets(line, sizeof line, file);
    if (file)
        fclose(file);
    printf("%s: %s\n", build->package, good ? "built" : "error: its unit is missing or another's");
    return good ? 0 : 1;
}

int main(int argc, char **argv) {
    struct build builds[2] = {{.package = "parser", .version = "1.4.0"},
                              {.package = "server", .version = "0.9.2"}};
    pthread_t threads[2];
    if (argc != 2) {
        fprintf(stderr, "usage: two-builds DIRECTORY\n");
        return 2;
    }
    pthread_barrier_init(&both_are_set_up, NULL, 2);
    for (int i = 0; i < 2; i++) {
        snprintf(builds[i].out, sizeof builds[i].out, "%s/%s-out", argv[1], builds[i].package);
        if (mkdir(builds[i].out, 0777) != 0 && errno != EEXIST) {
            perror(builds[i].out);
            return 2;
        }
    }
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run, &builds[i]) != 0)
            return 2;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return check(&builds[0]) | check(&builds[1]);
}
