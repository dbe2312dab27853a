/* Load, fork, unload: the one place that names every room, in lock order.
 *
 *     base (settings, rules, real calls) --> report (log) --> lock (room, shared, handover) -->
 * hooks
 *
 * The constructor does what cannot wait: it reads the settings, from the environment itself, because
 * a program may bring its own getenv. Everything else is made at its first need, the real calls'
 * addresses too, so that a program which never locks pays for nothing.
 *
 * The destructor ends nothing: calls that come after it must still be answered.
 */
#include "base/real.h"
#include "base/rules.h"
#include "base/scratch.h"
#include "base/settings.h"
#include "base/symbol.h"
#include "base/sys.h"
#include "base/text.h"
#include "env/array.h"
#include "env/follow.h"
#include "env/tell.h"
#include "env/thread.h"
#include "lock/findings.h"
#include "lock/handover.h"
#include "lock/hidden.h"
#include "lock/room.h"
#include "lock/trace.h"
#include "report/log.h"

#include <errno.h>
#include <link.h>
#include <string.h>

struct settings settings;
struct rules rules;

#if defined(__x86_64__)
extern void *hook_next_syscall __attribute__((visibility("hidden")));
void *hook_next_syscall;
long hook_set_errno(long result) __attribute__((visibility("hidden")));
long hook_set_errno(long result) {
    errno = (int)-result;
    return -1;
}
#endif

static void say_degraded(const char *what, const char *name, size_t length) {
    char detail[512];
    struct text text;
    text_begin(&text, detail, sizeof detail);
    text_add(&text, what);
    text_add_bytes(&text, name, length < 128 ? length : 128);
    finding_degraded(-1, NULL, detail, NULL);
}

static void bad_setting(void *context, const char *name, size_t length, const char *message) {
    char what[256];
    struct text text;
    (void)context;
    text_begin(&text, what, sizeof what);
    text_add(&text, "RACESHIM: ");
    text_add(&text, message);
    text_add(&text, ": ");
    say_degraded(what, name, length);
}

static void bad_rule(void *context, unsigned line, const char *message) {
    char detail[512];
    struct text text;
    (void)context;
    text_begin(&text, detail, sizeof detail);
    text_add(&text, "rules file, line ");
    text_add_decimal(&text, line);
    text_add(&text, ": ");
    text_add(&text, message);
    finding_degraded(-1, NULL, detail, NULL);
}

/* A rules file is small; what lies behind this is not read. */
#define RULES_FILE_MAX ((size_t)1 << 20)

static void read_rules(void) {
    struct stat st;
    int fd = sys_openat(AT_FDCWD, settings.rules, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    const char *bytes = NULL;
    size_t size = 0;
    if (fd >= 0 && sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        size = (size_t)st.st_size < RULES_FILE_MAX ? (size_t)st.st_size : RULES_FILE_MAX;
        bytes = sys_mmap(size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (fd < 0 || (size != 0 && !bytes))
        say_degraded("the rules file cannot be read: ", settings.rules, strlen(settings.rules));
    if (bytes) {
        rules_parse(&rules, bytes, size, bad_rule, NULL);
        sys_munmap((void *)bytes, size);
    }
    if (fd >= 0)
        sys_close(fd);
}

static const struct log_host log_host = {hidden_begin, hidden_end, hidden_move, hidden_close};

static void ignore_setting(void *context, const char *name, size_t length, const char *message) {
    (void)context;
    (void)name;
    (void)length;
    (void)message;
}

/* What is wrong can be recorded only when it is known where to. */
static void read_settings(const char *words) {
    unsigned wrong = settings_parse(&settings, words, ignore_setting, NULL);
    log_open_settings(settings.out, &log_host);
    struct settings *again = wrong ? scratch_begin(sizeof *again) : NULL;
    if (again)
        settings_parse(again, words, bad_setting, NULL);
    scratch_end(again, sizeof *again);
}

/* Behind the kernel's strings lies the name that it was given for the program. getauxval would say where as well, but
 * the loader would have to find it, in every process. 0: somebody shortened the array before us; or this is none of the
 * kernel's, because the library was not preloaded. */
static uintptr_t end_of_strings(int argc, char **argv, char **envp) {
    if (envp != argv + argc + 1)
        return 0;
    while (*envp)
        envp++;
    for (const ElfW(auxv_t) *entry = (const void *)(envp + 1); entry->a_type != AT_NULL; entry++)
        if (entry->a_type == AT_EXECFN)
            return entry->a_un.a_val;
    return 0;
}

/* The environment comes with the call: `environ` may be the program's own variable, of another name for us. */
__attribute__((constructor)) static void load(int argc, char **argv, char **envp) {
    symbol_mark_last();
    array_loaded(envp, end_of_strings(argc, argv, envp));
    thread_begin();
#if defined(__x86_64__)
    hook_next_syscall = real_resolve(REAL_syscall);
#endif
    const char *handed_over = follow_begin(__environ, HANDOVER_VARIABLE);
    read_settings(follow_words());
    if (!settings.follow)
        follow_remember(__environ);
    if (settings.rules[0])
        read_rules();
    if (handed_over)
        handover_adopt(handed_over);
}

__attribute__((destructor)) static void unload(void) {
    tell_counts();
    trace_end();
}
