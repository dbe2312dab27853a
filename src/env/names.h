/* The variables that were written while other threads lived, or in a layer: what is known of each.
 *
 * The table only grows; it is read without a lock and changed under env_lock.
 */
#ifndef RACESHIM_ENV_NAMES_H
#define RACESHIM_ENV_NAMES_H

#include "base/rules.h"
#include "env/rule.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a scope sees in place of `environ`'s entry: NULL: nothing else, PIN_ABSENT: no such variable, or an entry. */
typedef char *pin;
extern char pin_absent[1];
#define PIN_ABSENT pin_absent

#define PINS_PER_CHUNK 64
struct pin_chunk {
    _Atomic(pin) pins[PINS_PER_CHUNK];
};

struct variable {
    const char *name;
    size_t length;
    uint32_t hash;
    uint8_t treatment;     /* enum env_treatment, never NONE */
    struct variable *next; /* of all; fixed once it is in the table */
    /* The number of its last write; of interest to those who have told what they saw. */
    _Atomic uint64_t latest;
    _Atomic uint32_t layers; /* that have it */
    _Atomic bool disputed;   /* is everyone's, though scopes gave it different values */
    uint32_t writes_wanted;  /* so many before they are looked through; 0: the usual number */
    struct write *writes;    /* newest first; empty while only one thread lives */
    struct variable *next_written;
    bool is_written; /* is in the list of those that have writes */
    bool to_clear;   /* by change.c */
    /* In a forked child: `environ` had `was` before the fork, and has `seen` since (view.h). */
    bool before_fork;
    char *was, *seen;
    char *base; /* `environ`'s entry before the first of them */
    _Atomic(struct pin_chunk *) chunks[SLOTS / PINS_PER_CHUNK];
};

/* NULL if it is not in the table. Lock-free. */
struct variable *names_find(const char *name, size_t length);
/* All variables, by their `next`. Lock-free. */
struct variable *names_all(void);
uint32_t names_count(void);

/* Those that have writes, by their `next_written`; nobody has a pin in any other one. Want env_lock. */
struct variable *names_written(void);
void names_add_written(struct variable *variable);
void names_clear_written(void);

/* Adds it if it must; NULL where there is no memory. Wants env_lock. */
struct variable *names_make(const char *name, size_t length);

/* NULL: `environ`'s. Lock-free. */
pin names_pin(const struct variable *variable, uint32_t slot);
/* False: no memory. Wants env_lock. */
bool names_set_pin(struct variable *variable, uint32_t slot, pin pin);

/* Is it kept apart for those who contend? Else it is everyone's, and only looked at. */
static inline bool names_kept_apart(const struct variable *variable) {
    return variable->treatment == ENV_RULE_SCOPED || variable->treatment == ENV_RULE_PRIVATE;
}

/* What the mode and the rules say of a name. */
enum env_treatment names_treatment(const char *name);

/* The length of the name in NAME=value; of the whole where there is no '='. */
size_t names_length(const char *entry);

#endif
