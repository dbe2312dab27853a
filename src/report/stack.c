/* How a hit is known to be right.
 *
 * An unwound stack leaves a trail: where on the stack each return address lay. It is kept as a list
 * of checks, "the word at frame + offset is value", in the order from the innermost frame out.
 * `frame` and the return address in hand prove the first frame: the code at a return address
 * determines the layout of its frame, and with it where the next return address lies. If the word
 * there is the one of the trail, the next frame is proved, and so on. So no word is read that is
 * not known to be a return address of the live stack, and a stack with another caller anywhere
 * fails at that frame.
 *
 * A frame whose size varies (alloca, arrays of variable length) has no such place; its end is a
 * fixed distance from its frame pointer. The trail then has one check more before the return
 * address: that the saved frame pointer is what it was. It lies in the next frame inwards that uses
 * the register; if it cannot be found there, no trail is kept and the stack is unwound each time.
 *
 * Trails belong to the process. Each thread has hints which to try. The first is found by the
 * return address and the frame. If its trail fails at some word, that word is proved to be the
 * return address (or frame pointer) of the live stack all the same, and leads on to the hint for
 * stacks that part there: so one call site with many callers has a hint for each. A hint proves
 * nothing, so a signal handler or a vfork child may overwrite one at any time: it is one word.
 *
 * Stacks and trails are written into the pools below and linked by one store; nothing there changes
 * afterwards. A fork that comes between leaves some bytes unused in the child. */
#include "report/stack.h"

#include "base/scratch.h"
#include "base/sys.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unwind.h>

/* Where the return address lies at a fixed place, below the frame's end, and how the frame pointer
 * is called in the unwinder. Elsewhere stacks are unwound each time. */
#if defined(__x86_64__)
#define FRAME_POINTER 6
#elif defined(__i386__)
#define FRAME_POINTER 5
#else
#define FRAME_POINTER -1
#endif
#define WORD sizeof(uintptr_t)

#define BUCKETS 4096
#define UNIT 8 /* bytes */

struct record {
    uint32_t next; /* in the bucket */
    uint32_t hash;
    uint32_t size; /* of the bytes that follow */
    uint32_t unused;
};

/* All zero is an empty pool. */
struct pool {
    _Atomic uint32_t buckets[BUCKETS];
    _Atomic uint32_t used; /* units */
    _Atomic uint32_t count;
};

/* A check that fails ends the comparison. Even offset: the word is value; odd: the word at the
 * offset before is frame + value. */
struct check {
    uint32_t offset;
    uint32_t unused;
    uintptr_t value;
};

struct trail {
    stack_id stack;
    uint32_t count;
    uintptr_t return_address;
    struct check checks[];
};

#define CHECKS_MAX (2 * STACK_FRAMES_MAX)
#define TRAILS_MAX (2 * STACKS_MAX)

#define STACK_BYTES(count) (sizeof(struct stack) + (count) * (WORD + sizeof(uint16_t)))
#define TRAIL_BYTES(count) (sizeof(struct trail) + (count) * sizeof(struct check))
#define IN_UNITS(bytes) (((bytes) + UNIT - 1) / UNIT)
#define RECORD_UNITS(bytes) (IN_UNITS(sizeof(struct record)) + IN_UNITS(bytes))

#define STACK_POOL_UNITS (STACKS_MAX * RECORD_UNITS(STACK_BYTES(STACK_FRAMES_MAX)))
/* Trails are an acceleration: room for those of usual length. */
#define TRAIL_POOL_UNITS (TRAILS_MAX * RECORD_UNITS(TRAIL_BYTES(16)))

/* What one unwinding saw, innermost frame first. */
struct walk {
    uintptr_t return_address;
    uintptr_t frame;
    uintptr_t below; /* the last frame's lower end: the next one's must be higher */
    uint32_t own;    /* frames of ours that were passed over */
    uint32_t count;
    uintptr_t ips[STACK_FRAMES_MAX];
    uintptr_t lows[STACK_FRAMES_MAX]; /* lower ends: right above the return address into it */
    uintptr_t frame_pointers[STACK_FRAMES_MAX];
};

/* What capture_anew works in; too large for a signal handler's stack. The byte arrays become a
 * struct stack and a struct trail with all their items. */
struct work {
    _Atomic uint32_t taken;
    struct walk walk;
    _Alignas(uint64_t) unsigned char stack[STACK_BYTES(STACK_FRAMES_MAX)];
    _Alignas(uint64_t) unsigned char trail[TRAIL_BYTES(CHECKS_MAX)];
};

enum pool_kind { STACKS, TRAILS, POOLS };
static const struct pool_limits {
    uint32_t count;
    uint32_t units;
    size_t offset; /* of the records, in tables.bytes */
} limits[POOLS] = {
    [STACKS] = {STACKS_MAX, STACK_POOL_UNITS, 0},
    [TRAILS] = {TRAILS_MAX, TRAIL_POOL_UNITS, (size_t)UNIT *STACK_POOL_UNITS},
};

/* Who finds every work taken maps one for the moment. One that is taken when its thread is killed,
 * or in the middle of a fork, stays so. */
#define WORKS 8

struct tables {
    struct pool pools[POOLS];
    struct work works[WORKS];
    _Alignas(16) unsigned char bytes[];
};
#define TABLES_BYTES (sizeof(struct tables) + (size_t)UNIT * (STACK_POOL_UNITS + TRAIL_POOL_UNITS))

static struct tables *_Atomic tables_mapped;

/* A hint is a trail's id and, above it, some bits of the key that it is for; 0 is none. */
#define HINT_SETS 64
#define HINT_WAYS 4
#define HINT_ID_BITS 21
#define HINT_DEPTH 8 /* how often a failed trail leads on */
_Static_assert(TRAIL_POOL_UNITS < 1u << HINT_ID_BITS, "a hint holds any trail's id");
static __thread _Atomic uint32_t hints[HINT_SETS][HINT_WAYS]
    __attribute__((tls_model("initial-exec"), aligned(64)));

static struct tables *tables_make(void) {
    struct tables *none = NULL;
    struct tables *tables = sys_mmap(TABLES_BYTES, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!tables || atomic_compare_exchange_strong(&tables_mapped, &none, tables))
        return tables;
    sys_munmap(tables, TABLES_BYTES);
    return none;
}

/* Ids are units too, but begin with FIRST_ID: 0 is no id. */
#define FIRST_ID 1

static struct record *record_at(const struct tables *tables, enum pool_kind kind, uint32_t id) {
    return (struct record *)(tables->bytes + limits[kind].offset + (size_t)UNIT * (id - FIRST_ID));
}

static const void *pool_get(const struct tables *tables, enum pool_kind kind, uint32_t id) {
    return record_at(tables, kind, id) + 1;
}

static uint32_t hash_of(const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    uint64_t hash = size;
    for (; size > 0; size -= size < 8 ? size : 8, at += 8) {
        uint64_t word = 0;
        memcpy(&word, at, size < 8 ? size : 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 32);
}

/* 0 if the pool is full. */
static uint32_t pool_write(struct tables *tables, enum pool_kind kind, uint32_t hash,
                           const void *bytes, uint32_t size) {
    struct pool *pool = &tables->pools[kind];
    uint32_t units = (uint32_t)RECORD_UNITS(size);
    uint32_t at = atomic_load(&pool->used);
    if (atomic_fetch_add(&pool->count, 1) >= limits[kind].count) {
        atomic_fetch_sub(&pool->count, 1);
        return 0;
    }
    do {
        if (units > limits[kind].units - at) {
            atomic_fetch_sub(&pool->count, 1);
            return 0;
        }
    } while (!atomic_compare_exchange_weak(&pool->used, &at, at + units));
    struct record *record = record_at(tables, kind, at + FIRST_ID);
    record->hash = hash;
    record->size = size;
    memcpy(record + 1, bytes, size);
    return at + FIRST_ID;
}

/* The id of these bytes, which are added if they are not there. Two threads that add the same at
 * once get one id; the other copy stays unused. */
static uint32_t pool_intern(struct tables *tables, enum pool_kind kind, const void *bytes,
                            size_t size) {
    uint32_t hash = hash_of(bytes, size);
    _Atomic uint32_t *bucket = &tables->pools[kind].buckets[hash % BUCKETS];
    uint32_t head = atomic_load_explicit(bucket, memory_order_acquire);
    uint32_t mine = 0;
    for (;;) {
        const struct record *record;
        for (uint32_t id = head; id != 0; id = record->next) {
            record = record_at(tables, kind, id);
            if (record->hash == hash && record->size == size &&
                memcmp(record + 1, bytes, size) == 0)
                return id;
        }
        if (mine == 0 && (mine = pool_write(tables, kind, hash, bytes, (uint32_t)size)) == 0)
            return 0;
        record_at(tables, kind, mine)->next = head;
        if (atomic_compare_exchange_strong_explicit(bucket, &head, mine, memory_order_acq_rel,
                                                    memory_order_acquire))
            return mine;
    }
}

#define OWN_FRAMES_MAX 16

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *argument) {
    struct walk *walk = argument;
    int interrupted = 0;
    uintptr_t ip = (uintptr_t)_Unwind_GetIPInfo(context, &interrupted);
    uintptr_t low = (uintptr_t)_Unwind_GetCFA(context);
    if (ip == 0 || low <= walk->below)
        return _URC_END_OF_STACK;
    walk->below = low;
    if (walk->count == 0 && (ip != walk->return_address || low <= walk->frame))
        return ++walk->own < OWN_FRAMES_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
    /* What a signal interrupted may be any instruction: as part of the stack it would make each one
     * new. */
    if (interrupted)
        return _URC_END_OF_STACK;
    walk->ips[walk->count] = ip;
    walk->lows[walk->count] = low;
#if FRAME_POINTER >= 0
    walk->frame_pointers[walk->count] = (uintptr_t)_Unwind_GetGR(context, FRAME_POINTER);
#endif
    return ++walk->count < STACK_FRAMES_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static stack_id intern_stack(struct tables *tables, struct work *work) {
    const struct walk *walk = &work->walk;
    struct stack *stack = (struct stack *)work->stack;
    const struct module *module = NULL;
    memset(stack, 0, sizeof *stack); /* its padding too */
    stack->count = walk->count;
    memcpy(stack->ips, walk->ips, walk->count * WORD);
    uint16_t *modules = (uint16_t *)(stack->ips + walk->count);
    for (uint32_t i = 0; i < walk->count; i++) {
        uintptr_t call = walk->ips[i] - 1;
        if (!module || call < module->start || call >= module->end)
            module = module_of(call);
        modules[i] = module ? module->number : 0;
    }
    return pool_intern(tables, STACKS, stack, STACK_BYTES(walk->count));
}

#if FRAME_POINTER >= 0

/* These read words of the stack that belong to other functions, which a sanitizer takes for a
 * mistake. */
#define READS_STACK __attribute__((no_sanitize("address", "thread")))

READS_STACK static uintptr_t word_at(uintptr_t address) {
    return *(const volatile uintptr_t *)address;
}

static bool add_check(struct trail *trail, const struct walk *walk, uintptr_t at, uintptr_t value,
                      bool relative) {
    if (at < walk->frame || at - walk->frame > UINT32_MAX - 1 || at % WORD != 0 ||
        word_at(at) != value)
        return false;
    trail->checks[trail->count++] = (struct check){
        .offset = (uint32_t)(at - walk->frame) | relative,
        .value = value - (relative ? walk->frame : 0),
    };
    return true;
}

/* Does the frame end at a fixed distance from its frame pointer? If not, it ends at one from its
 * lower end. */
static bool is_variable(const struct walk *walk, uint32_t i) {
    return walk->frame_pointers[i] + 2 * WORD == walk->lows[i + 1];
}

/* Where the frame pointer of frame i was saved by a frame inwards; 0 if that cannot be told. */
static uintptr_t saved_frame_pointer(const struct walk *walk, uint32_t i) {
    const uintptr_t wanted = walk->frame_pointers[i];
    uint32_t k = i;
    while (k > 0 && walk->frame_pointers[k - 1] == wanted)
        k--;
    if (k == 0) /* the function that the program called has a frame pointer: see stack_capture */
        return walk->frame;
    /* Functions save registers right below their return address. */
    uintptr_t top = walk->lows[k] - WORD;
    uintptr_t bottom = is_variable(walk, k - 1) ? top - WORD : top - 8 * WORD;
    for (uintptr_t at = top - WORD; at >= bottom && at >= walk->lows[k - 1]; at -= WORD)
        if (word_at(at) == wanted)
            return at;
    return 0;
}

static uint32_t intern_trail(struct tables *tables, struct work *work, stack_id stack) {
    const struct walk *walk = &work->walk;
    struct trail *trail = (struct trail *)work->trail;
    trail->stack = stack;
    trail->count = 0;
    trail->return_address = walk->return_address;
    uintptr_t checked = 0;
    for (uint32_t i = 0; i + 1 < walk->count; i++) {
        if (is_variable(walk, i)) {
            uintptr_t at = saved_frame_pointer(walk, i);
            if (at == 0 ||
                (at != checked && !add_check(trail, walk, at, walk->frame_pointers[i], true)))
                return 0;
            checked = at;
        }
        if (!add_check(trail, walk, walk->lows[i + 1] - WORD, walk->ips[i + 1], false))
            return 0;
    }
    return pool_intern(tables, TRAILS, trail, TRAIL_BYTES(trail->count));
}

/* The number of the check that fails and the word that it found; trail->count if none does. */
READS_STACK static uint32_t follow(const struct trail *trail, uintptr_t frame, uintptr_t *word) {
    for (uint32_t i = 0; i < trail->count; i++) {
        const struct check *check = &trail->checks[i];
        uintptr_t relative = check->offset & 1;
        *word = *(const uintptr_t *)(frame + (check->offset - relative)) - (frame & -relative);
        if (*word != check->value)
            return i;
    }
    return trail->count;
}

#else

static uint32_t intern_trail(struct tables *tables, struct work *work, stack_id stack) {
    (void)tables, (void)work, (void)stack;
    return 0;
}

static uint32_t follow(const struct trail *trail, uintptr_t frame, uintptr_t *word) {
    (void)frame, (void)word;
    return trail->count;
}

#endif

/* The high bits of a key choose the set, those in the middle tell keys of one set apart. */
static uint64_t mix(uint64_t key, uint64_t with) {
    key = (key ^ with) * UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 29;
}

static _Atomic uint32_t *set_of(uint64_t key) {
    return hints[key % HINT_SETS];
}

static uint32_t tag_of(uint64_t key) {
    return (uint32_t)(key >> 32) & ~((1u << HINT_ID_BITS) - 1);
}

static uint32_t hint_find(uint64_t key) {
    const uint32_t tag = tag_of(key);
    _Atomic uint32_t *set = set_of(key);
    for (int i = 0; i < HINT_WAYS; i++) {
        uint32_t hint = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (hint != 0 && (hint ^ tag) >> HINT_ID_BITS == 0)
            return hint & ((1u << HINT_ID_BITS) - 1);
    }
    return 0;
}

/* The latest comes first, the oldest goes. */
static void hint_add(uint64_t key, uint32_t trail) {
    _Atomic uint32_t *set = set_of(key);
    for (int i = HINT_WAYS - 1; i > 0; i--)
        atomic_store_explicit(&set[i], atomic_load_explicit(&set[i - 1], memory_order_relaxed),
                              memory_order_relaxed);
    atomic_store_explicit(&set[0], tag_of(key) | trail, memory_order_relaxed);
}

static stack_id unwind(struct tables *tables, struct work *work, uint64_t key) {
    struct walk *walk = &work->walk;
    _Unwind_Backtrace(visit, walk);
    bool unwound = walk->count > 0;
    if (!unwound)
        walk->ips[walk->count++] = walk->return_address;
    stack_id id = intern_stack(tables, work);
    uint32_t trail = unwound && walk->frame != 0 ? intern_trail(tables, work, id) : 0;
    if (trail != 0)
        hint_add(key, trail);
    return id;
}

static struct work *work_begin(struct tables *tables) {
    for (int i = 0; i < WORKS; i++)
        if (!atomic_exchange_explicit(&tables->works[i].taken, 1, memory_order_acquire))
            return &tables->works[i];
    return scratch_begin(sizeof(struct work));
}

static void work_end(struct tables *tables, struct work *work) {
    if (work >= tables->works && work < tables->works + WORKS)
        atomic_store_explicit(&work->taken, 0, memory_order_release);
    else
        scratch_end(work, sizeof *work);
}

/* Signals are blocked: the unwinder prepares itself at its first use, which a handler could not
 * wait for. */
__attribute__((noinline)) static stack_id capture_anew(uintptr_t return_address, uintptr_t frame,
                                                       uint64_t key) {
    struct sys_sigset saved;
    stack_id id = 0;
    sys_block_signals(&saved);
    struct tables *tables = atomic_load_explicit(&tables_mapped, memory_order_acquire);
    if (!tables)
        tables = tables_make();
    struct work *work = tables ? work_begin(tables) : NULL;
    if (work) {
        work->walk = (struct walk){.return_address = return_address, .frame = frame};
        id = unwind(tables, work, key);
        work_end(tables, work);
    }
    sys_restore_signals(&saved);
    return id;
}

stack_id stack_capture(const void *return_address, const void *frame) {
    const uintptr_t ip = (uintptr_t)return_address, at = (uintptr_t)frame;
    uint64_t key = mix(ip, at);
    uint32_t hint;
    for (int depth = 1; (hint = hint_find(key)) != 0; depth++) {
        /* Not before the hint: a handler may have made both in between. */
        atomic_signal_fence(memory_order_acquire);
        const struct tables *tables = atomic_load_explicit(&tables_mapped, memory_order_acquire);
        const struct trail *trail = pool_get(tables, TRAILS, hint);
        uintptr_t word = 0;
        if (trail->return_address != ip)
            break;
        uint32_t failed = follow(trail, at, &word);
        if (failed == trail->count)
            return trail->stack;
        if (depth == HINT_DEPTH)
            break;
        key = mix(key + failed, word);
    }
    return capture_anew(ip, at, key);
}

const struct stack *stack_get(stack_id id) {
    static const struct stack unknown;
    const struct tables *tables = atomic_load_explicit(&tables_mapped, memory_order_acquire);
    if (!tables || id == 0 ||
        id - FIRST_ID >= atomic_load_explicit(&tables->pools[STACKS].used, memory_order_relaxed))
        return &unknown;
    return pool_get(tables, STACKS, id);
}

const struct module *stack_module(const struct stack *stack, uint32_t index) {
    const uint16_t *modules = (const uint16_t *)(stack->ips + stack->count);
    return index < stack->count ? module_get(modules[index]) : NULL;
}
