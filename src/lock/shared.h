/* The memory that the processes of one user share to see each other's locks and waits.
 *
 * One file for each user, mapped at the first need and kept until the process ends or execs: a
 * forked child keeps its parent's mapping, and what lies in it says which process it belongs to.
 * The file is private to the user (0600, never through a link, never with a second name), in the
 * first of /run/user/UID, /dev/shm and /tmp that serves. It may be removed at any time; who has
 * mapped it then sees those who have mapped the same.
 *
 * Whatever is read from it is untrusted: another process of the user may have written anything.
 * Each index is bounded before its use, each loop has an end, and no decision rests on it alone
 * where the kernel can be asked.
 *
 * A page that nobody used yet has no memory. Where none is left for it (a full tmpfs), touching it
 * would kill the program: so each page is asked for by shared_page before it is touched, once per
 * process.
 *
 * All functions are async-signal-safe.
 */
#ifndef RACESHIM_LOCK_SHARED_H
#define RACESHIM_LOCK_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARED_VERSION 1 /* of the layout; part of the file's name */
#define SHARED_PAGE 4096

/* The layout, the same for programs of either size of pointers: one page of general use, the table
 * of holders (holders.h), the states of the waiters and their slots (waiters.h). */
#define SHARED_HOLDERS 65536
#define SHARED_HOLDER_BYTES 64
#define SHARED_WAITERS 1024
#define SHARED_HOLDERS_AT SHARED_PAGE
#define SHARED_STATES_AT (SHARED_HOLDERS_AT + SHARED_HOLDERS * SHARED_HOLDER_BYTES)
#define SHARED_SLOTS_AT (SHARED_STATES_AT + SHARED_WAITERS * 8)
#define SHARED_BYTES (SHARED_SLOTS_AT + SHARED_WAITERS * SHARED_PAGE)

struct shared_head {
    _Atomic uint32_t last_process_key;
};

/* The mapping, made at the first call. NULL: there is none to be had; it is not asked for again in
 * this process. The first page can be touched. */
struct shared_head *shared_here(void);

/* The bytes from `at` on, once its page (and the page of its last byte) can be touched; NULL where
 * there is no mapping or no memory. `at` and `size` must lie in the layout. */
void *shared_page(size_t at, size_t size);

/* Opens the mapped file once more, for byte locks (what the bytes mean stands in waiters.c).
 * -errno, -ESTALE if its name now stands for another file. The caller calls shared_here first, then
 * this between hidden_begin and hidden_move. */
int shared_open(void);

/* Copies through words that others may write or read at the same moment: each word whole, and in
 * the order that a sequence number needs. A store is seen only by who also sees the stores before
 * it; a load comes before the loads after it. */
static inline void shared_store(_Atomic uint64_t *to, const void *from, size_t words) {
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        __builtin_memcpy(&word, (const char *)from + 8 * i, 8);
        atomic_store_explicit(&to[i], word, memory_order_release);
    }
}
static inline void shared_load(const _Atomic uint64_t *from, void *to, size_t words) {
    for (size_t i = 0; i < words; i++) {
        uint64_t word = atomic_load_explicit(&from[i], memory_order_acquire);
        __builtin_memcpy((char *)to + 8 * i, &word, 8);
    }
}

/* The directory to use in place of the three above: for a session of its own, and for tests. Wanted
 * before the first use, or after shared_forget. False: the name is too long. */
bool shared_set_directory(const char *directory);

/* Gives up the mapping without unmapping it. */
void shared_forget(void);

#endif
