# Threads that set variables for others to read, one writer of a name at a time.
import os
import queue
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from children import ENV, child, forked, spawned


def ours(text):
    return " ".join(line for line in text.splitlines() if line.startswith("JOB_"))


def look(place):
    cleaned = {name: value for name, value in os.environ.items() if name != "JOB_NAME"}
    facts = {
        "get": os.environ.get("JOB_NAME"),
        "none": ours(child()),
        "same": ours(child(env=dict(os.environ))),
        "more": ours(child(env={**os.environ, "JOB_OTHER": "other"})),
        "own": ours(child(env={**os.environ, "JOB_NAME": "own"})),
        "less": ours(child(env=cleaned)),
        "empty": ours(child(env={})),
        "only": ours(child(env={"JOB_ONLY": "only"})),
        "preexec": ours(child(preexec_fn=lambda: None)),
        "popen": ours(os.popen(ENV).read()),
        "spawn": ours(spawned(os.posix_spawn, ENV, os.environ)),
        "execv": ours(forked(lambda: os.execv(ENV, [ENV]))),
        "execvp": ours(forked(lambda: os.execvp("env", ["env"]))),
        "execve": ours(forked(lambda: os.execve(ENV, [ENV], os.environ))),
    }
    for name, value in facts.items():
        print(f"{place}_{name}={value}")
    sys.stdout.flush()
    print(f"{place}_system={os.system('exit $JOB_STATUS') >> 8}")


class Worker(threading.Thread):
    """Does what it is told, step by step."""

    def __init__(self):
        super().__init__()
        self.orders, self.done = queue.Queue(), queue.Queue()
        self.start()

    def run(self):
        while order := self.orders.get():
            self.done.put(order())

    def do(self, order):
        self.orders.put(order)
        self.done.get()

    def end(self):
        """Python's join returns a little before the thread has ended: what it set is still its own until then."""
        task = f"/proc/self/task/{self.native_id}"
        self.orders.put(None)
        self.join()
        while os.path.exists(task):
            os.sched_yield()


os.environ["JOB_NAME"] = os.environ["JOB_ANOTHER"] = "initial"
os.environ["JOB_STATUS"] = "3"
look("alone")

worker = Worker()
worker.do(lambda: os.environ.update(JOB_NAME="worker", JOB_NEW="worker", JOB_STATUS="4"))
look("beside")
os.environ["JOB_MAIN"] = "initial"
worker.do(lambda: look("worker"))
worker.do(lambda: os.environ.pop("JOB_ANOTHER"))
look("removed")
worker.end()
look("joined")

# The pool's threads stay; the main thread goes on with what a task has set.
with ThreadPoolExecutor(2) as pool:
    pool.submit(os.putenv, "JOB_PUT", "pool").result()
    pool.submit(os.environ.__setitem__, "JOB_NAME", "pool").result()
    look("pool")
look("pool_ended")

# A task that moves from one thread of a pool to another.
first, second = Worker(), Worker()
first.do(lambda: os.environ.__setitem__("JOB_TASK", "first half"))
second.do(lambda: look("second_half"))
second.do(lambda: os.environ.__setitem__("JOB_RESULT", "second half"))
first.do(lambda: look("first_again"))
second.do(os.environ.clear)
look("cleared")
first.end()
second.end()
os.environ["JOB_STATUS"] = "5"
look("end")
