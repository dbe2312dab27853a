/* system and popen. libc's own start the shell with `environ`, out of our reach; so these stand in for them, on top of
 * the real posix_spawn, as libc's do.
 */
#include "hooks/shell.h"

#include "base/sys.h"
#include "env/popened.h"
#include "env/shell_signals.h"
#include "hooks/hook.h"
#include "hooks/start.h"

#include <gnu/libc-version.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define SHELL "/bin/sh"
#define CANNOT_RUN 127

static int run_shell(const struct start *s, char *const envp[]) {
    return real(posix_spawn)(s->pid, s->file, s->actions, s->attributes, s->argv, envp);
}

/* libc's put a "--" before the command from 2.38 on, so that it may begin with a '-'. */
static bool has_dashes(void) {
    const char *version = gnu_get_libc_version();
    return strtoul(version, NULL, 10) > 2 ||
           (strncmp(version, "2.", 2) == 0 && strtoul(version + 2, NULL, 10) >= 38);
}

/* Returns 0, or what went wrong. */
static int start_shell(const char *command, pid_t *pid, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, const struct caller *caller) {
    const char *plain[] = {"sh", "-c", command, NULL};
    const char *dashed[] = {"sh", "-c", "--", command, NULL};
    struct start start = {.file = SHELL,
                          .argv = (char *const *)(has_dashes() ? dashed : plain),
                          .envp = __environ,
                          .pid = pid,
                          .actions = actions,
                          .attributes = attributes};
    return start_program(&start, run_shell, caller);
}

/* ---- system ---- */

struct command {
    pid_t pid;
    sigset_t mask;
};

static void end_command(const struct command *command) {
    shell_signals_end();
    pthread_sigmask(SIG_SETMASK, &command->mask, NULL);
}

/* The thread is cancelled: nothing of it may be left behind. */
static void kill_command(void *context) {
    struct command *command = context;
    sys_kill(command->pid, SIGKILL);
    while (sys_call6(SYS_wait4, command->pid, 0, 0, 0, 0, 0) == -EINTR)
        ;
    end_command(command);
}

/* The cancellation point. */
static int wait_for(struct command *command) {
    int status;
    pid_t got;
    pthread_cleanup_push(kill_command, command);
    do
        got = waitpid(command->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    pthread_cleanup_pop(0);
    return got == command->pid ? status : -1;
}

static int run_command(const char *line, const struct caller *caller) {
    struct command command = {.pid = 0};
    sigset_t child, defaults;
    posix_spawnattr_t attributes;
    int saved = errno;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    shell_signals_begin(&defaults);
    pthread_sigmask(SIG_BLOCK, &child, &command.mask);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &command.mask);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int error = start_shell(line, &command.pid, NULL, &attributes, caller);
    posix_spawnattr_destroy(&attributes);
    errno = error ? error : saved;
    int status = error ? W_EXITCODE(CANNOT_RUN, 0) : wait_for(&command);
    saved = errno;
    end_command(&command);
    errno = saved;
    return status;
}

HOOK int system(const char *line) {
    return line ? run_command(line, CALLER) : run_command("exit 0", CALLER) == 0;
}

/* ---- popen ---- */

struct opening {
    bool is_read;
    bool is_close_on_exec;
    int parent, child; /* the pipe's ends */
    FILE *stream;
};

static bool read_mode(const char *mode, struct opening *o) {
    bool is_write = false;
    for (; *mode; mode++)
        switch (*mode) {
        case 'r':
            o->is_read = true;
            break;
        case 'w':
            is_write = true;
            break;
        case 'e':
            o->is_close_on_exec = true;
            break;
        default:
            return false;
        }
    return o->is_read != is_write;
}

/* Whoever makes the shell's end its standard stream would have to make it inheritable before, if it has that number
 * already; so it gets another one. */
static bool open_pipe(struct opening *o) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    o->parent = ends[!o->is_read];
    o->child = ends[o->is_read];
    if (o->child == o->is_read) {
        int copy = sys_fcntl(o->child, F_DUPFD_CLOEXEC, 0);
        sys_close(o->child);
        o->child = copy;
    }
    o->stream = o->child >= 0 ? fdopen(o->parent, o->is_read ? "r" : "w") : NULL;
    if (o->stream)
        return true;
    sys_close(o->parent);
    if (o->child >= 0)
        sys_close(o->child);
    errno = ENOMEM;
    return false;
}

/* The shell gets its end, and none of the other streams. */
static int say_what_child_does(const struct opening *o, posix_spawn_file_actions_t *actions) {
    int error = posix_spawn_file_actions_adddup2(actions, o->child, o->is_read);
    size_t at = 0;
    for (int fd; error == 0 && (fd = popened_next_fd(&at)) >= 0;)
        if (fd != o->is_read)
            error = posix_spawn_file_actions_addclose(actions, fd);
    return error;
}

static bool start_behind(struct opening *o, const char *command, const struct caller *caller) {
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    posix_spawn_file_actions_init(&actions);
    int error = say_what_child_does(o, &actions);
    if (error == 0)
        error = start_shell(command, &pid, &actions, NULL, caller);
    posix_spawn_file_actions_destroy(&actions);
    sys_close(o->child);
    if (error != 0)
        return false;
    if (!o->is_close_on_exec)
        sys_fcntl(o->parent, F_SETFD, 0);
    popened_add(o->stream, o->parent,
                pid); /* without memory it is a stream whose end nobody waits for */
    return true;
}

static FILE *open_shell(const char *command, const char *mode, const struct caller *caller) {
    struct opening o = {.is_read = false};
    int saved = errno;
    if (!read_mode(mode, &o)) {
        errno = EINVAL;
        return NULL;
    }
    if (!open_pipe(&o))
        return NULL;
    popened_begin();
    bool done = start_behind(&o, command, caller);
    popened_end();
    errno = saved;
    if (done)
        return o.stream;
    real(fclose)(o.stream);
    errno = ENOMEM;
    return NULL;
}

HOOK FILE *popen(const char *command, const char *mode) {
    return open_shell(command, mode, CALLER);
}
HOOK_ALIAS(_IO_popen, popen);

/* ---- The end of popen's streams ---- */

void popen_end_begin(struct popen_end *end, FILE *stream) {
    end->process = popened_take(stream);
    end->is_open = end->process == 0 || sys_fcntl(fileno(stream), F_GETFD, 0) >= 0;
}

int popen_end_wait(const struct popen_end *end, int result) {
    int status, state;
    pid_t got;
    if (end->process == 0)
        return result;
    if (!end->is_open)
        return -1;
    int saved = errno;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    do
        got = waitpid(end->process, &status, 0);
    while (got < 0 && errno == EINTR);
    pthread_setcancelstate(state, NULL);
    if (got < 0)
        return -1;
    errno = saved;
    return status ? status : result;
}
