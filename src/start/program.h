/* What an exec would start, and will the library be loaded into it?
 *
 * All functions are async-signal-safe, keep errno, and allocate nothing; a vfork child may call
 * them. They read files.
 */
#ifndef RACESHIM_START_PROGRAM_H
#define RACESHIM_START_PROGRAM_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

/* For dir: the path is looked up in `search`, a list like PATH's, or in the PATH of this process if that
 * is NULL. */
#define PROGRAM_SEARCH (-200)

/* What keeps the library out. */
enum program_bar {
    PROGRAM_FREE,       /* nothing does */
    PROGRAM_UNKNOWN,    /* it is no ELF file, or cannot be read: the exec will say */
    PROGRAM_STATIC,     /* no dynamic loader, so no preloaded library */
    PROGRAM_PRIVILEGED, /* set-user-ID, set-group-ID, file capabilities: LD_PRELOAD is ignored */
    PROGRAM_FOREIGN,    /* of another ELF class or machine, for which there is no library */
    PROGRAM_OTHER_LIBC, /* its loader is not glibc's */
    PROGRAM_SANITIZED   /* AddressSanitizer ends a program that has a library before its own */
};

struct program {
    int fd; /* open on what is started: of a script, its interpreter. -1: nothing is */
    bool borrowed;
    enum program_bar bar;
    struct stat file; /* what the path names: the script itself */
    struct stat st;   /* what is open */
    char runtime[32]; /* the name of the sanitizer's library that wants to be first; "" none */
};

/* The caller's last word is program_close. flags as for execveat; envp says what is preloaded and
 * what the sanitizer was told. */
void program_open(struct program *program, int dir, const char *path, int flags, const char *search,
                  char *const envp[]);
void program_close(struct program *program);

/* Will the library be loaded into it, with this environment? True when there is nothing that could
 * be started: the exec will say so. */
bool program_enterable(int dir, const char *path, int flags, const char *search,
                       char *const envp[]);

/* Device, inode and time of change of what the path names, without opening it: two files that are
 * alike in them are one. False: there is none. */
bool program_stat(int dir, const char *path, int flags, const char *search, struct stat *st);

/* The value of a variable in an environment; NULL if it is not there. */
const char *program_variable(char *const envp[], const char *name);

/* The word of an LD_PRELOAD list that names the library, and its length; NULL: none does. */
const char *program_own_word(const char *preload, size_t *length);

#endif
