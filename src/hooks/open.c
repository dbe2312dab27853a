/* What makes descriptors. None of it needs us, but one thing: where hidden descriptors had to be
 * placed below the soft limit, a call that finds no number free gets one of theirs and is made
 * again. */
#include "hooks/hook.h"

#include "lock/relief.h"

#include <dirent.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* Is it worth to make the failed call again? */
static __attribute__((noinline, cold)) bool relieved(const struct caller *caller) {
    if (errno != EMFILE || !hidden_lent())
        return false;
    int saved = errno;
    bool freed = relief_give_back(caller);
    errno = saved;
    return freed;
}

#define MADE(failed, call)                                                                         \
    do {                                                                                           \
        __typeof__(call) made;                                                                     \
        do                                                                                         \
            made = call;                                                                           \
        while (__builtin_expect(made == (failed), 0) && relieved(CALLER));                         \
        return made;                                                                               \
    } while (0)

/* The mode is passed on as it came, given or not. */
#define OPEN(name)                                                                                 \
    HOOK int name(const char *path, int flags, ...) {                                              \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode_t mode = va_arg(list, mode_t);                                                        \
        va_end(list);                                                                              \
        MADE(-1, real(name)(path, flags, mode));                                                   \
    }
#define OPENAT(name)                                                                               \
    HOOK int name(int dir, const char *path, int flags, ...) {                                     \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode_t mode = va_arg(list, mode_t);                                                        \
        va_end(list);                                                                              \
        MADE(-1, real(name)(dir, path, flags, mode));                                              \
    }

OPEN(open)
OPEN(open64)
HOOK_ALIAS(__open, open);
HOOK_ALIAS(__open64, open64);
OPENAT(openat)
OPENAT(openat64)

HOOK int __open_2(const char *path, int flags) {
    MADE(-1, real(__open_2)(path, flags));
}
HOOK int __open64_2(const char *path, int flags) {
    MADE(-1, real(__open64_2)(path, flags));
}
HOOK int __openat_2(int dir, const char *path, int flags) {
    MADE(-1, real(__openat_2)(dir, path, flags));
}
HOOK int __openat64_2(int dir, const char *path, int flags) {
    MADE(-1, real(__openat64_2)(dir, path, flags));
}

HOOK int creat(const char *path, mode_t mode) {
    MADE(-1, real(creat)(path, mode));
}
HOOK int creat64(const char *path, mode_t mode) {
    MADE(-1, real(creat64)(path, mode));
}
HOOK FILE *fopen(const char *path, const char *mode) {
    MADE(NULL, real(fopen)(path, mode));
}
HOOK_ALIAS(_IO_fopen, fopen);
HOOK FILE *fopen64(const char *path, const char *mode) {
    MADE(NULL, real(fopen64)(path, mode));
}
HOOK FILE *tmpfile(void) {
    MADE(NULL, real(tmpfile)());
}
HOOK FILE *tmpfile64(void) {
    MADE(NULL, real(tmpfile64)());
}
HOOK DIR *opendir(const char *path) {
    MADE(NULL, real(opendir)(path));
}
HOOK int mkstemp(char *template) {
    MADE(-1, real(mkstemp)(template));
}
HOOK int mkstemp64(char *template) {
    MADE(-1, real(mkstemp64)(template));
}
HOOK int mkostemp(char *template, int flags) {
    MADE(-1, real(mkostemp)(template, flags));
}
HOOK int mkostemp64(char *template, int flags) {
    MADE(-1, real(mkostemp64)(template, flags));
}
HOOK int socket(int domain, int type, int protocol) {
    MADE(-1, real(socket)(domain, type, protocol));
}
HOOK_ALIAS(__socket, socket);
HOOK int socketpair(int domain, int type, int protocol, int fds[2]) {
    MADE(-1, real(socketpair)(domain, type, protocol, fds));
}
HOOK int accept(int fd, struct sockaddr *address, socklen_t *length) {
    MADE(-1, real(accept)(fd, address, length));
}
HOOK int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    MADE(-1, real(accept4)(fd, address, length, flags));
}
HOOK int pipe(int fds[2]) {
    MADE(-1, real(pipe)(fds));
}
HOOK_ALIAS(__pipe, pipe);
HOOK int pipe2(int fds[2], int flags) {
    MADE(-1, real(pipe2)(fds, flags));
}
HOOK int epoll_create(int size) {
    MADE(-1, real(epoll_create)(size));
}
HOOK int epoll_create1(int flags) {
    MADE(-1, real(epoll_create1)(flags));
}
HOOK int eventfd(unsigned value, int flags) {
    MADE(-1, real(eventfd)(value, flags));
}
HOOK int memfd_create(const char *name, unsigned flags) {
    MADE(-1, real(memfd_create)(name, flags));
}
HOOK int mkstemps(char *template, int suffix) {
    MADE(-1, real(mkstemps)(template, suffix));
}
HOOK int mkstemps64(char *template, int suffix) {
    MADE(-1, real(mkstemps64)(template, suffix));
}
HOOK int mkostemps(char *template, int suffix, int flags) {
    MADE(-1, real(mkostemps)(template, suffix, flags));
}
HOOK int mkostemps64(char *template, int suffix, int flags) {
    MADE(-1, real(mkostemps64)(template, suffix, flags));
}
HOOK int inotify_init(void) {
    MADE(-1, real(inotify_init)());
}
HOOK int inotify_init1(int flags) {
    MADE(-1, real(inotify_init1)(flags));
}
HOOK int signalfd(int fd, const sigset_t *mask, int flags) {
    MADE(-1, real(signalfd)(fd, mask, flags));
}
HOOK int timerfd_create(clockid_t clock, int flags) {
    MADE(-1, real(timerfd_create)(clock, flags));
}
HOOK int posix_openpt(int flags) {
    MADE(-1, real(posix_openpt)(flags));
}
HOOK int getpt(void) {
    MADE(-1, real(getpt)());
}
HOOK FILE *setmntent(const char *path, const char *type) {
    MADE(NULL, real(setmntent)(path, type));
}
HOOK_ALIAS(__setmntent, setmntent);
