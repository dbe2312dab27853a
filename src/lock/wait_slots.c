#include "lock/wait_slots.h"

#include "base/sys.h"
#include "lock/hidden.h"

#include <errno.h>
#include <string.h>

/* A slot: the head, one word for the link, then groups of holds that have all but range and type in
 * common: a group's four words, then two for each hold. */
#define WORDS (SHARED_PAGE / 8)
#define HEAD_WORDS (sizeof(struct slot_head) / 8)
#define LINK_AT HEAD_WORDS
#define HOLDS_AT (LINK_AT + 1)
#define GROUP_WORDS 4
#define HOLD_WORDS 2
_Static_assert(sizeof(struct slot_head) % 8 == 0, "copied in words");

#define TOP_BIT (UINT64_C(1) << 63)

/* ---- Whose they are ---- */

enum { MODE_NONE, MODE_SHARED, MODE_PRIVATE };
static _Atomic uint32_t mode;
static _Atomic int32_t owner_pid;      /* whose the rest of these are */
static _Atomic int32_t byte_fd;        /* the hidden descriptor for byte locks, + 1; 0 none yet */
static char *_Atomic own_memory;       /* the slots where nothing is shared */
static _Atomic uint32_t process_key;   /* 0: not asked yet */
static _Atomic uint32_t referee_taken; /* by a thread of this process */

#define BITMAP_WORDS (SHARED_WAITERS / 64)
static _Atomic uint64_t ours[BITMAP_WORDS]; /* byte locked by this process */
static _Atomic uint64_t busy[BITMAP_WORDS]; /* of those: in use */
static _Atomic uint64_t
    taking[BITMAP_WORDS]; /* a thread of this process is about to lock the byte */

/* Who continues a slot: index + 1. Not read from the slot itself, where others could write it. */
static _Atomic uint16_t continued_by[SHARED_WAITERS];

static uint64_t bit_of(uint32_t slot) {
    return UINT64_C(1) << (slot % 64);
}

static int byte_lock(int fd, uint32_t byte, int cmd, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result = sys_fcntl(fd, cmd, (long)&lock);
    return result < 0 ? result : lock.l_type;
}

void slots_after_fork(void) {
    if (atomic_load(&mode) == MODE_PRIVATE)
        for (uint32_t slot = 0; slot < SHARED_WAITERS; slot++)
            atomic_store_explicit(slots_word(slot), SLOT_IDLE, memory_order_relaxed);
    for (int i = 0; i < BITMAP_WORDS; i++) {
        atomic_store_explicit(&ours[i], 0, memory_order_relaxed);
        atomic_store_explicit(&busy[i], 0, memory_order_relaxed);
        atomic_store_explicit(&taking[i], 0, memory_order_relaxed);
    }
    atomic_store(&byte_fd, 0);
    atomic_store(&process_key, 0);
    atomic_store(&referee_taken, 0);
    atomic_store(&owner_pid, 0);
    atomic_store(&mode, MODE_NONE);
}

uint32_t slots_process_key(void) {
    uint32_t key = atomic_load_explicit(&process_key, memory_order_relaxed);
    if (key != 0)
        return key;
    struct shared_head *head = shared_here();
    uint32_t next = head != NULL ? atomic_fetch_add(&head->last_process_key, 1) + 1 : 1;
    if (next == 0)
        next = 1;
    return atomic_compare_exchange_strong(&process_key, &key, next) ? next : key;
}

/* Opens the file for byte locks. False where that, or the locks, cannot be had. */
static bool open_bytes(void) {
    hidden_begin();
    int fd = shared_open();
    if (fd >= 0)
        fd = hidden_move(fd);
    hidden_end();
    if (fd < 0)
        return false;
    int none = 0;
    if (byte_lock(fd, SHARED_WAITERS, F_OFD_GETLK, F_WRLCK) < 0) {
        hidden_close(fd);
        return false;
    }
    if (!atomic_compare_exchange_strong(&byte_fd, &none, fd + 1))
        hidden_close(fd);
    return true;
}

static bool begin_private(void) {
    if (atomic_load(&own_memory) == NULL) {
        size_t size = SHARED_BYTES - SHARED_STATES_AT;
        char *memory = sys_mmap(size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == NULL)
            return false;
        char *none = NULL;
        if (!atomic_compare_exchange_strong(&own_memory, &none, memory))
            sys_munmap(memory, size);
    }
    return true;
}

bool slots_begin(pid_t pid) {
    int32_t owner = atomic_load(&owner_pid);
    /* A process that borrows this memory, or a copy of which nobody told: these are not its slots,
     * and which of the two it is cannot be told here. */
    if (owner != 0 && owner != pid)
        return false;
    if (atomic_load(&mode) != MODE_NONE)
        return true;
    bool shared = shared_here() != NULL &&
                  shared_page(SHARED_STATES_AT, SHARED_WAITERS * 8) != NULL && open_bytes();
    uint32_t none = MODE_NONE;
    /* Two threads that begin at the same time must agree; whoever comes second takes what is there.
     */
    if (!shared && atomic_load(&mode) == MODE_NONE && !begin_private())
        return false;
    atomic_store(&owner_pid, pid);
    atomic_compare_exchange_strong(&mode, &none, shared ? MODE_SHARED : MODE_PRIVATE);
    return true;
}

bool slots_are_shared(void) {
    return atomic_load_explicit(&mode, memory_order_relaxed) == MODE_SHARED;
}

/* ---- Where they are ---- */

static void *memory_at(size_t at, size_t size) {
    if (!slots_are_shared())
        return atomic_load(&own_memory) + (at - SHARED_STATES_AT);
    return shared_page(at, size);
}

_Atomic uint64_t *slots_word(uint32_t slot) {
    return memory_at(SHARED_STATES_AT + (size_t)slot * 8, 8);
}

static _Atomic uint64_t *contents(uint32_t slot) {
    return memory_at(SHARED_SLOTS_AT + (size_t)slot * SHARED_PAGE, SHARED_PAGE);
}

/* ---- Taking and giving ---- */

static int byte_descriptor(void) {
    return atomic_load(&byte_fd) - 1;
}

/* In the process's own memory all are. */
static uint64_t ours_of(uint32_t word) {
    return slots_are_shared() ? atomic_load(&ours[word]) : ~UINT64_C(0);
}

bool slots_are_ours(uint32_t slot) {
    return ours_of(slot / 64) & bit_of(slot);
}

static int take_known(void) {
    for (uint32_t i = 0; i < BITMAP_WORDS; i++) {
        uint64_t idle;
        while ((idle = ours_of(i) & ~atomic_load(&busy[i])) != 0) {
            uint64_t bit = idle & -idle;
            if (!(atomic_fetch_or(&busy[i], bit) & bit))
                return (int)(i * 64 + (uint32_t)__builtin_ctzll(bit));
        }
    }
    return -1;
}

/* Locks the byte of a slot that no process has. Threads of one process would both be given the
 * lock, so a bit keeps them apart. */
static bool take_new(uint32_t slot) {
    uint64_t bit = bit_of(slot);
    bool taken = false;
    if (atomic_fetch_or(&taking[slot / 64], bit) & bit)
        return false;
    if (!slots_are_ours(slot) &&
        byte_lock(byte_descriptor(), slot, F_OFD_SETLK, F_WRLCK) == F_WRLCK) {
        if (contents(slot) != NULL) {
            _Atomic uint64_t *word = slots_word(slot);
            atomic_store(word, slot_changed(atomic_load(word), SLOT_IDLE));
            atomic_fetch_or(&busy[slot / 64], bit);
            atomic_fetch_or(&ours[slot / 64], bit);
            taken = true;
        } else {
            byte_lock(byte_descriptor(), slot, F_OFD_SETLK, F_UNLCK);
        }
    }
    atomic_fetch_and(&taking[slot / 64], ~bit);
    return taken;
}

int slots_take(void) {
    int slot = take_known();
    if (slot >= 0 || !slots_are_shared())
        return slot;
    /* Processes start at different places, so that the first one is free more often than not. */
    uint32_t first = slots_process_key() * 167 + (uint32_t)atomic_load(&owner_pid);
    for (uint32_t i = 0; i < SHARED_WAITERS; i++)
        if (take_new((first + i) % SHARED_WAITERS))
            return (int)((first + i) % SHARED_WAITERS);
    return -1;
}

static void give_one(uint32_t slot) {
    _Atomic uint64_t *word = slots_word(slot);
    atomic_store(word, slot_changed(atomic_load(word), SLOT_IDLE));
    atomic_fetch_and(&busy[slot / 64], ~bit_of(slot));
}

static void give_continuation(uint32_t slot) {
    uint32_t next = atomic_exchange(&continued_by[slot], 0);
    while (next != 0) {
        uint32_t after = atomic_exchange(&continued_by[next - 1], 0);
        give_one(next - 1);
        next = after;
    }
}

void slots_give(uint32_t slot) {
    give_continuation(slot);
    give_one(slot);
}

bool slots_is_dead(uint32_t slot) {
    return slots_are_shared() && !slots_are_ours(slot) &&
           byte_lock(byte_descriptor(), slot, F_OFD_GETLK, F_WRLCK) == F_UNLCK;
}

void slots_bury(uint32_t slot) {
    uint64_t bit = bit_of(slot);
    if (atomic_fetch_or(&taking[slot / 64], bit) & bit)
        return;
    if (!slots_are_ours(slot) &&
        byte_lock(byte_descriptor(), slot, F_OFD_SETLK, F_WRLCK) == F_WRLCK) {
        _Atomic uint64_t *word = slots_word(slot);
        atomic_store(word, slot_changed(atomic_load(word), SLOT_IDLE));
        byte_lock(byte_descriptor(), slot, F_OFD_SETLK, F_UNLCK);
    }
    atomic_fetch_and(&taking[slot / 64], ~bit);
}

/* ---- The referee ---- */

#define REFEREE_YIELDS 500
#define REFEREE_PAUSES 2000
#define REFEREE_PAUSE_NS 50000 /* so at most some 200 ms in all */

static bool try_referee(void) {
    if (atomic_exchange(&referee_taken, 1) != 0)
        return false;
    if (!slots_are_shared() ||
        byte_lock(byte_descriptor(), SHARED_WAITERS, F_OFD_SETLK, F_WRLCK) == F_WRLCK)
        return true;
    atomic_store(&referee_taken, 0);
    return false;
}

bool slots_referee_take(void) {
    for (int tries = 0; tries < REFEREE_YIELDS + REFEREE_PAUSES; tries++) {
        if (try_referee())
            return true;
        if (tries < REFEREE_YIELDS)
            sys_sched_yield();
        else
            sys_pause(REFEREE_PAUSE_NS);
    }
    return false;
}

void slots_referee_give(void) {
    if (slots_are_shared())
        byte_lock(byte_descriptor(), SHARED_WAITERS, F_OFD_SETLK, F_UNLCK);
    atomic_store(&referee_taken, 0);
}

/* ---- Writing ---- */

uint32_t slot_file_bit(uint64_t dev, uint64_t ino) {
    uint64_t hash = (ino ^ dev << 20) * UINT64_C(0x9e3779b97f4a7c15);
    return UINT32_C(1) << (hash >> 59);
}

struct writer {
    uint32_t slot;
    _Atomic uint64_t *words;
    uint32_t at;
    uint32_t group_at; /* 0: none yet in this slot */
    uint32_t group_count;
    struct wait_hold group;
};

static void put(struct writer *w, uint32_t at, uint64_t word) {
    atomic_store_explicit(&w->words[at], word, memory_order_release);
}

/* How far this slot is written, and where it goes on. */
static void put_link(struct writer *w, uint32_t next) {
    put(w, LINK_AT, (uint64_t)next << 32 | w->at);
}

static void put_group(struct writer *w) {
    const struct wait_lock *lock = &w->group.lock;
    put(w, w->group_at, lock->dev);
    put(w, w->group_at + 1, lock->ino);
    put(w, w->group_at + 2, lock->owner);
    put(w, w->group_at + 3,
        (uint64_t)w->group_count << 40 | (uint64_t)lock->lock_class << 32 |
            (uint32_t)w->group.carrier);
}

static void begin_slot(struct writer *w, uint32_t slot) {
    w->slot = slot;
    w->words = contents(slot);
    w->at = HOLDS_AT;
    w->group_at = 0;
    put_link(w, 0);
}

static bool continue_in_next(struct writer *w) {
    int next = slots_take();
    if (next < 0)
        return false;
    _Atomic uint64_t *word = slots_word((uint32_t)next);
    atomic_store(word, slot_changed(atomic_load(word), SLOT_CONTINUED));
    atomic_store(&continued_by[w->slot], (uint16_t)(next + 1));
    put_link(w, (uint32_t)next + 1);
    begin_slot(w, (uint32_t)next);
    return true;
}

static bool is_of_group(const struct wait_hold *hold, const struct wait_hold *group) {
    return hold->carrier == group->carrier && hold->lock.owner == group->lock.owner &&
           hold->lock.ino == group->lock.ino && hold->lock.dev == group->lock.dev &&
           hold->lock.lock_class == group->lock.lock_class;
}

static bool put_hold(struct writer *w, const struct wait_hold *hold) {
    bool grouped = w->group_at != 0 && is_of_group(hold, &w->group);
    if (w->at + (grouped ? 0 : GROUP_WORDS) + HOLD_WORDS > WORDS) {
        if (!continue_in_next(w))
            return false;
        grouped = false;
    }
    if (!grouped) {
        w->group = *hold;
        w->group_at = w->at;
        w->group_count = 0;
        w->at += GROUP_WORDS;
    }
    put(w, w->at, hold->lock.range.start | (hold->lock.type == RANGE_WRITE ? TOP_BIT : 0));
    put(w, w->at + 1, hold->lock.range.end);
    w->at += HOLD_WORDS;
    w->group_count++;
    put_group(w);
    put_link(w, 0);
    return true;
}

uint32_t slots_write_holds(uint32_t slot, wait_hold_at *hold_at, void *context) {
    struct writer w = {0};
    struct wait_hold hold;
    uint32_t files = 0;
    give_continuation(slot);
    begin_slot(&w, slot);
    for (uint32_t i = 0; hold_at != NULL && hold_at(context, i, &hold) && put_hold(&w, &hold); i++)
        files |= slot_file_bit(hold.lock.dev, hold.lock.ino);
    return files;
}

void slots_write_head(uint32_t slot, const struct slot_head *head) {
    shared_store(contents(slot), head, HEAD_WORDS);
}

/* ---- Reading ---- */

bool slots_read_head(uint32_t slot, struct slot_head *head) {
    const _Atomic uint64_t *words = contents(slot);
    if (words == NULL)
        return false;
    shared_load(words, head, HEAD_WORDS);
    return true;
}

static uint64_t word_at(const struct slot_reader *r, uint32_t at) {
    return atomic_load_explicit(&r->words[at], memory_order_acquire);
}

static void enter_slot(struct slot_reader *r, uint32_t slot) {
    r->words = slot < SHARED_WAITERS ? contents(slot) : NULL;
    r->at = HOLDS_AT;
    r->left = 0;
    if (r->words == NULL)
        return;
    uint32_t used = (uint32_t)word_at(r, LINK_AT);
    r->used = used <= WORDS ? used : WORDS;
}

void slots_reader_begin(struct slot_reader *reader, uint32_t slot, uint64_t dev, uint64_t ino) {
    reader->dev = dev;
    reader->ino = ino;
    reader->slots = 0;
    enter_slot(reader, slot);
}

/* The next group on the wanted file, in this slot or those that continue it. */
static bool next_group(struct slot_reader *r) {
    while (r->words != NULL) {
        if (r->at + GROUP_WORDS + HOLD_WORDS > r->used) {
            uint32_t next = (uint32_t)(word_at(r, LINK_AT) >> 32);
            /* No more slots than there are: what links them may be anything. */
            enter_slot(r, ++r->slots < SHARED_WAITERS ? next - 1 : SHARED_WAITERS);
            continue;
        }
        uint64_t last = word_at(r, r->at + 3);
        struct wait_lock *lock = &r->group.lock;
        lock->dev = word_at(r, r->at);
        lock->ino = word_at(r, r->at + 1);
        lock->owner = word_at(r, r->at + 2);
        lock->lock_class = (uint8_t)(last >> 32);
        r->group.carrier = (int32_t)(uint32_t)last;
        r->at += GROUP_WORDS;
        r->left = (uint32_t)(last >> 40);
        if (r->left > (r->used - r->at) / HOLD_WORDS)
            r->left = (r->used - r->at) / HOLD_WORDS;
        if (lock->ino == r->ino && lock->dev == r->dev && r->left > 0)
            return true;
        r->at += r->left * HOLD_WORDS;
    }
    return false;
}

bool slots_reader_next(struct slot_reader *r, struct wait_hold *hold) {
    if (r->words == NULL || (r->left == 0 && !next_group(r)))
        return false;
    uint64_t start = word_at(r, r->at);
    *hold = r->group;
    hold->lock.range.start = start & ~TOP_BIT;
    hold->lock.range.end = word_at(r, r->at + 1);
    hold->lock.type = start & TOP_BIT ? RANGE_WRITE : RANGE_READ;
    r->at += HOLD_WORDS;
    r->left--;
    return true;
}
