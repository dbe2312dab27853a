/* A finding: the words in which the rooms tell it, and what is known about it.
 *
 * All of this is plain data in the caller's hands; nothing is kept or freed. The names are those
 * that the records carry. Pure and async-signal-safe.
 */
#ifndef RACESHIM_REPORT_EVENT_H
#define RACESHIM_REPORT_EVENT_H

#include "report/stack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define EVENT_KINDS(KIND)                                                                          \
    KIND(SELF_LOCK, "self-lock")                                                                   \
    KIND(SELF_DEADLOCK, "self-deadlock")                                                           \
    KIND(LOCK_LOST, "lock-lost")                                                                   \
    KIND(FOREIGN_UNLOCK, "foreign-unlock")                                                         \
    KIND(SHARED_DESCRIPTION, "shared-description")                                                 \
    KIND(DEADLOCK, "deadlock")                                                                     \
    KIND(ANCESTOR_WAIT, "ancestor-wait")                                                           \
    KIND(LONG_WAIT, "long-wait")                                                                   \
    KIND(LOCK_TIMEOUT, "lock-timeout")                                                             \
    KIND(LEAKED_LOCK, "leaked-lock")                                                               \
    KIND(STALE_LOCK, "stale-lock")                                                                 \
    KIND(ENV_CLOBBER, "env-clobber")                                                               \
    KIND(ENV_CHILD, "env-child")                                                                   \
    KIND(ENV_HIDDEN, "env-hidden")                                                                 \
    KIND(ENV_UNSAFE_WRITE, "env-unsafe-write")                                                     \
    KIND(NOT_COVERED, "not-covered")                                                               \
    KIND(DEGRADED, "degraded")

enum event_kind {
#define KIND(word, name) EVENT_##word,
    EVENT_KINDS(KIND)
#undef KIND
        EVENT_KIND_COUNT
};

/* What became of the request, or of the lock. */
#define EVENT_ACTIONS(ACTION)                                                                      \
    ACTION(NONE, "none")                                                                           \
    ACTION(DENIED, "denied")     /* refused at once, as another process would have been */         \
    ACTION(GRANTED, "granted")   /* given, though it should exclude somebody */                    \
    ACTION(KEPT, "kept")         /* the other lock is still there */                               \
    ACTION(LOST, "lost")         /* it is not */                                                   \
    ACTION(WAITED, "waited")     /* the request waits, or has waited */                            \
    ACTION(REFUSED, "refused")   /* the wait was ended with an error */                            \
    ACTION(ISOLATED, "isolated") /* each side went on with its own */

enum event_action {
#define ACTION(word, name) ACTION_##word,
    EVENT_ACTIONS(ACTION)
#undef ACTION
        ACTION_COUNT
};

enum event_severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE, SEVERITY_COUNT };

/* As in range.h's enum range_type. */
enum event_lock_type { EVENT_LOCK_READ, EVENT_LOCK_WRITE, EVENT_LOCK_TYPES };

#define EVENT_THREAD_NAME 16 /* the kernel's limit, with the NUL */

/* A variable's value, of which no more is told than whether it equals another. */
struct event_value {
    bool set; /* removal is a value too */
    size_t length;
    uint64_t hash;    /* keyed_hash.h */
    const char *text; /* NULL: not to be shown */
};

struct event_file {
    const char *path; /* any bytes; NULL if unknown */
    uint64_t dev;
    uint64_t ino;
};

struct event_range {
    uint64_t start;
    uint64_t len; /* 0: to the end of the file, however long it grows */
    uint8_t type; /* enum event_lock_type */
};

/* One side: who, through which descriptor, since when, from where. */
struct event_party {
    pid_t pid;
    pid_t tid;
    char thread[EVENT_THREAD_NAME]; /* "": asked for when the record is written, if that is possible
                                     */
    int fd;                         /* -1: unknown */
    struct timespec since;          /* real time; all zero: unknown */
    stack_id stack;                 /* 0: unknown */
    /* Of another process: its number in its own pid namespace, if that is another one; its command,
     * words separated by NULs and ended by two, NULL: asked for when the record is written; its
     * frames as a JSON array, NULL: unknown. */
    pid_t ns_pid;
    const char *command;
    const char *frames;
    const struct event_value
        *value; /* of the variable that the event is about; NULL: none, or unknown */
    /* In a cycle, what it waits for; NULL: elsewhere. */
    const struct event_file *file;
    const struct event_range *range;
};

/* A pointer that is NULL: does not apply, or is not known. */
struct event {
    enum event_kind kind;
    enum event_action action;
    const struct event_file *file;
    const struct event_range *range;
    const char *var;    /* the name of an environment variable, any bytes */
    const char *detail; /* a sentence */
    const struct event_party *here;
    const struct event_party *there;
    const struct event_party
        *edges; /* of a cycle: each waits for the next, the last for the first */
    size_t edge_count;
};

/* "unknown" for a number out of range. */
const char *event_kind_name(enum event_kind kind);
const char *event_action_name(enum event_action action);
const char *event_severity_name(enum event_severity severity);
const char *event_lock_type_name(enum event_lock_type type);

/* How serious a finding of this kind is when this became of it. */
enum event_severity event_severity(enum event_kind kind, enum event_action action);

#endif
