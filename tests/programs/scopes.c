/* What the functions of raceshim.h do, one scenario each.
 *
 *     scopes SCENARIO
 *
 * Prints facts; a value is what getenv says, "-" for none. Where libraceshim.so is absent the calls return 0 and change
 * nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <raceshim.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

extern char **environ;

static const char *value(const char *name) {
    const char *found = getenv(name);
    return found ? found : "-";
}

static void say(const char *place) {
    printf("%s=%s %s\n", place, value("JOB_A"), value("JOB_B"));
    fflush(stdout);
}

/* What a program that is started here sees */
static void say_started(const char *place) {
    char command[128];
    snprintf(command, sizeof command, "echo %s=${JOB_A--} ${JOB_B--}", place);
    fflush(stdout);
    if (system(command) != 0)
        perror("system");
}

static const char *in_array(const char *name) {
    size_t length = strlen(name);
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return "-";
}

static void enter(raceshim_scope *scope) {
    if (raceshim_scope_enter(scope) != 0)
        printf("enter: %s\n", strerror(errno));
}

static void leave(raceshim_scope *scope) {
    if (raceshim_scope_leave(scope) != 0)
        printf("leave: %s\n", strerror(errno));
}

static void say_result(const char *what, int result) {
    printf("%s=%s\n", what,
           result == 0       ? "0"
           : errno == EINVAL ? "EINVAL"
           : errno == EPERM  ? "EPERM"
                             : "other");
}

static void run_thread(void *(*function)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, argument) == 0)
        pthread_join(thread, NULL);
}

static void *look_from_thread(void *place) {
    say(place);
    return NULL;
}

static void nested(void) {
    raceshim_scope outer = {{0}}, inner = {{0}}, innermost = {{0}};
    setenv("JOB_A", "process", 1);
    enter(&outer);
    say("read_through");
    setenv("JOB_A", "outer", 1);
    setenv("JOB_B", "outer", 1);
    printf("array=%s %s\n", in_array("JOB_A"), in_array("JOB_B"));
    say_started("outer_program");
    enter(&inner);
    setenv("JOB_A", "inner", 1);
    unsetenv("JOB_B");
    enter(&innermost);
    putenv("JOB_B=innermost");
    say("innermost");
    say_started("innermost_program");
    leave(&innermost);
    say("inner");
    say_started("inner_program");
    leave(&inner);
    say("outer");
    leave(&outer);
    say("process");
    say_started("process_program");
}

static void cleared(void) {
    raceshim_scope outer = {{0}}, inner = {{0}};
    setenv("JOB_A", "process", 1);
    enter(&outer);
    setenv("JOB_B", "outer", 1);
    enter(&inner);
    clearenv();
    say("cleared");
    printf("path=%s\n", value("PATH"));
    setenv("JOB_B", "inner", 1);
    say("set_again");
    leave(&inner);
    say("outer");
    leave(&outer);
    say("process");
    printf("path_left=%d\n", getenv("PATH") != NULL);
}

static void *change_process(void *unused) {
    (void)unused;
    setenv("JOB_B", "changed", 1);
    return NULL;
}

static void *change_from_thread(void *unused) {
    (void)unused;
    say("thread_begins");
    setenv("JOB_A", "thread", 1);
    say("thread");
    return NULL;
}

static void *outsider(void *barriers) {
    pthread_barrier_t *steps = barriers;
    pthread_barrier_wait(&steps[0]);
    say("outside");
    say_started("outside_program");
    setenv("JOB_B", "outside", 1);
    pthread_barrier_wait(&steps[1]);
    return NULL;
}

static void threads(void) {
    pthread_barrier_t steps[2];
    pthread_t thread;
    raceshim_scope scope = {{0}};
    pthread_barrier_init(&steps[0], NULL, 2);
    pthread_barrier_init(&steps[1], NULL, 2);
    setenv("JOB_A", "process", 1);
    if (pthread_create(&thread, NULL, outsider, steps) != 0)
        return;
    enter(&scope);
    setenv("JOB_A", "scope", 1);
    run_thread(look_from_thread, "started_inside");
    pthread_barrier_wait(&steps[0]);
    pthread_barrier_wait(&steps[1]);
    say("live");
    pthread_join(thread, NULL);
    leave(&scope);
    say("left");
    run_thread(look_from_thread, "started_afterwards");
    run_thread(change_process, NULL);
    say("at_the_end");
}

/* A thread that was started inside has a layer of its own over the scope: it may write it too. */
static void thread_writes(void) {
    raceshim_scope scope = {{0}};
    setenv("JOB_A", "process", 1);
    enter(&scope);
    setenv("JOB_A", "scope", 1);
    run_thread(change_from_thread, NULL);
    leave(&scope);
    say("left");
}

static void *leave_in_thread(void *scope) {
    say_result("leave_in_thread", raceshim_scope_leave(scope));
    return NULL;
}

static void errors(void) {
    raceshim_scope outer = {{0}}, inner = {{0}}, never = {{0}};
    setenv("JOB_A", "process", 1);
    say_result("enter_null", raceshim_scope_enter(NULL));
    say_result("leave_null", raceshim_scope_leave(NULL));
    say_result("leave_never_entered", raceshim_scope_leave(&never));
    say_result("enter", raceshim_scope_enter(&outer));
    say_result("enter_twice", raceshim_scope_enter(&outer));
    setenv("JOB_A", "outer", 1);
    enter(&inner);
    setenv("JOB_A", "inner", 1);
    say_result("leave_outer_first", raceshim_scope_leave(&outer));
    say("still_inner");
    run_thread(leave_in_thread, &inner);
    say("still_inner_after_thread");
    say_result("leave_inner", raceshim_scope_leave(&inner));
    say("outer");
    say_result("leave_inner_twice", raceshim_scope_leave(&inner));
    say_result("leave_outer", raceshim_scope_leave(&outer));
    say("process");
    say_result("enter_again", raceshim_scope_enter(&outer));
    say("empty");
    say_result("leave_again", raceshim_scope_leave(&outer));
}

static sigjmp_buf back;

__attribute__((noinline)) static void jump_out_of_scope(void) {
    raceshim_scope inner = {{0}};
    enter(&inner);
    setenv("JOB_A", "inner", 1);
    say("inner");
    siglongjmp(back, 1);
}

static void jumps(void) {
    raceshim_scope outer = {{0}};
    setenv("JOB_A", "process", 1);
    enter(&outer);
    setenv("JOB_A", "outer", 1);
    if (sigsetjmp(back, 1) == 0)
        jump_out_of_scope();
    say_result("leave_outer", raceshim_scope_leave(&outer));
    say("process");
}

static void handle(int signal) {
    (void)signal;
    const char *found = getenv("JOB_A");
    const char *text = found ? found : "-";
    ssize_t written = write(1, "handler=", 8) + write(1, text, strlen(text)) + write(1, "\n", 1);
    (void)written;
}

static void handler(void) {
    raceshim_scope scope = {{0}};
    signal(SIGUSR1, handle);
    setenv("JOB_A", "process", 1);
    enter(&scope);
    setenv("JOB_A", "scope", 1);
    raise(SIGUSR1);
    leave(&scope);
    raise(SIGUSR1);
}

static void forks(void) {
    raceshim_scope outer = {{0}}, inner = {{0}};
    setenv("JOB_A", "process", 1);
    enter(&outer);
    setenv("JOB_A", "outer", 1);
    enter(&inner);
    setenv("JOB_A", "inner", 1);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        say("child_inner");
        setenv("JOB_A", "child", 1);
        say_started("child_program");
        leave(&inner);
        say("child_outer");
        leave(&outer);
        say("child");
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    say("inner");
    leave(&inner);
    say("outer");
    leave(&outer);
    say("process");
}

static void *end_inside(void *unused) {
    (void)unused;
    raceshim_scope *scope = calloc(1, sizeof *scope);
    enter(scope);
    setenv("JOB_A", "ended", 1);
    say("thread");
    return scope;
}

static void thread_ends(void) {
    pthread_t thread;
    void *scope;
    setenv("JOB_A", "process", 1);
    if (pthread_create(&thread, NULL, end_inside, NULL) != 0)
        return;
    pthread_join(thread, &scope);
    say("joined");
    free(scope);
}

static void in_inner_function(void *place) {
    say(place);
    setenv("JOB_A", "function", 1);
    say_started("function_program");
}

static void functions(void) {
    setenv("JOB_A", "process", 1);
    printf("active=%d\n", raceshim_active());
    errno = 0;
    say_result("with_scope", raceshim_with_scope(in_inner_function, "function"));
    say("process");
}

/* The outer scope is held while the inner one is entered, on this thread and on another: what a mutex round the
 * environment makes a deadlock. */
static void *enter_many_times(void *name) {
    for (int i = 0; i < 5000; i++) {
        char text[32];
        raceshim_scope outer = {{0}}, inner = {{0}};
        snprintf(text, sizeof text, "%s%d", (const char *)name, i);
        enter(&outer);
        setenv("JOB_A", text, 1);
        enter(&inner);
        setenv("JOB_B", text, 1);
        if (strcmp(value("JOB_A"), text) != 0 || strcmp(value("JOB_B"), text) != 0)
            return "mixed";
        leave(&inner);
        if (strcmp(value("JOB_A"), text) != 0 || strcmp(value("JOB_B"), "-") != 0)
            return "mixed";
        leave(&outer);
    }
    return "own";
}

static void many(void) {
    pthread_t thread;
    void *other = NULL;
    if (pthread_create(&thread, NULL, enter_many_times, "other") != 0)
        return;
    const char *mine = enter_many_times("mine");
    pthread_join(thread, &other);
    printf("mine=%s\nother=%s\n", mine, (const char *)other);
    say("process");
}

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"nested", nested},
    {"cleared", cleared},
    {"threads", threads},
    {"thread_writes", thread_writes},
    {"errors", errors},
    {"jumps", jumps},
    {"handler", handler},
    {"forks", forks},
    {"thread_ends", thread_ends},
    {"functions", functions},
    {"many", many},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < COUNT(scenarios); i++)
        if (strcmp(argv[1], scenarios[i].name) == 0) {
            scenarios[i].run();
            return 0;
        }
    return 2;
}
