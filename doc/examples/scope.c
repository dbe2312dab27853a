/* Two builds in two threads of one process, each in a scope of its own.
 *
 *     cc scope.c $(pkg-config --cflags --libs raceshim) -pthread -o scope
 *     ./scope               the second build's OUT_DIR is everybody's
 *     shim-run ./scope      each has its own
 */
#include <pthread.h>
#include <raceshim.h>
#include <stdio.h>
#include <stdlib.h>

struct build {
    const char *name;
    const char *out_dir;
    char seen[64]; /* by the compiler that the build started */
};

static pthread_barrier_t all_are_set;

/* The compiler is called within the build, and its own settings are nobody else's business. */
static void run_compiler(void *argument) {
    struct build *build = argument;
    setenv("COMPILER_MODE", build->name, 1);
    FILE *compiler = popen("echo \"$OUT_DIR $COMPILER_MODE\"", "r");
    if (!compiler || !fgets(build->seen, sizeof build->seen, compiler))
        perror("popen");
    if (compiler)
        pclose(compiler);
}

static void *run_build(void *argument) {
    struct build *build = argument;
    raceshim_scope scope = {{0}};
    if (raceshim_scope_enter(&scope) != 0)
        perror("raceshim_scope_enter");
    setenv("OUT_DIR", build->out_dir, 1);
    pthread_barrier_wait(&all_are_set);
    if (raceshim_with_scope(run_compiler, build) != 0)
        perror("raceshim_with_scope");
    if (raceshim_scope_leave(&scope) != 0)
        perror("raceshim_scope_leave");
    return NULL;
}

int main(void) {
    struct build builds[2] = {{"one", "/tmp/one", ""}, {"two", "/tmp/two", ""}};
    pthread_t threads[2];
    pthread_barrier_init(&all_are_set, NULL, 2);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run_build, &builds[i]) != 0)
            return 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("active=%d\n", raceshim_active());
    for (int i = 0; i < 2; i++)
        printf("%s=%s", builds[i].name, builds[i].seen);
    printf("afterwards=%s\n", getenv("OUT_DIR") ? getenv("OUT_DIR") : "");
    return 0;
}
