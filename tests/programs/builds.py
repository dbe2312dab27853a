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

from children import ENV, child, forked, spawned

NAMES = ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_PKG_AUTHORS", "CARGO_MANIFEST_DIR", "CARGO_CFG_UNIX", "OUT_DIR",
         "TARGET", "HOST", "NUM_JOBS", "OPT_LEVEL", "PROFILE", "DEBUG", "PYTHONPATH", "C_INCLUDE_PATH"]
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
            "none": self.count(child()),
            "same": self.count(child(env=dict(os.environ))),
            "more": self.count(child(env={**os.environ, "JOB_OTHER": "other"})),
            "less": self.count(child(env=without)),
            "empty": self.count(child(env={})),
            "shell": self.count(child("sh", "-c", "env; :")),
            "preexec": self.count(child(preexec_fn=lambda: None)),
            "system": self.system(),
            "popen": self.count(os.popen(ENV).read()),
            "spawn": self.count(spawned(os.posix_spawn, ENV, os.environ)),
            "spawnp": self.count(spawned(os.posix_spawnp, "env", {**os.environ, "JOB_OTHER": "other"})),
            "execv": self.count(forked(lambda: os.execv(ENV, [ENV]))),
            "execvp": self.count(forked(lambda: os.execvp("env", ["env"]))),
            "execve": self.count(forked(lambda: os.execve(ENV, [ENV], os.environ))),
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
