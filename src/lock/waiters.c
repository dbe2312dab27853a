#include "lock/waiters.h"

#include "base/scratch.h"
#include "base/sys.h"
#include "lock/holders.h"
#include "lock/wait_slots.h"

#include <errno.h>
#include <string.h>
#include <time.h>

_Atomic uint32_t wait_published;

/* Which thread of this process waits in each slot; 0 for none. For republishing. */
static _Atomic int32_t waiting_tid[SHARED_WAITERS];

uint32_t wait_process_key(void) {
    return slots_process_key();
}

bool wait_sees_others(void) {
    return slots_are_shared();
}

void waiters_after_fork(void) {
    for (uint32_t slot = 0; slot < SHARED_WAITERS; slot++)
        atomic_store_explicit(&waiting_tid[slot], 0, memory_order_relaxed);
    atomic_store(&wait_published, 0);
    slots_after_fork();
}

/* ---- Publishing ---- */

#define STATE_YIELDS 2000
#define STATE_PAUSES 1000
#define STATE_PAUSE_NS 50000

/* The slot's word as soon as it is in another state. Who is in one of the writing states has all
 * signals blocked and waits for nothing, so only preemption can delay it; there is a bound all the
 * same. */
static uint64_t word_after(uint32_t slot, enum slot_state state) {
    uint64_t word = 0;
    for (int tries = 0; tries < STATE_YIELDS + STATE_PAUSES; tries++) {
        word = atomic_load(slots_word(slot));
        if (slot_state(word) != state)
            break;
        if (tries < STATE_YIELDS)
            sys_sched_yield();
        else
            sys_pause(STATE_PAUSE_NS);
    }
    return word;
}

static void write_slot(uint32_t slot, const struct wait_request *request) {
    _Atomic uint64_t *word = slots_word(slot);
    uint64_t writing = slot_changed(atomic_load(word), SLOT_WRITING);
    atomic_store(word, writing);
    /* Before the holds are asked for: who releases one of them afterwards sees that it must tell.
     */
    atomic_store(&waiting_tid[slot], request->tid);
    atomic_fetch_add(&wait_published, 1);
    struct slot_head head = {.want = request->want,
                             .since_ns = request->since_ns,
                             .pid = request->pid,
                             .tid = request->tid,
                             .fd = request->fd,
                             .pid_namespace = holder_namespace(),
                             .stack = request->stack};
    memcpy(head.thread, request->thread, sizeof head.thread);
    slots_write_head(slot, &head);
    uint32_t files = slots_write_holds(slot, request->hold_at, request->context);
    /* Sequentially consistent, as are the loads of others' words in the search: of two that publish
     * and then look, at least one sees the other. */
    atomic_store(word, slot_with_files(slot_turned(writing, SLOT_WAITING), files));
}

int wait_publish(struct wait_ticket *ticket, const struct wait_request *request) {
    struct sys_sigset saved;
    sys_block_signals(&saved);
    int slot = slots_begin(request->pid) ? slots_take() : -1;
    if (slot >= 0)
        write_slot((uint32_t)slot, request);
    ticket->place = slot >= 0 ? (uint32_t)slot + 1 : 0;
    sys_restore_signals(&saved);
    return slot >= 0 ? 0 : -ENOSPC;
}

void wait_withdraw(struct wait_ticket *ticket) {
    struct sys_sigset saved;
    if (ticket->place == 0)
        return;
    uint32_t slot = ticket->place - 1;
    ticket->place = 0;
    sys_block_signals(&saved);
    atomic_store(&waiting_tid[slot], 0);
    atomic_fetch_sub(&wait_published, 1);
    uint64_t word;
    do
        word = word_after(slot, SLOT_REWRITING);
    while (
        slot_state(word) != SLOT_REWRITING &&
        !atomic_compare_exchange_strong(slots_word(slot), &word, slot_changed(word, SLOT_WRITING)));
    /* Where it is still being written, it stays in use for good: better one slot lost than one used
     * by two. */
    if (slot_state(word) != SLOT_REWRITING)
        slots_give(slot);
    sys_restore_signals(&saved);
}

static void republish(uint32_t slot, pid_t tid, wait_hold_at *hold_at, void *context) {
    /* Being published: what is about to be said may be from before the change. */
    uint64_t before = word_after(slot, SLOT_WRITING);
    uint64_t rewriting = slot_changed(before, SLOT_REWRITING);
    if (slot_state(before) != SLOT_WAITING ||
        !atomic_compare_exchange_strong(slots_word(slot), &before, rewriting))
        return;
    /* The slot may be another thread's by now. */
    uint32_t files = (uint32_t)(before >> 32);
    if (atomic_load(&waiting_tid[slot]) == tid)
        files = slots_write_holds(slot, hold_at, context);
    atomic_store(slots_word(slot), slot_with_files(slot_turned(rewriting, SLOT_WAITING), files));
}

void wait_republish(pid_t tid, wait_hold_at *hold_at, void *context) {
    struct sys_sigset saved;
    if (!wait_any())
        return;
    sys_block_signals(&saved);
    for (uint32_t slot = 0; slot < SHARED_WAITERS; slot++)
        if (atomic_load_explicit(&waiting_tid[slot], memory_order_relaxed) == tid)
            republish(slot, tid, hold_at, context);
    sys_restore_signals(&saved);
}

/* ---- The search ---- */

/* A hold that the kernel says is none: the slot's owner has not told yet that it is gone. */
#define REFUTED_MAX 16
struct refuted {
    uint32_t slot;
    uint64_t word;
    struct wait_hold hold;
};

/* Too large for a handler's stack. */
struct search {
    struct wait_graph_scratch scratch;
    uint32_t path[SHARED_WAITERS];
    uint32_t slots[SHARED_WAITERS]; /* of the waiters in the graph */
    uint64_t words[SHARED_WAITERS]; /* theirs, when the search began */
    uint32_t start;                 /* index of the one who asks */
    bool unclear;                   /* something changed in a way that may hide a cycle */
    uint32_t refuted_count;
    struct refuted refuted[REFUTED_MAX];
    struct wait_graph graph;
    /* What graph_want gave last, and how far graph_hold is with the holds that may block it. */
    struct wait_lock want;
    struct slot_reader reader;
};

/* Has the slot said the same all the time since the search began? If not, its waiter no longer
 * waits, or waits anew and will see us, or its holds were told anew: only that may hide a cycle. */
static bool is_unchanged(struct search *search, uint32_t waiter) {
    uint64_t now = atomic_load(slots_word(search->slots[waiter]));
    if (now == search->words[waiter])
        return true;
    if (slot_state(now) == SLOT_REWRITING || slot_state(now) == SLOT_WAITING)
        search->unclear = true;
    return false;
}

static bool graph_want(void *context, uint32_t waiter, struct wait_lock *want) {
    struct search *search = context;
    struct slot_head head;
    if (!slots_read_head(search->slots[waiter], &head) || !is_unchanged(search, waiter))
        return false;
    *want = search->want = head.want;
    return true;
}

static bool is_refuted(const struct search *search, uint32_t waiter, const struct wait_hold *hold) {
    for (uint32_t i = 0; i < search->refuted_count; i++) {
        const struct refuted *r = &search->refuted[i];
        if (r->slot == search->slots[waiter] && r->word == search->words[waiter] &&
            r->hold.carrier == hold->carrier && r->hold.lock.owner == hold->lock.owner &&
            r->hold.lock.range.start == hold->lock.range.start)
            return true;
    }
    return false;
}

static bool may_block(const struct search *search, uint32_t waiter) {
    uint32_t bit = slot_file_bit(search->want.dev, search->want.ino);
    return slot_may_be_on(search->words[waiter], bit);
}

/* The index-th hold on the file that is wanted now: others block nobody. */
static bool next_hold(struct search *search, uint32_t waiter, uint32_t index,
                      struct wait_hold *hold) {
    const struct wait_lock *want = &search->want;
    if (index == 0)
        slots_reader_begin(&search->reader, search->slots[waiter], want->dev, want->ino);
    do
        if (!slots_reader_next(&search->reader, hold))
            return false;
    while (is_refuted(search, waiter, hold));
    return true;
}

static bool graph_hold(void *context, uint32_t waiter, uint32_t index, struct wait_lock *hold) {
    struct search *search = context;
    struct wait_hold found;
    if (!may_block(search, waiter))
        return false;
    bool more = next_hold(search, waiter, index, &found);
    /* What was read, and that there is no more, is true only if nobody wrote meanwhile. */
    if (!is_unchanged(search, waiter) || !more)
        return false;
    *hold = found.lock;
    return true;
}

/* Takes down who waits. False: the one who asks does not. */
static bool begin_search(struct search *search, uint32_t start) {
    _Atomic uint64_t *words = slots_word(0);
    uint32_t count = 0;
    search->unclear = false;
    search->start = SHARED_WAITERS;
    for (uint32_t slot = 0; slot < SHARED_WAITERS; slot++) {
        uint64_t word = atomic_load(&words[slot]);
        if (slot_state(word) == SLOT_REWRITING)
            search->unclear = true;
        if (slot_state(word) != SLOT_WAITING)
            continue;
        if (slot == start)
            search->start = count;
        search->slots[count] = slot;
        search->words[count++] = word;
    }
    search->graph = (struct wait_graph){.context = search,
                                        .count = count,
                                        .want = graph_want,
                                        .hold = graph_hold,
                                        .scratch = &search->scratch};
    return search->start < count;
}

/* The hold by which one member of the path blocks the member before it. */
static bool find_blocking(struct search *search, uint32_t waiter, uint32_t before,
                          struct wait_hold *hold) {
    struct wait_lock want;
    if (!graph_want(search, before, &want))
        return false;
    for (uint32_t i = 0; next_hold(search, waiter, i, hold); i++)
        if (wait_lock_conflicts(&want, &hold->lock))
            return is_unchanged(search, waiter);
    return false;
}

static uint32_t member_before(const struct search *search, uint32_t length, uint32_t i) {
    return search->path[i == 0 ? length - 1 : i - 1];
}

static void describe(struct search *search, uint32_t length, struct wait_cycle *cycle) {
    cycle->length = length;
    cycle->count = length < WAIT_CYCLE_MAX ? length : WAIT_CYCLE_MAX;
    for (uint32_t i = 0; i < cycle->count; i++) {
        struct wait_party *party = &cycle->parties[i];
        uint32_t slot = search->slots[search->path[i]];
        struct slot_head head = {0};
        struct wait_hold hold = {0};
        find_blocking(search, search->path[i], member_before(search, length, i), &hold);
        slots_read_head(slot, &head);
        *party = (struct wait_party){.pid = head.pid_namespace == holder_namespace() ? head.pid : 0,
                                     .tid = head.tid,
                                     .fd = head.fd,
                                     .stack = slots_are_ours(slot) ? head.stack : 0,
                                     .since_ns = head.since_ns,
                                     .want = head.want,
                                     .hold = hold.lock};
        memcpy(party->thread, head.thread, sizeof party->thread);
        party->thread[sizeof party->thread - 1] = '\0';
    }
}

/* ---- Confirming ---- */

static enum holder_answer ask_for_class(const struct slot_head *head, const struct wait_hold *hold,
                                        enum fdinfo_class lock_class) {
    const struct wait_lock *lock = &hold->lock;
    enum range_type type = (enum range_type)lock->type;
    enum holder_answer answer =
        holder_ask(head->pid, hold->carrier, lock->ino, &lock->range, type, lock_class);
    if (answer != HOLDER_NO)
        return answer;
    /* Its owner may have moved to another descriptor since. */
    return holder_ask_process(head->pid, lock->dev, lock->ino, &lock->range, type, lock_class);
}

static enum holder_answer ask_kernel(const struct slot_head *head, const struct wait_hold *hold) {
    if (head->pid_namespace == 0 || head->pid_namespace != holder_namespace())
        return HOLDER_CANNOT_TELL;
    if (hold->lock.lock_class == WAIT_FLOCK)
        return ask_for_class(head, hold, FDINFO_FLOCK);
    enum holder_answer answer = ask_for_class(head, hold, FDINFO_OFD);
    return answer != HOLDER_NO ? answer : ask_for_class(head, hold, FDINFO_POSIX);
}

static void refute(struct search *search, uint32_t waiter, const struct wait_hold *hold) {
    if (search->refuted_count < REFUTED_MAX)
        search->refuted[search->refuted_count++] =
            (struct refuted){search->slots[waiter], search->words[waiter], *hold};
}

/* Is each member's process alive, and does the kernel know the lock by which it blocks another?
 * What is not so is taken out of the graph, and the search begins again. */
static bool confirm(struct search *search, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        uint32_t waiter = search->path[i];
        uint32_t slot = search->slots[waiter];
        struct slot_head head;
        struct wait_hold hold;
        if (slots_are_ours(slot))
            continue;
        if (slots_is_dead(slot)) {
            slots_bury(slot);
            return false;
        }
        if (!find_blocking(search, waiter, member_before(search, length, i), &hold) ||
            !slots_read_head(slot, &head))
            return false;
        if (ask_kernel(&head, &hold) == HOLDER_NO) {
            refute(search, waiter, &hold);
            return false;
        }
    }
    return true;
}

/* All of them have waited, unchanged, at one moment: after the search began to look and before
 * this. */
static bool is_whole(struct search *search, uint32_t length) {
    for (uint32_t i = 0; i < length; i++)
        if (!is_unchanged(search, search->path[i]))
            return false;
    return true;
}

static void bury_dead_writers(void) {
    for (uint32_t slot = 0; slot < SHARED_WAITERS; slot++)
        if (slot_state(atomic_load(slots_word(slot))) == SLOT_REWRITING && slots_is_dead(slot))
            slots_bury(slot);
}

static bool doom(struct search *search) {
    uint64_t waiting = search->words[search->start];
    return atomic_compare_exchange_strong(slots_word(search->slots[search->start]), &waiting,
                                          slot_turned(waiting, SLOT_DOOMED));
}

/* Holds that are told anew while they are read make a search worthless. Their writer may be
 * preempted, and yielding does not always let it run: after some yields there are pauses. */
#define SEARCH_ROUNDS 300
#define SEARCH_NS (100 * INT64_C(1000000))
#define SEARCH_YIELDS 50

static int64_t now(void) {
    struct timespec time = {0};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Looks until there is no cycle, or until one that was found again under the referee is confirmed.
 */
static bool search_for_cycle(struct search *search, uint32_t start, struct wait_cycle *cycle) {
    bool deciding = false;
    bool referee = false;
    bool found = false;
    int64_t end = now() + SEARCH_NS;
    for (int round = 0; !found && (round < SEARCH_ROUNDS || now() < end); round++) {
        bool waits = begin_search(search, start);
        int length = 0;
        if (waits)
            length = wait_graph_cycle(&search->graph, search->start, search->path, SHARED_WAITERS);
        if (length == 0 && !search->unclear)
            break;
        if (length == 0) {
            if (round == SEARCH_YIELDS)
                bury_dead_writers();
            if (round < SEARCH_YIELDS)
                sys_sched_yield();
            else
                sys_pause(STATE_PAUSE_NS);
        } else if (!deciding) {
            /* Where the referee cannot be had, the cycle is decided all the same: two may then give
             * way, but nobody waits for ever. */
            referee = slots_referee_take();
            deciding = true;
        } else if (is_whole(search, (uint32_t)length) && confirm(search, (uint32_t)length)) {
            describe(search, (uint32_t)length, cycle);
            found = is_whole(search, (uint32_t)length) && doom(search);
        }
    }
    if (referee)
        slots_referee_give();
    return found;
}

/* Does anyone who waits hold what this one wants? Mostly nobody does: it is held by one who runs.
 */
static bool is_blocked_by_waiter(uint32_t start) {
    struct slot_head head;
    struct slot_reader reader;
    struct wait_hold hold;
    if (!slots_read_head(start, &head))
        return false;
    uint32_t bit = slot_file_bit(head.want.dev, head.want.ino);
    _Atomic uint64_t *words = slots_word(0);
    for (uint32_t slot = 0; slot < SHARED_WAITERS; slot++) {
        uint64_t word = atomic_load(&words[slot]);
        if (slot_state(word) == SLOT_REWRITING)
            return true;
        if (slot_state(word) != SLOT_WAITING || !slot_may_be_on(word, bit))
            continue;
        slots_reader_begin(&reader, slot, head.want.dev, head.want.ino);
        while (slots_reader_next(&reader, &hold))
            if (wait_lock_conflicts(&head.want, &hold.lock))
                return true;
        if (atomic_load(&words[slot]) != word)
            return true;
    }
    return false;
}

bool wait_scan(const struct wait_ticket *ticket, struct wait_cycle *cycle) {
    struct sys_sigset saved;
    bool found = false;
    if (ticket->place == 0)
        return false;
    uint32_t start = ticket->place - 1;
    sys_block_signals(&saved);
    if (is_blocked_by_waiter(start)) {
        struct search *search = scratch_begin(sizeof *search);
        if (search != NULL) {
            found = search_for_cycle(search, start, cycle);
            scratch_end(search, sizeof *search);
        }
    }
    sys_restore_signals(&saved);
    return found;
}
