/* One finding becomes one record, written by one system call.
 *
 * Records go to DIR/PID.N.jsonl, one JSON object a line; N is the first number that is free. A file
 * has one writer: an exec, a forked child and a vfork child begin files of their own. What was
 * written survives SIGKILL at the next instruction, and SIGKILL in the midst of it leaves nothing
 * of a record that fits into a page. Equal findings of a process are one record, whose count is
 * overwritten in place. The fields are in doc/log-format.md.
 *
 * Nothing is opened before the first finding. A record that cannot be written (no directory, full
 * disk, file size limit, no descriptor) is lost, and nothing else: no signal, no partial line, no
 * error.
 *
 * All functions are async-signal-safe and thread-safe, keep errno, allocate nothing but mappings,
 * and never wait without a bound for another thread.
 */
#ifndef RACESHIM_REPORT_LOG_H
#define RACESHIM_REPORT_LOG_H

#include "report/event.h"

#include <stdbool.h>

#define LOG_VERSION 1
#define LOG_COUNT_WIDTH 12
/* Records of one process; findings beyond are counted in one record of the kind `degraded`. */
#define LOG_RECORDS_MAX 100000
/* Of these so many can be recognised when they come again. */
#define LOG_KNOWN_MAX 12288
/* Records that are written each into a file of its own: see log.c. */
#define LOG_APART_MAX 1000
/* Provisional records that a process has at a time; further ones are not written. */
#define LOG_PROVISIONAL_MAX 64

/* How a descriptor that stays open is kept out of the program's way. With `hide` NULL it is not
 * kept: the file is opened for each record. The others may be NULL. */
struct log_host {
    /* Round the making of the descriptor: before it is opened, after it was hidden. */
    void (*begin)(void);
    void (*end)(void);
    /* Takes the descriptor over and returns its new number (close-on-exec), or -errno with the
     * descriptor closed. In a forked child the host closes what it hid, before log_after_fork. */
    int (*hide)(int fd);
    /* Closes a hidden one. */
    void (*close)(int fd);
};

/* Where to. dir must stay valid; NULL or "": nothing is recorded. It must be a directory of the
 * effective user's that nobody else may write to, and no symbolic link; that is looked at when it
 * is opened. A relative path is taken from the current directory of this call. Not thread-safe: for
 * the constructor. */
void log_open_settings(const char *dir, const struct log_host *host);

/* Records a finding. Fields of the record that the event does not carry are found here: the time,
 * the process, the thread and its name, the program. */
void log_event(const struct event *event);
/* The same, found so many times since it was recorded last. */
void log_events(const struct event *event, uint64_t times);

/* Is this the first time in the session, of whichever process, that this number is asked about? What
 * is to be said once for many processes is said by who gets true. A file named after the number
 * keeps it; true where nothing can be written. */
bool log_first(uint64_t number);

/* A provisional record, to be taken back. All zero: none. */
struct log_place {
    pid_t pid;           /* whose record it is: a forked child takes nothing of its parent's back */
    uint32_t generation; /* of the file */
    uint32_t slot;
};

/* Writes at once what is to be known should the process end before log_take_back. It is a record of
 * its own, however many are equal to it, and stands where it does not have to be written apart. */
void log_provisional(const struct event *event, struct log_place *place);

/* Takes it back, if there is one, and forgets it. Its line is cut off, or becomes blanks if a
 * record follows it; those bytes are used again. It stays where the file cannot be written any
 * more. */
void log_take_back(struct log_place *place);

/* A descriptor of the session directory, for openat only; -errno if there is none that is safe. */
int log_open_directory(void);

/* May a file be written up to there? Beyond RLIMIT_FSIZE a write is a signal that ends the program.
 */
bool log_may_write_up_to(uint64_t end);

/* In a forked child, which has memory of its own (not in a vfork child): it begins anew. */
void log_after_fork(void);

/* Closes the hidden descriptor; the next record opens the file again, and hides it again. For a
 * host whose hiding places move. */
void log_release_descriptor(void);

/* The hidden descriptor's number, -1 if none is open. */
int log_descriptor(void);

#endif
