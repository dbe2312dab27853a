#include "report/event.h"

#define NAME(word, name) name,

/* Of one width: pointers would be relocated in every process. */
typedef char event_name[20];
static const event_name kind_names[] = {EVENT_KINDS(NAME)};
static const event_name action_names[] = {EVENT_ACTIONS(NAME)};
static const event_name severity_names[] = {"error", "warning", "note"};
static const event_name type_names[] = {"read", "write"};

#define LENGTH(array) (sizeof(array) / sizeof *(array))
_Static_assert(LENGTH(kind_names) == EVENT_KIND_COUNT, "each kind has a name");
_Static_assert(LENGTH(action_names) == ACTION_COUNT, "each action has a name");
_Static_assert(LENGTH(severity_names) == SEVERITY_COUNT, "each severity has a name");
_Static_assert(LENGTH(type_names) == EVENT_LOCK_TYPES, "each type has a name");

static const char *name_at(const event_name *names, size_t count, size_t index) {
    return index < count ? names[index] : "unknown";
}

const char *event_kind_name(enum event_kind kind) {
    return name_at(kind_names, LENGTH(kind_names), kind);
}

const char *event_action_name(enum event_action action) {
    return name_at(action_names, LENGTH(action_names), action);
}

const char *event_severity_name(enum event_severity severity) {
    return name_at(severity_names, LENGTH(severity_names), severity);
}

const char *event_lock_type_name(enum event_lock_type type) {
    return name_at(type_names, LENGTH(type_names), type);
}

enum event_severity event_severity(enum event_kind kind, enum event_action action) {
    switch (kind) {
    case EVENT_SELF_DEADLOCK:
    case EVENT_LOCK_TIMEOUT:
        return SEVERITY_ERROR;
    case EVENT_DEADLOCK:
        /* None: it has not come to it. */
        return action == ACTION_NONE ? SEVERITY_WARNING : SEVERITY_ERROR;
    case EVENT_LOCK_LOST:
    case EVENT_FOREIGN_UNLOCK:
        return action == ACTION_LOST ? SEVERITY_ERROR : SEVERITY_WARNING;
    case EVENT_ENV_CLOBBER:
    case EVENT_ENV_CHILD:
        /* Isolated: each thread got its own value, so nothing went wrong. */
        return action == ACTION_ISOLATED ? SEVERITY_WARNING : SEVERITY_ERROR;
    case EVENT_ENV_HIDDEN:
    case EVENT_NOT_COVERED:
        return SEVERITY_NOTE;
    default:
        return SEVERITY_WARNING;
    }
}
