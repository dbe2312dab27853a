/* wordexp. Its commands, its variables and its assignments are libc's own doing, with `environ`. So words that need one
 * of these are expanded in a forked child, whose environment is the thread's view with our settings put back. What comes
 * of it is quoted and given to the real call here: the result is libc's own, whatever the flags.
 *
 *     child --> error, number of words, words, number of assignments, NAME=value, ...
 */
#include "base/owner.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "env/view.h"
#include "hooks/hook.h"
#include "hooks/start.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <sys/wait.h>
#include <wordexp.h>

/* What the child heeds; the others say where the result goes. */
#define CHILD_FLAGS (WRDE_NOCMD | WRDE_UNDEF | WRDE_SHOWERR)

static bool may_differ(void) {
    size_t max = view_differences_max();
    struct view_difference differences[max + 1];
    return view_differences(differences, max) != 0;
}

static bool has_command(const char *words) {
    return strchr(words, '`') || strstr(words, "$(");
}

/* Wrong answers on the side of yes cost a fork. */
static bool needs_child(const char *words, int flags) {
    if (!(flags & WRDE_NOCMD) && has_command(words))
        return true;
    const char *braces = strstr(words, "${");
    if (braces && strchr(braces, '='))
        return true;
    return strpbrk(words, "$~") && may_differ();
}

/* ---- In the child ---- */

struct job {
    const char *words;
    int flags;
    int pipe;
    struct sys_sigset mask;
};

static void put(int fd, const void *bytes, size_t size) {
    for (const char *at = bytes; size > 0;) {
        ssize_t done = sys_write(fd, at, size);
        if (done == -EINTR)
            continue;
        if (done <= 0)
            return;
        at += done;
        size -= (size_t)done;
    }
}

static void put_number(int fd, size_t number) {
    put(fd, &number, sizeof number);
}

static void put_string(int fd, const char *string) {
    put(fd, string, strlen(string) + 1);
}

/* The program's handlers are not for this process. */
static void forget_handlers(void) {
    for (int sig = 1; sig < NSIG; sig++) {
        struct sigaction action;
        if (sigaction(sig, NULL, &action) < 0 || action.sa_handler == SIG_DFL ||
            action.sa_handler == SIG_IGN)
            continue;
        action = (struct sigaction){.sa_handler = SIG_DFL};
        sigaction(sig, &action, NULL);
    }
}

static bool is_in(char *const array[], const char *entry) {
    while (*array && *array != entry)
        array++;
    return *array != NULL;
}

/* What ${NAME:=value} has set: the entries that were not there before. */
static void put_assignments(int fd, char *const before[]) {
    size_t count = 0;
    for (int is_telling = 0; is_telling < 2; is_telling++) {
        for (char **entry = __environ; entry && *entry; entry++) {
            if (is_in(before, *entry))
                continue;
            if (is_telling)
                put_string(fd, *entry);
            else
                count++;
        }
        if (!is_telling)
            put_number(fd, count);
    }
}

/* The array of `envp` is changed by nobody: libc copies an array that it did not make. */
static int expand(const struct start *start, char *const envp[]) {
    const struct job *job = (const struct job *)start->argv;
    wordexp_t result = {0};
    __environ = (char **)envp;
    sys_restore_signals(&job->mask);
    int error = real(wordexp)(job->words, &result, job->flags & CHILD_FLAGS);
    size_t count = error ? 0 : result.we_wordc;
    put_number(job->pipe, (size_t)error);
    put_number(job->pipe, count);
    for (size_t i = 0; i < count; i++)
        put_string(job->pipe, result.we_wordv[i]);
    put_assignments(job->pipe, envp);
    return 0;
}

static _Noreturn void be_child(struct job *job, const struct caller *caller) {
    struct start start = {.file = "", .argv = (char *const *)job, .envp = __environ};
    forget_handlers();
    start_program(&start, expand, caller);
    for (;;)
        sys_call3(SYS_exit_group, 0, 0, 0);
}

/* Without the program's fork handlers, where memory needs none. */
static pid_t make_child(void) {
#if __GLIBC_PREREQ(2, 34)
    if (__libc_single_threaded)
        return _Fork();
#endif
    return fork();
}

/* ---- In the parent ---- */

struct answer {
    char *bytes;
    size_t size, used;
};

#define ANSWER_BEGIN ((size_t)1 << 16)

static bool grow(struct answer *a) {
    size_t size = a->size ? 2 * a->size : ANSWER_BEGIN;
    char *bytes = scratch_begin(size);
    if (!bytes)
        return false;
    memcpy(bytes, a->bytes ? a->bytes : "", a->used);
    scratch_end(a->bytes, a->size);
    a->bytes = bytes;
    a->size = size;
    return true;
}

static bool read_all(int fd, struct answer *a) {
    for (;;) {
        if (a->used == a->size && !grow(a))
            return false;
        ssize_t got = sys_read(fd, a->bytes + a->used, a->size - a->used);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        a->used += (size_t)got;
    }
}

/* Walks the answer; each fails once it is at its end. */
static bool take_number(const struct answer *a, size_t *at, size_t *number) {
    if (a->used - *at < sizeof *number)
        return false;
    memcpy(number, a->bytes + *at, sizeof *number);
    *at += sizeof *number;
    return true;
}

static char *take_string(const struct answer *a, size_t *at) {
    char *string = a->bytes + *at;
    char *end = memchr(string, '\0', a->used - *at);
    if (!end)
        return NULL;
    *at += (size_t)(end - string) + 1;
    return string;
}

static bool assign(const struct answer *a, size_t at) {
    size_t count;
    if (!take_number(a, &at, &count))
        return false;
    for (char *entry, *equals; count > 0; count--) {
        if (!(entry = take_string(a, &at)) || !(equals = strchr(entry, '=')))
            return false;
        *equals = '\0';
        setenv(entry, equals + 1, 1);
    }
    return true;
}

/* As one piece: libc takes an empty piece of a word for a word. */
static char *quote(char *to, const char *word) {
    *to++ = '"';
    for (; *word; word++) {
        if (strchr("\"\\$`", *word))
            *to++ = '\\';
        *to++ = *word;
    }
    return stpcpy(to, "\" ");
}

static int give_words(const struct answer *a, size_t at, size_t count, wordexp_t *result,
                      int flags) {
    size_t size = 3 * a->used + 1; /* the shortest word, a NUL, becomes three bytes */
    char *quoted = scratch_begin(size), *end = quoted;
    if (!quoted)
        return WRDE_NOSPACE;
    for (; count > 0; count--)
        end = quote(end, take_string(a, &at));
    int error = real(wordexp)(quoted, result, flags);
    scratch_end(quoted, size);
    return error;
}

/* The same error again, by words that do nothing else: so the result is left as libc leaves it. */
static int give_error(int error, wordexp_t *result, int flags) {
    switch (error) {
    case WRDE_BADCHAR:
        return real(wordexp)("|", result, flags);
    case WRDE_BADVAL:
        return real(wordexp)("$RACESHIM_UNDEFINED", result, flags | WRDE_UNDEF);
    case WRDE_CMDSUB:
        return real(wordexp)("`:`", result, flags | WRDE_NOCMD);
    case WRDE_SYNTAX:
        return real(wordexp)("'", result, flags);
    default:
        return WRDE_NOSPACE;
    }
}

/* False: the child did not get so far as to say anything. */
static bool use_answer(const struct answer *a, wordexp_t *result, int flags, int *error) {
    size_t code, count, at = 0;
    if (!take_number(a, &at, &code) || !take_number(a, &at, &count))
        return false;
    size_t words = at;
    for (size_t i = 0; i < count; i++)
        if (!take_string(a, &at))
            return false;
    if (!assign(a, at))
        return false;
    *error =
        code ? give_error((int)code, result, flags) : give_words(a, words, count, result, flags);
    return true;
}

static void wait_for(pid_t pid) {
    while (sys_call6(SYS_wait4, pid, 0, 0, 0, 0, 0) == -EINTR)
        ;
}

static bool ask_child(const char *words, int flags, struct answer *a, const struct caller *caller) {
    int ends[2];
    struct job job = {.words = words, .flags = flags};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    job.pipe = ends[1];
    sys_block_signals(&job.mask);
    pid_t pid = make_child();
    if (pid == 0)
        be_child(&job, caller);
    sys_restore_signals(&job.mask);
    sys_close(ends[1]);
    bool done = pid > 0 && read_all(ends[0], a);
    sys_close(ends[0]);
    if (pid > 0)
        wait_for(pid);
    return done;
}

static int expand_by_child(const char *words, wordexp_t *result, int flags,
                           const struct caller *caller) {
    struct answer a = {.bytes = NULL};
    int state, saved = errno, error = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    bool done = ask_child(words, flags, &a, caller) && use_answer(&a, result, flags, &error);
    scratch_end(a.bytes, a.size);
    errno = saved;
    if (!done)
        error = real(wordexp)(words, result, flags);
    pthread_setcancelstate(state, NULL);
    return error;
}

HOOK int wordexp(const char *words, wordexp_t *result, int flags) {
    if (owner_is_vfork_child() || !needs_child(words, flags))
        return real(wordexp)(words, result, flags);
    if (has_command(words))
        view_program_starts(CALLER);
    return expand_by_child(words, result, flags, CALLER);
}
