#include "hooks/start.h"

#include "base/owner.h"
#include "base/scratch.h"
#include "base/user_memory.h"
#include "env/envp.h"
#include "env/follow.h"
#include "env/view.h"
#include "hooks/hook.h"
#include "hooks/search.h"
#include "lock/handover.h"
#include "start/not_covered.h"

#include <limits.h>
#include <string.h>

#define ON_STACK 1024 /* entries */
/* Names that other threads may add between counting and copying before it must be done again. */
#define MORE_ENTRIES 32
#define TOO_SMALL INT_MIN

struct making {
    struct start *start;
    start_run *run;
    const struct caller *caller;
    const struct view_difference *differences;
    size_t difference_count;
};

/* ---- The caller's memory ---- */

#define WORD ((uintptr_t)16)

/* Within one word, and so within one page. */
static bool can_read(const void *pointer) {
    return user_readable((const void *)((uintptr_t)pointer & ~(WORD - 1)), WORD);
}

/* An environment that cannot be read is left to the kernel, which says EFAULT. */
static bool can_read_all(char *const envp[]) {
    for (size_t i = 0; envp; i++) {
        if (!can_read(&envp[i]))
            return false;
        if (!envp[i])
            break;
        if (!can_read(envp[i]))
            return false;
    }
    return true;
}

/* ---- Making ---- */

static int place_of(const struct start *s) {
    return s->is_searched ? PROGRAM_SEARCH : s->replaces ? s->dir : AT_FDCWD;
}

static int run_with_locks(const struct making *m, char *array[]) {
    const struct start *s = m->start;
    struct handover handover;
    if (!s->replaces || !handover_needed())
        return m->run(s, array);
    handover_begin(&handover, place_of(s), s->file, s->flags, s->path, array, m->caller);
    int result = m->run(s, array);
    int error = errno;
    handover_undo(&handover);
    errno = error;
    return result;
}

/* The array is ours, and so is what is left out of it. */
static int run_handing_over(const struct making *m, char *array[]) {
    const struct start *s = m->start;
    if (!start_is_refused(place_of(s), s->file, s->flags, s->path, array))
        return run_with_locks(m, array);
    struct start_sizes sizes = start_sizes(array);
    char preload[sizes.bytes];
    start_without_library(array, array, preload, sizes.bytes);
    return run_with_locks(m, array);
}

static int put_back_and_run(const struct making *m, char *array[], size_t count) {
    if (!follow_into(array))
        return run_handing_over(m, array);
    char text[envp_text_size(array, &follow_settings) + 1];
    envp_put_back(array, count, &follow_settings, text);
    return run_handing_over(m, array);
}

static int fill_and_run(const struct making *m, char *array[], size_t slots) {
    size_t count =
        envp_view(m->start->envp, __environ, m->differences, m->difference_count, array, slots);
    return count == ENVP_NO_ROOM ? TOO_SMALL : put_back_and_run(m, array, count);
}

static int run_on_stack(const struct making *m, size_t slots) {
    char *array[slots];
    return fill_and_run(m, array, slots);
}

static int run_in_mapping(const struct making *m, size_t slots) {
    char **array = scratch_begin(slots * sizeof *array);
    if (!array)
        return run_on_stack(m, slots);
    int result = fill_and_run(m, array, slots);
    scratch_end(array, slots * sizeof *array);
    return result;
}

/* ---- The thread's view ---- */

static const char *path_of(const struct making *m) {
    for (size_t i = 0; i < m->difference_count; i++) {
        const struct view_difference *d = &m->differences[i];
        if (d->length == 4 && memcmp(d->name, "PATH", 4) == 0)
            return d->entry ? d->entry + sizeof "PATH=" - 1 : SEARCH_DEFAULT;
    }
    return NULL;
}

int start_program(struct start *start, start_run *run, const struct caller *caller) {
    bool is_borrowed = owner_is_vfork_child();
    view_program_starts(caller);
    if (start->envp != __environ && !can_read_all(start->envp))
        return run(start, start->envp);
    size_t max = view_differences_max();
    struct view_difference differences[max + 1];
    struct making making = {start, run, caller, differences, view_differences(differences, max)};
    start->path = start->is_searched ? path_of(&making) : NULL;
    size_t slots = envp_count(start->envp) + making.difference_count + ENVP_SPARE + MORE_ENTRIES;
    for (int result;; slots *= 2) {
        result = slots <= ON_STACK || is_borrowed ? run_on_stack(&making, slots)
                                                  : run_in_mapping(&making, slots);
        if (result != TOO_SMALL)
            return result;
    }
}
