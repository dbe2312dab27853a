/* Reading and changing the environment (env/array.h, env/change.h, env/view.h). */
#include "hooks/hook.h"

#include "base/loaded.h"
#include "env/change.h"
#include "env/get.h"
#include "env/view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

static inline bool is_off(void) {
    return __builtin_expect(settings.env_mode == ENV_OFF, 0);
}

HOOK_REST char *get_rest(const char *name, char *found) {
    return view_correct(name, found, CALLER);
}

/* Asked after the array was looked at: who began to contend in between must not be shown the other's value. */
static inline bool is_attended(void) {
    return __builtin_expect(atomic_load_explicit(&view_attention, memory_order_acquire) != 0, 0);
}

HOOK ALL_THE_TIME char *getenv(const char *name) {
    if (is_off())
        return real(getenv)(name);
    char *value = get(name);
    if (is_attended())
        return get_rest(name, value);
    return value;
}

/* Nothing for a program with more rights than its user. */
HOOK ALL_THE_TIME char *secure_getenv(const char *name) {
    if (is_off())
        return real(secure_getenv)(name);
    if (getauxval(AT_SECURE))
        return NULL;
    char *value = get(name);
    if (is_attended())
        return get_rest(name, value);
    return value;
}
HOOK_ALIAS(__secure_getenv, secure_getenv);

HOOK int setenv(const char *name, const char *value, int overwrite) {
    if (is_off())
        return real(setenv)(name, value, overwrite);
    return answer(change_set(name, value, overwrite, CALLER));
}

HOOK int unsetenv(const char *name) {
    if (is_off())
        return real(unsetenv)(name);
    return answer(change_unset(name, CALLER));
}

/* A string without a '=' removes, and whether that is a name nobody is told but by errno. */
HOOK int putenv(char *string) {
    if (is_off())
        return real(putenv)(string);
    if (strchr(string, '='))
        return answer(change_put(string, CALLER));
    int result = answer(change_unset(string, CALLER));
    return result < 0 && errno == EINVAL ? 0 : result;
}

HOOK int clearenv(void) {
    if (is_off())
        return real(clearenv)();
    return answer(change_clear(CALLER));
}
