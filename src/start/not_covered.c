#include "start/not_covered.h"

#include "base/loaded.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "base/text.h"
#include "report/log.h"

#include <stdatomic.h>
#include <string.h>

/* ---- What was found to be fine ---- */

/* Each word says one fact about a file and is written whole, so whoever writes or reads it - a vfork
 * child too - needs no lock. 0: none. */
#define FINE 64
static _Atomic uint64_t fine[FINE];
static _Atomic bool any_fine; /* a forked child that execs has found none yet: it opens at once */

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t key_of(const struct stat *st) {
    uint64_t key = mix(mix(1, st->st_dev), st->st_ino);
    key = mix(mix(key, (uint64_t)st->st_ctim.tv_sec), (uint64_t)st->st_ctim.tv_nsec);
    return key ? key : 1;
}

static bool is_fine(uint64_t key) {
    return atomic_load_explicit(&fine[key % FINE], memory_order_relaxed) == key;
}

static void remember(uint64_t key) {
    atomic_store_explicit(&fine[key % FINE], key, memory_order_relaxed);
    atomic_store_explicit(&any_fine, true, memory_order_relaxed);
}

/* ---- Saying it ---- */

struct saying {
    char path[SETTINGS_PATH_MAX];
    char sentence[START_SENTENCE_MAX];
};

static void say(const struct program *program, const char *path) {
    struct event_party here = {.pid = sys_getpid(), .tid = sys_gettid(), .fd = -1};
    struct event event = {.kind = EVENT_NOT_COVERED, .action = ACTION_NONE, .here = &here};
    struct saying *saying = scratch_begin(sizeof *saying);
    char link[40];
    struct text text;
    if (!saying)
        return;
    text_begin(&text, link, sizeof link);
    text_add(&text, "/proc/self/fd/");
    text_add_decimal(&text, (uint64_t)program->fd);
    ssize_t length = sys_readlinkat(AT_FDCWD, link, saying->path, sizeof saying->path - 1);
    if (start_sentence(program, length > 0 ? saying->path : path, saying->sentence,
                       sizeof saying->sentence)) {
        event.detail = saying->sentence;
        log_event(&event);
    }
    scratch_end(saying, sizeof *saying);
}

static bool is_asked_for(void) {
    return settings.out[0] != '\0' &&
           (settings.lock_mode != LOCKS_OFF || settings.env_mode != ENV_OFF);
}

bool start_is_refused(int dir, const char *path, int flags, const char *search,
                      char *const envp[]) {
    struct program program;
    struct stat st;
    if (!path || (atomic_load_explicit(&any_fine, memory_order_relaxed) &&
                  program_stat(dir, path, flags, search, &st) && is_fine(key_of(&st))))
        return false;
    program_open(&program, dir, path, flags, search, envp);
    bool refused = program.bar == PROGRAM_SANITIZED;
    if (program.bar == PROGRAM_FREE && program.runtime[0] == '\0')
        remember(key_of(&program.file));
    else if (program.bar != PROGRAM_UNKNOWN && is_asked_for() &&
             log_first(mix(key_of(&program.st), program.bar)))
        say(&program, path);
    program_close(&program);
    return refused;
}
