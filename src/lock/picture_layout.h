/* The session's picture: who locks and waits, as a file named "picture" in the session directory.
 *
 * Every process of the session that locks or waits has the file mapped and keeps its own part of it;
 * shim-run and shim-report read it, while the processes live and after their end. All numbers are
 * the machine's own; a reader checks magic and version first. Whatever a reader finds is untrusted
 * and may change while it is read.
 *
 *     head | processes | holds, in buckets by file | waits | orders
 *
 * A hold or a wait names its process by `owner`: the process's generation in the high half, its
 * place plus one in the low half. It counts only while that place has that generation and is ready,
 * and while the process lives, which its start time tells: nobody cleans up after a process that was
 * killed, until another one needs the place.
 */
#ifndef RACESHIM_LOCK_PICTURE_LAYOUT_H
#define RACESHIM_LOCK_PICTURE_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PICTURE_NAME "picture"
#define PICTURE_MAGIC UINT64_C(0x6572757463697072)
#define PICTURE_VERSION 1

#define PICTURE_PROCESSES 4096
#define PICTURE_BUCKETS 512
#define PICTURE_BUCKET 32 /* holds in a bucket, which is a page */
#define PICTURE_WAITS 1024

struct picture_head {
    _Atomic uint64_t magic;
    _Atomic uint32_t version;
};

struct picture_process {
    _Atomic uint64_t tenant; /* generation (high half) and pid in its own namespace; 0: free */
    _Atomic uint32_t ready;  /* the generation, once the rest is written */
    uint32_t pid_namespace;  /* inode number of /proc/self/ns/pid; 0: not known */
    int32_t proc_pid;        /* as its /proc calls it; 0: not known */
    int32_t parent;          /* when it entered, in its own namespace */
    uint64_t started;        /* clock ticks after the boot */
    char exe[256];
    char command[480]; /* words separated by NULs, as /proc/PID/cmdline, perhaps cut */
    char cwd[256];
};
_Static_assert(sizeof(struct picture_process) == 1024, "four in a page");

/* What one owner holds: the first range, and how many there are. */
struct picture_hold {
    _Atomic uint64_t owner; /* 0: free */
    _Atomic uint64_t dev;
    _Atomic uint64_t ino;
    _Atomic uint32_t lock_class; /* enum owner_class */
    uint32_t unused[9];
    /* The line of the cache that every lock and unlock writes. */
    _Atomic uint32_t seq;   /* odd while the rest changes */
    _Atomic uint32_t count; /* of ranges; 0: nothing is held */
    _Atomic uint64_t start;
    _Atomic uint64_t end;
    _Atomic int64_t since; /* real time, nanoseconds */
    _Atomic uint32_t type; /* enum range_type */
    _Atomic int32_t fd;
    _Atomic int32_t tid;
    _Atomic uint32_t stack; /* its number, in the process's file of stacks */
    uint32_t unused_too[4];
};
_Static_assert(sizeof(struct picture_hold) == 128, "two lines of the cache");

/* How the holder of what is waited for stands to the waiter: enum ancestry. */
struct picture_wait {
    _Atomic uint64_t owner; /* 0: free */
    _Atomic uint32_t seq;   /* odd while the rest changes, another number for each wait */
    _Atomic int32_t holder; /* its number for the waiter; 0: not known */
    _Atomic uint32_t ancestry;
    uint32_t lock_class;
    uint32_t type;
    int32_t fd;
    int32_t tid;
    uint32_t stack;
    uint64_t dev;
    uint64_t ino;
    uint64_t start;
    uint64_t end;
    int64_t since;
    char thread[16];
    _Atomic uint32_t told; /* a ring of waits of which this is one was told */
    char path[1948];
};
_Static_assert(sizeof(struct picture_wait) == 2048, "two in a page");

/* That a thread waited for, or might have waited for, the lock of one file while it held that of
 * another. It stays when the process has ended. */
struct picture_order {
    _Atomic uint64_t key;   /* of all that follows up to `wants`; 0: free */
    _Atomic uint32_t ready; /* the rest is written */
    uint8_t holds;          /* enum range_type of the lock that was held */
    uint8_t wants;          /* and of the one that was asked for */
    uint8_t unused[2];
    uint64_t held_dev, held_ino;
    uint64_t wanted_dev, wanted_ino;
    uint64_t owner;
    uint32_t stack; /* where the second one was asked for */
    int32_t tid;
};
_Static_assert(sizeof(struct picture_order) == 64, "64 in a page");

#define PICTURE_ORDERS 4096

#define PICTURE_PROCESSES_AT 4096
#define PICTURE_HOLDS_AT (PICTURE_PROCESSES_AT + PICTURE_PROCESSES * 1024)
#define PICTURE_WAITS_AT (PICTURE_HOLDS_AT + PICTURE_BUCKETS * 4096)
#define PICTURE_ORDERS_AT (PICTURE_WAITS_AT + PICTURE_WAITS * 2048)
#define PICTURE_BYTES (PICTURE_ORDERS_AT + PICTURE_ORDERS * 64)

static inline struct picture_process *picture_process_at(char *base, uint32_t place) {
    return (struct picture_process *)(base + PICTURE_PROCESSES_AT + (size_t)place * 1024);
}

static inline struct picture_hold *picture_hold_at(char *base, uint32_t place) {
    return (struct picture_hold *)(base + PICTURE_HOLDS_AT +
                                   (size_t)place * sizeof(struct picture_hold));
}

static inline struct picture_wait *picture_wait_at(char *base, uint32_t place) {
    return (struct picture_wait *)(base + PICTURE_WAITS_AT + (size_t)place * 2048);
}

static inline struct picture_order *picture_order_at(char *base, uint32_t place) {
    return (struct picture_order *)(base + PICTURE_ORDERS_AT +
                                    (size_t)place * sizeof(struct picture_order));
}

static inline uint32_t picture_bucket(uint64_t dev, uint64_t ino) {
    uint64_t hash = (ino ^ dev << 20) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 55) % PICTURE_BUCKETS;
}

static inline int32_t picture_pid(uint64_t tenant) {
    return (int32_t)(tenant & INT32_MAX);
}

/* The process that an owner word names; NULL: it is no more, or was never. */
static inline struct picture_process *picture_process_of(char *base, uint64_t owner) {
    uint32_t place = (uint32_t)owner - 1;
    if (owner == 0 || place >= PICTURE_PROCESSES)
        return NULL;
    struct picture_process *process = picture_process_at(base, place);
    uint32_t generation = (uint32_t)(owner >> 32);
    return atomic_load(&process->ready) == generation &&
                   (uint32_t)(atomic_load(&process->tenant) >> 32) == generation
               ? process
               : NULL;
}

/* The name of its file of stacks, one JSON object a line: {"id":N,"stack":[...]}. */
#define PICTURE_STACKS_NAME "stacks."

#endif
