/* Findings: what the lock room has to say, put together for the report room.
 *
 * Called where a request was answered or a descriptor closed, never inside an owner's turn. All are
 * async-signal-safe and keep nothing. `caller` is where the program asked.
 */
#ifndef RACESHIM_LOCK_FINDINGS_H
#define RACESHIM_LOCK_FINDINGS_H

#include "lock/describe.h"
#include "lock/picture.h"
#include "lock/range.h"
#include "lock/waiters.h"
#include "report/event.h"
#include "report/log.h"

/* A request of the program's: what was asked, through which descriptor, by whom. */
struct request {
    struct room *room;
    int fd;
    enum range_type type;
    struct byte_range range;
    const struct caller *caller;
    const struct owner *owner; /* through whom it was asked; NULL: through nobody yet */
};

/* Another owner's lock that a request meets, copied out of the owner's turn. */
struct met {
    struct held held;
    uint32_t owner_number;
    int fd;      /* one of the other description's descriptors; -1 unknown */
    bool hidden; /* repaired: it is not POSIX's to drop */
};

/* The first lock of another owner of this process that conflicts with the request, in the classes
 * that can conflict with `class`. Locks of `self` are passed over. */
bool find_conflict(struct room *room, struct file *file, const struct owner *self,
                   enum owner_class class, const struct byte_range *range, enum range_type type,
                   struct met *met);

/* The first record lock of another owner in this range, whatever its type. */
bool find_overlap(struct room *room, struct file *file, const struct owner *self,
                  const struct byte_range *range, struct met *met);
/* The same for those who hold `tables`. */
bool find_overlap_locked(struct room *room, struct file *file, const struct owner *self,
                         const struct byte_range *range, struct met *met);

/* The record lock of another owner that the kernel would list as exactly this one. */
bool find_exact(struct room *room, struct file *file, const struct owner *self,
                const struct byte_range *range, enum range_type type, struct met *met);

/* One event with two sides. `there` may be NULL. */
void finding(enum event_kind kind, enum event_action action, const struct request *request,
             struct file *file, const struct met *there);

/* A lock was granted on a file that had lost its name since it was opened. Told once for a
 * description; files that never had one (memfd_create, O_TMPFILE) are not meant. */
void finding_stale(const struct request *request, struct description *description);

/* Who holds what is waited for, as it was when the wait began: when the wait ends the holder has
 * released the lock, and often ended. */
struct finding_holder {
    pid_t pid;                    /* 0: not known */
    struct picture_holder *known; /* what the session's picture knows of it; NULL: nothing */
};
void finding_holder_begin(struct finding_holder *holder, const struct request *request,
                          const struct file *file, pid_t pid);
void finding_holder_end(struct finding_holder *holder);

/* The other side is another process. */
void finding_about_process(enum event_kind kind, enum event_action action,
                           const struct request *request, struct file *file,
                           const struct finding_holder *holder, int64_t since_ns,
                           const char *detail);

/* The long-wait that it will have been if the process ends in the wait. */
void finding_wait_begins(const struct request *request, struct file *file,
                         const struct finding_holder *holder, int64_t since_ns,
                         struct log_place *place);

/* The holder is an ancestor of this process. provisional: it will have been so if the process ends
 * in the wait; NULL: it is so. */
void finding_ancestor(const struct request *request, struct file *file,
                      const struct finding_holder *holder, int64_t since_ns, const char *detail,
                      struct log_place *provisional);

/* The holder's program inherited the descriptor that carries the lock, and who took the lock has
 * ended. Nothing is said if that is not so. */
void finding_if_leaked(const struct request *request, struct file *file,
                       const struct finding_holder *holder);

/* A blocking request was granted: was this lock, in the session, taken before one that this thread
 * holds now, when here it comes after it? Two that do so at the same time wait for each other. */
void finding_if_inverted(const struct request *request, const struct file *file,
                         struct picture_hold *hold, stack_id stack);

/* A cycle of waits, with every edge. One of a single thread is a self-deadlock. detail: NULL, or what
 * else there is to it. provisional: NULL, or the place of a record that is taken back when more is known. */
void finding_deadlock(const struct request *request, struct file *file,
                      const struct wait_cycle *cycle, enum event_action action, const char *detail,
                      struct log_place *provisional);

/* What the request asks for, in the picture's terms. */
struct picture_request finding_picture_request(const struct request *request,
                                               const struct file *file);

/* Do the rules say that this program hands locks from thread to thread? */
bool finding_program_hands_over(void);

/* The name of a descriptor's link in /proc; at least 32 bytes. */
void finding_link(char *link, size_t size, int fd);

/* Something could not be done; `why` is a sentence. file may be NULL. */
void finding_degraded(int fd, struct file *file, const char *why, const struct caller *caller);

#endif
