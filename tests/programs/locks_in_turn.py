"""Locks files and tells others, one step after the other, as the arguments say.

    flock PATH, flock-shared PATH    flock(2), which waits
    fcntl PATH                       a record lock of the whole file, by F_SETLKW
    release PATH                     closes the descriptor that locked it
    say FIFO, hear FIFO              a word for whoever hears it
    awaited PATH                     until somebody waits for a lock of this file

Says what it has locked. A refused lock ends it with status 1.
"""
import errno
import fcntl
import os
import sys

locked = {}


def lock(path, how):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        if how == "fcntl":
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_SH if how == "flock-shared" else fcntl.LOCK_EX)
    except OSError as error:
        # The number has two names.
        print(path, errno.errorcode[error.errno].replace("EDEADLOCK", "EDEADLK"), flush=True)
        sys.exit(1)
    locked[path] = descriptor
    print(path, "locked", flush=True)


def is_awaited(path):
    if not os.path.exists(path):
        return False
    inode = ":%d" % os.stat(path).st_ino
    with open("/proc/locks") as locks:
        return any("->" in line and inode in line for line in locks)


steps = iter(sys.argv[1:])
for step in steps:
    argument = next(steps)
    if step == "release":
        os.close(locked.pop(argument))
    elif step == "say":
        with open(argument, "w") as fifo:
            fifo.write("go\n")
    elif step == "hear":
        with open(argument) as fifo:
            fifo.read()
    elif step == "awaited":
        while not is_awaited(argument):
            pass
    else:
        lock(argument, step)
