#!/usr/bin/env bats
# Clean programs with several threads, in the mode of every day: the same output and status as without the shim, and
# nothing to record. tests/real_programs.bats has others: make, perl, java, bash; tests/clean_work.bats whole jobs of shim-run.

load lib
load harm
load programs

@test "E1: a pool of Python threads that reads the environment and starts programs leaves no record" {
  need python3
  cat >pool.py <<'EOF'
import concurrent.futures, os, subprocess, tempfile, time, zlib
os.environ["JOB_NAME"] = "before the threads"
def task(number):
    time.localtime()
    tempfile.gettempdir()
    os.path.expanduser("~")
    program = subprocess.run(["printenv", "JOB_NAME"], stdout=subprocess.PIPE, env={**os.environ, "JOB_NUMBER": str(number)})
    return number, os.environ["JOB_NAME"], program.stdout, zlib.crc32(b"x" * 100000)
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for result in pool.map(task, range(40)):
        print(*result)
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    print(sum(pool.map(abs, range(-50, 50))))
EOF
  unharmed 'python3 ../pool.py'
  no_events
}

@test "E1: a make -j2 of a C program with a library leaves no record" {
  need make gcc ar
  # shellcheck disable=SC2016
  unharmed '
    for i in $(seq 12); do echo "int f$i(int x) { return x + $i; }" >"f$i.c"; done
    { echo "#include <stdio.h>"; for i in $(seq 12); do echo "int f$i(int);"; done
      echo "int main(void) { int x = 0;"; for i in $(seq 12); do echo "x = f$i(x);"; done
      echo "printf(\"%d\\n\", x); return 0; }"; } >main.c
    printf "%s\n" "export CFLAGS = -O1" "objects = \$(patsubst %.c,%.o,\$(wildcard f*.c))" \
      "program: main.o libf.a" "	\$(CC) \$^ -o \$@" "libf.a: \$(objects)" "	\$(AR) rcD \$@ \$^" \
      "sub:" "	\$(MAKE) -C . program" >Makefile
    make -j2 sub | sort
    ./program
    make -q program && echo "up to date"
    sha256sum program libf.a'
  no_events
}

@test "E1: gcc with parallel link-time optimisation and a compiler in a pipe leave no record" {
  need gcc
  # shellcheck disable=SC2016
  unharmed '
    for i in 1 2 3 4; do echo "int f$i(int x) { return x * $i; }" >"f$i.c"; done
    echo "int f1(int), f2(int), f3(int), f4(int); int main(void) { return f1(1) + f2(1) + f3(1) + f4(1); }" >main.c
    gcc -O2 -pipe -flto=2 -frandom-seed=1 *.c -o program
    ./program || echo "status $?"'
  no_events
}

@test "E1: cargo and rustc build, test and run a package and leave no record about the environment" {
  need cargo rustc
  # shellcheck disable=SC2016
  unharmed '
    export HOME=$PWD CARGO_HOME=$PWD/cargo CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
    mkdir -p package/src && cd package
    printf "%s\n" "[package]" "name = \"probe\"" "version = \"1.2.3\"" "edition = \"2021\"" "build = \"build.rs\"" >Cargo.toml
    cat >build.rs <<END
fn main() {
    println!("cargo:rustc-env=FROM_SCRIPT={}", std::env::var("CARGO_PKG_VERSION").unwrap());
    std::fs::write(std::path::Path::new(&std::env::var("OUT_DIR").unwrap()).join("made.rs"), "const MADE: u32 = 7;").unwrap();
}
END
    cat >src/main.rs <<END
include!(concat!(env!("OUT_DIR"), "/made.rs"));
fn main() { println!("{} {} {}", env!("CARGO_PKG_NAME"), env!("FROM_SCRIPT"), MADE); }
#[test] fn one() { assert_eq!(MADE, 7); }
#[test] fn two() { assert!(option_env!("JOB_NAME").is_none()); }
END
    cargo build -q -j 2
    cargo run -q
    cargo test -q 2>/dev/null | grep "^test result" | sed "s/; finished.*//"'
  [ -z "$(environment_events)" ]
}

@test "E1: javac and java with threads leave no record about the environment" {
  java_program Publishes
  JOB_NAME=initial unharmed 'javac -d . "$1" && java -Xshare:auto -cp . Publishes' "$SOURCES/Publishes.java"
  [ -z "$(environment_events)" ]
}
