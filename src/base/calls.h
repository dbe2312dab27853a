/* The list of calls that the library stands in for: one row each, and one function in src/hooks.
 *
 * Included several times with CALL and ALIAS defined by the includer:
 *   CALL(name)          a libc function of this name, resolved when the library is loaded
 *   CALL_LAZY(name)     the same, resolved at its first use: not async-signal-safe in libc either
 *   CALL_SINCE(name)    exported by newer versions of glibc only; may resolve to nothing
 *   ALIAS(name, target) another exported name of the same libc function
 *   OFFER(name)         a function of the library's own, for programs that know it (raceshim.h)
 *
 * tests/no_harm.bats compares the list with what this machine's libc exports.
 */
#ifndef CALL_LAZY
#define CALL_LAZY(name) CALL(name)
#endif
#ifndef CALL_SINCE
#define CALL_SINCE(name) CALL(name)
#endif
#ifndef ALIAS
#define ALIAS(name, target)
#endif
#ifndef OFFER
#define OFFER(name)
#endif

/* Record locks and their relatives. */
CALL(fcntl)
CALL(fcntl64)
ALIAS(__fcntl, fcntl)
CALL_LAZY(lockf)
CALL_LAZY(lockf64)
CALL(flock)

/* Copies of descriptors. */
CALL(dup)
CALL(dup2)
ALIAS(__dup2, dup2)
CALL(dup3)

CALL_LAZY(recvmsg)
CALL_LAZY(recvmmsg)

/* Ways to close one. */
CALL(close)
ALIAS(__close, close)
CALL_LAZY(close_range)
CALL_LAZY(closefrom)
CALL_LAZY(fclose)
ALIAS(_IO_fclose, fclose)
CALL_LAZY(freopen)
CALL_LAZY(freopen64)
CALL_LAZY(pclose)
CALL_LAZY(closedir)

/* What makes descriptors: see hooks/open.c. */
CALL(open)
ALIAS(__open, open)
CALL(open64)
ALIAS(__open64, open64)
CALL(openat)
CALL(openat64)
CALL_LAZY(__open_2)
CALL_LAZY(__open64_2)
CALL_LAZY(__openat_2)
CALL_LAZY(__openat64_2)
CALL_LAZY(creat)
CALL_LAZY(creat64)
CALL_LAZY(fopen)
CALL_LAZY(fopen64)
CALL_LAZY(tmpfile)
CALL_LAZY(tmpfile64)
CALL_LAZY(opendir)
CALL_LAZY(mkstemp)
CALL_LAZY(mkstemp64)
CALL_LAZY(mkostemp)
CALL_LAZY(mkostemp64)
CALL_LAZY(socket)
CALL_LAZY(socketpair)
CALL_LAZY(accept)
CALL_LAZY(accept4)
CALL_LAZY(pipe)
CALL_LAZY(pipe2)
CALL_LAZY(epoll_create)
CALL_LAZY(epoll_create1)
CALL_LAZY(eventfd)
CALL_LAZY(memfd_create)
ALIAS(_IO_fopen, fopen)
ALIAS(__pipe, pipe)
ALIAS(__socket, socket)
CALL_LAZY(mkstemps)
CALL_LAZY(mkstemps64)
CALL_LAZY(mkostemps)
CALL_LAZY(mkostemps64)
CALL_LAZY(inotify_init)
CALL_LAZY(inotify_init1)
CALL_LAZY(signalfd)
CALL_LAZY(timerfd_create)
CALL_LAZY(posix_openpt)
CALL_LAZY(getpt)
CALL_LAZY(setmntent)
ALIAS(__setmntent, setmntent)

/* Memory that was seen to be readable may go. */
CALL_LAZY(munmap)
CALL_LAZY(mprotect)
CALL_LAZY(mremap)
CALL_LAZY(mmap)
CALL_LAZY(mmap64)

/* Other processes. fork() and what libc builds on it are seen by pthread_atfork. */
CALL_SINCE(_Fork)
CALL(clone)
ALIAS(__clone, clone)
#if defined(__x86_64__)
CALL_LAZY(vfork)
ALIAS(__vfork, vfork)
CALL(syscall)
#endif

/* Jumps out of a handler that interrupted a wait. */
CALL(longjmp)
CALL(_longjmp)
CALL(siglongjmp)
CALL(__longjmp_chk)

/* Other programs. */
CALL(execve)
CALL(execv)
CALL(execvp)
CALL(execvpe)
CALL_LAZY(execl)
CALL_LAZY(execle)
CALL_LAZY(execlp)
CALL(fexecve)
CALL_SINCE(execveat)
CALL_LAZY(posix_spawn)
CALL_LAZY(posix_spawnp)

/* The environment. libc's own getenv may be asked for in a signal handler. */
CALL(getenv)
CALL_LAZY(secure_getenv)
ALIAS(__secure_getenv, secure_getenv)
CALL_LAZY(setenv)
CALL_LAZY(unsetenv)
CALL_LAZY(putenv)
CALL_LAZY(clearenv)

/* Threads, each of which may have an environment of its own. */
CALL_LAZY(pthread_create)
CALL_LAZY(pthread_join)
CALL_LAZY(pthread_tryjoin_np)
CALL_LAZY(pthread_timedjoin_np)
CALL_SINCE(pthread_clockjoin_np)
CALL_LAZY(thrd_create)
CALL_LAZY(thrd_join)

OFFER(raceshim_scope_enter)
OFFER(raceshim_scope_leave)

/* The limit above which the hidden descriptors live. */
CALL_LAZY(getrlimit)
CALL_LAZY(getrlimit64)
ALIAS(__getrlimit, getrlimit)
CALL_LAZY(setrlimit)
CALL_LAZY(setrlimit64)
CALL_LAZY(prlimit)
CALL_LAZY(prlimit64)

#undef CALL
#undef CALL_LAZY
#undef CALL_SINCE
#undef ALIAS
#undef OFFER
