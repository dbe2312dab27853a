#include "kinds.h"

#include <string.h>

#define NAME(word, name) [EVENT_##word] = name,
static const char *const names[EVENT_KIND_COUNT] = {EVENT_KINDS(NAME)};

/* A finding's severity is compared as a number. */
_Static_assert(SEVERITY_ERROR < SEVERITY_WARNING && SEVERITY_WARNING < SEVERITY_NOTE,
               "the worst first");

static const struct kind kinds[EVENT_KIND_COUNT] = {
    [EVENT_SELF_LOCK] = {"asked for a lock that it holds itself through another descriptor",
                         "A request conflicts with a lock that the same process holds through "
                         "another open file description. Without the library it would have been "
                         "granted, and nothing would have been excluded."},
    [EVENT_SELF_DEADLOCK] =
        {"would have waited for ever for a lock that it holds itself",
         "A waiting request conflicts with a lock that the same thread holds through another open "
         "file description, so that nobody is left who could release it."},
    [EVENT_LOCK_LOST] = {"closed one descriptor of a file it has locked through another",
                         "A close makes a process lose all its POSIX record locks on the file, "
                         "those held through other descriptors too."},
    [EVENT_FOREIGN_UNLOCK] =
        {"unlocked bytes that another of its descriptors has locked",
         "An unlock covers bytes that another open file description of the same process holds."},
    [EVENT_SHARED_DESCRIPTION] =
        {"locked the same bytes in two threads through one open file description",
         "Two threads lock the same bytes through one open file description: the lock excludes "
         "other descriptions, and never these two from each other."},
    [EVENT_DEADLOCK] =
        {"closed a cycle of waits",
         "Each party holds a lock that the next one waits for, and the last waits for the first."},
    [EVENT_ANCESTOR_WAIT] = {"waits for a lock that its own ancestor holds",
                             "A process waits for a lock that one of its ancestors holds. If the "
                             "ancestor waits for this process to end, neither ever will."},
    [EVENT_LONG_WAIT] =
        {"waited long for a lock",
         "A wait for a lock lasted longer than the limit, or had not ended when the log ends."},
    [EVENT_LOCK_TIMEOUT] = {"gave up waiting for a lock",
                            "A wait for a lock reached --lock-timeout and was given up."},
    [EVENT_LEAKED_LOCK] =
        {"met a lock that a program has only inherited",
         "A program was started with, or a process left behind, a descriptor that carries a lock; "
         "the lock lasts until the last such descriptor is closed."},
    [EVENT_STALE_LOCK] = {"locked a file that was unlinked or replaced meanwhile",
                          "A lock was granted on a file whose name meanwhile belongs to another "
                          "file, or to none: who opens the name now is not excluded."},
    [EVENT_ENV_CLOBBER] = {"set a variable and read another thread's value of it",
                           "A thread read an environment variable that it had set, and got, or "
                           "without the library would have got, another thread's value."},
    [EVENT_ENV_CHILD] = {"started a program with another thread's value of a variable",
                         "A program was started, or without the library would have been started, "
                         "with another thread's value of an environment variable."},
    [EVENT_ENV_HIDDEN] = {"did not see another thread's private value of a variable",
                          "A thread read an environment variable, or started a program, and did "
                          "not see another live thread's private value of it."},
    [EVENT_ENV_UNSAFE_WRITE] =
        {"changed the environment while other threads run",
         "The environment was changed while other threads run, which POSIX leaves undefined."},
    [EVENT_NOT_COVERED] =
        {"started a program that the library cannot enter",
         "A program was started that the library cannot enter: it is static, changes its user, is "
         "of another ELF class, or brings a sanitizer of its own. Nothing about it is recorded."},
    [EVENT_DEGRADED] =
        {"runs without a part of what was asked for",
         "The library could not do what its mode says; the program got what libc alone gives."},
};
_Static_assert(EVENT_KIND_COUNT <= sizeof(unsigned long) * 8, "a kind_set has a bit for each kind");

static const char *const severities[SEVERITY_COUNT] = {
    [SEVERITY_ERROR] = "error", [SEVERITY_WARNING] = "warning", [SEVERITY_NOTE] = "note"};

const struct kind *kind_find(const char *name, size_t length) {
    for (size_t i = 0; i < EVENT_KIND_COUNT; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return &kinds[i];
    }
    return NULL;
}

const struct kind *kind_at(size_t index) {
    return &kinds[index];
}

size_t kind_index(const struct kind *kind) {
    return (size_t)(kind - kinds);
}

const char *kind_name(const struct kind *kind) {
    return names[kind_index(kind)];
}

const char *severity_name(enum event_severity severity) {
    return severities[severity];
}

bool severity_find(const char *name, size_t length, enum event_severity *severity) {
    for (size_t i = 0; i < SEVERITY_COUNT; i++) {
        if (strlen(severities[i]) == length && memcmp(severities[i], name, length) == 0) {
            *severity = (enum event_severity)i;
            return true;
        }
    }
    return false;
}

bool kind_set_parse(struct kind_set *set, const char *list, const char **wrong, size_t *length) {
    *set = (struct kind_set){0};
    for (const char *word = list;; word += *length + 1) {
        *length = strcspn(word, ",");
        *wrong = word;
        const struct kind *kind = kind_find(word, *length);
        if (kind)
            set->members |= 1UL << (kind - kinds);
        else if (*length == 3 && memcmp(word, "any", 3) == 0)
            set->any = true;
        else
            return false;
        if (word[*length] == '\0')
            return true;
    }
}

bool kind_set_has(const struct kind_set *set, const struct kind *kind,
                  enum event_severity severity) {
    if (set->any && severity <= SEVERITY_WARNING)
        return true;
    return kind && (set->members & 1UL << (kind - kinds));
}

const char *kind_names(void) {
    static char list[512];
    if (list[0] == '\0') {
        char *end = list;
        for (size_t i = 0; i < EVENT_KIND_COUNT; i++) {
            if (i > 0)
                end = stpcpy(end, ", ");
            end = stpcpy(end, names[i]);
        }
    }
    return list;
}
