/* Every way in which a program can close a descriptor, by name.
 *
 *   struct closing c = prepare_closing("fclose", fd);   c.fd is the descriptor from now on
 *   finish_closing(&c);                                 closes it
 */
#ifndef WAYS_TO_CLOSE_H
#define WAYS_TO_CLOSE_H

#include "lock_probe.h"
#include <dirent.h>
#include <mntent.h>
#include <sys/syscall.h>

extern int __close(int fd);

struct closing {
    const char *how;
    int fd;
    FILE *stream;
    DIR *directory;
};

/* No library between the program and the kernel. */
static inline long assembly_call(long number, long a, long b, long c) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
#else
    (void)number, (void)a, (void)b, (void)c;
    fact("skip", "no assembly for this architecture");
    exit(0);
#endif
}

/* pclose and closedir close the description that was put in the place of their own. */
static inline int exchange(int fd, int handle) {
    must(dup2(fd, handle) == handle, "dup2");
    must(close(fd) == 0, "close");
    return handle;
}

static inline struct closing prepare_closing(const char *how, int fd) {
    struct closing c = {.how = how, .fd = fd};
    if (strcmp(how, "fclose") == 0 || strcmp(how, "freopen") == 0 ||
        strcmp(how, "endmntent") == 0) {
        c.stream = fdopen(fd, "r+");
        must(c.stream != NULL, "fdopen");
    } else if (strcmp(how, "pclose") == 0) {
        c.stream = popen("exit 0", "r");
        must(c.stream != NULL, "popen");
        c.fd = exchange(fd, fileno(c.stream));
    } else if (strcmp(how, "closedir") == 0) {
        c.directory = opendir(".");
        must(c.directory != NULL, "opendir");
        c.fd = exchange(fd, dirfd(c.directory));
    }
    return c;
}

static inline int finish_stream(const struct closing *c) {
    if (strcmp(c->how, "fclose") == 0)
        return fclose(c->stream) == 0;
    if (strcmp(c->how, "freopen") == 0)
        return freopen("/dev/null", "r", c->stream) != NULL;
    if (strcmp(c->how, "endmntent") == 0) /* libc's own fclose, from inside */
        return endmntent(c->stream) == 1;
    return pclose(c->stream) == 0;
}

static inline int finish_raw(const struct closing *c, int other) {
    if (strcmp(c->how, "raw_close") == 0)
        return syscall(SYS_close, c->fd) == 0;
    if (strcmp(c->how, "raw_close_range") == 0)
        return syscall(SYS_close_range, c->fd, c->fd, 0) == 0;
    if (strcmp(c->how, "raw_dup3") == 0)
        return syscall(SYS_dup3, other, c->fd, 0) == c->fd;
    if (strcmp(c->how, "assembly") == 0)
        return assembly_call(SYS_close, c->fd, 0, 0) == 0;
    return 0;
}

static inline void finish_closing(const struct closing *c) {
    int other = open("/dev/null", O_RDWR), done;
    if (c->stream != NULL)
        done = finish_stream(c);
    else if (c->directory != NULL)
        done = closedir(c->directory) == 0;
    else if (strcmp(c->how, "close") == 0)
        done = close(c->fd) == 0;
    else if (strcmp(c->how, "__close") == 0)
        done = __close(c->fd) == 0;
    else if (strcmp(c->how, "close_range") == 0)
        done = close_range((unsigned)c->fd, (unsigned)c->fd, 0) == 0;
    else if (strcmp(c->how, "close_range_to_end") == 0)
        done = close_range((unsigned)c->fd, ~0U, 0) == 0;
    else if (strcmp(c->how, "closefrom") == 0)
        done = (closefrom(c->fd), 1);
    else if (strcmp(c->how, "dup2") == 0)
        done = dup2(other, c->fd) == c->fd;
    else if (strcmp(c->how, "dup3") == 0)
        done = dup3(other, c->fd, O_CLOEXEC) == c->fd;
    else
        done = finish_raw(c, other);
    must(done, c->how);
}

#endif
