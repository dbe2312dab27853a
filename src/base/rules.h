/* The rules file: which treatment a lock, a wait or a variable gets, by name and by program.
 *
 *     lock PATTERN [program=PATTERN] description|process|watch|off
 *     wait program=PATTERN handover
 *     env PATTERN [program=PATTERN] shared|scoped|private|watch
 *
 * One rule a line; words are separated by blanks; a line that starts with # is a comment, and so is
 * what follows a # that stands at the start of a word. The first line that matches wins; the
 * built-in rules come after the file's:
 *
 *     lock *.pid watch
 *
 * PATTERN is glob_match's, so "\ " is a blank in a pattern. A path or program pattern without a '/'
 * is also compared with the last component alone: "make" is any make, "Cargo.lock" any file of that
 * name.
 *
 * Pure and async-signal-safe; a table is not changed once it is read, and holds no pointers.
 */
#ifndef RACESHIM_BASE_RULES_H
#define RACESHIM_BASE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULES_MAX 256
#define RULES_TEXT 32768

enum lock_treatment {
    LOCK_RULE_NONE, /* no rule says anything: what the mode and the file say */
    LOCK_RULE_DESCRIPTION,
    LOCK_RULE_PROCESS,
    LOCK_RULE_WATCH,
    LOCK_RULE_OFF,
};

enum env_treatment {
    ENV_RULE_NONE,
    ENV_RULE_SHARED,
    ENV_RULE_SCOPED,
    ENV_RULE_PRIVATE,
    ENV_RULE_WATCH,
};

enum rule_kind { RULE_LOCK, RULE_WAIT, RULE_ENV };

struct rule {
    uint8_t kind;      /* enum rule_kind */
    uint8_t treatment; /* enum lock_treatment or env_treatment, by kind */
    uint16_t pattern;  /* where in text; RULES_NO_PATTERN: any */
    uint16_t program;
};
#define RULES_NO_PATTERN UINT16_MAX

/* All zero bytes are a table in which only the built-in rules apply. */
struct rules {
    uint32_t count;
    uint32_t used; /* bytes of text */
    struct rule items[RULES_MAX];
    char text[RULES_TEXT];
};

/* What is wrong in which line (from 1). The message is valid during the call, may quote the file,
 * and so must be escaped like any text of the program's. */
typedef void rules_error(void *context, unsigned line, const char *message);

/* Adds the rules of a whole file's text to the table. A wrong line is reported, left out, and the
 * next one read. Returns the number of lines reported. */
unsigned rules_parse(struct rules *rules, const char *text, size_t length, rules_error *error,
                     void *context);

/* program is the path of the executable; it may be NULL or "" if it is not known, and then matches
 * only rules without program=. */
enum lock_treatment rules_lock_treatment(const struct rules *rules, const char *path,
                                         const char *program);
enum env_treatment rules_env_treatment(const struct rules *rules, const char *name,
                                       const char *program);

/* Do this program's threads hand locks to each other, so that no wait of theirs may be refused? */
bool rules_has_handover(const struct rules *rules, const char *program);

#endif
