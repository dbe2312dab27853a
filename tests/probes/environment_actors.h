/* Threads of one process that do what they are told, one step at a time: what the environment's probes share.
 *
 * A step is a line of text, "ACTOR VERB ARGUMENTS". An actor is a letter; a is the initial thread. The controller is
 * another process: it hands a step to a thread and waits for its answer, so nothing ever runs beside anything, and it
 * goes on when every other thread has ended. NAMES are one or more names; the answer for each is NAME=value, or NAME-
 * if it is not there.
 *
 *   start B, start-detached B, start-c11 B    starts the thread B
 *   return, exit                              ends this one; the answer comes when the kernel has forgotten it
 *   join B, tryjoin B, timedjoin B            (thrd_join for a thread that was started by start-c11)
 *   set NAME VALUE, default NAME VALUE        setenv that overwrites, or not; a VALUE may be left out: it is empty
 *   unset NAME, put NAME VALUE, clear
 *   get NAMES, get-secure NAMES               getenv, secure_getenv
 *   get-in-handler NAMES                      getenv in a signal handler that interrupts this thread
 *   direct NAMES                              a scan of `environ`
 *   spawn NAMES, popen NAMES, system NAMES    what a program sees that is started so
 *   fork-exec NAMES, vfork-exec NAMES         the same, by execv in the child
 *   fork NAMES                                getenv | `environ` in a forked child
 *   fork-set NAME VALUE                       the same after a setenv in the child
 *   fork-leave B1 NAMES                       the same after leaving that scope in the child
 *   enter 1, leave 1, leave B1                a scope of raceshim.h: this actor's first, or B's
 *   jump 1                                    enters it in a function that is then jumped out of
 *   clock, locale                             the hour of time 0 by localtime; setlocale(LC_ALL, "")
 *   tid                                       the thread's number
 */
#ifndef ENVIRONMENT_ACTORS_H
#define ENVIRONMENT_ACTORS_H

#include "lock_probe.h"
#include <dlfcn.h>
#include <limits.h>
#include <linux/futex.h>
#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>

#define ACTORS 16
#define SCOPES_OF_ACTOR 10
#define LINE_MAX_LENGTH 256
#define ANSWER_MAX_LENGTH 1024
#define PRINT_ENVIRONMENT "print-environment"

extern char **environ;

/* ---- a line and its words ---- */

struct words {
    int count;
    char *word[24];
    char text[LINE_MAX_LENGTH];
};

static inline void split(struct words *words, const char *line) {
    char *rest = NULL;
    snprintf(words->text, sizeof words->text, "%s", line);
    words->count = 0;
    for (char *word = strtok_r(words->text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest))
        if (words->count < 24)
            words->word[words->count++] = word;
}

/* "" if there is none */
static inline const char *word_at(const struct words *words, int index) {
    return index < words->count ? words->word[index] : "";
}

/* ---- the stage ---- */

enum actor_state { ABSENT, READY, BUSY, ENDING };

struct actor {
    _Atomic uint32_t state; /* enum actor_state; its changes are what the other side waits for */
    pid_t tid;
    int is_c11;
    pthread_t thread;
    char line[LINE_MAX_LENGTH];
    char answer[ANSWER_MAX_LENGTH];
};

/* Shared between the actors' process, its forked children and the controller. */
struct stage {
    pid_t pid; /* of the actors' process */
    pid_t controller;
    struct actor actors[ACTORS];
};

static struct stage *stage;
static char own_path[PATH_MAX];
static _Thread_local struct actor *self;

/* The structs of raceshim.h, which the program knows by their size alone. */
static struct api_scope { _Alignas(16) char opaque[64]; } api_scopes[ACTORS][SCOPES_OF_ACTOR];
static int (*api_enter)(struct api_scope *), (*api_leave)(struct api_scope *);

static inline void set_state(struct actor *actor, uint32_t state) {
    atomic_store(&actor->state, state);
    syscall(SYS_futex, &actor->state, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Of a process's initial thread a zombie is left. */
static inline int thread_is_gone(pid_t pid, pid_t tid) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/stat", (long)pid, (long)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return 1;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *state = strrchr(text, ')');
    return state == NULL || state[2] == 'Z' || state[2] == 'X';
}

/* Returns when the state is another one, or after about a second. */
static inline void await_change(struct actor *actor, uint32_t state) {
    struct timespec second = {.tv_sec = 1};
    if (atomic_load(&actor->state) == state)
        syscall(SYS_futex, &actor->state, FUTEX_WAIT, state, &second, NULL, 0);
}

static inline void await_step(struct actor *actor) {
    while (atomic_load(&actor->state) != BUSY) {
        await_change(actor, READY);
        if (atomic_load(&actor->state) != BUSY &&
            thread_is_gone(stage->controller, stage->controller))
            _exit(99);
    }
}

static inline struct actor *actor_named(const char *name) {
    int index = name[0] - 'a';
    must(index >= 0 && index < ACTORS, "an actor's letter");
    return &stage->actors[index];
}

/* ---- answers ---- */

__attribute__((format(printf, 1, 2))) static inline void answer(const char *format, ...) {
    size_t length = strlen(self->answer);
    va_list list;
    va_start(list, format);
    vsnprintf(self->answer + length, sizeof self->answer - length, format, list);
    va_end(list);
}

static inline void answer_error(int error) {
    answer("%s", error == 0 ? "ok" : strerrorname_np(error));
}

static inline void answer_value(const char *name, const char *value) {
    const char *blank = self->answer[0] == '\0' ? "" : " ";
    if (value == NULL)
        answer("%s%s-", blank, name);
    else
        answer("%s%s=%s", blank, name, value);
}

static inline char *look_directly(const char *name) {
    size_t length = strlen(name);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

static inline void answer_values(const struct words *words, int first,
                                 char *(*look)(const char *name)) {
    for (int i = first; i < words->count; i++)
        answer_value(words->word[i], look(words->word[i]));
}

/* ---- programs ---- */

/* The program that is started: this one again, with the names as its arguments. */
static inline void print_environment(char **names) {
    for (int i = 0; names[i] != NULL; i++) {
        const char *value = look_directly(names[i]);
        printf("%s%s%s%s", i == 0 ? "" : " ", names[i], value == NULL ? "-" : "=",
               value == NULL ? "" : value);
    }
}

static inline void printer_arguments(const struct words *words, char *arguments[32]) {
    int count = 0;
    arguments[count++] = own_path;
    arguments[count++] = (char *)PRINT_ENVIRONMENT;
    for (int i = 2; i < words->count; i++)
        arguments[count++] = words->word[i];
    arguments[count] = NULL;
}

static inline void answer_from(int fd) {
    char buffer[ANSWER_MAX_LENGTH];
    size_t filled = 0;
    ssize_t got;
    while ((got = read(fd, buffer + filled, sizeof buffer - 1 - filled)) > 0)
        filled += (size_t)got;
    buffer[filled] = '\0';
    answer("%s", buffer);
}

static inline void make_pipe(int ends[2]) {
    must(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
}

static inline void do_spawn(const struct words *words) {
    char *arguments[32];
    int ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    printer_arguments(words, arguments);
    make_pipe(ends);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    must(posix_spawn(&child, own_path, &actions, NULL, arguments, environ) == 0, "posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    answer_from(ends[0]);
    close(ends[0]);
    wait_for(child);
}

static inline void run_in_child(const struct words *words, int by_vfork) {
    char *arguments[32];
    int ends[2];
    printer_arguments(words, arguments);
    make_pipe(ends);
    pid_t child = by_vfork ? vfork() : fork();
    must(child != -1, "fork");
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execv(own_path, arguments);
        _exit(127);
    }
    close(ends[1]);
    answer_from(ends[0]);
    close(ends[0]);
    wait_for(child);
}

static inline void do_fork_exec(const struct words *words) {
    run_in_child(words, 0);
}

static inline void do_vfork_exec(const struct words *words) {
    run_in_child(words, 1);
}

static inline void printer_command(const struct words *words, char *command, size_t size) {
    int length = snprintf(command, size, "exec '%s' " PRINT_ENVIRONMENT, own_path);
    for (int i = 2; i < words->count; i++)
        length += snprintf(command + length, size - (size_t)length, " %s", words->word[i]);
}

static inline void do_popen(const struct words *words) {
    char command[PATH_MAX + LINE_MAX_LENGTH];
    printer_command(words, command, sizeof command);
    FILE *stream = popen(command, "re");
    must(stream != NULL, "popen");
    answer_from(fileno(stream));
    must(pclose(stream) == 0, "pclose");
}

static inline void do_system(const struct words *words) {
    char command[PATH_MAX + LINE_MAX_LENGTH + 64];
    int ends[2];
    must(pipe(ends) == 0, "pipe");
    printer_command(words, command, sizeof command);
    size_t length = strlen(command);
    snprintf(command + length, sizeof command - length, " >/proc/self/fd/%d", ends[1]);
    must(system(command) == 0, "system");
    close(ends[1]);
    answer_from(ends[0]);
    close(ends[0]);
}

/* ---- forked children, who answer in the shared memory ---- */

static inline struct api_scope *scope_named(const char *name) {
    struct actor *owner = name[0] >= 'a' && name[0] <= 'z' ? actor_named(name++) : self;
    int index = name[0] - '0';
    must(index >= 0 && index < SCOPES_OF_ACTOR, "a scope's number");
    return &api_scopes[owner - stage->actors][index];
}

static inline void answer_both(const struct words *words, int first) {
    answer_values(words, first, getenv);
    answer(" |");
    answer_values(words, first, look_directly);
}

static inline void do_fork(const struct words *words) {
    int first = 2;
    pid_t child = fork();
    must(child != -1, "fork");
    if (child != 0) {
        wait_for(child);
        return;
    }
    struct words names = *words;
    if (strcmp(words->word[1], "fork-set") == 0) {
        must(setenv(words->word[2], word_at(words, 3), 1) == 0, "setenv");
        names.count = 3;
    } else if (strcmp(words->word[1], "fork-leave") == 0) {
        must(api_leave == NULL || api_leave(scope_named(words->word[2])) == 0, "leaving");
        first = 3;
    }
    answer_both(&names, first);
    _exit(0);
}

/* ---- threads ---- */

static inline void *act(void *argument);

static inline int act_c11(void *argument) {
    act(argument);
    return 0;
}

static inline void do_start(const struct words *words) {
    struct actor *other = actor_named(word_at(words, 2));
    int is_detached = strcmp(words->word[1], "start-detached") == 0;
    pthread_attr_t attributes;
    must(atomic_load(&other->state) == ABSENT, "an actor that is not there");
    other->is_c11 = strcmp(words->word[1], "start-c11") == 0;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes,
                                is_detached ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
    must(other->is_c11
             ? thrd_create(&other->thread, act_c11, other) == thrd_success
             : pthread_create(&other->thread, is_detached ? &attributes : NULL, act, other) == 0,
         "a thread");
    pthread_attr_destroy(&attributes);
    while (atomic_load(&other->state) == ABSENT)
        await_change(other, ABSENT);
    answer("ok");
}

static inline void do_join(const struct words *words) {
    struct actor *other = actor_named(word_at(words, 2));
    struct timespec past = {0};
    if (strcmp(words->word[1], "tryjoin") == 0)
        answer_error(pthread_tryjoin_np(other->thread, NULL));
    else if (strcmp(words->word[1], "timedjoin") == 0)
        answer_error(pthread_timedjoin_np(other->thread, NULL, &past));
    else if (other->is_c11)
        answer_error(thrd_join(other->thread, NULL) == thrd_success ? 0 : EINVAL);
    else
        answer_error(pthread_join(other->thread, NULL));
}

/* ---- writing ---- */

static inline void answer_returned(int returned) {
    answer_error(returned == 0 ? 0 : errno);
}

static inline void do_set(const struct words *words) {
    answer_returned(setenv(word_at(words, 2), word_at(words, 3), 1));
}

static inline void do_default(const struct words *words) {
    answer_returned(setenv(word_at(words, 2), word_at(words, 3), 0));
}

static inline void do_unset(const struct words *words) {
    answer_returned(unsetenv(word_at(words, 2)));
}

/* The string becomes part of the environment: it is never freed. */
static inline void do_put(const struct words *words) {
    char *entry = NULL;
    must(asprintf(&entry, "%s=%s", word_at(words, 2), word_at(words, 3)) > 0, "memory");
    answer_returned(putenv(entry));
}

static inline void do_clear(const struct words *words) {
    (void)words;
    answer_returned(clearenv());
}

/* ---- reading ---- */

static inline void do_get(const struct words *words) {
    answer_values(words, 2, getenv);
}

static inline void do_get_secure(const struct words *words) {
    answer_values(words, 2, secure_getenv);
}

static inline void do_direct(const struct words *words) {
    answer_values(words, 2, look_directly);
}

static _Thread_local const struct words *asked_of_handler;

static inline void answer_in_handler(int signal) {
    (void)signal;
    answer_values(asked_of_handler, 2, getenv);
}

static inline void do_get_in_handler(const struct words *words) {
    struct sigaction action = {.sa_handler = answer_in_handler};
    asked_of_handler = words;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

static inline void do_clock(const struct words *words) {
    time_t zero = 0;
    struct tm broken;
    (void)words;
    tzset();
    answer("%d", localtime_r(&zero, &broken)->tm_hour);
}

static inline void do_locale(const struct words *words) {
    const char *name = setlocale(LC_ALL, "");
    (void)words;
    answer("%s", name == NULL ? "none" : name);
}

static inline void do_tid(const struct words *words) {
    (void)words;
    answer("%ld", (long)self->tid);
}

/* ---- scopes of raceshim.h ---- */

/* Entering and leaving in one frame, as in a function that does both. */
__attribute__((noinline)) static void do_scope(const struct words *words) {
    struct api_scope *scope = scope_named(word_at(words, 2));
    if (strcmp(words->word[1], "leave") == 0) {
        answer_returned(api_leave == NULL ? 0 : api_leave(scope));
        return;
    }
    memset(scope, 0, sizeof *scope);
    answer_returned(api_enter == NULL ? 0 : api_enter(scope));
}

__attribute__((noinline)) static void enter_and_jump(const struct words *words, jmp_buf *back) {
    do_scope(words);
    longjmp(*back, 1);
}

__attribute__((noinline)) static void do_jump(const struct words *words) {
    jmp_buf back;
    if (setjmp(back) == 0)
        enter_and_jump(words, &back);
}

/* ---- an actor ---- */

static const struct verb {
    const char *name;
    void (*act)(const struct words *words);
} verbs[] = {{"start", do_start},
             {"start-detached", do_start},
             {"start-c11", do_start},
             {"join", do_join},
             {"tryjoin", do_join},
             {"timedjoin", do_join},
             {"set", do_set},
             {"default", do_default},
             {"unset", do_unset},
             {"put", do_put},
             {"clear", do_clear},
             {"get", do_get},
             {"get-secure", do_get_secure},
             {"get-in-handler", do_get_in_handler},
             {"direct", do_direct},
             {"spawn", do_spawn},
             {"popen", do_popen},
             {"system", do_system},
             {"fork-exec", do_fork_exec},
             {"vfork-exec", do_vfork_exec},
             {"fork", do_fork},
             {"fork-set", do_fork},
             {"fork-leave", do_fork},
             {"enter", do_scope},
             {"leave", do_scope},
             {"jump", do_jump},
             {"clock", do_clock},
             {"locale", do_locale},
             {"tid", do_tid}};

static inline void perform(const struct words *words) {
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(word_at(words, 1), verbs[i].name) == 0) {
            verbs[i].act(words);
            return;
        }
    answer("what is that?");
}

static inline void *act(void *argument) {
    struct words words;
    self = argument;
    self->tid = gettid();
    if (self == stage->actors)
        self->thread = pthread_self();
    char name[2] = {(char)('a' + (self - stage->actors)), '\0'};
    pthread_setname_np(pthread_self(), name);
    set_state(self, READY);
    for (;;) {
        await_step(self);
        self->answer[0] = '\0';
        split(&words, self->line);
        const char *verb = word_at(&words, 1);
        int returns = strcmp(verb, "return") == 0, exits = strcmp(verb, "exit") == 0;
        /* A thread that returns from main ends the process. */
        if (exits || (returns && self == stage->actors)) {
            set_state(self, ENDING);
            pthread_exit(NULL);
        }
        if (returns) {
            set_state(self, ENDING);
            return NULL;
        }
        if (strcmp(verb, "end-process") == 0)
            exit(0);
        perform(&words);
        set_state(self, READY);
    }
}

/* ---- the controller ---- */

static inline void await_end(struct actor *actor) {
    long give_up = milliseconds() + DEADLINE_MS;
    while (!thread_is_gone(stage->pid, actor->tid)) {
        must(milliseconds() < give_up, "a thread that ends");
        sched_yield();
    }
    atomic_store(&actor->state, ABSENT);
}

/* Has one actor do the step that the line says. NULL if its process has died, or does not answer. */
static inline const char *direct_step(const char *line) {
    struct actor *actor = actor_named(line);
    long give_up = milliseconds() + DEADLINE_MS;
    must(atomic_load(&actor->state) == READY, line);
    snprintf(actor->line, sizeof actor->line, "%s", line);
    set_state(actor, BUSY);
    while (atomic_load(&actor->state) == BUSY) {
        await_change(actor, BUSY);
        if (atomic_load(&actor->state) == BUSY &&
            (thread_is_gone(stage->pid, actor->tid) || milliseconds() > give_up))
            return NULL;
    }
    if (atomic_load(&actor->state) != ENDING)
        return actor->answer;
    await_end(actor);
    return "ok";
}

/* Before any actor is there, in the process that the others are forked from. */
static inline void prepare_stage(void) {
    ssize_t length = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    must(length > 0, "/proc/self/exe");
    own_path[length] = '\0';
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(stage != MAP_FAILED, "mmap");
    api_enter = (int (*)(struct api_scope *))dlsym(RTLD_DEFAULT, "raceshim_scope_enter");
    api_leave = (int (*)(struct api_scope *))dlsym(RTLD_DEFAULT, "raceshim_scope_leave");
}

#endif
