/* For unit tests of what processes see of each other: children that run a function step by step,
 * and a directory of their own. */
#ifndef RACESHIM_UNIT_PROCESSES_H
#define RACESHIM_UNIT_PROCESSES_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "lock/hidden.h"
#include "lock/holders.h"
#include "lock/shared.h"
#include "lock/waiters.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[256];

static void remove_directory(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", directory);
}

/* A new, empty directory for the shared file and for the files that are locked. */
static void fresh_directory(void) {
    const char *parent = getenv("TMPDIR");
    if (directory[0] != '\0')
        remove_directory();
    snprintf(directory, sizeof directory, "%s/raceshim-unit-XXXXXX", parent ? parent : "/tmp");
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        exit(1);
    }
    hidden_after_fork_child(false);
    waiters_after_fork();
    holders_after_fork();
    shared_forget();
    shared_set_directory(directory);
}

__attribute__((unused)) static const char *path_of(const char *name) {
    static _Thread_local char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* Opens a file of the directory and gives its device and inode. */
__attribute__((unused)) static int open_file(const char *name, struct stat *st) {
    int fd = open(path_of(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, st) < 0) {
        perror(path_of(name));
        exit(1);
    }
    return fd;
}

/* The kernel's own lock. */
__attribute__((unused)) static int kernel_lock(int fd, short type, uint64_t start, uint64_t end) {
    struct flock lock = {.l_type = type,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)start,
                         .l_len = (off_t)range_length(start, end)};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

struct child {
    pid_t pid;
    int steps; /* written to let it go on */
    int done;  /* read to learn that it has come so far */
};

static struct child *me; /* in a child */

/* In a child: says that it has come here; with value, what it found. */
__attribute__((unused)) static void tell(char value) {
    if (write(me->done, &value, 1) != 1)
        _exit(99);
}

/* In a child: waits until the parent lets it go on. */
__attribute__((unused)) static void wait_step(void) {
    char byte;
    if (read(me->steps, &byte, 1) != 1)
        _exit(98);
}

__attribute__((unused)) static void let_go_on(struct child *child) {
    if (write(child->steps, "", 1) != 1)
        perror("write");
}

/* What the child told; -1 if it ended instead. */
__attribute__((unused)) static int heard_from(struct child *child) {
    char byte;
    return read(child->done, &byte, 1) == 1 ? byte : -1;
}

/* A child that runs the function. told_of_fork: as for a fork that the library saw. */
static struct child start_child_as(void (*run)(void *), void *argument, bool told_of_fork) {
    int steps[2], done[2];
    pid_t parent = getpid();
    fflush(stdout);
    if (pipe2(steps, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
        exit(1);
    struct child child = {.pid = fork(), .steps = steps[1], .done = done[0]};
    if (child.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(97);
        close(steps[1]);
        close(done[0]);
        me = &(struct child){.steps = steps[0], .done = done[1]};
        if (told_of_fork) {
            hidden_after_fork_child(false);
            holders_after_fork();
            waiters_after_fork();
        }
        run(argument);
        _exit(0);
    }
    close(steps[0]);
    close(done[1]);
    return child;
}

__attribute__((unused)) static struct child start_child(void (*run)(void *), void *argument) {
    return start_child_as(run, argument, true);
}

/* Reaps it. Its exit status, or 128 and its signal. */
__attribute__((unused)) static int end_child(struct child *child) {
    int status = 0;
    waitpid(child->pid, &status, 0);
    close(child->steps);
    close(child->done);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

__attribute__((unused)) static int kill_child(struct child *child) {
    kill(child->pid, SIGKILL);
    return end_child(child);
}

__attribute__((destructor)) static void clean_up(void) {
    if (me == NULL && directory[0] != '\0')
        remove_directory();
}

#endif
