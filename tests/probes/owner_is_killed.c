/* A process that holds a lock is killed while its child, which has the descriptor too, sleeps; a
 * third process waits for the lock.
 *
 *   owner_is_killed HOW inside|outside FILE [PROGRAM]
 *
 * HOW starts the child: fork, _Fork, clone, vfork, posix_spawn, system, popen; the last four start
 * PROGRAM, which is acts_on_inherited_descriptor. The third is this process, or the outsider.
 * MS is the best of three rounds, so that one busy moment of the machine does not count.
 */
#include "lock_probe.h"
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ROUNDS 3

extern char **environ;

static const char *path, *program;
static int ready[2];

/* The child of the process that will be killed. */
static void sleep_with_descriptor(void) {
    pid_t me = getpid();
    alarm(3 * DEADLINE_MS / 1000); /* in case nobody is left to end it */
    must(write(ready[1], &me, sizeof me) == sizeof me, "ready");
    for (;;)
        pause();
}

static void run_program(const char *how, int fd) {
    char number[16], report[32], command[8192];
    pid_t child;
    snprintf(number, sizeof number, "%d", fd);
    snprintf(report, sizeof report, "ready:%d", ready[1]);
    char *words[] = {(char *)program, number, (char *)path, report, "pause", NULL};
    snprintf(command, sizeof command, "exec '%s' %s '%s' %s pause", program, number, path, report);
    if (strcmp(how, "vfork") == 0) {
        if (vfork() == 0) {
            execv(program, words);
            _exit(127);
        }
    } else if (strcmp(how, "posix_spawn") == 0) {
        must(posix_spawn(&child, program, NULL, NULL, words, environ) == 0, "posix_spawn");
    } else if (strcmp(how, "system") == 0) {
        must(system(command) != -1, "system");
    } else {
        must(popen(command, "r") != NULL, "popen");
    }
}

static void own_and_start(const char *how) {
    int fd = open_file(path);
    pid_t child = -1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    if (strcmp(how, "fork") == 0)
        child = fork();
    else if (strcmp(how, "_Fork") == 0)
        child = _Fork();
    else if (strcmp(how, "clone") == 0)
        child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    else
        run_program(how, fd);
    if (child == 0)
        sleep_with_descriptor();
    for (;;)
        pause();
}

static void on_alarm(int signal) {
    (void)signal; /* without SA_RESTART: ends the wait */
}

static long wait_for_lock(int outside) {
    char answer[64];
    long began = milliseconds();
    if (outside) {
        must(ask_witness(answer, sizeof answer, "take %d %d %s\n", FIRST, LENGTH, path), "witness");
        return strcmp(answer, "never") == 0 ? -1 : milliseconds() - began;
    }
    int fd = open_file(path);
    alarm(DEADLINE_MS / 1000);
    int error = lock_bytes(fd, F_SETLKW, F_WRLCK, FIRST, LENGTH);
    long took = milliseconds() - began;
    alarm(0);
    close(fd);
    return error == 0 ? took : -1;
}

static long one_round(const char *how, int outside) {
    pid_t sleeper;
    pid_t owner = fork();
    must(owner != -1, "fork");
    if (owner == 0)
        own_and_start(how);
    must(read(ready[0], &sleeper, sizeof sleeper) == sizeof sleeper, "a sleeping child");
    fact_witness("held", path);
    kill(owner, SIGKILL);
    long took = wait_for_lock(outside);
    fact("sleeper", "%s", kill(sleeper, 0) == 0 ? "alive" : "gone");
    kill(sleeper, SIGKILL);
    waitpid(owner, NULL, 0);
    return took;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_alarm};
    long best = -1;
    if (argc < 4)
        return 2;
    path = argv[3];
    program = argv[4];
    sigaction(SIGALRM, &action, NULL);
    must(pipe(ready) == 0, "pipe");
    for (int round = 0; round < ROUNDS; round++) {
        long took = one_round(argv[1], strcmp(argv[2], "outside") == 0);
        if (took >= 0 && (best < 0 || took < best))
            best = took;
        if (took < 0)
            break;
    }
    fact("ms", "%ld", best);
    return 0;
}
