# Two builds in two threads of one process, as a build tool written in Python has them: each sets what its compilers
# are given. The first build sets all before the second does, so without a scope each, every compiler of the first build
# is given the second one's values.
#
#     builds.py DIRECTORY
#
# Prints BUILD_WAY=N: how many of the variables the compiler had from its own build.
import os
import subprocess
import sys
import threading

NAMES = ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_PKG_AUTHORS", "CARGO_MANIFEST_DIR", "CARGO_CFG_UNIX", "OUT_DIR",
         "TARGET", "HOST", "NUM_JOBS", "OPT_LEVEL", "PROFILE", "DEBUG", "PYTHONPATH", "C_INCLUDE_PATH"]
ENV = "/usr/bin/env"
turn = threading.Barrier(2)
reports = {}


class Build(threading.Thread):
    def __init__(self, name, top):
        super().__init__()
        self.build = name
        self.directory = os.path.join(top, name)
        os.makedirs(self.directory)
        self.values = {name: f"{self.build}-{name}" for name in NAMES}
        self.values.update(OUT_DIR=self.directory, PYTHONPATH=self.directory, C_INCLUDE_PATH=self.directory)

    def count(self, text):
        return sum(line in text.splitlines() for line in map("=".join, self.values.items()))

    def child(self, *command, **options):
        return self.count(subprocess.run(command or [ENV], stdout=subprocess.PIPE, text=True, check=True, **options).stdout)

    def from_pipe(self, start):
        reader, writer = os.pipe()
        pid = start(writer)
        os.close(writer)
        with os.fdopen(reader) as stream:
            text = stream.read()
        os.waitpid(pid, 0)
        return self.count(text)

    def forked(self, execute):
        def start(writer):
            pid = os.fork()
            if pid == 0:
                os.dup2(writer, 1)
                execute()
                os._exit(99)
            return pid
        return self.from_pipe(start)

    def system(self):
        file = os.path.join(self.directory, "system")
        os.system(f"{ENV} >{file}")
        with open(file) as stream:
            return self.count(stream.read())

    # These look for their files where the variables say.
    def python(self):
        with open(os.path.join(self.directory, "of_the_build.py"), "w") as file:
            file.write(f"name = {self.build!r}\n")
        found = subprocess.run([sys.executable, "-B", "-c", "import of_the_build; print(of_the_build.name)"],
                               stdout=subprocess.PIPE, text=True)
        return int(found.stdout.strip() == self.build)

    def gcc(self):
        with open(os.path.join(self.directory, "of_the_build.h"), "w") as file:
            file.write(f"name {self.build}\n")
        found = subprocess.run(["gcc", "-E", "-P", "-"], input="#include <of_the_build.h>\n", stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
        return int(found.stdout.split() == ["name", self.build])

    def compile_all_ways(self):
        without = {name: value for name, value in os.environ.items() if name != "CARGO_PKG_NAME"}
        return {
            "none": self.child(),
            "same": self.child(env=dict(os.environ)),
            "more": self.child(env={**os.environ, "JOB_OTHER": "other"}),
            "less": self.child(env=without),
            "empty": self.child(env={}),
            "shell": self.child("sh", "-c", "env; :"),
            "preexec": self.child(preexec_fn=lambda: None),
            "system": self.system(),
            "popen": self.count(os.popen(ENV).read()),
            "spawn": self.from_pipe(lambda writer: os.posix_spawn(
                ENV, [ENV], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)])),
            "spawnp": self.from_pipe(lambda writer: os.posix_spawnp(
                "env", [ENV], {**os.environ, "JOB_OTHER": "other"}, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)])),
            "execv": self.forked(lambda: os.execv(ENV, [ENV])),
            "execvp": self.forked(lambda: os.execvp("env", ["env"])),
            "execve": self.forked(lambda: os.execve(ENV, [ENV], os.environ)),
            "python": self.python(),
            "gcc": self.gcc(),
        }

    def run(self):
        if self.build == "two":
            turn.wait()
        os.environ.update(self.values)
        if self.build == "one":
            turn.wait()
        turn.wait()
        reports[self.build] = self.compile_all_ways()
        turn.wait()


builds = [Build(name, sys.argv[1]) for name in ("one", "two")]
for build in builds:
    build.start()
for build in builds:
    build.join()
for name, report in sorted(reports.items()):
    for way, own in report.items():
        print(f"{name}_{way}={own}")
