/* Who holds a lock, as other processes of the user see it: F_GETLK says -1 for a lock that belongs
 * to a description, and the program wants the process.
 *
 * Each owner that holds locks through a hidden descriptor has an entry in the shared table, found
 * by the file. Only the owner's process writes it, one thread at a time, and it says what the owner
 * holds while that is one range; for more it only says where to look.
 *
 *     free --holder_publish--> held --holder_withdraw--> free
 *                               | process died
 *                               '--> taken over by who finds no free entry near it
 *
 * An entry is believed in two steps. /proc/PID/fdinfo/HIDDEN must once have said that this process
 * holds this lock; for a moment after that (HOLDER_TRUST_MS), an entry which still says the same
 * and whose process exists is answer enough. So the ordinary answer costs one system call, and an
 * entry left behind by a process that was killed deceives nobody, even if its number is in use
 * again.
 *
 * All functions are async-signal-safe and leave errno alone.
 */
#ifndef RACESHIM_LOCK_HOLDERS_H
#define RACESHIM_LOCK_HOLDERS_H

#include "lock/fdinfo.h"
#include "lock/range.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HOLDER_UNSURE UINT32_MAX
#define HOLDER_TRUST_MS 10

struct holder_entry {
    /* Number of the tenancy (high half) and pid; pid 0 is free. Changed by compare-and-swap only,
     * so that no two tenancies of an entry are ever the same. */
    _Atomic uint64_t tenant;
    _Atomic uint64_t dev;
    _Atomic uint64_t ino;
    _Atomic uint64_t start; /* of the first range */
    _Atomic uint64_t end;
    _Atomic uint32_t seq; /* odd while the others change */
    _Atomic uint32_t pid_namespace;
    _Atomic uint32_t hidden;
    _Atomic uint32_t count; /* of ranges, or HOLDER_UNSURE */
    _Atomic uint32_t type;  /* enum range_type, of the first range */
    uint32_t unused;
};
_Static_assert(sizeof(struct holder_entry) == 64, "as large as the layout of shared.h says");

/* Takes an entry for an owner of this process that holds nothing yet. NULL: none is free near the
 * file's place, or nothing is shared; the others take both, and other processes then search /proc.
 */
struct holder_entry *holder_publish(uint64_t dev, uint64_t ino, int hidden);

/* Says what the owner holds now. unsure: the set may not be what the kernel has. One caller at a
 * time for an entry; belongs to every lock and unlock, so it is a handful of stores.
 *
 * Every store but the first is a release: whoever sees one of them sees the odd number before it
 * too. Their partners are the acquire loads of snapshot() in holders.c. */
static inline void holder_update(struct holder_entry *entry, const struct range_set *set,
                                 bool unsure) {
    if (entry == NULL)
        return;
    uint32_t seq = atomic_load_explicit(&entry->seq, memory_order_relaxed) | 1;
    atomic_store_explicit(&entry->seq, seq, memory_order_relaxed);
    if (set->count != 0) {
        const struct held *first = &set->items[0];
        atomic_store_explicit(&entry->start, first->start, memory_order_release);
        atomic_store_explicit(&entry->end, first->end, memory_order_release);
        atomic_store_explicit(&entry->type, first->type, memory_order_release);
    }
    atomic_store_explicit(&entry->count, unsure ? HOLDER_UNSURE : set->count, memory_order_release);
    atomic_store_explicit(&entry->seq, seq + 1, memory_order_release);
}

/* The owner ends. NULL is allowed. */
void holder_withdraw(struct holder_entry *entry);

/* Which process holds the description-owned lock of exactly this range and type, which F_GETLK has
 * just reported with pid -1? Never this process: its own owners are the caller's to know. -1: not
 * found (another user's, or changed meanwhile: then F_GETLK says something else when asked again).
 *
 * A holder under the shim costs a system call or two; one met before, a look at its fdinfo; one
 * never met, a search through /proc, which is bounded (HOLDER_SEARCH_MAX descriptors). */
#define HOLDER_SEARCH_MAX 65536
pid_t holder_find(uint64_t dev, uint64_t ino, const struct byte_range *range, enum range_type type);

/* Which process has the descriptor that carries a flock lock which keeps out one of this type? The
 * kernel names who took it; where that one has ended, whoever has it now, ancestors first, and of
 * those that have it from their parents the parent. One that lives and has passed the descriptor on counts
 * as the holder. 0: not found. */
pid_t holder_find_flock(uint64_t dev, uint64_t ino, enum range_type wanted);

/* Who took it, dead or alive; 0: not known, or dead and in a pid namespace that is not the first. */
pid_t holder_flock_taker(uint64_t dev, uint64_t ino, enum range_type wanted);

/* Asks the kernel whether this descriptor of that process carries a lock of the class (enum
 * fdinfo_class) and type which overlaps the range. */
enum holder_answer { HOLDER_NO, HOLDER_YES, HOLDER_CANNOT_TELL };
enum holder_answer holder_ask(pid_t pid, int fd, uint64_t ino, const struct byte_range *range,
                              enum range_type type, enum fdinfo_class lock_class);

/* The same for all descriptors of that process. */
enum holder_answer holder_ask_process(pid_t pid, uint64_t dev, uint64_t ino,
                                      const struct byte_range *range, enum range_type type,
                                      enum fdinfo_class lock_class);

/* The same, saying which descriptor it is; -1: none, or it cannot be told. */
int holder_descriptor_of(pid_t pid, uint64_t dev, uint64_t ino, const struct byte_range *range,
                         enum range_type type, enum fdinfo_class lock_class);

/* The pid namespace of this process, as a number; 0 if it cannot be told. */
uint32_t holder_namespace(void);

/* Does /proc count processes as getpid does? */
bool holder_proc_is_ours(void);
/* This process's number in /proc; 0 if /proc counts processes in another way. */
pid_t holder_self_in_proc(void);

/* In a forked child, before any other of these. */
void holders_after_fork(void);

#endif
