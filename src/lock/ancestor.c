#include "lock/ancestor.h"

#include "base/proc.h"
#include "base/sys.h"
#include "base/text.h"

#include <string.h>

/* How far up is looked. */
#define GENERATIONS_MAX 64

/* The kernel's function that it sleeps in says so, or else the system call. Either may be kept from
 * us. */
static bool waits_for_a_child(pid_t pid, const struct proc_stat *process) {
    char text[128];
    uint64_t number;
    if (process->threads != 1 || process->state != 'S')
        return false;
    if (proc_read(pid, "/wchan", text, sizeof text) > 0 && strncmp(text, "do_wait", 7) == 0)
        return true;
    return proc_read(pid, "/syscall", text, sizeof text) > 0 &&
           text_decimal(text, strcspn(text, " "), &number) &&
           (number == SYS_wait4 || number == SYS_waitid);
}

enum ancestry ancestry_of(pid_t parent, pid_t holder) {
    struct proc_stat process;
    bool hangs = true;
    pid_t pid = parent;
    if (holder <= 1)
        return ANCESTRY_NONE;
    for (int i = 0; i < GENERATIONS_MAX && pid > 1 && proc_stat(pid, &process) == 0; i++) {
        hangs = hangs && waits_for_a_child(pid, &process);
        if (pid == holder)
            return hangs ? ANCESTRY_HANGS : ANCESTRY_ANCESTOR;
        pid = process.parent;
    }
    return ANCESTRY_NONE;
}
