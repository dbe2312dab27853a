#include "env/names.h"

#include "base/loaded.h"
#include "base/text.h"
#include "env/memory.h"

#include <string.h>

char pin_absent[1];

/* Open addressing, never more than half full. A table that is outgrown stays: somebody may be reading it. */
struct table {
    uint32_t mask;
    _Atomic(struct variable *) items[];
};

static struct table *_Atomic table;
static struct variable *_Atomic all;
static _Atomic uint32_t count;

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint32_t hash_of(const char *name, size_t length) {
    uint64_t hash = length, word = 0;
    for (; length >= sizeof word; name += sizeof word, length -= sizeof word) {
        memcpy(&word, name, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    while (length > 0)
        word = word << 8 | (unsigned char)name[--length];
    return (uint32_t)(mix(hash, word) >> 32);
}

static struct variable *find_hashed(const char *name, size_t length, uint32_t hash) {
    const struct table *t = atomic_load_explicit(&table, memory_order_acquire);
    if (!t)
        return NULL;
    for (uint32_t i = hash & t->mask;; i = (i + 1) & t->mask) {
        struct variable *v = atomic_load_explicit(&t->items[i], memory_order_acquire);
        if (!v || (v->hash == hash && v->length == length && memcmp(v->name, name, length) == 0))
            return v;
    }
}

struct variable *names_find(const char *name, size_t length) {
    return find_hashed(name, length, hash_of(name, length));
}

struct variable *names_all(void) {
    return atomic_load_explicit(&all, memory_order_acquire);
}

uint32_t names_count(void) {
    return atomic_load_explicit(&count, memory_order_acquire);
}

static struct variable *written; /* guarded by env_lock */

struct variable *names_written(void) {
    return written;
}

void names_add_written(struct variable *variable) {
    if (variable->is_written)
        return;
    variable->is_written = true;
    variable->next_written = written;
    written = variable;
}

void names_clear_written(void) {
    for (; written; written = written->next_written)
        written->is_written = false;
}

static void put(struct table *t, struct variable *v) {
    uint32_t i = v->hash & t->mask;
    while (atomic_load_explicit(&t->items[i], memory_order_relaxed))
        i = (i + 1) & t->mask;
    atomic_store_explicit(&t->items[i], v, memory_order_release);
}

static bool make_room(void) {
    const struct table *old = atomic_load_explicit(&table, memory_order_relaxed);
    uint32_t size = old ? old->mask + 1 : 0;
    if (2 * (names_count() + 1) <= size)
        return true;
    size = size ? 2 * size : 64;
    struct table *grown = env_memory(sizeof *grown + size * sizeof grown->items[0]);
    if (!grown)
        return false;
    grown->mask = size - 1;
    for (struct variable *v = names_all(); v; v = v->next)
        put(grown, v);
    atomic_store_explicit(&table, grown, memory_order_release);
    return true;
}

struct variable *names_make(const char *name, size_t length) {
    uint32_t hash = hash_of(name, length);
    struct variable *v = find_hashed(name, length, hash);
    if (v || !make_room())
        return v;
    v = env_memory(sizeof *v);
    char *copy = v ? env_memory_bytes(length + 1) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, name, length);
    copy[length] = '\0';
    v->name = copy;
    v->length = length;
    v->hash = hash;
    v->treatment = (uint8_t)names_treatment(copy);
    v->next = names_all();
    put(atomic_load_explicit(&table, memory_order_relaxed), v);
    atomic_store_explicit(&all, v, memory_order_release);
    atomic_fetch_add_explicit(&count, 1, memory_order_release);
    return v;
}

pin names_pin(const struct variable *variable, uint32_t slot) {
    struct pin_chunk *chunk =
        atomic_load_explicit(&variable->chunks[slot / PINS_PER_CHUNK], memory_order_acquire);
    return chunk ? atomic_load_explicit(&chunk->pins[slot % PINS_PER_CHUNK], memory_order_acquire)
                 : NULL;
}

bool names_set_pin(struct variable *variable, uint32_t slot, pin pin) {
    _Atomic(struct pin_chunk *) *place = &variable->chunks[slot / PINS_PER_CHUNK];
    struct pin_chunk *chunk = atomic_load_explicit(place, memory_order_relaxed);
    if (!chunk && pin) {
        chunk = env_memory(sizeof *chunk);
        if (!chunk)
            return false;
        atomic_store_explicit(place, chunk, memory_order_release);
    }
    if (chunk)
        atomic_store_explicit(&chunk->pins[slot % PINS_PER_CHUNK], pin, memory_order_release);
    return true;
}

/* What glibc reads for itself while a program runs, in whichever thread it happens to: no thread can have its own. */
static const char libc_names[][16] = {
    "TZ",       "TZDIR",       "LANG",           "LANGUAGE",      "LC_*",
    "LOCPATH",  "NLSPATH",     "OUTPUT_CHARSET", "RES_OPTIONS",   "LOCALDOMAIN",
    "RESOLV_*", "HOSTALIASES", "MALLOC_*",       "GCONV_PATH",    "GETCONF_DIR",
    "MSGVERB",  "DATEMSK",     "SEV_LEVEL",      "ARGP_HELP_FMT", "POSIXLY_CORRECT"};

static bool is_libc_name(const char *name) {
    for (size_t i = 0; i < sizeof libc_names / sizeof *libc_names; i++)
        if (glob_match(libc_names[i], name))
            return true;
    return false;
}

enum env_treatment names_treatment(const char *name) {
    if (settings.env_mode == ENV_WATCH || settings.env_mode == ENV_OFF)
        return ENV_RULE_WATCH;
    enum env_treatment rule =
        rules_env_treatment(&rules, name, rules.count ? loaded_program() : NULL);
    if (rule != ENV_RULE_NONE)
        return rule;
    if (is_libc_name(name))
        return ENV_RULE_SHARED;
    return settings.env_mode == ENV_PRIVATE ? ENV_RULE_PRIVATE : ENV_RULE_SCOPED;
}

size_t names_length(const char *entry) {
    return strchrnul(entry, '=') - entry;
}
