/* Threads and processes that lock, one at a time or all waiting at once, as the lines on stdin tell
 * them.
 *
 *   lock_actors PROCESS... <SCRIPT        a PROCESS is a letter and its number of threads: a2 b1
 *
 * A line is "ACTOR VERB ARGUMENT...", an actor a process and the number of a thread: a1 is the
 * initial thread of process a. It is printed again, followed by ": " and what came of it. A call
 * that waits for a lock comes to "waits"; what it ends with is the answer to "ACTOR end" later.
 *
 * Descriptors have the names A to Z, each process its own. Ranges are START [LENGTH [read]], by
 * default one byte for writing.
 *
 *   open D FILE    dup D E    close D    exit
 *   lock D RANGE   F_SETLKW              try D RANGE   F_SETLK         unlock D RANGE
 *   get D RANGE    F_GETLK: "free", or type, start, length and the holder: a process of ours, else
 * its pid lockf D LENGTH, test D LENGTH        F_LOCK and F_TEST from the descriptor's offset ofd D
 * RANGE    F_OFD_SETLKW          ofd-try, ofd-unlock flock D ex|sh|un many D START COUNT COUNT
 * single bytes, every other one, by F_SETLK lock-or-jump D RANGE                 lock; a signal
 * leaves it by siglongjmp: "jumped" lock-cancelled D RANGE               asks for its own
 * cancellation, then try, then lock interrupt, restart                   SIGUSR1 without and with
 * SA_RESTART (at first: without) asynchronous                         from now on this thread's
 * lock can be cancelled at any point cancel N                             cancels and joins thread
 * N of the same process elapsed                              tenths of a second that the last call
 * took
 *
 * And what is done to an actor, whatever it does meanwhile:
 *
 *   signal         SIGUSR1; ends when the handler has run and the actor waits again or is done
 *   kill           SIGKILL to its process
 *   end            what the call that waited came to
 *   still MS       does it wait that long?
 *   pid            of the process
 */
#define _GNU_SOURCE
#include "lock_waits.h"
#include <ctype.h>
#include <limits.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define PROCESSES 8
#define THREADS 8

enum state { IDLE, BUSY, FINISHED, GONE };

struct actor {
    _Atomic uint32_t state;
    _Atomic uint32_t handled; /* signals */
    pid_t pid, tid;
    pthread_t thread;
    char command[4200], result[256];
};

static struct actor (*actors)[THREADS]; /* shared by all processes */

static int files[26]; /* of this process; 0: not open */
static int process_index;
static __thread struct actor *self;
static __thread sigjmp_buf jump;
static __thread volatile sig_atomic_t jumps, asynchronous;
static __thread long last_ms;

/* ---- waiting for each other: futexes, asked for without a cancellation point ---- */

static void set_state(struct actor *actor, uint32_t state) {
    atomic_store(&actor->state, state);
    syscall(SYS_futex, &actor->state, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void await_change(struct actor *actor, uint32_t state, const struct timespec *at_most) {
    syscall(SYS_futex, &actor->state, FUTEX_WAIT, state, at_most, NULL, 0);
}

/* ---- an actor's calls ---- */

static void result(const char *text) {
    snprintf(self->result + strlen(self->result), sizeof self->result - strlen(self->result), "%s",
             text);
}

static void result_of(int returned) {
    result(returned == -1 ? strerrorname_np(errno) : "ok");
}

static void handle(int signal) {
    (void)signal;
    atomic_fetch_add(&self->handled, 1);
    if (jumps)
        siglongjmp(jump, 1);
}

static void set_handler(int flags) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
}

static int *file_of(char name) {
    must(name >= 'A' && name <= 'Z', "a descriptor's name");
    return &files[name - 'A'];
}

static struct flock range_of(const char *arguments) {
    char type[16] = "write";
    long long start = 0, length = 1;
    must(sscanf(arguments, "%*c %lld %lld %15s", &start, &length, type) >= 1, "a range");
    return (struct flock){.l_type = strcmp(type, "read") == 0 ? F_RDLCK : F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = start,
                          .l_len = length};
}

static int call_fcntl(int command, const char *arguments) {
    struct flock range = range_of(arguments);
    return fcntl(*file_of(arguments[0]), command, &range);
}

static int call_unlock(int command, const char *arguments) {
    struct flock range = range_of(arguments);
    range.l_type = F_UNLCK;
    return fcntl(*file_of(arguments[0]), command, &range);
}

static void finish_cancelled(void *actor) {
    self = actor;
    result("cancelled");
    set_state(self, GONE);
}

static void lock_cancellable(const char *arguments) {
    int old, returned;
    pthread_cleanup_push(finish_cancelled, self);
    if (asynchronous)
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    returned = call_fcntl(F_SETLKW, arguments);
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old);
    pthread_cleanup_pop(0);
    result_of(returned);
}

static void do_open(const char *arguments) {
    char path[4096];
    must(sscanf(arguments, "%*c %4095s", path) == 1, "a path");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    *file_of(arguments[0]) = fd;
    result_of(fd);
}

static void do_dup(const char *arguments) {
    int fd = dup(*file_of(arguments[0]));
    *file_of(arguments[2]) = fd;
    result_of(fd);
}

static void do_close(const char *arguments) {
    result_of(close(*file_of(arguments[0])));
    *file_of(arguments[0]) = 0;
}

static void do_lock(const char *arguments) {
    lock_cancellable(arguments);
}

static void do_try(const char *arguments) {
    result_of(call_fcntl(F_SETLK, arguments));
}

static void do_unlock(const char *arguments) {
    result_of(call_unlock(F_SETLK, arguments));
}

static void do_get(const char *arguments) {
    struct flock range = range_of(arguments);
    char text[128], holder[32];
    if (fcntl(*file_of(arguments[0]), F_GETLK, &range) == -1) {
        result_of(-1);
        return;
    }
    if (range.l_type == F_UNLCK) {
        result("free");
        return;
    }
    snprintf(holder, sizeof holder, "%ld", (long)range.l_pid);
    for (int p = 0; p < PROCESSES; p++)
        if (range.l_pid > 0 && actors[p][0].pid == range.l_pid)
            snprintf(holder, sizeof holder, "%c", 'a' + p);
    snprintf(text, sizeof text, "%s %lld %lld by %s", lock_type_name(range.l_type),
             (long long)range.l_start, (long long)range.l_len, holder);
    result(text);
}

static void do_lockf(const char *arguments) {
    result_of(lockf(*file_of(arguments[0]), F_LOCK, atoll(arguments + 1)));
}

static void do_test(const char *arguments) {
    result_of(lockf(*file_of(arguments[0]), F_TEST, atoll(arguments + 1)));
}

static void do_ofd(const char *arguments) {
    result_of(call_fcntl(F_OFD_SETLKW, arguments));
}

static void do_ofd_try(const char *arguments) {
    result_of(call_fcntl(F_OFD_SETLK, arguments));
}

static void do_ofd_unlock(const char *arguments) {
    result_of(call_unlock(F_OFD_SETLK, arguments));
}

static void do_flock(const char *arguments) {
    int operation = strcmp(arguments + 2, "ex") == 0   ? LOCK_EX
                    : strcmp(arguments + 2, "sh") == 0 ? LOCK_SH
                                                       : LOCK_UN;
    result_of(flock(*file_of(arguments[0]), operation));
}

static void do_many(const char *arguments) {
    long long start, count;
    must(sscanf(arguments, "%*c %lld %lld", &start, &count) == 2, "START COUNT");
    for (long long i = 0; i < count; i++)
        must(try_lock(*file_of(arguments[0]), start + 2 * i, 1) == 0, "one of many locks");
    result("ok");
}

static void do_lock_or_jump(const char *arguments) {
    if (sigsetjmp(jump, 1) == 0) {
        jumps = 1;
        result_of(call_fcntl(F_SETLKW, arguments));
    } else {
        result("jumped");
    }
    jumps = 0;
}

/* F_SETLK is no cancellation point, F_SETLKW is one even when the lock is free. */
static void do_lock_cancelled(const char *arguments) {
    pthread_cancel(pthread_self());
    do_try(arguments);
    result(", ");
    lock_cancellable(arguments);
}

static void do_interrupt(const char *arguments) {
    (void)arguments;
    set_handler(0);
    result("ok");
}

static void do_restart(const char *arguments) {
    (void)arguments;
    set_handler(SA_RESTART);
    result("ok");
}

static void do_asynchronous(const char *arguments) {
    (void)arguments;
    asynchronous = 1;
    result("ok");
}

static void do_cancel(const char *arguments) {
    struct actor *other = &actors[process_index][atoi(arguments) - 1];
    void *returned = NULL;
    must(pthread_cancel(other->thread) == 0, "pthread_cancel");
    must(pthread_join(other->thread, &returned) == 0, "pthread_join");
    result(returned == PTHREAD_CANCELED ? "joined" : "joined, not cancelled");
}

static void do_elapsed(const char *arguments) {
    char text[32];
    (void)arguments;
    snprintf(text, sizeof text, "%ld", last_ms / 100);
    result(text);
}

static void do_exit(const char *arguments) {
    (void)arguments;
    exit(0);
}

static const struct verb {
    const char *name;
    void (*act)(const char *arguments);
} verbs[] = {{"open", do_open},
             {"dup", do_dup},
             {"close", do_close},
             {"exit", do_exit},
             {"lock", do_lock},
             {"try", do_try},
             {"unlock", do_unlock},
             {"get", do_get},
             {"lockf", do_lockf},
             {"test", do_test},
             {"ofd", do_ofd},
             {"ofd-try", do_ofd_try},
             {"ofd-unlock", do_ofd_unlock},
             {"flock", do_flock},
             {"many", do_many},
             {"lock-or-jump", do_lock_or_jump},
             {"lock-cancelled", do_lock_cancelled},
             {"interrupt", do_interrupt},
             {"restart", do_restart},
             {"asynchronous", do_asynchronous},
             {"cancel", do_cancel},
             {"elapsed", do_elapsed}};

static void perform(const char *command) {
    size_t length = strcspn(command, " ");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strlen(verbs[i].name) == length && strncmp(command, verbs[i].name, length) == 0) {
            verbs[i].act(command[length] == '\0' ? "" : command + length + 1);
            return;
        }
    result("what is that?");
}

__attribute__((noreturn)) static void *act(void *argument) {
    self = argument;
    self->tid = gettid();
    for (;;) {
        uint32_t state;
        while ((state = atomic_load(&self->state)) != BUSY)
            await_change(self, state, NULL);
        long began = milliseconds();
        self->result[0] = '\0';
        perform(self->command);
        if (strncmp(self->command, "elapsed", 7) != 0)
            last_ms = milliseconds() - began;
        set_state(self, FINISHED);
    }
}

static void run_process(int index, int threads) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    process_index = index;
    set_handler(0);
    for (int i = 1; i < threads; i++)
        must(pthread_create(&actors[index][i].thread, NULL, act, &actors[index][i]) == 0, "thread");
    actors[index][0].thread = pthread_self();
    act(&actors[index][0]);
}

/* ---- the one who reads the script ---- */

/* It has ended: F_GETLK must not name it any more. */
static void forget_process(pid_t pid) {
    for (int p = 0; p < PROCESSES; p++)
        for (int t = 0; t < THREADS; t++)
            if (actors[p][t].pid == pid) {
                atomic_store(&actors[p][t].state, GONE);
                actors[p][t].pid = -1;
            }
}

/* What an actor that is not idle comes to. */
static const char *outcome(struct actor *actor) {
    long give_up = milliseconds() + DEADLINE_MS;
    for (;;) {
        if (atomic_load(&actor->state) != BUSY)
            return actor->result;
        if (is_waiting(actor->pid, actor->tid) && atomic_load(&actor->state) == BUSY)
            return "waits";
        if (waitpid(actor->pid, NULL, WNOHANG) == actor->pid) {
            forget_process(actor->pid);
            return "gone";
        }
        if (milliseconds() > give_up)
            return "does not end";
        sched_yield();
    }
}

static const char *end_of(struct actor *actor) {
    struct timespec at_most = {.tv_sec = DEADLINE_MS / 1000};
    if (atomic_load(&actor->state) == BUSY)
        await_change(actor, BUSY, &at_most);
    return atomic_load(&actor->state) == BUSY ? "does not end" : actor->result;
}

static const char *still(struct actor *actor, long ms) {
    struct timespec at_most = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    await_change(actor, BUSY, &at_most);
    return atomic_load(&actor->state) == BUSY ? "waits" : actor->result;
}

static const char *interfere(struct actor *actor) {
    uint32_t handled = atomic_load(&actor->handled);
    long give_up = milliseconds() + DEADLINE_MS;
    if (atomic_load(&actor->state) != BUSY)
        return "does not wait";
    must(syscall(SYS_tgkill, actor->pid, actor->tid, SIGUSR1) == 0, "tgkill");
    while (atomic_load(&actor->handled) == handled) {
        if (milliseconds() > give_up)
            return "not handled";
        sched_yield();
    }
    return outcome(actor);
}

static const char *kill_process(int process) {
    must(kill(actors[process][0].pid, SIGKILL) == 0, "kill");
    must(waitpid(actors[process][0].pid, NULL, 0) == actors[process][0].pid, "waitpid");
    forget_process(actors[process][0].pid);
    return "killed";
}

static const char *obey(int process, struct actor *actor, const char *command, char *text,
                        size_t size) {
    if (strcmp(command, "end") == 0)
        return end_of(actor);
    if (strncmp(command, "still ", 6) == 0)
        return still(actor, atol(command + 6));
    if (strcmp(command, "signal") == 0)
        return interfere(actor);
    if (strcmp(command, "kill") == 0)
        return kill_process(process);
    if (strcmp(command, "pid") == 0) {
        snprintf(text, size, "%ld", (long)actor->pid);
        return text;
    }
    if (atomic_load(&actor->state) == BUSY)
        return "is busy";
    if (atomic_load(&actor->state) == GONE)
        return "is gone";
    snprintf(actor->command, sizeof actor->command, "%s", command);
    set_state(actor, BUSY);
    return outcome(actor);
}

static void print(const char *line, const char *what) {
    char text[4600];
    int length = snprintf(text, sizeof text, "%s: %s\n", line, what);
    must(write(STDOUT_FILENO, text, (size_t)length) == length, "write");
}

static void follow_script(void) {
    char line[4200], text[32];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        int process = line[0] - 'a', thread = line[1] - '1';
        must(process >= 0 && process < PROCESSES && thread >= 0 && thread < THREADS &&
                 actors[process][thread].pid > 0 && line[2] == ' ',
             line);
        print(line, obey(process, &actors[process][thread], line + 3, text, sizeof text));
    }
}

static void end_process(int process) {
    struct actor *first = &actors[process][0];
    int in_time = atomic_load(&first->state) == IDLE || atomic_load(&first->state) == FINISHED;
    if (in_time) {
        snprintf(first->command, sizeof first->command, "exit");
        set_state(first, BUSY);
    } else {
        kill(first->pid, SIGKILL);
    }
    waitpid(first->pid, NULL, 0);
}

static void start_process(int index, int threads) {
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0)
        run_process(index, threads);
    for (int i = 0; i < threads; i++)
        actors[index][i].pid = child;
    for (int i = 0; i < threads; i++)
        while (*(volatile pid_t *)&actors[index][i].tid == 0)
            sched_yield();
}

int main(int argc, char **argv) {
    actors = mmap(NULL, PROCESSES * sizeof *actors, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(actors != MAP_FAILED, "mmap");
    for (int i = 1; i < argc; i++) {
        must(islower(argv[i][0]) && isdigit(argv[i][1]), "usage: lock_actors PROCESS...");
        start_process(argv[i][0] - 'a', argv[i][1] - '0');
    }
    follow_script();
    for (int p = 0; p < PROCESSES; p++)
        if (actors[p][0].pid > 0)
            end_process(p);
    return 0;
}
