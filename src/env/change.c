#include "env/change.h"

#include "env/array.h"
#include "env/lock.h"
#include "env/strings.h"

#include <errno.h>
#include <string.h>

static bool is_name(const char *name) {
    return name && *name && !strchr(name, '=');
}

static bool set(const char *name, size_t length, const char *value, size_t value_length,
                int overwrite) {
    if (!overwrite && array_find(name, length))
        return true;
    char *entry = strings_keep_sized(name, length, value, value_length);
    return entry && array_put(entry, length);
}

int change_set(const char *name, const char *value, int overwrite, const struct caller *caller) {
    (void)caller;
    if (!is_name(name))
        return -EINVAL;
    size_t length = strlen(name), value_length = strlen(value);
    if (!env_lock())
        return -ENOMEM;
    bool done = set(name, length, value, value_length, overwrite);
    env_unlock();
    return done ? 0 : -ENOMEM;
}

int change_put(char *string, const struct caller *caller) {
    (void)caller;
    size_t length = strcspn(string, "=");
    if (!env_lock())
        return -ENOMEM;
    bool done = array_put(string, length);
    env_unlock();
    return done ? 0 : -ENOMEM;
}

int change_unset(const char *name, const struct caller *caller) {
    (void)caller;
    if (!is_name(name))
        return -EINVAL;
    size_t length = strlen(name);
    if (!env_lock())
        return -ENOMEM;
    bool done = array_remove(name, length, env_alone());
    env_unlock();
    return done ? 0 : -ENOMEM;
}

int change_clear(const struct caller *caller) {
    (void)caller;
    if (!env_lock())
        return -ENOMEM;
    array_clear();
    env_unlock();
    return 0;
}
