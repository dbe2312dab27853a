/* Finds a cycle among threads that wait for locks.
 *
 * Waiter W is blocked by waiter V when one of the locks that V took last conflicts with what W
 * wants: same file and class, a shared byte (record locks), at least one of the two for writing,
 * different owners. W may be its own V: a thread that waits for itself through another description.
 * Every such edge must go before W can proceed, so any cycle is a wait that can never end.
 *
 * Pure: the waiters are read through the caller's functions, each pair at most once, so that they
 * may lie in memory which others write; what is read there must be consistent for one call to mean
 * something, and is checked for nothing. Async-signal-safe; no recursion; the memory for the search
 * is the caller's.
 */
#ifndef RACESHIM_LOCK_WAIT_GRAPH_H
#define RACESHIM_LOCK_WAIT_GRAPH_H

#include "lock/range.h"

#include <stdbool.h>
#include <stdint.h>

#define WAIT_GRAPH_MAX 4096

enum wait_class { WAIT_RECORD, WAIT_FLOCK };

/* A lock that is wanted or held. owner is any key that differs between owners of one file: locks of
 * one owner never conflict with each other. */
struct wait_lock {
    uint64_t dev;
    uint64_t ino;
    uint64_t owner;
    struct byte_range range; /* not looked at for WAIT_FLOCK */
    uint8_t lock_class;      /* enum wait_class */
    uint8_t type;            /* enum range_type */
};

/* Too large for a signal handler's stack. */
struct wait_graph_scratch {
    uint64_t seen[WAIT_GRAPH_MAX / 64];
    uint16_t queue[WAIT_GRAPH_MAX];
    uint16_t parent[WAIT_GRAPH_MAX];
};

struct wait_graph {
    void *context;
    uint32_t count; /* waiters; those from WAIT_GRAPH_MAX on are not looked at */
    /* What the waiter waits for; false if it waits for nothing (any more). */
    bool (*want)(void *context, uint32_t waiter, struct wait_lock *want);
    /* The index-th lock that the waiter holds; false behind the last. */
    bool (*hold)(void *context, uint32_t waiter, uint32_t index, struct wait_lock *hold);
    struct wait_graph_scratch *scratch;
};

bool wait_lock_conflicts(const struct wait_lock *want, const struct wait_lock *hold);

/* Which of V's locks blocks W? True and *hold filled if one does. */
bool wait_graph_blocks(const struct wait_graph *graph, uint32_t v, const struct wait_lock *want,
                       struct wait_lock *hold);

/* The shortest cycle through start. Returns its length, 0 if there is none, and writes the first
 * max waiters of it: path[0] is start, each is blocked by the next, the last by start. */
int wait_graph_cycle(const struct wait_graph *graph, uint32_t start, uint32_t *path, uint32_t max);

#endif
