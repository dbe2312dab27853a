/* raceshim.h - a scope of the environment for the calling thread.
 *
 *     raceshim_scope scope = {{0}};
 *     if (raceshim_scope_enter(&scope) == 0) {
 *         setenv("OUT_DIR", "/tmp/one", 1);
 *         system("compiler");
 *         raceshim_scope_leave(&scope);
 *     }
 *
 * Within a scope the thread has a private layer over the environment. What it sets, removes or clears there is seen
 * by itself, by the threads that it starts there and by the programs that they start, and by nobody else; `environ`
 * stays as it is. What it has not written is read through, live. Scopes nest: the inner one lies over the outer one.
 * Leaving restores exactly what the thread saw before it entered.
 *
 * A thread that is started within a scope keeps it for as long as it lives, whenever its starter leaves. A thread that
 * ends leaves its scopes. In a forked child they are the child's own. A scope whose function was left by longjmp is
 * left together with the scope around it.
 *
 * The functions are found in the process when the first of them is called, so nothing has to be linked but libdl,
 * which is part of libc from glibc 2.34 on. Where libraceshim.so is not preloaded they do nothing and return 0: the
 * program runs as it would without them. Under --env=watch and --env=off they change nothing either.
 *
 * Thread safety: all may be called by any number of threads at once; each speaks of the calling thread alone.
 * Signal safety: none may be called in a signal handler, nor in the child of a vfork. A handler that runs within a
 * scope sees what its thread sees.
 *
 * For C from C99 on and C++, by gcc and clang.
 */
#ifndef RACESHIM_H
#define RACESHIM_H

#include <dlfcn.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One scope. All zero before it is entered; all zero again when it was left, so it can be entered anew. It must stay
 * where it is, and its content is the library's, while it is entered. */
typedef struct raceshim_scope {
    uint64_t opaque[8];
} raceshim_scope;

typedef int raceshim_scope_call(raceshim_scope *scope);

/* RTLD_DEFAULT, which has a name only under _GNU_SOURCE */
#define RACESHIM_ANYWHERE ((void *)0)

static inline int raceshim_absent(raceshim_scope *scope) {
    (void)scope;
    return 0;
}

/* The library's function of that name, or raceshim_absent. Threads that race to look it up store the same. */
static inline raceshim_scope_call *raceshim_find(const char *name, raceshim_scope_call **found) {
    raceshim_scope_call *call = __atomic_load_n(found, __ATOMIC_RELAXED);
    if (!call) {
        void *address = dlsym(RACESHIM_ANYWHERE, name);
        if (address) {
            __builtin_memcpy(&call, &address, sizeof call);
        } else {
            call = raceshim_absent;
            (void)dlerror(); /* the next one who asks for an error asks for one of its own */
        }
        __atomic_store_n(found, call, __ATOMIC_RELAXED);
    }
    return call;
}

static inline raceshim_scope_call *raceshim_find_enter(void) {
    static raceshim_scope_call *found;
    return raceshim_find("raceshim_scope_enter", &found);
}

/* Enters `scope`, within the scopes in which the thread is already. Returns 0, or -1 with errno, and then nothing has
 * changed:
 *   EINVAL  scope is NULL, or is entered already
 *   ENOMEM  the library has no memory for it */
static inline int raceshim_scope_enter(raceshim_scope *scope) {
    return raceshim_find_enter()(scope);
}

/* Leaves `scope`, and with it every inner one whose function was left already. Returns 0, or -1 with errno, and then
 * nothing has changed:
 *   EINVAL  scope is NULL or not entered, or an inner scope must be left first
 *   EPERM   another thread has entered it */
static inline int raceshim_scope_leave(raceshim_scope *scope) {
    static raceshim_scope_call *found;
    return raceshim_find("raceshim_scope_leave", &found)(scope);
}

/* Calls function(argument) within a scope, once. Returns 0, or -1 with errno if the scope could not be entered, and
 * then the function was not called. The function has to return: not by longjmp, not by an exception. */
static inline int raceshim_with_scope(void (*function)(void *), void *argument) {
    raceshim_scope scope = {{0}};
    if (raceshim_scope_enter(&scope) != 0)
        return -1;
    function(argument);
    return raceshim_scope_leave(&scope);
}

/* 1 if libraceshim.so is in this process, 0 if the other functions do nothing. */
static inline int raceshim_active(void) {
    return raceshim_find_enter() != raceshim_absent;
}

#undef RACESHIM_ANYWHERE

#ifdef __cplusplus
}
#endif

#endif
