#include "base/proc.h"

#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

ssize_t proc_read(pid_t pid, const char *what, char *bytes, size_t size) {
    char name[64];
    struct text path;
    size_t length = 0;
    ssize_t got = 0;
    text_begin(&path, name, sizeof name);
    text_add(&path, "/proc/");
    text_add_decimal(&path, (uint64_t)pid);
    text_add(&path, what);
    int fd = sys_openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    while (length < size - 1 && (got = sys_read(fd, bytes + length, size - 1 - length)) > 0)
        length += (size_t)got;
    sys_close(fd);
    bytes[length] = '\0';
    return got < 0 && length == 0 ? got : (ssize_t)length;
}

/* Words are counted behind the name, which may contain anything. */
enum { WORD_STATE = 1, WORD_PARENT = 2, WORD_THREADS = 18, WORD_STARTED = 20 };

int proc_stat(pid_t pid, struct proc_stat *stat) {
    char text[1024];
    ssize_t got = proc_read(pid, "/stat", text, sizeof text);
    const char *at = got > 0 ? strrchr(text, ')') : NULL;
    *stat = (struct proc_stat){0};
    for (unsigned word = 1; at && word <= WORD_STARTED; word++) {
        uint64_t number = 0;
        at = strchr(at, ' ');
        if (!at)
            break;
        at++;
        text_decimal(at, strcspn(at, " \n"), &number);
        if (word == WORD_STATE)
            stat->state = *at;
        else if (word == WORD_PARENT)
            stat->parent = (pid_t)number;
        else if (word == WORD_THREADS)
            stat->threads = number;
        else if (word == WORD_STARTED)
            stat->started = number;
    }
    return got < 0 ? (int)got : at ? 0 : -ENODATA;
}

uint64_t proc_started(pid_t pid) {
    struct proc_stat stat;
    return proc_stat(pid, &stat) == 0 && stat.state != 'Z' && stat.state != 'X' ? stat.started : 0;
}

int64_t proc_started_at(pid_t pid) {
    struct timespec now, boot;
    uint64_t started = proc_started(pid), per_second = getauxval(AT_CLKTCK);
    if (started == 0 || per_second == 0)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (now.tv_sec - boot.tv_sec) * INT64_C(1000000000) + now.tv_nsec - boot.tv_nsec +
           (int64_t)(started * (UINT64_C(1000000000) / per_second));
}

/* The last number of the line "NSpid: 4711 17 1" is the one in its own namespace. */
static bool has_number(pid_t pid, pid_t ns_pid) {
    char text[4096];
    uint64_t number = 0;
    const char *at =
        proc_read(pid, "/status", text, sizeof text) > 0 ? strstr(text, "\nNSpid:") : NULL;
    if (!at)
        return false;
    for (at += strlen("\nNSpid:"); *at == '\t' || *at == ' ';) {
        at++;
        size_t length = strcspn(at, "\t \n");
        text_decimal(at, length, &number);
        at += length;
    }
    return number == (uint64_t)ns_pid;
}

struct linux_dirent {
    uint64_t ino;
    int64_t off;
    uint16_t length;
    uint8_t type;
    char name[];
};

int proc_next_number(const char *entries, ssize_t size, ssize_t *at) {
    while (*at < size) {
        const struct linux_dirent *entry = (const struct linux_dirent *)(entries + *at);
        uint64_t number;
        *at += entry->length;
        if (text_decimal(entry->name, strlen(entry->name), &number) && number <= INT32_MAX)
            return (int)number;
    }
    return -1;
}

#define LOOKED_AT_MAX 32768

pid_t proc_find(pid_t ns_pid, uint64_t started) {
    _Alignas(PROC_ENTRIES_ALIGN) char entries[2048];
    pid_t found = 0;
    ssize_t size;
    unsigned looked_at = 0;
    int proc = started ? sys_openat(AT_FDCWD, "/proc", O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0) : -1;
    if (proc < 0)
        return 0;
    while (found == 0 && looked_at < LOOKED_AT_MAX &&
           (size = sys_getdents(proc, entries, sizeof entries)) > 0) {
        ssize_t at = 0;
        for (pid_t pid; found == 0 && (pid = proc_next_number(entries, size, &at)) >= 0;)
            if (looked_at++ < LOOKED_AT_MAX && proc_started(pid) == started &&
                has_number(pid, ns_pid))
                found = pid;
    }
    sys_close(proc);
    return found;
}
