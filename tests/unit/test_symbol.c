/* The next definition of a name: what dlsym finds, found without it. */
#define _GNU_SOURCE
#include "check.h"

#include "base/symbol.h"

#include <dlfcn.h>
#include <stddef.h>

/* Ordinary ones, other names of the same, some with versions for old programs, some that are chosen
 * by processor. */
static const char *const names[] = {
    "close",    "__close",  "fcntl64", "open",    "fclose",  "posix_spawn", "memcpy",
    "strlen",   "fork",     "execvpe", "syscall", "getenv",  "setenv",      "pthread_create",
    "glob",     "realpath", "clone",   "dup3",    "lockf64", "regexec",     "nftw",
    "fmemopen", "_exit",    "qsort",   "daemon",  "prlimit", "munmap",      "siglongjmp"};

static void check_names(void) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *expected = dlsym(RTLD_NEXT, names[i]);
        if (expected == NULL || symbol_search(names[i]) != expected)
            CHECK_FAILED("%s is found at %p, not at %p", names[i], symbol_search(names[i]),
                         expected);
        CHECK(symbol_next(names[i]) == expected);
    }
}

static void check_others(void) {
    static const char *const others[] = {"", "clos", "closee", "no_library_has_this_name"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK(symbol_next(others[i]) == NULL);
}

TEST("H2: what libc exports is found without dlsym") {
    check_names();
}

TEST("H2: a name that nothing exports is not found") {
    check_others();
}

TEST("H2: objects that were loaded at the start are enough to find libc's names") {
    symbol_mark_last();
    check_names();
    check_others();
}
