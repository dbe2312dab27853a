/* Which loaded object does an address belong to?
 *
 * Objects are remembered for the life of the process, so that an address taken while its object was
 * loaded can be named after dlclose. Two objects that were loaded at one place after each other are
 * two.
 *
 * Async-signal-safe and thread-safe from glibc 2.35 on (_dl_find_object); before that the loader's
 * lock is taken. No allocation; errno stays. Memory: one mapping, made at first use, that only
 * grows; additions are lock-free, so neither a fork nor a signal finds it half done.
 */
#ifndef RACESHIM_REPORT_MODULE_H
#define RACESHIM_REPORT_MODULE_H

#include <stddef.h>
#include <stdint.h>

#define MODULE_BUILD_ID_MAX 64
#define MODULES_MAX 1024

struct module {
    const char *path; /* absolute where that can be found out; of the program itself, its file */
    const char *name; /* as the loader has it */
    uintptr_t start;  /* the addresses of the object: start <= address < end */
    uintptr_t end;
    uintptr_t bias;  /* address - bias is the address in the file's own terms (p_vaddr, st_value) */
    uint16_t number; /* 1..MODULES_MAX */
    uint8_t build_id_length; /* 0: the object has none */
    uint8_t build_id[MODULE_BUILD_ID_MAX];
};

/* The object that is loaded at this address now; NULL if there is none (code made at run time) or
 * no memory is left. */
const struct module *module_of(uintptr_t address);

/* By its number; NULL for 0 and for numbers never given out. */
const struct module *module_get(unsigned number);

/* Looks for a build ID in the bytes of a PT_NOTE segment whose notes are aligned to `align`.
 * Returns its length and sets *id, or 0. Reads nothing outside of the bytes, whatever they say.
 * Pure. */
size_t module_build_id_in(const unsigned char *notes, size_t size, size_t align,
                          const unsigned char **id);

#endif
