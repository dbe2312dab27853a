/* The list of calls that the library stands in for: one row each, and one function in src/hooks.
 *
 * Included several times with CALL and ALIAS defined by the includer:
 *   CALL(name)          a libc function of this name
 *   CALL_SINCE(name)    exported by newer versions of glibc only; may resolve to nothing
 *   ALIAS(name, target) another exported name of the same libc function
 *   OFFER(name)         a function of the library's own, for programs that know it (raceshim.h)
 *
 * tests/no_harm.bats compares the list with what this machine's libc exports.
 */
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
CALL(lockf)
CALL(lockf64)
CALL(flock)

/* Copies of descriptors. */
CALL(dup)
CALL(dup2)
ALIAS(__dup2, dup2)
CALL(dup3)

CALL(recvmsg)
CALL(recvmmsg)

/* Ways to close one. */
CALL(close)
ALIAS(__close, close)
CALL(close_range)
CALL(closefrom)
CALL(fclose)
ALIAS(_IO_fclose, fclose)
CALL(freopen)
CALL(freopen64)
CALL(pclose)
CALL(closedir)

/* What makes descriptors: see hooks/open.c. */
CALL(open)
ALIAS(__open, open)
CALL(open64)
ALIAS(__open64, open64)
CALL(openat)
CALL(openat64)
CALL(__open_2)
CALL(__open64_2)
CALL(__openat_2)
CALL(__openat64_2)
CALL(creat)
CALL(creat64)
CALL(fopen)
CALL(fopen64)
CALL(tmpfile)
CALL(tmpfile64)
CALL(opendir)
CALL(mkstemp)
CALL(mkstemp64)
CALL(mkostemp)
CALL(mkostemp64)
CALL(socket)
CALL(socketpair)
CALL(accept)
CALL(accept4)
CALL(pipe)
CALL(pipe2)
CALL(epoll_create)
CALL(epoll_create1)
CALL(eventfd)
CALL(memfd_create)
ALIAS(_IO_fopen, fopen)
ALIAS(__pipe, pipe)
ALIAS(__socket, socket)
CALL(mkstemps)
CALL(mkstemps64)
CALL(mkostemps)
CALL(mkostemps64)
CALL(inotify_init)
CALL(inotify_init1)
CALL(signalfd)
CALL(timerfd_create)
CALL(posix_openpt)
CALL(getpt)
CALL(setmntent)
ALIAS(__setmntent, setmntent)

/* Memory that was seen to be readable may go. */
CALL(munmap)
CALL(mprotect)
CALL(mremap)
CALL(mmap)
CALL(mmap64)

/* Other processes. What libc does at a fork is done by handlers; these see to it that ours are the
 * first of them. */
CALL(fork)
ALIAS(__fork, fork)
CALL(forkpty)
CALL(daemon)
CALL(__register_atfork)
CALL_SINCE(_Fork)
CALL(clone)
ALIAS(__clone, clone)
#if defined(__x86_64__)
CALL(vfork)
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
CALL(execl)
CALL(execle)
CALL(execlp)
CALL(fexecve)
CALL_SINCE(execveat)
CALL(posix_spawn)
CALL(posix_spawnp)
#if __GLIBC_PREREQ(2, 39)
CALL(pidfd_spawn)
CALL(pidfd_spawnp)
#endif
CALL(system)
CALL(popen)
ALIAS(_IO_popen, popen)
CALL(wordexp)

/* The environment. libc's own getenv may be asked for in a signal handler. */
CALL(getenv)
CALL(secure_getenv)
ALIAS(__secure_getenv, secure_getenv)
CALL(setenv)
CALL(unsetenv)
CALL(putenv)
CALL(clearenv)

/* Threads, each of which may have an environment of its own. */
CALL(pthread_create)
CALL(pthread_join)
CALL(pthread_tryjoin_np)
CALL(pthread_timedjoin_np)
CALL_SINCE(pthread_clockjoin_np)
CALL(pthread_detach)
CALL(thrd_create)
CALL(thrd_join)
CALL(thrd_detach)

OFFER(raceshim_scope_enter)
OFFER(raceshim_scope_leave)

/* The limit above which the hidden descriptors live. */
CALL(getrlimit)
CALL(getrlimit64)
ALIAS(__getrlimit, getrlimit)
CALL(setrlimit)
CALL(setrlimit64)
CALL(prlimit)
CALL(prlimit64)

#undef CALL
#undef CALL_SINCE
#undef ALIAS
#undef OFFER
