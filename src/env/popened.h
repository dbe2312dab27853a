/* The streams that popen made, and the processes behind them; and who is making one.
 *
 * A forked child has a copy, as it has of libc's own list: there a wait finds no such child.
 */
#ifndef RACESHIM_ENV_POPENED_H
#define RACESHIM_ENV_POPENED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* While one thread makes a stream no other does, or its child would inherit the other's descriptor. The same thread may,
 * in a signal handler. Waits for two seconds at most, since a handler may have jumped out of a popen; then it goes on
 * without. Not for signal handlers that interrupt another thread's, as popen itself is not. */
void popened_begin(void);
void popened_end(void);
void popened_after_fork(void);

/* A place for the stream; false: no memory. */
bool popened_add(void *stream, int fd, pid_t process);

/* Forgets the stream and returns the process behind it; 0: it is none of popen's. Lock-free. */
pid_t popened_take_slow(void *stream);
extern _Atomic size_t popened_count;
static inline pid_t popened_take(void *stream) {
    if (__builtin_expect(atomic_load_explicit(&popened_count, memory_order_relaxed) == 0, 1))
        return 0;
    return popened_take_slow(stream);
}

/* The descriptors of all streams, one after the other: *at begins at 0. -1: no more. */
int popened_next_fd(size_t *at);

#endif
