#include "report/event.h"

#include "base/sys.h"
#include "base/text.h"

#include <sys/prctl.h>

static const char *const kinds[EVENT_KINDS] = {
    [EVENT_SELF_LOCK] = "self-lock",
    [EVENT_SELF_DEADLOCK] = "self-deadlock",
    [EVENT_LOCK_LOST] = "lock-lost",
    [EVENT_FOREIGN_UNLOCK] = "foreign-unlock",
    [EVENT_SHARED_DESCRIPTION] = "shared-description",
    [EVENT_DEADLOCK] = "deadlock",
    [EVENT_ANCESTOR_WAIT] = "ancestor-wait",
    [EVENT_LONG_WAIT] = "long-wait",
    [EVENT_LOCK_TIMEOUT] = "lock-timeout",
    [EVENT_LEAKED_LOCK] = "leaked-lock",
    [EVENT_STALE_LOCK] = "stale-lock",
    [EVENT_ENV_CLOBBER] = "env-clobber",
    [EVENT_ENV_CHILD] = "env-child",
    [EVENT_ENV_HIDDEN] = "env-hidden",
    [EVENT_ENV_UNSAFE_WRITE] = "env-unsafe-write",
    [EVENT_NOT_COVERED] = "not-covered",
    [EVENT_DEGRADED] = "degraded",
};

static const char *const actions[EVENT_ACTIONS] = {
    [ACTION_NONE] = "none",       [ACTION_DENIED] = "denied",   [ACTION_GRANTED] = "granted",
    [ACTION_KEPT] = "kept",       [ACTION_LOST] = "lost",       [ACTION_WAITED] = "waited",
    [ACTION_REFUSED] = "refused", [ACTION_ISOLATED] = "isolated",
};

const char *event_kind_name(enum event_kind kind) {
    return kinds[kind];
}

const char *event_action_name(enum event_action action) {
    return actions[action];
}

const char *event_severity_name(enum event_severity severity) {
    static const char *const names[] = {"note", "warning", "error"};
    return names[severity];
}

enum event_severity event_severity(enum event_kind kind, enum event_action action) {
    switch (kind) {
    case EVENT_SELF_DEADLOCK:
    case EVENT_DEADLOCK:
    case EVENT_LOCK_TIMEOUT:
        return SEVERITY_ERROR;
    case EVENT_LOCK_LOST:
    case EVENT_FOREIGN_UNLOCK:
        return action == ACTION_LOST ? SEVERITY_ERROR : SEVERITY_WARNING;
    case EVENT_ENV_CLOBBER:
    case EVENT_ENV_CHILD:
        return action == ACTION_ISOLATED ? SEVERITY_WARNING : SEVERITY_ERROR;
    case EVENT_ENV_HIDDEN:
    case EVENT_NOT_COVERED:
        return SEVERITY_NOTE;
    default:
        return SEVERITY_WARNING;
    }
}

void event_name_thread(struct event_party *party) {
    char path[64];
    struct text text;
    if (party->tid == sys_gettid()) {
        sys_call3(SYS_prctl, PR_GET_NAME, (long)party->thread, 0);
        return;
    }
    text_begin(&text, path, sizeof path);
    text_add(&text, "/proc/self/task/");
    text_add_decimal(&text, (uint64_t)party->tid);
    text_add(&text, "/comm");
    int fd = party->tid > 0 ? sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    ssize_t length = sys_read(fd, party->thread, sizeof party->thread - 1);
    party->thread[length > 0 ? length - 1 : 0] = '\0'; /* without its newline */
    sys_close(fd);
}
