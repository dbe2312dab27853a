/* The tables of the lock room: which descriptor stands for which open file description, which file
 * that is, and who owns which bytes of it.
 *
 *     descriptor --> description --> owner --> hidden descriptor with the kernel's lock
 *                        |             ^
 *                        v             | one for all descriptions of a file whose locks
 *                      file -----------' belong to the process
 *
 * States of a description:
 *
 *     unknown --first lock or query--> known --first lock--> owning --last descriptor--> unknown
 *                                        |                               closed
 *                                        '--cannot be repaired--> native (POSIX, watched)
 *
 * Memory: one mapping that only grows, wiped by the kernel in every forked child (MADV_WIPEONFORK),
 * so a child finds empty tables in whatever state they were. All zero is a valid empty room.
 * Objects are never unmapped and keep their type, so a reader that lost a race reads a stale
 * object, never foreign memory.
 *
 * Rules: `tables` (a short lock) guards every link: slots, chains, lists, counts of descriptors,
 * and free objects. Slots are also read without it. What an owner holds is guarded by the owner's
 * own state word (owner_lock.h), which is taken after `tables` or without it, never before it.
 */
#ifndef RACESHIM_LOCK_ROOM_H
#define RACESHIM_LOCK_ROOM_H

#include "base/loaded.h"
#include "base/owner.h"
#include "base/short_lock.h"
#include "lock/range.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Locks of one family conflict with each other only. A description may own one of each class. */
enum owner_class {
    OWNER_RECORD, /* fcntl(F_SETLK) and lockf: repaired, or watched */
    OWNER_OFD,    /* the program's own F_OFD_SETLK: watched */
    OWNER_FLOCK,  /* flock: watched; a range over the whole file */
    OWNER_CLASSES
};

struct owner {
    /* tid of who is in it (high half), users (24 bits), flags (low byte): see owner_lock.h. */
    _Atomic uint64_t state;
    uintptr_t turn_frame; /* where the turn of who is alone in it began; 0: not said yet */
    int hidden; /* the private descriptor that carries the locks; -1: the program's own does */
    uint8_t class;
    uint8_t access;        /* O_RDONLY, O_WRONLY, O_RDWR of the hidden descriptor */
    uint8_t shared;        /* belongs to the process: every description of the file uses it */
    uint8_t left;          /* became POSIX's for an exec that may yet fail */
    uint32_t number;       /* tells owners apart, also after reuse */
    uint32_t descriptions; /* guarded by tables */
    struct file *file;
    struct holder_entry *published; /* what other processes see of it; NULL if nothing */
    struct picture_hold *shown;     /* what the session sees of it; NULL if nothing */
    struct range_set ranges;        /* guarded by state */
    struct owner *next_in_file;     /* guarded by tables */
};

struct description {
    struct file *file;
    struct owner *_Atomic owners[OWNER_CLASSES]; /* NULL until the first lock of the class */
    struct description *next_in_file;
    int first_fd; /* head of the list through slots; -1 none */
    uint32_t fds;
    uint8_t access;
    _Atomic bool copied; /* as in the slot, of any descriptor it had */
    _Atomic bool gone;   /* the file had no name any more, and nobody was told yet */
};

/* One file, by device and inode, for as long as a description of it is known. */
struct file {
    uint64_t dev, ino;
    struct file *next; /* hash chain */
    struct description *descriptions;
    struct owner *owners;
    struct owner *process_owner; /* of all descriptions, where the locks belong to the process */
    _Atomic uint32_t held;       /* owners of the class OWNER_RECORD that hold a range */
    _Atomic uint32_t owner_count;
    uint32_t description_count;
    struct timespec changed;   /* ctime when it became known */
    bool special;              /* a pipe, a device, a socket: opening it again would not be safe */
    uint8_t by_path;           /* enum lock_treatment that the rules give it; NONE: not asked yet */
    _Atomic uint8_t treatment; /* enum lock_treatment; NONE: not decided */
    _Atomic bool unrepaired;   /* should be repaired but cannot be: POSIX locks, watched */
};

struct slot {
    struct description *_Atomic description; /* SLOT_CLOSING set while a close is under way */
    int next_fd;                             /* next slot of the same description */
    _Atomic bool copied; /* another descriptor may stand for the same description, unknown to us */
    uint64_t checked;    /* ticks.h: when the number was last used, after a look at what it is */
};
#define SLOT_CLOSING ((uintptr_t)1)

#define SLOTS_PER_CHUNK 2048
#define SLOT_CHUNKS (1u << 19) /* 2^30 descriptors: the kernel's own limit */
#define FILE_BUCKETS 4096

enum room_kind { ROOM_FILE, ROOM_DESCRIPTION, ROOM_OWNER, ROOM_KINDS };

struct room {
    /* 1 once begun; the kernel wipes it in a forked child. */
    _Atomic uint32_t alive;
    struct short_lock tables;
    struct short_lock memory;
    _Atomic size_t used;
    size_t limit;
    void *free_objects[ROOM_KINDS];
    void *free_ranges[32];    /* by the logarithm of their capacity */
    _Atomic uint32_t waiting; /* threads that wait for a lock */
    _Atomic uint32_t description_total;
    _Atomic uint32_t owner_total;
    uint32_t next_number;
    uint32_t top_chunk; /* slots in use lie below (top_chunk + 1) * SLOTS_PER_CHUNK */
    struct file *buckets[FILE_BUCKETS];
    struct slot *_Atomic chunks[SLOT_CHUNKS];
};

extern struct room *_Atomic room_mapped;
extern _Atomic bool room_foreign; /* shares its parent's descriptors: everything passes */

/* Has this process, or one that it is a copy of, locked or asked for a lock? */
static inline bool room_is_made(void) {
    return __builtin_expect(atomic_load_explicit(&room_mapped, memory_order_relaxed) != NULL, 0);
}

/* The room, if this process has one. NULL: nothing is tracked, pass the call on. */
struct room *room_reborn(struct room *room);
static inline struct room *room_here(void) {
    struct room *room = atomic_load_explicit(&room_mapped, memory_order_acquire);
    if (__builtin_expect(room == NULL, 1) || owner_is_guest())
        return NULL;
    if (__builtin_expect(!atomic_load_explicit(&room->alive, memory_order_relaxed), 0))
        return room_reborn(room);
    return room;
}

/* Calls for every open descriptor of the process. False: they cannot be listed. */
typedef void each_descriptor(void *context, int fd);
bool room_each_open(each_descriptor *each, void *context);

/* Copies that were made before, or come by other ways than a hook sees: the descriptor may have
 * some. */
void room_mark_copied(struct room *room, int fd);

/* The room, made at the first need. NULL: no memory, or this process is foreign. */
struct room *room_begin(void);

/* What a fork does to the child: closes the hidden copies, forgets. shares_files: made with
 * CLONE_FILES. */
void room_after_fork_child(bool shares_files);

/* Memory that is never given back to the system. NULL when there is none. An object's place is
 * reused for its own kind only; it comes zeroed, but for an owner's state. Want `tables`. */
void *room_object(struct room *room, enum room_kind kind);
void room_object_free(struct room *room, enum room_kind kind, void *object);

/* Arrays of ranges, without `tables` (they take `memory`): at least `capacity` items; the true
 * capacity comes back. */
struct held *room_ranges(struct room *room, uint32_t *capacity);
void room_ranges_free(struct room *room, struct held *items, uint32_t capacity);

/* The slot of a descriptor, NULL if its chunk was never needed. */
static inline struct slot *room_slot(struct room *room, int fd) {
    if (__builtin_expect((unsigned)fd >= SLOT_CHUNKS * (unsigned)SLOTS_PER_CHUNK, 0))
        return NULL;
    struct slot *chunk =
        atomic_load_explicit(&room->chunks[(unsigned)fd / SLOTS_PER_CHUNK], memory_order_acquire);
    return chunk ? &chunk[(unsigned)fd % SLOTS_PER_CHUNK] : NULL;
}
struct slot *room_slot_make(struct room *room, int fd);

/* The description of a descriptor, or NULL if it is not known or being closed. */
static inline struct description *room_description(struct room *room, int fd) {
    struct slot *slot = room_slot(room, fd);
    if (!slot)
        return NULL;
    struct description *d = atomic_load_explicit(&slot->description, memory_order_acquire);
    return (uintptr_t)d & SLOT_CLOSING ? NULL : d;
}

/* Does the number stand for nothing that is known, and is nobody closing it? */
static inline bool room_is_free(struct room *room, int fd) {
    struct slot *slot = room_slot(room, fd);
    return !slot || atomic_load_explicit(&slot->description, memory_order_acquire) == NULL;
}

/* The following want `tables` held. */
struct file *room_file_find(struct room *room, uint64_t dev, uint64_t ino);
struct file *room_file_add(struct room *room, uint64_t dev, uint64_t ino);
void room_file_drop_if_unused(struct room *room, struct file *file);
/* A new description of the file with this descriptor as its only one. */
struct description *room_description_add(struct room *room, struct file *file, int fd, int access);
/* Another descriptor for it; the slot must be free or closing. False: no memory. */
bool room_attach(struct room *room, struct description *description, int fd);
/* Takes the descriptor off its description; `mark` stays in the slot (NULL or closing). */
void room_detach(struct room *room, int fd, struct description *mark);
/* Not enterable before owner_open. */
struct owner *room_owner_add(struct room *room, struct file *file, enum owner_class class);
void room_owner_drop(struct room *room, struct owner *owner);
void room_description_drop(struct room *room, struct description *description);

#endif
