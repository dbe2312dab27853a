/* The library's settings: the words of the variable RACESHIM.
 *
 *     locks=repair|watch|off   env=scoped|private|watch|off   out=DIR   rules=FILE
 *     wait-warn=SECONDS   lock-timeout=SECONDS   show-values   no-follow   trace
 *
 * Words are separated by blanks; %XX in a value is the byte XX (a blank is %20, a percent sign
 * %25). Of a word given twice the last counts. Pure and async-signal-safe.
 */
#ifndef RACESHIM_BASE_SETTINGS_H
#define RACESHIM_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SETTINGS_PATH_MAX 4096

enum lock_mode { LOCKS_REPAIR, LOCKS_WATCH, LOCKS_OFF };
enum env_mode { ENV_SCOPED, ENV_PRIVATE, ENV_WATCH, ENV_OFF };

struct settings {
    uint8_t lock_mode; /* enum lock_mode */
    uint8_t env_mode;  /* enum env_mode */
    bool show_values;
    bool follow;
    bool trace;              /* keep every lock operation */
    int64_t wait_warn_ns;    /* 0: never */
    int64_t lock_timeout_ns; /* 0: never */
    char out[SETTINGS_PATH_MAX];
    char rules[SETTINGS_PATH_MAX];
};

/* What is wrong with which word. Only the word's name is given, not its value; it is not ended by a
 * NUL, and must be escaped. */
typedef void settings_error(void *context, const char *name, size_t length, const char *message);

/* repair, scoped, 10 s, no timeout, following, no directory, no rules. Writes no more than it must,
 * so that a static struct settings costs one page until a path is set. */
void settings_default(struct settings *settings);

/* Starts from the defaults and applies the words. An unknown or malformed word is reported and
 * ignored. Copies everything: the string may change afterwards. string may be NULL. Returns the
 * number of words reported. */
unsigned settings_parse(struct settings *settings, const char *string, settings_error *error,
                        void *context);

/* Enough for any settings, with the NUL. */
#define SETTINGS_TEXT_MAX (6 * SETTINGS_PATH_MAX + 256)

/* The string that settings_parse makes these settings of. Returns its length, or -1 if it does not
 * fit (the buffer is then cut, but ended). */
ssize_t settings_text(const struct settings *settings, char *buffer, size_t size);

#endif
