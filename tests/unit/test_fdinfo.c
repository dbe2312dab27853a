/* The kernel's lock lines: real ones, all their forms, and damaged ones. */
#define _GNU_SOURCE
#include "lock/fdinfo.h"

#include "check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static bool parse(const char *line, struct fdinfo_lock *lock) {
    return fdinfo_parse_line(line, strlen(line), lock);
}

/* All lines of a text that arrives in chunks of this size. */
static int parse_all(const char *text, size_t length, size_t chunk, bool prefixed,
                     struct fdinfo_lock *locks, int max) {
    struct fdinfo_parser parser = {.prefixed = prefixed};
    int count = 0;
    for (size_t from = 0; from < length; from += chunk) {
        const char *at = text + from;
        const char *end = at + (chunk < length - from ? chunk : length - from);
        struct fdinfo_lock lock;
        while (fdinfo_next(&parser, &at, end, &lock)) {
            if (count < max)
                locks[count] = lock;
            count++;
        }
    }
    return count;
}

static bool same(const struct fdinfo_lock *a, const struct fdinfo_lock *b) {
    return a->inode == b->inode && a->start == b->start && a->end == b->end && a->pid == b->pid &&
           a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
           a->lock_class == b->lock_class && a->type == b->type && a->waiting == b->waiting;
}

TEST("L4: every form of a lock line is understood") {
    struct fdinfo_lock lock;
    CHECK(parse("\t1: POSIX  ADVISORY  WRITE 22413 fe:00:10953258 100 EOF", &lock));
    CHECK(same(&lock, &(struct fdinfo_lock){.lock_class = FDINFO_POSIX,
                                            .type = RANGE_WRITE,
                                            .pid = 22413,
                                            .dev_major = 0xfe,
                                            .inode = 10953258,
                                            .start = 100,
                                            .end = RANGE_MAX}));
    CHECK(parse("\t12: OFDLCK ADVISORY  READ -1 08:1a:42 5 14", &lock));
    CHECK(same(&lock, &(struct fdinfo_lock){.lock_class = FDINFO_OFD,
                                            .type = RANGE_READ,
                                            .pid = -1,
                                            .dev_major = 8,
                                            .dev_minor = 0x1a,
                                            .inode = 42,
                                            .start = 5,
                                            .end = 14}));
    CHECK(parse("3: FLOCK  ADVISORY  WRITE 7 103:fffff:18446744073709551615 0 EOF", &lock));
    CHECK(lock.lock_class == FDINFO_FLOCK && lock.dev_major == 0x103 && lock.dev_minor == 0xfffff);
    CHECK(lock.inode == UINT64_MAX && lock.start == 0 && lock.end == RANGE_MAX);
    CHECK(parse("3: -> POSIX  MANDATORY READ  0 00:2a:1 0 0", &lock));
    CHECK(lock.waiting && lock.start == 0 && lock.end == 0 && lock.pid == 0);
    CHECK(parse("1: POSIX  ADVISORY  READ 1 00:01:1 9223372036854775807 EOF", &lock));
    CHECK(lock.start == RANGE_MAX);
    CHECK(parse("1: POSIX  ADVISORY  READ 1 00000103:0000000a:1 0 EOF", &lock));
    CHECK(lock.dev_major == 0x103 && lock.dev_minor == 10);
}

TEST("L4: the longest line is taken, one byte more is not; another prefix is not") {
    static const char line[] = "1: POSIX  ADVISORY  READ 22 08:01:42 0 EOF";
    char text[FDINFO_LINE_MAX + 64];
    struct fdinfo_lock lock;
    for (int more = 0; more < 2; more++) {
        int width = FDINFO_LINE_MAX + more;
        int length = snprintf(text, sizeof text, "%*s\n", width, line);
        CHECK_EQ(parse_all(text, (size_t)length, 50, false, &lock, 1), !more);
    }
    int length = snprintf(text, sizeof text, "lack:\t%s\nlock\n%s\n", line, line);
    CHECK_EQ(parse_all(text, (size_t)length, 50, true, &lock, 1), 0);
}

TEST("L4: what is no lock, or damaged, is no lock") {
    static const char *const lines[] = {
        "",
        " ",
        "1:",
        "1: POSIX",
        "1: LEASE  ACTIVE    READ 22 08:01:42 0 EOF",
        "1: DELEG  BREAKING  READ 22 08:01:42 0 EOF",
        "1: POSIX  *NOINODE* READ 22 <none>:0 0 EOF",
        "1: POSIX  ADVISORY  UNLCK 22 08:01:42 0 EOF",
        "1: POSIX  ADVISORY  READ 22 08:01:42 0",
        "1: POSIX  ADVISORY  READ 22 08:01:42 9 8",
        "1: POSIX  ADVISORY  READ 22 08:01:42 0 EOF more",
        "1: POSIX  ADVISORY  READ 22 08:01:42 0 EOFS",
        "1: POSIX  ADVISORY  READ 22 08:01:42 -1 EOF",
        "1: POSIX  ADVISORY  READ 22 08:01:42 0 9223372036854775808",
        "1: POSIX  ADVISORY  READ 22 08:01:18446744073709551616 0 EOF",
        "1: POSIX  ADVISORY  READ 22 08:01: 0 EOF",
        "1: POSIX  ADVISORY  READ 22 08:01 0 EOF",
        "1: POSIX  ADVISORY  READ 22 :01:42 0 EOF",
        "1: POSIX  ADVISORY  READ 22 123456789:01:42 0 EOF",
        "1: POSIX  ADVISORY  READ 22 0g:01:42 0 EOF",
        "1: POSIX  ADVISORY  READ - 08:01:42 0 EOF",
        "1: POSIX  ADVISORY  READ --1 08:01:42 0 EOF",
        "1: POSIX  ADVISORY  READ 2147483648 08:01:42 0 EOF",
        "1: -> ",
        "1 POSIX  ADVISORY  READ 22 08:01:42 0 EOF",
        "POSIX  ADVISORY  READ 22 08:01:42 0 EOF",
    };
    struct fdinfo_lock lock;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (parse(lines[i], &lock))
            CHECK_FAILED("\"%s\" was taken", lines[i]);
}

TEST("L4: the kernel's own lines say what was locked, in chunks of any size") {
    char name[] = "fdinfo-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    unlink(name);
    struct flock write = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};
    struct flock read = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 900, .l_len = 0};
    CHECK(fcntl(fd, F_OFD_SETLK, &write) == 0);
    CHECK(fcntl(fd, F_OFD_SETLK, &read) == 0);
    CHECK(flock(fd, LOCK_EX) == 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    int info = open(path, O_RDONLY | O_CLOEXEC);
    char text[4096];
    ssize_t length = info >= 0 ? pread(info, text, sizeof text, 0) : -1;
    CHECK(length > 0);
    for (size_t chunk = 1; length > 0 && chunk <= (size_t)length; chunk++) {
        struct fdinfo_lock locks[3];
        CHECK_EQ(parse_all(text, (size_t)length, chunk, true, locks, 3), 3);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(locks[i].inode, locks[0].inode);
            CHECK(!locks[i].waiting);
        }
        CHECK(locks[0].lock_class == FDINFO_FLOCK && locks[0].type == RANGE_WRITE);
        CHECK_EQ(locks[0].pid, getpid());
        CHECK(locks[1].lock_class == FDINFO_OFD && locks[1].type == RANGE_WRITE);
        CHECK(locks[1].start == 5 && locks[1].end == 14 && locks[1].pid == -1);
        CHECK(locks[2].type == RANGE_READ && locks[2].start == 900 && locks[2].end == RANGE_MAX);
    }
    close(info);
    close(fd);
}

static uint32_t random_state = 1;
static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

static struct fdinfo_lock random_lock(void) {
    struct fdinfo_lock lock = {.inode = ((uint64_t)random_below(1u << 24) << 24) + random_below(9),
                               .start = random_below(1u << 20),
                               .pid = (int32_t)random_below(4000000) - 1,
                               .dev_major = random_below(300),
                               .dev_minor = random_below(1u << 20),
                               .lock_class = (uint8_t)random_below(3),
                               .type = (uint8_t)random_below(2),
                               .waiting = random_below(2)};
    lock.end = random_below(2) ? RANGE_MAX : lock.start + random_below(1u << 20);
    return lock;
}

static int print_lock(char *at, size_t size, int id, const struct fdinfo_lock *lock) {
    static const char *const classes[] = {"POSIX ", "OFDLCK", "FLOCK "};
    char end[24] = "EOF";
    if (lock->end != RANGE_MAX)
        snprintf(end, sizeof end, "%" PRIu64, lock->end);
    return snprintf(at, size, "%d: %s%s ADVISORY  %s %d %02x:%02x:%" PRIu64 " %" PRIu64 " %s\n", id,
                    lock->waiting ? "-> " : "", classes[lock->lock_class],
                    lock->type == RANGE_WRITE ? "WRITE" : "READ ", lock->pid, lock->dev_major,
                    lock->dev_minor, lock->inode, lock->start, end);
}

TEST("L4: any number of lines, others and overlong ones between them, in chunks of any size") {
    static char text[65536];
    static struct fdinfo_lock wanted[64];
    static struct fdinfo_lock got[64];
    for (int round = 0; round < 3000 && check_failures == 0; round++) {
        bool prefixed = round % 2;
        size_t used = 0;
        int count = 0;
        for (uint32_t line = random_below(60); line > 0; line--) {
            uint32_t kind = random_below(6);
            if (kind == 0) {
                used += (size_t)sprintf(text + used, "ino:\t%u\n\n", random_below(1000));
            } else if (kind == 1) {
                int width = (int)random_below(400);
                used += (size_t)sprintf(text + used, "%s%*d: ", prefixed ? "lock:\t" : "",
                                        FDINFO_LINE_MAX + width, 1);
                struct fdinfo_lock lock = random_lock();
                used += (size_t)print_lock(text + used, 200, 1, &lock);
            } else {
                wanted[count] = random_lock();
                if (prefixed)
                    used += (size_t)sprintf(text + used, "lock:\t");
                used += (size_t)print_lock(text + used, 200, count, &wanted[count]);
                count++;
            }
        }
        int found = parse_all(text, used, 1 + random_below(300), prefixed, got, 64);
        CHECK_EQ(found, count);
        for (int i = 0; i < count && check_failures == 0; i++)
            CHECK(same(&got[i], &wanted[i]));
    }
}

TEST("L4: a line that is not complete is kept, not guessed") {
    static const char text[] = "lock:\t1: POSIX  ADVISORY  READ 22 08:01:42 0 1";
    struct fdinfo_parser parser = {.prefixed = true};
    struct fdinfo_lock lock;
    const char *at = text;
    CHECK(!fdinfo_next(&parser, &at, text + sizeof text - 1, &lock));
    static const char rest[] = "23\n";
    at = rest;
    CHECK(fdinfo_next(&parser, &at, rest + 3, &lock));
    CHECK(lock.end == 123 && at == rest + 3);
}
