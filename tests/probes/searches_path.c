/* Runs FILE by execvp, execvpe, execlp and posix_spawnp, and prints what each says if it cannot.
 *
 *   searches_path FILE [PATH]      with PATH set to this one first, or unset if it is "-"
 *   searches_path FILE contend     two threads set PATH: one to ./first, one to ./second; each runs FILE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *file;
static char *argv_given[] = {"given name", "an argument", NULL};

static void by_execvp(void) {
    execvp(file, argv_given);
}
static void by_execvpe(void) {
    execvpe(file, argv_given, environ);
}
static void by_execlp(void) {
    execlp(file, "given name", "an argument", NULL);
}

static void print_status(const char *who, const char *way, int status) {
    printf("%s %s status=%d %s\n", who, way, WEXITSTATUS(status),
           WEXITSTATUS(status) > 100 ? strerrorname_np(WEXITSTATUS(status) - 100) : "");
    fflush(stdout);
}

static void run_in_child(const char *who, const char *way, void (*start)(void)) {
    int status;
    pid_t pid = vfork();
    if (pid == 0) {
        start();
        _exit(100 + errno);
    }
    waitpid(pid, &status, 0);
    print_status(who, way, status);
}

static void run_all(const char *who) {
    pid_t pid;
    int status;
    run_in_child(who, "execvp", by_execvp);
    run_in_child(who, "execvpe", by_execvpe);
    run_in_child(who, "execlp", by_execlp);
    int error = posix_spawnp(&pid, file, NULL, NULL, argv_given, environ);
    if (error == 0)
        waitpid(pid, &status, 0);
    print_status(who, "posix_spawnp", error ? (100 + error) << 8 : status);
}

static pthread_barrier_t barrier;

static void *first(void *unused) {
    setenv("PATH", "./first", 1);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    run_all("first");
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return unused;
}

static void *second(void *unused) {
    pthread_barrier_wait(&barrier);
    setenv("PATH", "./second", 1);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    run_all("second");
    pthread_barrier_wait(&barrier);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t threads[2];
    if (argc < 2)
        return 2;
    file = argv[1];
    if (argc == 2 || strcmp(argv[2], "contend") != 0) {
        if (argc > 2 && strcmp(argv[2], "-") == 0)
            unsetenv("PATH");
        else if (argc > 2)
            setenv("PATH", argv[2], 1);
        run_all("initial");
        return 0;
    }
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&threads[0], NULL, first, NULL);
    pthread_create(&threads[1], NULL, second, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return 0;
}
