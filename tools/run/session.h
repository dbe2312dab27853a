/* The session directory: where the records of one run lie.
 *
 * It is private to the user: mode 0700, never reached through a link as its last component, its
 * name not to be guessed when none is given.
 */
#ifndef RACESHIM_TOOLS_SESSION_H
#define RACESHIM_TOOLS_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct session {
    char *path;     /* absolute */
    int fd;         /* of the directory, 3 or higher, close-on-exec */
    bool temporary; /* made by us under a name of ours: removed if it stays empty */
    bool used;      /* had records or traces before this run */
    char since[40]; /* when this run began, as records write the time */
};

/* out: the directory that the user named, made if it is not there; NULL: a new one in TMPDIR or
 * /tmp. Fails with a message that says what to do. */
void session_open(struct session *session, const char *out);

/* Writes a record of severity note: kind degraded or not-covered, of the program at that path.
 * detail is a sentence. */
void session_record(const struct session *session, const char *kind, const char *program,
                    const char *detail);

/* A record of kind leaked-lock: which lock, and which program has it. */
struct session_leak {
    const char *path;
    uint64_t dev, ino;
    bool writes;
    pid_t pid;
    int fd;
    const char *exe;
    const char *command;
    int64_t since_ns;
};
void session_record_leak(const struct session *session, const char *program, const char *detail,
                         const struct session_leak *leak);

bool session_has_records(const struct session *session);
bool session_has_traces(const struct session *session);

/* For a temporary one without records and traces: removes the files in it and the directory itself. Another
 * process may put something there meanwhile: then it stays. */
void session_remove(const struct session *session);

#endif
