/* How a reader without a lock is safe beside any number of writers
 *
 * A reader loads `environ` and goes forward from there until it finds its name or NULL. All loads acquire, all stores
 * release, and every slot that it can come to holds NULL or an entry, at any time:
 *
 *   append    the slot after the new last one becomes NULL before the last NULL becomes the entry
 *   replace   one store
 *   remove    stores of entries that are there; `environ` then points to the next slot. Nothing becomes NULL, because
 *             readers who are not ours look at a slot twice: `*e && strcmp(*e, name)`
 *   move      the new array is whole before `environ` points to it; the old one stays as it is
 *   reuse     an array that was left is filled from its end, NULL, to its beginning, before `environ` points to it: its
 *             slots hold old entries or new ones
 *
 * So it never touches memory that is not there: arrays are never freed, entries of ours (strings.h) neither, and an entry
 * of the program's is the program's to keep.
 *
 * It does not miss an entry E that was there all along. In one array E only ever moves to the right: the store of E further
 * right comes before the store over its old slot. A reader that passed the old slot after that store therefore
 * sees E in its new one, which is ahead of it (by induction over E's moves). An array that is left behind keeps E where it
 * is. Two things break this, and both add 1 to `array_losses` before they store anything: a removal that moves later entries
 * left, which is libc's and is done only where no other thread runs, so that the only reader it can surprise is one
 * that its handler interrupted; and the reuse of an array. A reader that found nothing looks at `array_losses` again: if a slot
 * showed it a store after the addition, it sees the addition too, and reads all over again. A reader in a handler that
 * interrupted a writer sees what does not change until it is done, and between any two stores of a writer every
 * entry is there.
 *
 * Who reads `environ` itself does not look at `array_losses`: it may miss an entry only if it is stopped in mid-scan for longer
 * than the quarantine.
 */
#include "env/array.h"

#include "env/index.h"
#include "env/lock.h"
#include "env/memory.h"
#include "env/name.h"

#include <string.h>
#include <time.h>

/* Not `environ`: a program may have a variable of its own of that name, which libc does not look at. */
extern char **__environ;

extern char __libc_single_threaded __attribute__((weak));

/* One of ours. Slots below `used` have been somebody's since it was taken up; above it they never were. */
struct array {
    struct array *next; /* every one that was ever made */
    size_t capacity;
    size_t used;
    uint64_t taken_ms; /* when it was taken up last */
    uint64_t left_ms;  /* when `environ` was taken away from it; 0: it was not, by us */
    char *slots[];
};

/* Guarded by env_lock, all of it. */
static struct array *arrays;  /* the last one made first */
static struct array *current; /* the last one that `environ` was set to */
static char **initial;        /* the kernel's */
static size_t initial_count;  /* its slots, without the last NULL; 0: not counted yet */
static bool removing;         /* in the midst of a removal */

/* Since the last entry was added: where `environ` pointed before the removals, and what it is after them. Until then a
 * loop may go on looking at the same slot, as libc's own removal allows: `while (*e) unsetenv(name_of(*e))`. */
static struct {
    char **from, **now;
    char **twin; /* the program's array, if the removals had to begin with a copy of it */
} trail;

_Atomic uint32_t array_losses;

_Atomic bool env_threads_started;

bool env_alone(void) {
    return &__libc_single_threaded && __libc_single_threaded &&
           !atomic_load_explicit(&env_threads_started, memory_order_relaxed);
}

void array_loaded(char **array, uintptr_t strings_end) {
    initial = array;
    if (strings_end > (uintptr_t)array)
        name_kernel = (struct name_memory){(uintptr_t)array, strings_end - (uintptr_t)array};
}

static char **load_environ(void) {
    return __atomic_load_n(&__environ, __ATOMIC_ACQUIRE);
}

static void store_environ(char **array) {
    __atomic_store_n(&__environ, array, __ATOMIC_RELEASE);
}

static char *load(char **slot) {
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static void store(char **slot, char *entry) {
    __atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

static void may_lose(void) {
    atomic_fetch_add_explicit(&array_losses, 1, memory_order_relaxed);
}

/* For writers: the first slot from there on whose entry has that name; that of the NULL, or NULL for no array, if there is
 * none. */
static char **find_slot(char **slot, const char *name, size_t length) {
    for (char *entry; slot && (entry = load(slot)) && !name_is(entry, name, length);)
        slot++;
    return slot;
}

char *array_find(const char *name, size_t length) {
    for (;;) {
        uint32_t before = atomic_load_explicit(&array_losses, memory_order_acquire);
        char *entry = NULL;
        for (char **slot = load_environ(); slot && (entry = load(slot)); slot++)
            if (name_is(entry, name, length))
                break;
        if (entry || atomic_load_explicit(&array_losses, memory_order_acquire) == before)
            return entry;
    }
}

static size_t count_entries(char **slot) {
    size_t count = 0;
    while (slot && load(slot + count))
        count++;
    return count;
}

static uint64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static bool lies_in(const struct array *array, char *const *slot) {
    return slot >= array->slots && slot < array->slots + array->capacity;
}

static struct array *home_of(char *const *slot) {
    if (current && lies_in(current, slot))
        return current;
    for (struct array *array = arrays; array; array = array->next)
        if (lies_in(array, slot))
            return array;
    return NULL;
}

static bool is_initial(char *const *slot) {
    if (!initial || slot < initial)
        return false;
    if (initial_count == 0)
        while (load(initial + initial_count))
            initial_count++;
    return slot <= initial + initial_count;
}

#define QUARANTINED(since, now) ((now) - (since) <= ARRAY_QUARANTINE_MS)
/* None is made larger than that for haste: 1 MiB. */
#define CAPACITY_IN_HASTE ((size_t)1 << 17)

/* Where one array after the other is used up within the quarantine, each is twice the last, so that there are few. */
static struct array *make(size_t need, uint64_t now) {
    size_t capacity = 2 * need + 32;
    if (need > SIZE_MAX / 4 / sizeof(char *))
        return NULL;
    if (current && QUARANTINED(current->taken_ms, now) && capacity < current->capacity * 2)
        capacity =
            current->capacity < CAPACITY_IN_HASTE ? 2 * current->capacity : current->capacity;
    struct array *array = env_memory(sizeof *array + (capacity + INDEX_BEYOND) * sizeof(char *));
    if (!array)
        return NULL;
    array->capacity = capacity;
    array->taken_ms = now;
    array->next = arrays;
    arrays = array;
    return array;
}

static void take_up_again(struct array *array, uint64_t now) {
    may_lose();
    array->used = 0;
    array->taken_ms = now;
    array->left_ms = 0;
}

/* For the array that follows. The program may have gone back to an older one of ours than the last. */
static void leave(char *const *from, const struct array *next, uint64_t now) {
    struct array *home = from ? home_of(from) : NULL;
    if (home)
        home->left_ms = now;
    if (current && current != next)
        current->left_ms = now;
}

/* Room for so many slots where no reader is who came by `environ`, with one more that is NULL. */
static char **find_room(size_t need) {
    char **from = load_environ();
    struct array *array = NULL;
    uint64_t now = now_ms();
    if (current && !(from && lies_in(current, from))) {
        /* The program has put something else there. libc would take its own one up again. */
        if (env_alone() && need <= current->capacity)
            take_up_again(current, now);
        if (need <= current->capacity - current->used)
            array = current;
    }
    for (struct array *old = array ? NULL : arrays; old; old = old->next)
        if (old->left_ms != 0 && !QUARANTINED(old->left_ms, now) && need <= old->capacity &&
            !(from && lies_in(old, from))) {
            take_up_again(old, now);
            array = old;
            break;
        }
    if (!array && !(array = make(need, now)))
        return NULL;
    leave(from, array, now);
    current = array;
    char **room = array->slots + array->used;
    array->used += need;
    return room;
}

/* `environ` becomes an array of ours with these entries, those of one name left out (length 0: none), and one more. */
static bool move(char *const *entries, size_t count, const char *name, size_t length, char *last) {
    size_t need = count + (last != NULL) + 1;
    char **room = find_room(need);
    if (!room)
        return false;
    char **slot = room + need;
    store(--slot, NULL);
    if (last)
        store(--slot, last);
    while (count > 0) {
        char *entry = load((char **)&entries[--count]);
        if (length == 0 || !name_is(entry, name, length))
            store(--slot, entry);
    }
    store_environ(slot);
    trail.from = NULL;
    return true;
}

/* Not the program's: it stays where it is. */
static bool is_nobodys(char *const *slot) {
    return home_of(slot) || is_initial(slot);
}

bool array_index(void) {
    char **base = load_environ();
    return base && is_nobodys(base) && index_build(base, count_entries(base));
}

static bool append(char **start, size_t count, char *entry) {
    struct array *home = start ? home_of(start) : NULL;
    size_t end = home ? (size_t)(start - home->slots) + count : 0;
    if (!home || end + 2 > home->capacity)
        return move(start, count, NULL, 0, entry);
    if (home->used < end + 2)
        home->used = end + 2;
    bool indexed = index_is_for(start);
    store(start + count + 1, NULL);
    store(start + count, entry);
    if (indexed)
        index_put(start, count, entry, true);
    trail.from = NULL;
    return true;
}

/* What stands in a slot for the removed entry: what comes next, or else what came before; NULL if that was all. No slot
 * becomes NULL as long as there are entries, because who reads `environ` may look at a slot twice: `*e && strcmp(*e, name)`. */
static char *substitute(char **first, char **slot, const char *removed) {
    char *other = load(slot + 1);
    while (!other && slot-- > first)
        if (load(slot) != removed)
            other = load(slot);
    return other;
}

/* In slots that are looked at by loops alone (trail): `entry` is no longer there, but the other one, or if that is NULL
 * what comes next. */
static void trail_change(const char *entry, char *other) {
    for (char **slot = trail.now; slot-- > trail.from;)
        if (load(slot) == entry)
            store(slot, other ? other : load(slot + 1));
    for (size_t i = count_entries(trail.twin); i-- > 0;)
        if (load(trail.twin + i) == entry)
            store(trail.twin + i, other ? other : substitute(trail.twin, trail.twin + i, entry));
}

static bool on_trail(char *const *start) {
    return trail.from && trail.now == start;
}

static void follow_trail(char **from, char **now, char **twin) {
    trail.twin = twin;
    trail.now = now;
    trail.from = from;
}

bool array_put(char *entry, size_t name_length) {
    char **start = load_environ();
    char **slot = find_slot(start, entry, name_length);
    char *old = slot ? load(slot) : NULL;
    if (!old)
        return append(start, (size_t)(slot - start), entry);
    if (old != entry) {
        bool indexed = index_is_for(start);
        store(slot, entry);
        if (indexed)
            index_put(start, (size_t)(slot - start), entry, false);
        if (on_trail(start))
            trail_change(old, entry);
    }
    return true;
}

/* As libc does it. */
static void remove_left(char **slot, const char *name, size_t length) {
    may_lose();
    while (load(slot))
        if (name_is(load(slot), name, length))
            for (char **to = slot; load(to); to++)
                store(to, load(to + 1));
        else
            slot++;
}

/* Takes start[at] out and returns where the array begins now. */
static char **remove_right(char **start, size_t at) {
    char *removed = load(start + at);
    for (; at > 0; at--)
        store(start + at, load(start + at - 1));
    store_environ(start + 1);
    if (on_trail(start))
        trail.now = start + 1;
    else
        follow_trail(start, start + 1, NULL);
    trail_change(removed, NULL);
    return start + 1;
}

/* The program's array stays as long as it is, for who reads it. */
static bool remove_by_copy(char **start, size_t count, const char *name, size_t length) {
    if (!move(start, count, name, length, NULL))
        return false;
    char **now = load_environ();
    follow_trail(now, now, start);
    for (char **slot = find_slot(start, name, length); load(slot);
         slot = find_slot(slot, name, length))
        trail_change(load(slot), NULL);
    return true;
}

bool array_remove(const char *name, size_t length, bool alone) {
    char **start = load_environ();
    char **slot = find_slot(start, name, length);
    bool done = true;
    if (!slot || !load(slot))
        return true;
    removing = true;
    index_drop();
    if (alone)
        remove_left(slot, name, length);
    else if (!is_nobodys(start))
        done = remove_by_copy(start, count_entries(start), name, length);
    else
        for (; load(slot); slot = find_slot(start, name, length))
            start = remove_right(start, (size_t)(slot - start));
    removing = false;
    return done;
}

void array_clear(void) {
    store_environ(NULL);
    trail.from = NULL;
}

bool array_replace(char *const *entries, size_t count) {
    return move(entries, count, NULL, 0, NULL);
}

/* A removal that went no further has left entries twice, and none of them is lost. Nobody else can be reading whom it
 * would matter to: a second look at an entry is all that the left shift below could cost. */
void array_mend(void) {
    char **start = load_environ();
    trail.from = NULL;
    index_drop();
    if (!removing || !start)
        return;
    for (char **slot = start; load(slot); slot++)
        for (char **other = slot + 1; load(other);)
            if (load(other) == load(slot)) {
                may_lose();
                for (char **to = other; load(to); to++)
                    store(to, load(to + 1));
            } else {
                other++;
            }
    removing = false;
}
