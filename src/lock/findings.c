#include "lock/findings.h"

#include "base/scratch.h"
#include "base/text.h"
#include "lock/closing.h"
#include "lock/holders.h"
#include "lock/model.h"
#include "lock/owner_lock.h"
#include "report/log.h"
#include "report/stack.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void finding_link(char *link, size_t size, int fd) {
    struct text text;
    text_begin(&text, link, size);
    text_add(&text, "/proc/self/fd/");
    text_add_decimal(&text, (uint64_t)fd);
}

bool finding_program_hands_over(void) {
    return rules.count != 0 && rules_has_handover(&rules, loaded_program());
}

/* ---- Looking among this process's owners ---- */

static bool can_conflict(enum owner_class a, enum owner_class b) {
    return (a == OWNER_FLOCK) == (b == OWNER_FLOCK);
}

static int fd_of(const struct file *file, const struct owner *owner) {
    for (const struct description *d = file->descriptions; d; d = d->next_in_file)
        if (atomic_load(&d->owners[owner->class]) == owner)
            return d->first_fd;
    return -1;
}

typedef const struct held *look(const struct range_set *set, const struct byte_range *range,
                                enum range_type type);

static bool look_in(struct room *room, struct file *file, struct owner *owner, look *look_at,
                    const struct byte_range *range, enum range_type type, struct met *met) {
    const struct held *held = NULL;
    int fd = fd_of(file, owner);
    enum turn turn = owner_enter(owner);
    if (turn == TURN_GONE)
        return false;
    if (turn == TURN_ALONE) {
        model_confirm(room, owner, fd);
        held = owner->ranges.count ? look_at(&owner->ranges, range, type) : NULL;
    }
    if (held) {
        /* The descriptor that the lock was taken through, if it still stands for the description.
         */
        const struct description *d = held->fd >= 0 ? room_description(room, held->fd) : NULL;
        if (d && atomic_load(&d->owners[owner->class]) == owner)
            fd = held->fd;
        *met = (struct met){*held, owner->number, fd, owner->hidden >= 0};
    }
    closing_leave_owner(room, owner, turn);
    return held != NULL;
}

static const struct held *any_overlap(const struct range_set *set, const struct byte_range *range,
                                      enum range_type type) {
    (void)type;
    return range_set_first(set, range);
}

static bool find(struct room *room, struct file *file, const struct owner *self,
                 enum owner_class class, look *look_at, const struct byte_range *range,
                 enum range_type type, struct met *met) {
    for (struct owner *o = file->owners, *next; o; o = next) {
        next = o->next_in_file;
        if (o != self && can_conflict((enum owner_class)o->class, class) &&
            look_in(room, file, o, look_at, range, type, met))
            return true;
    }
    return false;
}

bool find_conflict(struct room *room, struct file *file, const struct owner *self,
                   enum owner_class class, const struct byte_range *range, enum range_type type,
                   struct met *met) {
    struct sys_sigset saved;
    short_lock_take(&room->tables, &saved);
    bool found = find(room, file, self, class, range_set_find_conflict, range, type, met);
    short_lock_give(&room->tables, &saved);
    return found;
}

bool find_overlap(struct room *room, struct file *file, const struct owner *self,
                  const struct byte_range *range, struct met *met) {
    struct sys_sigset saved;
    short_lock_take(&room->tables, &saved);
    bool found = find_overlap_locked(room, file, self, range, met);
    short_lock_give(&room->tables, &saved);
    return found;
}

bool find_overlap_locked(struct room *room, struct file *file, const struct owner *self,
                         const struct byte_range *range, struct met *met) {
    for (struct owner *o = file->owners, *next; o; o = next) {
        next = o->next_in_file;
        if (o != self && o->class == OWNER_RECORD &&
            look_in(room, file, o, any_overlap, range, RANGE_WRITE, met))
            return true;
    }
    return false;
}

static enum owner_class class_of(const struct request *q) {
    return q->owner ? (enum owner_class)q->owner->class : OWNER_RECORD;
}

static const struct held *exactly(const struct range_set *set, const struct byte_range *range,
                                  enum range_type type) {
    struct kernel_range listed;
    for (uint32_t index = 0; range_set_kernel_view(set, &index, &listed);)
        if (listed.start == range->start && listed.end == range->end && listed.type == type)
            return range_set_first(set, range);
    return NULL;
}

bool find_exact(struct room *room, struct file *file, const struct owner *self,
                const struct byte_range *range, enum range_type type, struct met *met) {
    struct sys_sigset saved;
    short_lock_take(&room->tables, &saved);
    bool found = find(room, file, self, OWNER_RECORD, exactly, range, type, met);
    short_lock_give(&room->tables, &saved);
    return found;
}

/* ---- Putting a record together ---- */

static struct timespec time_of(int64_t ns) {
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* A record while it is put together. It is too large for a handler's stack. */
/* Of a path in a cycle: a record has room for some of these. */
#define EDGE_PATH_MAX 512

struct draft {
    struct event event;
    struct event_file file;
    struct event_range range;
    struct event_party here, there;
    struct event_party edges[WAIT_CYCLE_MAX];
    struct edge {
        struct event_file file;
        struct event_range range;
        char path[EDGE_PATH_MAX];
    } waits_for[WAIT_CYCLE_MAX];
    struct met met;
    struct picture_holder other; /* of two orders */
    char other_path[SETTINGS_PATH_MAX];
    char detail[2 * SETTINGS_PATH_MAX];
    char path[SETTINGS_PATH_MAX];
};

static void fill_file(struct draft *draft, int fd, const struct file *file) {
    char link[32];
    finding_link(link, sizeof link, fd);
    ssize_t length =
        fd >= 0 ? sys_readlinkat(AT_FDCWD, link, draft->path, sizeof draft->path - 1) : -1;
    if (!file && length <= 0)
        return;
    if (file)
        draft->file = (struct event_file){.dev = file->dev, .ino = file->ino};
    if (length > 0)
        draft->file.path = draft->path;
    draft->event.file = &draft->file;
}

static void fill_here(struct draft *draft, int fd, const struct caller *caller) {
    draft->here = (struct event_party){.pid = sys_getpid(), .tid = owner_tid(), .fd = fd};
    clock_gettime(CLOCK_REALTIME, &draft->here.since);
    if (caller)
        draft->here.stack = stack_capture(caller->return_address, caller->frame);
    draft->event.here = &draft->here;
}

static void fill_there(struct draft *draft, const struct met *met) {
    draft->there = (struct event_party){.pid = sys_getpid(),
                                        .tid = met->held.tid,
                                        .fd = met->fd,
                                        .since = time_of(met->held.since_ns),
                                        .stack = met->held.stack};
    draft->event.there = &draft->there;
}

/* NULL where there is no memory: the finding is lost, the program goes on. */
static struct draft *draft_begin(enum event_kind kind, enum event_action action,
                                 const struct request *q, const struct file *file, int path_fd) {
    struct draft *draft = scratch_begin(sizeof *draft);
    if (!draft)
        return NULL;
    draft->event.kind = kind;
    draft->event.action = action;
    fill_file(draft, path_fd, file);
    draft->range =
        (struct event_range){q->range.start, range_length(q->range.start, q->range.end),
                             q->type == RANGE_WRITE ? EVENT_LOCK_WRITE : EVENT_LOCK_READ};
    draft->event.range = &draft->range;
    fill_here(draft, q->fd, q->caller);
    return draft;
}

static void draft_end(struct draft *draft) {
    log_event(&draft->event);
    scratch_end(draft, sizeof *draft);
}

/* provisional: NULL, or where to keep the place of a record that is to be taken back. */
static void draft_end_at(struct draft *draft, struct log_place *provisional) {
    if (!provisional) {
        draft_end(draft);
        return;
    }
    log_provisional(&draft->event, provisional);
    scratch_end(draft, sizeof *draft);
}

void finding(enum event_kind kind, enum event_action action, const struct request *q,
             struct file *file, const struct met *there) {
    /* The descriptor of a lost lock's other side is open; the one that was closed may be another
     * file's. */
    int path_fd = kind == EVENT_LOCK_LOST && there ? there->fd : q->fd;
    struct draft *draft = draft_begin(kind, action, q, file, path_fd);
    if (!draft)
        return;
    if (there)
        fill_there(draft, there);
    /* An unlock has no type: it is that of the lock which it meets. */
    if (kind == EVENT_FOREIGN_UNLOCK && there)
        draft->range.type = there->held.type == RANGE_WRITE ? EVENT_LOCK_WRITE : EVENT_LOCK_READ;
    draft_end(draft);
}

/* Linux shows them as "/memfd:NAME (deleted)" and "/DIR/#INODE (deleted)". */
static bool never_had_a_name(const struct draft *draft) {
    char anonymous[32];
    struct text text;
    const char *path = draft->file.path, *name = path ? strrchr(path, '/') : NULL;
    if (!name || strncmp(path, "/memfd:", 7) == 0)
        return true;
    text_begin(&text, anonymous, sizeof anonymous);
    text_add(&text, "/#");
    text_add_decimal(&text, draft->file.ino);
    text_add_char(&text, ' ');
    return strncmp(name, anonymous, text.length) == 0;
}

void finding_stale(const struct request *q, struct description *d) {
    if (!atomic_exchange(&d->gone, false))
        return;
    struct draft *draft = draft_begin(EVENT_STALE_LOCK, ACTION_GRANTED, q, d->file, q->fd);
    if (!draft)
        return;
    if (never_had_a_name(draft))
        scratch_end(draft, sizeof *draft);
    else
        draft_end(draft);
}

struct picture_request finding_picture_request(const struct request *q, const struct file *file) {
    return (struct picture_request){.dev = file->dev,
                                    .ino = file->ino,
                                    .range = q->range,
                                    .type = q->type,
                                    .lock_class = class_of(q),
                                    .fd = q->fd,
                                    .tid = owner_tid()};
}

void finding_holder_begin(struct finding_holder *holder, const struct request *q,
                          const struct file *file, pid_t pid) {
    *holder = (struct finding_holder){.pid = pid, .known = scratch_begin(sizeof *holder->known)};
    if (!holder->known)
        return;
    struct picture_request request = finding_picture_request(q, file);
    request.taker =
        request.lock_class == OWNER_FLOCK ? holder_flock_taker(file->dev, file->ino, q->type) : 0;
    if (!picture_find_holder(&request, pid, holder->known) && pid <= 0)
        finding_holder_end(holder);
}

void finding_holder_end(struct finding_holder *holder) {
    scratch_end(holder->known, sizeof *holder->known);
    holder->known = NULL;
}

static void fill_holder(struct draft *draft, const struct finding_holder *known) {
    const struct picture_holder *holder = known->known;
    if (!holder)
        return;
    draft->there = (struct event_party){.pid = holder->pid,
                                        .tid = holder->tid,
                                        .ns_pid = holder->ns_pid,
                                        .fd = holder->fd,
                                        .since = time_of(holder->since_ns),
                                        .command = holder->command[0] ? holder->command : NULL,
                                        .frames = holder->stack[0] ? holder->stack : NULL};
    draft->event.there = &draft->there;
}

static struct draft *draft_about_process(enum event_kind kind, enum event_action action,
                                         const struct request *q, struct file *file,
                                         const struct finding_holder *holder, int64_t since_ns,
                                         const char *detail) {
    struct draft *draft = draft_begin(kind, action, q, file, q->fd);
    if (!draft)
        return NULL;
    draft->here.since = time_of(since_ns);
    draft->event.detail = detail;
    if (find_conflict(q->room, file, q->owner, class_of(q), &q->range, q->type, &draft->met)) {
        fill_there(draft, &draft->met);
    } else {
        fill_holder(draft, holder);
    }
    return draft;
}

void finding_about_process(enum event_kind kind, enum event_action action, const struct request *q,
                           struct file *file, const struct finding_holder *holder, int64_t since_ns,
                           const char *detail) {
    struct draft *draft = draft_about_process(kind, action, q, file, holder, since_ns, detail);
    if (draft)
        draft_end(draft);
}

void finding_wait_begins(const struct request *q, struct file *file,
                         const struct finding_holder *holder, int64_t since_ns,
                         struct log_place *place) {
    struct draft *draft =
        draft_about_process(EVENT_LONG_WAIT, ACTION_WAITED, q, file, holder, since_ns,
                            "the wait had not ended when the record ended");
    if (draft)
        draft_end_at(draft, place);
}

void finding_ancestor(const struct request *q, struct file *file,
                      const struct finding_holder *holder, int64_t since_ns, const char *detail,
                      struct log_place *provisional) {
    struct draft *draft =
        draft_about_process(EVENT_ANCESTOR_WAIT, ACTION_WAITED, q, file, holder, since_ns, detail);
    if (draft)
        draft_end_at(draft, provisional);
}

void finding_if_leaked(const struct request *q, struct file *file,
                       const struct finding_holder *holder) {
    char detail[256];
    struct text text;
    if (!holder->known || !holder->known->leaked)
        return;
    text_begin(&text, detail, sizeof detail);
    text_add(&text, "process ");
    text_add_decimal(&text, (uint64_t)holder->known->taker);
    text_add(&text, " took the lock and has ended; the program that has it now was started with "
                    "the descriptor, which is not close-on-exec");
    struct draft *draft =
        draft_about_process(EVENT_LEAKED_LOCK, ACTION_WAITED, q, file, holder, 0, detail);
    if (!draft)
        return;
    clock_gettime(CLOCK_REALTIME, &draft->here.since);
    enum fdinfo_class lock_class = class_of(q) == OWNER_FLOCK ? FDINFO_FLOCK : FDINFO_OFD;
    draft->there.fd =
        holder_descriptor_of(holder->pid, file->dev, file->ino, &q->range, RANGE_WRITE, lock_class);
    draft_end(draft);
}

static void say_inverted(struct draft *draft, const struct picture_inversion *inversion) {
    char link[32];
    struct text text;
    finding_link(link, sizeof link, inversion->held_fd);
    ssize_t length =
        sys_readlinkat(AT_FDCWD, link, draft->other_path, sizeof draft->other_path - 1);
    text_begin(&text, draft->detail, sizeof draft->detail);
    text_add(&text, "locked here while ");
    text_add(&text, length > 0 ? draft->other_path : "another file");
    text_add(&text, " was locked, and there the other way round: two that do so at the same time "
                    "wait for each other for ever");
    draft->event.detail = draft->detail;
    picture_describe_order(inversion->other, &draft->other);
    draft->there =
        (struct event_party){.pid = draft->other.pid,
                             .tid = draft->other.tid,
                             .fd = -1,
                             .command = draft->other.command,
                             .frames = draft->other.stack[0] ? draft->other.stack : NULL};
    draft->event.there = &draft->there;
}

void finding_if_inverted(const struct request *q, const struct file *file,
                         struct picture_hold *hold, stack_id stack) {
    struct picture_request request = finding_picture_request(q, file);
    request.stack = stack;
    if (atomic_load_explicit(&picture_hold_count, memory_order_relaxed) < 2)
        return;
    struct picture_inversion inversion;
    if (!picture_note_order(hold, &request, &inversion))
        return;
    struct draft *draft = draft_begin(EVENT_DEADLOCK, ACTION_NONE, q, file, q->fd);
    if (!draft)
        return;
    say_inverted(draft, &inversion);
    draft_end(draft);
}

/* Where the waiting process has the file, if that can be seen and it is still there. */
static const char *path_of_wait(const struct wait_party *party, char path[static EDGE_PATH_MAX]) {
    char link[64];
    struct text text;
    struct stat st;
    if (party->pid <= 0 || party->fd < 0 || !holder_proc_is_ours())
        return NULL;
    text_begin(&text, link, sizeof link);
    text_add(&text, "/proc/");
    text_add_decimal(&text, (uint64_t)party->pid);
    text_add(&text, "/fd/");
    text_add_decimal(&text, (uint64_t)party->fd);
    ssize_t length = sys_readlinkat(AT_FDCWD, link, path, EDGE_PATH_MAX - 1);
    if (length <= 0 || sys_fstatat(AT_FDCWD, link, &st, 0) != 0 || st.st_ino != party->want.ino ||
        st.st_dev != party->want.dev)
        return NULL;
    path[length] = '\0';
    return path;
}

static void say_what_it_waits_for(struct event_party *edge, struct edge *to,
                                  const struct wait_party *party) {
    const struct wait_lock *want = &party->want;
    to->file = (struct event_file){path_of_wait(party, to->path), want->dev, want->ino};
    to->range = (struct event_range){want->range.start,
                                     range_length(want->range.start, want->range.end), want->type};
    edge->file = &to->file;
    edge->range = &to->range;
}

static struct event_party party_of(const struct wait_party *party) {
    struct event_party result = {.pid = party->pid,
                                 .tid = party->tid,
                                 .fd = party->fd,
                                 .since = time_of(party->since_ns),
                                 .stack = party->stack};
    memcpy(result.thread, party->thread, sizeof result.thread);
    return result;
}

void finding_deadlock(const struct request *q, struct file *file, const struct wait_cycle *cycle,
                      enum event_action action, const char *detail, struct log_place *provisional) {
    bool alone = cycle->length == 1;
    struct draft *draft =
        draft_begin(alone ? EVENT_SELF_DEADLOCK : EVENT_DEADLOCK, action, q, file, q->fd);
    if (!draft)
        return;
    draft->event.detail = detail;
    for (uint32_t i = 0; i < cycle->count; i++) {
        draft->edges[i] = party_of(&cycle->parties[i]);
        say_what_it_waits_for(&draft->edges[i], &draft->waits_for[i], &cycle->parties[i]);
    }
    if (alone &&
        find_conflict(q->room, file, q->owner, class_of(q), &q->range, q->type, &draft->met)) {
        fill_there(draft, &draft->met);
    } else if (!alone && cycle->count > 1) {
        draft->event.there = &draft->edges[1];
        draft->event.edges = draft->edges;
        draft->event.edge_count = cycle->count;
    }
    draft_end_at(draft, provisional);
}

void finding_degraded(int fd, struct file *file, const char *why, const struct caller *caller) {
    struct draft *draft = scratch_begin(sizeof *draft);
    if (!draft)
        return;
    draft->event.kind = EVENT_DEGRADED;
    draft->event.action = ACTION_NONE;
    draft->event.detail = why;
    fill_file(draft, fd, file);
    fill_here(draft, fd, caller);
    draft_end(draft);
}
