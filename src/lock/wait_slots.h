/* The slots in which waits are published: whose they are, and how they are written and read. What
 * they mean is waiters.h.
 *
 * The word of a slot says its state, how often it changed, and which files the locks in it may be
 * on:
 *
 *     | files : 32 | changes : 29 | state : 3 |
 *
 * `files` has a bit for each file that some held lock is on, chosen by a hash: most waiters need
 * not be looked at any further. A slot is written only in one of the two writing states, by one
 * thread, so an unchanged word in a state other than those means unchanged contents.
 *
 * In the file, byte i is slot i: locked by the process that has it. Byte SHARED_WAITERS is the
 * referee's.
 *
 * All functions are async-signal-safe; none waits but slots_referee_take, which has a bound.
 */
#ifndef RACESHIM_LOCK_WAIT_SLOTS_H
#define RACESHIM_LOCK_WAIT_SLOTS_H

#include "lock/waiters.h"

#include <stdatomic.h>

enum slot_state {
    SLOT_IDLE,
    SLOT_WRITING, /* its owner has not looked for a cycle yet; it will when it is written */
    SLOT_WAITING,
    SLOT_REWRITING, /* waiting, and its holds are told anew */
    SLOT_DOOMED,    /* the victim of a cycle: for others no longer waiting */
    SLOT_CONTINUED, /* has the holds for which another slot had no room */
};

static inline enum slot_state slot_state(uint64_t word) {
    return (enum slot_state)(word & 7);
}
/* Changed once more, with no files. */
static inline uint64_t slot_changed(uint64_t word, enum slot_state state) {
    return (((word | 7) + 1) & UINT32_MAX) | state;
}
/* The same change, in another state. */
static inline uint64_t slot_turned(uint64_t word, enum slot_state state) {
    return (word & ~UINT64_C(7)) | state;
}
static inline uint64_t slot_with_files(uint64_t word, uint32_t files) {
    return (uint64_t)files << 32 | (word & UINT32_MAX);
}
static inline bool slot_may_be_on(uint64_t word, uint32_t file_bit) {
    return word >> 32 & file_bit;
}
uint32_t slot_file_bit(uint64_t dev, uint64_t ino);

/* What is told of a waiter besides its holds. */
struct slot_head {
    struct wait_lock want;
    int64_t since_ns;
    char thread[16];
    int32_t pid;
    int32_t tid;
    int32_t fd;
    uint32_t pid_namespace;
    uint32_t stack;
    uint32_t unused;
};

/* Makes the slots usable for this process. False: no memory at all, or they are another process's.
 */
bool slots_begin(pid_t pid);
/* Can other processes see them? */
bool slots_are_shared(void);
uint32_t slots_process_key(void);
void slots_after_fork(void);

/* Wants slots_begin; any index below SHARED_WAITERS. */
_Atomic uint64_t *slots_word(uint32_t slot);

/* An idle slot for this process, or -1. */
int slots_take(void);
/* Wants it written by no one. Gives back those that continue it, too. */
void slots_give(uint32_t slot);
bool slots_are_ours(uint32_t slot);
/* Has the process that published here ended? */
bool slots_is_dead(uint32_t slot);
/* Makes a dead process's slot idle. */
void slots_bury(uint32_t slot);

/* One process and thread at a time decides about cycles. False: not to be had within the bound. */
bool slots_referee_take(void);
void slots_referee_give(void);

/* Wants a slot of ours in one of the writing states. */
void slots_write_head(uint32_t slot, const struct slot_head *head);
/* Replaces the holds. Returns the bits of their files. What finds no room is left out. */
uint32_t slots_write_holds(uint32_t slot, wait_hold_at *hold_at, void *context);

/* False: the slot's memory cannot be touched. What is read may be anything if the word changes. */
bool slots_read_head(uint32_t slot, struct slot_head *head);

/* Goes through the holds on one file. */
struct slot_reader {
    uint64_t dev;
    uint64_t ino;
    const _Atomic uint64_t *words; /* NULL: at the end */
    uint32_t used;                 /* words of this slot */
    uint32_t at;
    uint32_t left;  /* in this group */
    uint32_t slots; /* gone through */
    struct wait_hold group;
};
void slots_reader_begin(struct slot_reader *reader, uint32_t slot, uint64_t dev, uint64_t ino);
bool slots_reader_next(struct slot_reader *reader, struct wait_hold *hold);

#endif
