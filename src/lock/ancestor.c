#include "lock/ancestor.h"

#include "base/sys.h"
#include "base/text.h"
#include "lock/holders.h"

#include <string.h>

/* How far up is looked. */
#define GENERATIONS_MAX 64

static ssize_t read_proc(pid_t pid, const char *what, char *bytes, size_t size) {
    char name[64];
    struct text path;
    text_begin(&path, name, sizeof name);
    text_add(&path, "/proc/");
    text_add_decimal(&path, (uint64_t)pid);
    text_add(&path, what);
    int fd = sys_openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    ssize_t length = sys_read(fd, bytes, size - 1);
    sys_close(fd);
    bytes[length > 0 ? length : 0] = '\0';
    return length;
}

struct process {
    char state;
    pid_t parent;
    uint64_t threads;
};

/* Of the words behind the name, which may contain anything: the first three, and the 18th. */
static bool look_at(pid_t pid, struct process *process) {
    char stat[1024];
    if (read_proc(pid, "/stat", stat, sizeof stat) <= 0)
        return false;
    const char *at = strrchr(stat, ')');
    uint64_t number = 0;
    *process = (struct process){0};
    for (unsigned word = 1; at && word <= 18; word++) {
        at = strchr(at, ' ');
        if (!at)
            return false;
        size_t length = strcspn(++at, " ");
        if (word == 1)
            process->state = *at;
        else if (word == 2 && text_decimal(at, length, &number))
            process->parent = (pid_t)number;
        else if (word == 18 && text_decimal(at, length, &number))
            process->threads = number;
    }
    return at != NULL;
}

/* The kernel's function that it sleeps in says so, or else the system call. Either may be kept from
 * us. */
static bool waits_for_a_child(pid_t pid, const struct process *process) {
    char text[128];
    uint64_t number;
    if (process->threads != 1 || process->state != 'S')
        return false;
    if (read_proc(pid, "/wchan", text, sizeof text) > 0 && strncmp(text, "do_wait", 7) == 0)
        return true;
    return read_proc(pid, "/syscall", text, sizeof text) > 0 &&
           text_decimal(text, strcspn(text, " "), &number) &&
           (number == SYS_wait4 || number == SYS_waitid);
}

enum ancestry ancestry_of(pid_t holder) {
    struct process process;
    bool hangs = true;
    if (holder <= 1 || !holder_proc_is_ours())
        return ANCESTRY_NONE;
    pid_t pid = (pid_t)sys_call3(SYS_getppid, 0, 0, 0);
    for (int i = 0; i < GENERATIONS_MAX && pid > 1 && look_at(pid, &process); i++) {
        hangs = hangs && waits_for_a_child(pid, &process);
        if (pid == holder)
            return hangs ? ANCESTRY_HANGS : ANCESTRY_ANCESTOR;
        pid = process.parent;
    }
    return ANCESTRY_NONE;
}
