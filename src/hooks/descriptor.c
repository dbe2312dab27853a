/* What copies and closes descriptors. */
#include "hooks/hook.h"
#include "hooks/shell.h"

#include "base/layout.h"
#include "lock/closing.h"
#include "lock/hidden.h"
#include "lock/relief.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

int hook_dup(int fd, const struct caller *caller) {
    int copy = real(dup)(fd);
    while (__builtin_expect(copy < 0, 0) && errno == EMFILE && hidden_lent() &&
           relief_give_back(caller)) {
        errno = EMFILE;
        copy = real(dup)(fd);
    }
    if (copy >= 0)
        describe_copy(fd, copy);
    return copy;
}

HOOK_REST int dup_rest(int fd) {
    return hook_dup(fd, CALLER);
}

HOOK_REST int dup_noted(int fd, int copy) {
    describe_copy(fd, copy);
    return copy;
}

HOOK int dup(int fd) {
    __typeof__(&dup) next = real_known(dup);
    if (__builtin_expect(hidden_any() || !next, 0))
        return dup_rest(fd);
    int copy = next(fd);
    /* Another thread may have locked for the first time meanwhile. */
    if (room_is_made() && copy >= 0)
        return dup_noted(fd, copy);
    return copy;
}

/* dup2 and dup3: the number is closed first, if the copy is made at all. */
static int dup_over(int fd, int target, int flags, int is_dup3, const struct caller *caller) {
    struct closing closing = {.room = NULL};
    if (fd != target && room_here()) {
        if (hidden_is(fd))
            return answer(-EBADF);
        closing_make_way(target);
        while (hidden_is(target) && relief_give_back(caller))
            ;
        closing_begin(&closing, target, caller);
    }
    int copy = is_dup3 ? real(dup3)(fd, target, flags) : real(dup2)(fd, target);
    int saved = errno;
    closing_end(&closing, copy >= 0);
    if (copy >= 0 && fd != target)
        describe_copy(fd, copy);
    errno = saved;
    return copy;
}

int hook_dup2(int fd, int target, const struct caller *caller) {
    return dup_over(fd, target, 0, 0, caller);
}

HOOK int dup2(int fd, int target) {
    return hook_dup2(fd, target, CALLER);
}
HOOK_ALIAS(__dup2, dup2);

int hook_dup3(int fd, int target, int flags, const struct caller *caller) {
    return dup_over(fd, target, flags, 1, caller);
}

HOOK int dup3(int fd, int target, int flags) {
    return hook_dup3(fd, target, flags, CALLER);
}

/* close is a cancellation point. If the cancellation came between our account and the kernel's the
 * two would differ, so it is looked for first and held off during the close. */
static int close_tracked(struct room *room, int fd, const struct caller *caller) {
    struct closing closing;
    struct sys_sigset signals;
    int state, saved = errno;
    pthread_testcancel();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    bool brief = closing_is_brief(room, fd);
    if (brief)
        signals_hold(&signals);
    int result = -EBADF;
    if (closing_begin_tracked(&closing, room, fd, caller)) {
        result = real(close)(fd);
        result = result < 0 ? -errno : result;
        closing_end(&closing, true);
    }
    if (brief)
        signals_release(&signals);
    pthread_setcancelstate(state, NULL);
    errno = saved;
    return answer(result);
}

static inline bool close_matters(struct room *room, int fd) {
    return !owner_is_vfork_child() &&
           (atomic_load_explicit(&room->owner_total, memory_order_relaxed) != 0 || hidden_is(fd) ||
            room_description(room, fd) != NULL);
}

int hook_close(int fd, const struct caller *caller) {
    struct room *room = room_here();
    struct slot *slot = room ? room_slot(room, fd) : NULL;
    if (__builtin_expect(room != NULL, 0) && close_matters(room, fd))
        return close_tracked(room, fd, caller);
    if (slot && !owner_is_vfork_child())
        atomic_store_explicit(&slot->copied, false, memory_order_relaxed);
    return real(close)(fd);
}

HOOK_REST int close_rest(int fd) {
    return hook_close(fd, CALLER);
}

HOOK int close(int fd) {
    __typeof__(&close) next = real_known(close);
    if (__builtin_expect(room_is_made() || !next, 0))
        return close_rest(fd);
    return next(fd);
}
HOOK_ALIAS(__close, close);

/* The real call for each piece of the range that lies between hidden descriptors. */
static int close_pieces(unsigned first, unsigned last, int flags) {
    int result = 0;
    while (first <= last) {
        int hidden =
            first > INT_MAX ? -1 : hidden_next((int)first, last > INT_MAX ? INT_MAX : (int)last);
        unsigned end = hidden < 0 ? last : (unsigned)hidden - 1;
        if (hidden < 0 || (unsigned)hidden > first)
            result = real(close_range)(first, end, flags);
        if (hidden < 0 || result < 0)
            break;
        first = (unsigned)hidden + 1;
    }
    return result;
}

FEW_PROCESSES int hook_close_range(unsigned first, unsigned last, int flags,
                                   const struct caller *caller) {
    if (!real_exists(REAL_close_range))
        return answer(-ENOSYS);
    if (first > last || !room_here() || owner_is_vfork_child())
        return real(close_range)(first, last, flags);
    if (flags == 0)
        closing_range(first, last, caller);
    return close_pieces(first, last, flags);
}

HOOK FEW_PROCESSES int close_range(unsigned first, unsigned last, int flags) {
    return hook_close_range(first, last, flags, CALLER);
}

HOOK FEW_PROCESSES void closefrom(int first) {
    unsigned from = first < 0 ? 0 : (unsigned)first;
    if (!room_here() || owner_is_vfork_child()) {
        real(closefrom)(first);
        return;
    }
    int saved = errno;
    closing_range(from, UINT_MAX, CALLER);
    if (close_pieces(from, UINT_MAX, 0) < 0 && !hidden_any())
        real(closefrom)(first);
    errno = saved;
}

/* The streams: libc closes their descriptors without asking us. */
static void begin_stream(struct closing *closing, FILE *stream, const struct caller *caller) {
    closing->room = NULL;
    if (stream && room_here()) {
        int saved = errno;
        int fd = fileno(stream);
        if (fd >= 0)
            closing_begin(closing, fd, caller);
        errno = saved;
    }
}

static void end_stream(struct closing *closing) {
    int saved = errno;
    closing_end(closing, true);
    errno = saved;
}

HOOK int fclose(FILE *stream) {
    struct closing closing;
    struct popen_end end;
    popen_end_begin(&end, stream);
    begin_stream(&closing, stream, CALLER);
    int result = real(fclose)(stream);
    end_stream(&closing);
    return popen_end_wait(&end, result);
}
HOOK_ALIAS(_IO_fclose, fclose);

HOOK int pclose(FILE *stream) {
    struct closing closing;
    struct popen_end end;
    popen_end_begin(&end, stream);
    begin_stream(&closing, stream, CALLER);
    int result = real(pclose)(stream);
    end_stream(&closing);
    return popen_end_wait(&end, result);
}

#define FREOPEN(name)                                                                              \
    HOOK FEW_PROCESSES FILE *name(const char *path, const char *mode, FILE *stream) {              \
        struct closing closing;                                                                    \
        struct popen_end end;                                                                      \
        popen_end_begin(&end, stream);                                                             \
        begin_stream(&closing, stream, CALLER);                                                    \
        FILE *result = real(name)(path, mode, stream);                                             \
        end_stream(&closing);                                                                      \
        popen_end_wait(&end, 0);                                                                   \
        return result;                                                                             \
    }

FREOPEN(freopen)
FREOPEN(freopen64)

HOOK int closedir(DIR *directory) {
    struct closing closing = {.room = NULL};
    int saved = errno;
    int fd = directory && room_here() ? dirfd(directory) : -1;
    if (fd >= 0)
        closing_begin(&closing, fd, CALLER);
    errno = saved;
    int result = real(closedir)(directory);
    end_stream(&closing);
    return result;
}

/* Descriptors that come in a message may be copies of our own. */
FEW_PROCESSES static void mark_received(struct room *room, struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        const unsigned char *data = CMSG_DATA(c);
        for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;
            memcpy(&fd, data + at, sizeof fd);
            room_mark_copied(room, fd);
        }
    }
}

HOOK FEW_PROCESSES ssize_t recvmsg(int socket, struct msghdr *message, int flags) {
    ssize_t got = real(recvmsg)(socket, message, flags);
    struct room *room = got >= 0 ? room_here() : NULL;
    if (room && message->msg_controllen != 0)
        mark_received(room, message);
    return got;
}

HOOK FEW_PROCESSES int recvmmsg(int socket, struct mmsghdr *messages, unsigned count, int flags,
                                struct timespec *timeout) {
    int got = real(recvmmsg)(socket, messages, count, flags, timeout);
    struct room *room = got > 0 ? room_here() : NULL;
    for (int i = 0; room && i < got; i++)
        if (messages[i].msg_hdr.msg_controllen != 0)
            mark_received(room, &messages[i].msg_hdr);
    return got;
}
