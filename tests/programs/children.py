# Children of a program written in Python, started in one way each: what `env` prints as the child.
import os
import subprocess

ENV = "/usr/bin/env"


def child(*command, **options):
    return subprocess.run(command or [ENV], stdout=subprocess.PIPE, text=True, check=True, **options).stdout


def from_pipe(start):
    """start begins a child whose standard output is the descriptor that it is given, and returns its number."""
    reader, writer = os.pipe()
    pid = start(writer)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    return text


def forked(execute):
    def start(writer):
        pid = os.fork()
        if pid == 0:
            os.dup2(writer, 1)
            execute()
            os._exit(99)
        return pid
    return from_pipe(start)


def spawned(spawn, program, environment):
    return from_pipe(lambda writer: spawn(program, [ENV], environment, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)]))
