# Variables that libc reads for itself: what it makes of them when a thread sets them, and when two threads disagree
# about them while they disagree about another variable too.
import ctypes
import locale
import os
import socket
import threading
import time

libc = ctypes.CDLL(None)
turn = threading.Barrier(2)


def hour():
    time.tzset()
    return time.localtime(0).tm_hour, time.tzname


def charset():
    return locale.setlocale(locale.LC_ALL, ""), locale.nl_langinfo(locale.CODESET)


# libc reads this one when the process asks for a name first.
def resolver():
    # struct __res_state begins with retrans and retry, and is shorter than this.
    state = (ctypes.c_int * 1024)()
    libc.__res_ninit(state)
    libc.__res_nclose(state)
    return state[0], state[1], sorted({address[4][0] for address in socket.getaddrinfo("127.0.0.1", 80)})


def look(place):
    facts = {"hour": hour(), "charset": charset(), "get": [os.getenvb(name) for name in (b"TZ", b"LC_ALL")]}
    for name, value in facts.items():
        print(f"{place}_{name}={value}")


SETTINGS = {
    "one": {"TZ": "ONE+3", "LC_ALL": "C.UTF-8", "RES_OPTIONS": "timeout:7 attempts:4"},
    "two": {"TZ": "TWO-5", "LC_ALL": "C", "RES_OPTIONS": "timeout:9 attempts:3"},
}


def disagree(name):
    for who in SETTINGS:
        if who == name:
            os.environ.update(SETTINGS[name], JOB_NAME=name)
        turn.wait()
    for who in SETTINGS:
        if who == name:
            look("both_" + name)
        turn.wait()
    # The first one again, so that it is not the last writer's turn only.
    if name == "one":
        os.environ.update(SETTINGS[name])
    turn.wait()
    for who in SETTINGS:
        if who == name:
            look("again_" + name)
        turn.wait()


def alone():
    os.environ.update(SETTINGS["one"])
    look("worker")
    print(f"worker_resolver={resolver()}")


look("initial")
worker = threading.Thread(target=alone)
worker.start()
worker.join()
look("main")
print(f"main_resolver={resolver()}")
threads = [threading.Thread(target=disagree, args=(name,)) for name in SETTINGS]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
look("end")
