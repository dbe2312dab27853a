"""A prefork server: the workers take turns at accept by a record lock on the descriptor that they have inherited.

Prints how many requests were answered, and how often two workers were in accept at the same time.
"""
import fcntl
import mmap
import os
import socket

WORKERS, REQUESTS = 3, 60

mutex = os.open("accept.lock", os.O_RDWR | os.O_CREAT)
inside = mmap.mmap(-1, 4096)
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen(REQUESTS)


def work():
    while True:
        fcntl.lockf(mutex, fcntl.LOCK_EX)
        inside[0] += 1
        inside[1] |= inside[0] != 1
        connection, _ = server.accept()
        inside[0] -= 1
        fcntl.lockf(mutex, fcntl.LOCK_UN)
        request = connection.recv(10)
        connection.sendall(request)
        connection.close()
        if request == b"end":
            os._exit(0)


workers = []
for _ in range(WORKERS):
    pid = os.fork()
    if pid == 0:
        work()
    workers.append(pid)
answered = 0
for number in range(REQUESTS + WORKERS):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("socket")
        client.sendall(b"end" if number >= REQUESTS else b"get")
        answered += client.recv(10) == b"get"
for pid in workers:
    os.waitpid(pid, 0)
print("answered", answered, "together", inside[1])
