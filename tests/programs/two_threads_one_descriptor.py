"""Two threads count in one file, each under a record lock, but through the descriptor that they share.

Prints what was counted. The barriers are where a slow machine would stop each thread.
"""
import fcntl
import os
import threading

counter = os.open("counter", os.O_RDWR | os.O_CREAT)
os.write(counter, b"0")
both_locked = threading.Barrier(2)
both_read = threading.Barrier(2)


def count():
    fcntl.lockf(counter, fcntl.LOCK_EX)
    both_locked.wait()
    value = int(os.pread(counter, 10, 0))
    both_read.wait()
    os.pwrite(counter, b"%d" % (value + 1), 0)


first = threading.Thread(target=count)
first.start()
# The first has its lock: which of the two is the one that finds it taken is settled.
while both_locked.n_waiting == 0:
    pass
count()
first.join()
print("counted", os.pread(counter, 10, 0).decode())
