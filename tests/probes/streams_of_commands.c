/* system, popen and pclose, one case after the other, and what each returned. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *what, long value) {
    printf("%s=%ld\n", what, value);
}

static void tell_errno(const char *what) {
    printf("%s_errno=%s\n", what, errno ? strerrorname_np(errno) : "0");
    errno = 0;
}

/* ---- popen ---- */

/* Either closes either kind of stream, whatever the compiler thinks of it. */
static int (*volatile close_file)(FILE *) = fclose;
static int (*volatile close_command)(FILE *) = pclose;

static void modes(void) {
    static const char *const all[] = {"r", "w", "re", "we", "er", "", "rw", "e", "rb", "a", "rr"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        errno = 0;
        FILE *stream = popen("cat >/dev/null </dev/null", all[i]);
        printf("mode_%s=%s\n", all[i], stream ? "ok" : strerrorname_np(errno));
        if (!stream)
            continue;
        tell("fd", fileno(stream));
        tell("close_on_exec", fcntl(fileno(stream), F_GETFD));
        tell("status", pclose(stream));
    }
}

static void statuses(void) {
    char word[32];
    FILE *stream = popen("echo one word; exit 5", "r");
    tell("scanned", fscanf(stream, "%31s", word));
    tell("pclose_status", pclose(stream));
    tell("fclose_status", close_file(popen("exit 6", "r")));
    tell("signal_status", pclose(popen("kill -9 $$", "r")));
    tell("missing_status", pclose(popen("/no/such/program 2>/dev/null", "r")));
    stream = popen("cat; exit 7", "w");
    fputs("written ", stream);
    tell("written_status", pclose(stream));
    FILE *plain = fopen("/dev/null", "w");
    tell("pclose_of_a_file", close_command(plain));
}

/* The second shell must not hold the first one's pipe open, or the first would never see its end. */
static void several(void) {
    FILE *first = popen("cat >/dev/null; exit 1", "w");
    FILE *second = popen("cat >/dev/null; exit 2", "w");
    FILE *third = popen("cat >/dev/null; exit 3", "we");
    tell("first", pclose(first));
    tell("third", pclose(third));
    tell("second", pclose(second));
    FILE *many[100];
    for (int i = 0; i < 100; i++)
        many[i] = popen("exit 9", "r");
    long sum = 0;
    for (int i = 99; i >= 0; i--)
        sum += WEXITSTATUS(pclose(many[i]));
    tell("sum", sum);
}

static void standard_numbers(void) {
    int in = dup(0), out = dup(1);
    close(0);
    FILE *stream = popen("cat >/dev/null; exit 11", "w");
    int number = fileno(stream);
    fputs("x", stream);
    int status = pclose(stream);
    dup2(in, 0);
    tell("with_0_closed", number);
    tell("with_0_closed_status", status);
    fflush(stdout);
    close(1);
    stream = popen("echo hello; exit 12", "r");
    char word[32] = "";
    int got = fscanf(stream, "%31s", word);
    number = fileno(stream);
    status = pclose(stream);
    dup2(out, 1);
    tell("with_1_closed", number);
    tell("with_1_closed_status", status);
    printf("with_1_closed_word=%d %s\n", got, word);
    close(in);
    close(out);
}

static void odd_ends(void) {
    FILE *stream = popen("exit 13", "r");
    close(fileno(stream));
    errno = 0;
    tell("closed_behind_its_back", close_file(stream));
    tell_errno("closed_behind_its_back");
    tell("left", wait(NULL) > 0);
    stream = popen("exit 15", "r");
    while (wait(NULL) > 0)
        ;
    errno = 0;
    tell("reaped_before", pclose(stream));
    tell_errno("reaped_before");
    signal(SIGPIPE, SIG_IGN);
    stream = popen("exec <&-; echo closed >&2; exit 0", "w");
    waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOWAIT);
    fputs("nobody reads this", stream);
    errno = 0;
    tell("broken_pipe", pclose(stream));
    tell_errno("broken_pipe");
    signal(SIGPIPE, SIG_DFL);
}

static void in_forked_child(void) {
    FILE *stream = popen("exit 16", "r");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        errno = 0;
        tell("not_mine", pclose(stream));
        tell_errno("not_mine");
        tell("mine", pclose(popen("exit 17", "r")));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    tell("still_mine", pclose(stream));
}

static void *open_and_close(void *unused) {
    for (int i = 0; i < 40; i++) {
        FILE *stream = popen("cat >/dev/null; exit 21", "w");
        if (!stream || WEXITSTATUS(pclose(stream)) != 21)
            return unused;
    }
    return NULL;
}

static void in_threads(void) {
    pthread_t threads[4];
    long failed = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, open_and_close, &failed);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed += result != NULL;
    }
    tell("threads_failed", failed);
}

/* ---- system ---- */

static volatile sig_atomic_t interrupts, children;
static void on_interrupt(int sig) {
    (void)sig;
    interrupts++;
}
static void on_child(int sig) {
    (void)sig;
    children++;
}

static const char *disposition(int sig) {
    struct sigaction action;
    sigaction(sig, NULL, &action);
    return action.sa_handler == SIG_DFL   ? "default"
           : action.sa_handler == SIG_IGN ? "ignored"
                                          : "handled";
}

static void commands(void) {
    sigset_t mask, before;
    errno = 0;
    tell("null", system(NULL));
    tell("true", system("true"));
    tell("status", system("exit 42"));
    tell("signal", system("kill -15 $$"));
    tell("missing", system("/no/such/program 2>/dev/null"));
    tell_errno("system");
    signal(SIGINT, on_interrupt);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGCHLD, on_child);
    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    sigprocmask(SIG_SETMASK, &before, NULL);
    /* The shell has SIGINT at its default, SIGQUIT ignored, and the mask; we ignore SIGINT meanwhile. */
    tell("signals", system("kill -2 $PPID; exec grep -E '^Sig(Blk|Ign)' /proc/self/status"));
    tell("interrupted", system("kill -2 $$"));
    sigprocmask(SIG_SETMASK, NULL, &mask);
    tell("interrupts", interrupts);
    tell("mask_kept", sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGCHLD) == 0);
    printf("int=%s quit=%s\n", disposition(SIGINT), disposition(SIGQUIT));
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGCHLD, SIG_IGN);
    errno = 0;
    tell("ignoring_children", system("exit 1"));
    tell_errno("ignoring_children");
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&before);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static const char *pid_file;

static void *run_for_ever(void *command) {
    return (void *)(long)system(command);
}

/* Cancelled while its shell runs: the shell is gone and reaped, and the signals are as before. */
static void cancelled(void) {
    char command[4096];
    snprintf(command, sizeof command, "echo $$ >'%s'; exec >/dev/null; while :; do sleep 60; done",
             pid_file);
    mkfifo(pid_file, 0600);
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, run_for_ever, command);
    FILE *file = fopen(pid_file, "r");
    int pid = 0;
    tell("shell_runs", fscanf(file, "%d", &pid) == 1);
    fclose(file);
    printf("during int=%s quit=%s\n", disposition(SIGINT), disposition(SIGQUIT));
    pthread_cancel(thread);
    pthread_join(thread, &result);
    tell("cancelled", result == PTHREAD_CANCELED);
    errno = 0;
    tell("shell_is_gone", kill(pid, 0));
    tell_errno("shell_is_gone");
    tell("reaped", waitpid(pid, NULL, WNOHANG));
    printf("after int=%s quit=%s\n", disposition(SIGINT), disposition(SIGQUIT));
}

static void *run_one(void *command) {
    return (void *)(long)system(command);
}

static void at_the_same_time(void) {
    pthread_t threads[4];
    char commands[4][32];
    for (int i = 0; i < 4; i++) {
        sprintf(commands[i], "exit %d", 30 + i);
        pthread_create(&threads[i], NULL, run_one, commands[i]);
    }
    for (int i = 0; i < 4; i++) {
        void *status;
        pthread_join(threads[i], &status);
        tell("thread", WEXITSTATUS((long)status));
    }
    printf("int=%s quit=%s\n", disposition(SIGINT), disposition(SIGQUIT));
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    pid_file = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    modes();
    statuses();
    several();
    standard_numbers();
    odd_ends();
    in_forked_child();
    in_threads();
    commands();
    cancelled();
    at_the_same_time();
    return 0;
}
