#!/usr/bin/env bats
# The corpus of field cases: what goes wrong in real jobs, each shown without the library first, then run under shim-run in
# its default mode and with --watch. Of each is said exactly which findings it has, and what the user reads. Most are
# programs as Debian has them; the others are small ones in tests/programs that do what a real one did.
#
#     RACESHIM_CORPUS_TABLE=table.md bats tests/field_cases.bats     also writes what was seen, as a table
# shellcheck disable=SC2016 # many scripts are for a shell within
# shellcheck disable=SC2034,SC2154 # $status, $output, $errors and the rest are those of field.bash

load lib
load programs
load field

setup_file() { table_begin; }
teardown() { table_end_case; }

export TURNS=$BATS_TEST_DIRNAME/programs/locks_in_turn.py

# turns NAME STEP...: a line of a script that starts such a process
turns() { printf '"$AS" %s python3 "%s" %s' "$1" "$TURNS" "${*:2}"; }

# pipes NAME...: a line that makes them, for words between the processes
pipes() { printf 'mkfifo %s\n' "$*"; }

# ---- One process, against itself ----

@test "L1: a compiler that collects stale sessions deletes the one that it works in" {
  local compiler=$BUILD/tools/demo/compiler-session lock
  furnish() {
    mkdir -p cache/s-00dd-working
    touch -d '1 hour ago' cache/s-00dd.lock cache/s-00dd-working
  }
  lock_of_session() { printf "cache/s-%04x.lock${1-} write 0+0" "$(sed -n 's/^compiler=//p' "$NAMES")"; }

  bare_job "$AS" compiler "$compiler" cache
  [ "$status" = 1 ]
  [ -z "$(ls cache)" ]
  bare_is "exit $status: $(tail -n 1 <<<"$output")"

  job repair -- "$AS" compiler "$compiler" cache
  [ "$status" = 0 ]
  [ "$(find cache -name dep-graph.bin | wc -l)" = 1 ]
  [ ! -e cache/s-00dd-working ]
  finds "self-lock warning denied x1 $(lock_of_session) compiler[compiler-session] -> compiler[compiler-session]" \
    "lock-lost warning kept x1 $(lock_of_session) compiler[compiler-session] -> compiler[compiler-session]"
  told 'compiler-session\[[0-9]+\] self-lock: .*at lock_without_waiting from collect_if_unused .*against lock_without_waiting from begin_session'

  job watch -- "$AS" compiler "$compiler" cache
  [ "$status" = 1 ]
  finds "self-lock warning granted x1 $(lock_of_session) compiler[compiler-session] -> compiler[compiler-session]" \
    "lock-lost error lost x1 $(lock_of_session ' (deleted)') compiler[compiler-session] -> compiler[compiler-session]"
  told 'compiler-session\[[0-9]+\] self-lock: .*at lock_without_waiting from collect_if_unused'
}

@test "L2: a job queue that reads its state by fopen and fclose drops its lock, and two take one job" {
  c_program reads_its_own_lock_file
  local queue=$MADE/reads_its_own_lock_file
  furnish() { echo "job 17" >state; }
  local command=("$AS" first "$queue" state "\"\$AS\" second '$queue' state")

  bare_job "${command[@]}"
  [ "$output" = $'runs job 17\nruns job 17' ]
  bare_is "two processes at once: $(paste -sd, <<<"$output")"

  job repair -- "${command[@]}"
  [ "$output" = $'runs job 17\nbusy: Resource temporarily unavailable' ]
  finds "lock-lost warning kept x1 state write 0+0 first[reads_its_own_lock_file] -> first[reads_its_own_lock_file]"
  told 'lock-lost: .*: state; .*at read_state \(.*, against take_queue \('

  # The second has lost its lock when it ends, like the first.
  job watch -- "${command[@]}"
  [ "$output" = $'runs job 17\nruns job 17' ]
  finds "lock-lost error lost x1 state write 0+0 first[reads_its_own_lock_file] -> first[reads_its_own_lock_file]" \
    "lock-lost error lost x1 state write 0+0 second[reads_its_own_lock_file] -> second[reads_its_own_lock_file]"
  told 'lock-lost: .*: state; .*at read_state \(.*, against take_queue \('
}

@test "L6: a backup that reads an SQLite file beside a live connection drops its locks, and the database is corrupted" {
  need sqlite3 python3
  furnish() {
    sqlite3 accounts.db "CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER, note TEXT);
      CREATE INDEX by_note ON account(note); WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300)
      INSERT INTO account SELECT x, 0, hex(randomblob(400)) FROM n"
  }
  local command=("$AS" backup python3 "$SOURCES/reads_beside_connection.py" accounts.db
    "$AS" other sqlite3 accounts.db "DELETE FROM account WHERE id % 2; SELECT 'deleted'")
  whole() { sqlite3 accounts.db "PRAGMA integrity_check" 2>&1 | head -n 1; }

  bare_job "${command[@]}"
  [ "$(whole)" != ok ]
  bare_is "both write: $(paste -sd, <<<"$output"); integrity_check: $(whole | cut -c1-60)"

  job repair -- "${command[@]}"
  [ "$output" = committed ]
  [[ "$errors" == *"database is locked"* ]]
  [ "$(whole)" = ok ]
  finds "lock-lost warning kept x1 accounts.db write 1073741824+1 backup[python3.11] -> backup[python3.11]"
  told 'lock-lost: .*: accounts.db; lock kept'

  job watch -- "${command[@]}"
  [ "$(whole)" != ok ]
  finds "lock-lost error lost x1 accounts.db write 1073741824+1 backup[python3.11] -> backup[python3.11]"
  told 'lock-lost: .*: accounts.db; lock lost'
}

@test "L6: a daemon that reads its own pid file drops its lock, and a second one starts" {
  need python3
  local program='
import fcntl, os, subprocess, sys
pid_file = open("daemon.pid", "a+")
try:
    fcntl.lockf(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("one is running")
    sys.exit()
pid_file.write("%d\n" % os.getpid())
pid_file.flush()
print("started", flush=True)
open("daemon.pid").read()
if len(sys.argv) > 1:
    subprocess.run([os.environ["AS"], "second", "python3", "-c", sys.argv[1]])'

  bare_job "$AS" first python3 -c "$program" "$program"
  [ "$output" = $'started\nstarted' ]
  bare_is "two daemons: $(paste -sd, <<<"$output")"

  # Others ask for the holder of such a file and signal it: it is only watched.
  local way
  for way in repair watch; do
    job $way -- "$AS" first python3 -c "$program" "$program"
    [ "$output" = $'started\nstarted' ]
    finds "lock-lost error lost x1 daemon.pid write 0+0 first[python3.11] -> first[python3.11]" \
      "lock-lost error lost x1 daemon.pid write 0+0 second[python3.11] -> second[python3.11]"
    told 'lock-lost: '
  done
}

@test "L2: a plug-in that unlocks the mail box through a descriptor of its own lets others in" {
  need python3
  local delivery='
import fcntl
try:
    fcntl.lockf(open("box", "a+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("delivers")
except OSError:
    print("tries again later")'
  local reader='
import fcntl, os, subprocess, sys
box = open("box", "a+")
fcntl.lockf(box, fcntl.LOCK_EX)
plug_in = open("box", "a+")
fcntl.lockf(plug_in, fcntl.LOCK_UN)
subprocess.run([os.environ["AS"], "delivery", "python3", "-c", sys.argv[1]])'
  bare_job "$AS" reader python3 -c "$reader" "$delivery"
  [ "$output" = delivers ]
  bare_is "mail is delivered into a locked box"

  job repair -- "$AS" reader python3 -c "$reader" "$delivery"
  [ "$output" = "tries again later" ]
  finds "foreign-unlock warning kept x1 box write 0+0 reader[python3.11] -> reader[python3.11]"
  told 'foreign-unlock: '

  job watch -- "$AS" reader python3 -c "$reader" "$delivery"
  [ "$output" = delivers ]
  finds "foreign-unlock error lost x1 box write 0+0 reader[python3.11] -> reader[python3.11]"
  told 'foreign-unlock: '
}

@test "L1: a program that locks the same file by flock in two places says that another instance runs" {
  need perl
  local way program='
use Fcntl qw(:flock);
open(my $first, ">>", "instance.lock") or die; flock($first, LOCK_EX | LOCK_NB) or die;
open(my $second, ">>", "instance.lock") or die;
print flock($second, LOCK_EX | LOCK_NB) ? "goes on\n" : "another instance is running\n";'

  bare_job "$AS" program perl -e "$program"
  [ "$output" = "another instance is running" ]
  bare_is "$output, though there is only one"

  for way in repair watch; do
    job $way -- "$AS" program perl -e "$program"
    [ "$output" = "another instance is running" ]
    finds "self-lock warning denied x1 instance.lock write 0+0 program[perl] -> program[perl]"
    told 'self-lock: .*instance.lock'
  done
}

@test "L5: a program that waits for its own record lock through a second open gets EDEADLK instead of two writers" {
  need python3
  bare_job "$AS" program python3 "$TURNS" fcntl file fcntl file
  [ "$output" = $'file locked\nfile locked' ]
  bare_is "both locks are granted: nothing is excluded"

  job repair -- "$AS" program python3 "$TURNS" fcntl file fcntl file
  [ "$output" = $'file locked\nfile EDEADLK' ]
  finds "self-deadlock error refused x1 file write 0+0 program[python3.11] -> program[python3.11]"
  told 'self-deadlock: '

  job watch -- "$AS" program python3 "$TURNS" fcntl file fcntl file
  [ "$output" = $'file locked\nfile locked' ]
  finds "self-deadlock error granted x1 file write 0+0 program[python3.11] -> program[python3.11]"
  told 'self-deadlock: '
}

@test "L5: a program that waits for its own flock hangs" {
  need python3
  hangs file -- python3 "$TURNS" flock file flock file
  bare_is "hangs after: $output"
  local way
  for way in repair watch; do
    hung_job $way file -- --wait-warn=0 "$AS" program python3 "$TURNS" flock file flock file
    finds "self-deadlock error waited x1 file write 0+0 program[python3.11] -> program[python3.11]"
    told '^error: self-deadlock: python3.11\[[0-9]+\] '
  done
}

@test "L1: two threads that lock through one descriptor lose a count" {
  need python3
  local way
  bare_job "$AS" program python3 "$SOURCES/two_threads_one_descriptor.py"
  [ "$output" = "counted 1" ]
  bare_is "two have counted, and the file says: $output"
  for way in repair watch; do
    job $way -- "$AS" program python3 "$SOURCES/two_threads_one_descriptor.py"
    [ "$output" = "counted 1" ]
    finds "shared-description warning granted x1 counter write 0+0 program[python3.11] -> program[python3.11]/thread"
    told 'shared-description: .* in two threads through one open file description: counter'
  done
}

# ---- Processes that wait for each other ----

@test "L5: a build script that calls the build tool on the same directory waits for its ancestor" {
  need cargo rustc
  furnish() {
    mkdir -p package/src
    printf '%s\n' '[package]' 'name = "probe"' 'version = "1.0.0"' 'edition = "2021"' 'build = "build.rs"' >package/Cargo.toml
    echo 'fn main() {}' >package/src/main.rs
    cat >package/build.rs <<'END'
use std::process::Command;
fn main() {
    if std::env::var_os("INNER").is_none() {
        let tool = Command::new(std::env::var_os("AS").unwrap())
            .args(["inner", "cargo", "build", "--manifest-path", "package/Cargo.toml"])
            .current_dir("../")
            .env("INNER", "1")
            .status();
        std::process::exit(tool.unwrap().code().unwrap_or(1));
    }
}
END
    export HOME=$PWD CARGO_HOME=$PWD/cargo CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
    unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR
  }
  local build=("$AS" outer cargo build --manifest-path package/Cargo.toml) lock=package/target/debug/.cargo-lock

  hangs $lock -- "${build[@]}"
  [[ "$errors" == *"Compiling probe"* ]]
  bare_is "hangs after: $(sed -n 's/ (.*//; s/^ *//; 1p' <<<"$errors")"

  job repair --lock-timeout=0.5 -- "${build[@]}"
  [ "$status" = 101 ]
  finds "ancestor-wait warning waited x1 $lock write 0+0 inner[cargo] -> outer[cargo]" \
    "lock-timeout error refused x1 $lock write 0+0 inner[cargo] -> outer[cargo]"
  told 'cargo\[[0-9]+\] ancestor-wait: waits for a lock that its own ancestor holds: .*\.cargo-lock, held by cargo\[[0-9]+\]'

  hung_job watch $lock -- "${build[@]}"
  finds "ancestor-wait warning waited x1 $lock write 0+0 inner[cargo] -> outer[cargo]" \
    "long-wait warning waited x1 $lock write 0+0 inner[cargo] -> outer[cargo]"
  told '^warning: ancestor-wait: cargo\[[0-9]+\] waits for a lock that its own ancestor holds'
}

@test "L5: a makefile's rule that takes the lock which make runs under waits for its ancestor" {
  need flock make
  furnish() { printf 'all:\n\t"$$AS" inner flock build.lock echo linked\n' >Makefile; }
  local build=("$AS" outer flock build.lock make -s)

  hangs build.lock -- "${build[@]}"
  bare_is "hangs"

  job repair --lock-timeout=0.5 -- "${build[@]}"
  [ "$status" = 2 ]
  finds "ancestor-wait warning waited x1 build.lock write 0+0 inner[flock] -> outer[flock]" \
    "lock-timeout error refused x1 build.lock write 0+0 inner[flock] -> outer[flock]"
  told 'flock\[[0-9]+\] ancestor-wait: waits for a lock that its own ancestor holds: build.lock, held by flock\[[0-9]+\]'
  "$SHIM_REPORT" --format=text "$SESSION" | grep -q 'waits for it to end in turn: neither ever will'

  hung_job watch build.lock -- "${build[@]}"
  finds "ancestor-wait warning waited x1 build.lock write 0+0 inner[flock] -> outer[flock]" \
    "long-wait warning waited x1 build.lock write 0+0 inner[flock] -> outer[flock]"
  told 'neither ever will'
}

# abba FIRST SECOND: one takes a in the way FIRST and waits for b in the way SECOND; two has b and asks for a, in the
# same ways, when one waits. The order is that of the words.
abba() {
  pipes toOne toTwo
  turns one "$1" a say toTwo hear toOne "$2" b
  echo ' &'
  turns two "$2" b hear toTwo say toOne awaited b "$1" a
  printf '\nwait\n'
}

@test "L5: two that take two locks by flock in both orders hang" {
  need python3
  local way
  hangs a b -- sh -c "$(abba flock flock)"
  bare_is "hangs after: $(sort <<<"$output" | paste -sd,)"
  for way in repair watch; do
    hung_job $way a b -- --wait-warn=0 sh -c "$(abba flock flock)"
    finds "deadlock error waited x1 a write 0+0 two[python3.11] -> one[python3] ring: two > one"
    told '^error: deadlock: python3.11\[[0-9]+\] '
  done
}

@test "L5: of one that takes a flock, then a record lock, and one that takes them the other way round, one is refused" {
  need python3
  hangs a b -- sh -c "$(abba flock fcntl)"
  bare_is "hangs after: $(sort <<<"$output" | paste -sd,)"
  # The flock closes the ring, and cannot be refused.
  hung_job repair a b -- --wait-warn=0 sh -c "$(abba flock fcntl)"
  finds "deadlock error waited x1 a write 0+0 two[python3.11] -> one[python3] ring: two > one"
  told '^error: deadlock: '
  # The record lock does.
  job repair -- sh -c "$(abba fcntl flock)"
  [ "$(sort <<<"$output")" = $'a EDEADLK\na locked\nb locked\nb locked' ]
  finds "deadlock error refused x1 a write 0+0 two[python3.11] -> one[python3] ring: two > one"
  told 'deadlock: .*refused'
  hung_job watch a b -- --wait-warn=0 sh -c "$(abba fcntl flock)"
  finds "deadlock error waited x1 a write 0+0 two[python3.11] -> one[python3] ring: two > one"
  told '^error: deadlock: '
}

# holders_hang SCRIPT: in a ring of flock(1), the one called `two` last
holders_hang() {
  local way
  hangs a b -- sh -c "$1"
  bare_is "hangs"
  for way in repair watch; do
    hung_job $way a b -- --wait-warn=0 sh -c "$1"
    finds "deadlock error waited x1 a write 0+0 two[flock] -> one[flock] ring: two > one"
    told 'each waits for a lock whose holder waits for the next one to end'
  done
}

# Who holds a lock there waits for a command, and that one for the other's lock.
@test "L5: commands under flock(1) that want each other's locks in turn hang, and the ring is told" {
  need flock python3
  local nests
  # shellcheck disable=SC2016 # for the shells of the job
  nests='mkfifo toOne toTwo
    flock a sh -c "echo >toTwo; read x <toOne; exec \"\$AS\" one flock b true" &
    flock b sh -c "read x <toTwo; echo >toOne; python3 \"\$TURNS\" awaited b; exec \"\$AS\" two flock a true" &
    wait'
  holders_hang "$nests"
}

@test "L5: shells that lock with flock(1) on their own descriptors hang, and the ring is told" {
  need flock python3
  local shells
  # shellcheck disable=SC2016 # for the shells of the job
  shells='mkfifo toOne toTwo
    sh -c "exec 8>a 9>b; flock 8; echo >toTwo; read x <toOne; \"\$AS\" one flock 9; exit 0" &
    sh -c "exec 8>b 9>a; flock 8; read x <toTwo; echo >toOne; python3 \"\$TURNS\" awaited b; \"\$AS\" two flock 9; exit 0" &
    wait'
  holders_hang "$shells"
}

ring_of_three() {
  pipes p q r s
  turns one "$1" a say p hear s "$1" b
  echo ' &'
  turns two "$1" b hear p say q awaited b "$1" c
  echo ' &'
  turns three "$1" c hear q say s awaited b awaited c "$1" a
  printf '\nwait\n'
}

@test "L5: three that each hold a flock and wait for the next one's hang" {
  need python3
  local way
  hangs a b c -- sh -c "$(ring_of_three flock)"
  bare_is "hangs after: $(sort <<<"$output" | paste -sd,)"
  for way in repair watch; do
    hung_job $way a b c -- --wait-warn=0 sh -c "$(ring_of_three flock)"
    finds "deadlock error waited x1 a write 0+0 three[python3.11] -> one[python3] ring: three > one > two"
    told '^error: deadlock: '
  done
}

@test "L5: of three that wait for each other's record locks one is refused, as the kernel does, and the ring is told" {
  need python3
  local way
  bare_job sh -c "$(ring_of_three fcntl)"
  [ "$(grep -c EDEADLK <<<"$output")" = 1 ]
  bare_is "$(grep EDEADLK <<<"$output"), and nobody knows why"
  for way in repair watch; do
    job $way -- sh -c "$(ring_of_three fcntl)"
    [ "$(grep -c EDEADLK <<<"$output")" = 1 ]
    finds "deadlock error refused x1 a write 0+0 three[python3.11] -> one[python3] ring: three > one > two"
    told 'deadlock: .*: a, held by '
  done
}

@test "L5: two that take two locks in both orders one after the other are warned of the hang to come" {
  need python3
  local way script
  script=$(turns one flock a flock b; echo; turns two flock b flock a)
  bare_job sh -c "$script"
  [ "$status" = 0 ]
  bare_is "works, this time"
  for way in repair watch; do
    job $way -- sh -c "$script"
    [ "$status" = 0 ]
    finds "deadlock warning none x1 a write 0+0 two[python3.11] -> one[python3]"
    told 'deadlock: took two locks which are taken in the other order too: a, held by python3\[[0-9]+\]'
  done
}

# ---- Locks that outlive their purpose ----

@test "L3: a cache daemon that was started under a lock keeps it: the next build waits for ever" {
  need flock
  # The daemon ends when its standard input does.
  local script='mkfifo alive; exec 7<>alive
    "$AS" build flock build.lock sh -c "\"\$AS\" daemon cat <alive >/dev/null 2>&1 & exit 0" 7>&-
    "$AS" next flock build.lock echo built 7>&-
    exit 0'
  hangs build.lock -- sh -c "$script"
  [ "$output" = '' ]
  bare_is "the next build hangs"

  job repair --lock-timeout=0.5 -- sh -c "$script"
  [ "$output" = '' ]
  finds "leaked-lock warning waited x1 build.lock write 0+0 next[flock] -> daemon[cat]" \
    "lock-timeout error refused x1 build.lock write 0+0 next[flock] -> daemon[cat]"
  told 'leaked-lock: met a lock that a program has only inherited: build.lock, held by cat\[[0-9]+\]'

  hung_job watch build.lock -- --wait-warn=0 sh -c "$script"
  finds "leaked-lock warning waited x1 build.lock write 0+0 next[flock] -> daemon[cat]"
  told 'took the lock and has ended; the program that has it now was started with the descriptor'
}

@test "L3: a daemon that outlives the job with the job's lock is named when the job ends" {
  need flock
  local way script='"$AS" build flock build.lock sh -c "\"\$AS\" daemon cat <\"$ALIVE\" >/dev/null 2>&1 & exit 0"'
  mkfifo alive
  exec 7<>alive
  export ALIVE=$PWD/alive
  bare_job sh -c "$script" 7>&-
  [ "$status" = 0 ]
  if flock -n build.lock true; then return 1; fi
  bare_is "the job has ended, and the file is still locked"
  for way in repair watch; do
    job $way -- sh -c "$script" 7>&-
    finds "leaked-lock warning none x1 build.lock write 0+0 shim-run -> daemon[cat]"
    told 'leaked-lock: left a program behind that still has a lock: build.lock, held by cat\[[0-9]+\]'
  done
}

@test "L3: a lock file that its holder unlinks lets the one who waits in, and a third beside it" {
  need flock
  # The idiom of many a script: lock, work, remove the lock.
  local way script='
    mkfifo locked go
    ( exec 9>lock; "$AS" one flock 9; echo >locked; until grep -q -- "-> .*:$(stat -c %i lock) " /proc/locks; do :; done; rm lock ) &
    read -r word <locked
    exec 9>lock
    "$AS" two flock 9 && echo "two works"
    "$AS" three flock -n lock echo "three works" || echo "three is kept out"'
  bare_job bash -c "$script"
  [ "$output" = $'two works\nthree works' ]
  bare_is "at the same time: $(paste -sd, <<<"$output")"
  for way in repair watch; do
    job $way -- bash -c "$script"
    [ "$output" = $'two works\nthree works' ]
    finds "stale-lock warning granted x1 lock (deleted) write 0+0 two[flock]"
    told 'stale-lock: '
  done
}

@test "L5: readers that come one after the other starve a writer" {
  need python3
  local way script
  script=$(
    pipes p q r
    turns one flock-shared file say p hear r
    echo ' &'
    turns writer hear p flock file
    echo ' &'
    # The second reader comes when the writer waits, and has the lock before the first gives it up.
    turns two awaited file flock-shared file say r awaited file
    printf '\nwait\n'
  )
  bare_job sh -c "$script"
  [ "$output" = $'file locked\nfile locked\nfile locked' ]
  bare_is "a reader that came later is let in while the writer waits"
  for way in repair watch; do
    job $way --wait-warn=0.000001 -- sh -c "$script"
    finds "long-wait warning waited x1 file write 0+0 writer[python3.11] -> one[python3]"
    told 'long-wait: .*: file, held by python3\[[0-9]+\]'
  done
}

@test "L3: prefork workers take turns on the descriptor that they inherited, and nothing is found" {
  need python3
  local way
  bare_job python3 "$SOURCES/prefork.py"
  [ "$output" = "answered 60 together 0" ]
  bare_is "works: $output"
  for way in repair watch; do
    job $way -- python3 "$SOURCES/prefork.py"
    [ "$output" = "answered 60 together 0" ]
    finds
    [ -z "$errors" ]
  done
}

# ---- What the library does not see, or cannot do ----

@test "H3: a job that runs a static program is told which one was not covered" {
  [ -x /sbin/ldconfig ] || skip "there is no ldconfig"
  ldd /sbin/ldconfig 2>&1 | grep -qE 'static|not a dynamic' || skip "ldconfig is not static here"
  local way
  bare_job ldconfig -p
  grep -q libc.so <<<"$output"
  bare_is "works"
  for way in repair watch; do
    job $way -- "$AS" job ldconfig -p
    grep -q libc.so <<<"$output"
    finds "not-covered note none x1 /usr/sbin/ldconfig is statically linked, so the library cannot enter it job[dash]"
    told 'not-covered: .*ldconfig is statically linked'
  done
}

# ---- The environment ----

@test "E1: two tests that set one variable: the one that passes alone fails beside the other" {
  rust two_tests --test
  local test program=("$AS" tests "$MADE/two_tests" --test-threads=2)
  for test in first second; do ALONE=1 bare "$MADE/two_tests" --exact $test >alone.out; done
  bare_job "${program[@]}"
  [ "$status" = 101 ]
  grep -q '^test first ... FAILED' <<<"$output"
  bare_is "$(grep '^test ' <<<"$output" | sort | paste -sd,)"

  job repair -- "${program[@]}"
  [ "$status" = 0 ]
  finds "env-clobber warning isolated x1 TEST_DATABASE tests[two_tests]/first -> tests[two_tests]/thread" \
    "env-child warning isolated x1 TEST_DATABASE tests[two_tests]/first -> tests[two_tests]/thread" \
    "env-unsafe-write warning none x1 TEST_DATABASE tests[two_tests]/first" \
    "env-unsafe-write warning none x1 TEST_DATABASE tests[two_tests]/second"
  told "env-clobber: would have read another thread's value of a variable that it set: TEST_DATABASE"

  job watch -- "${program[@]}"
  [ "$status" = 101 ]
  finds "env-clobber error none x1 TEST_DATABASE tests[two_tests]/first -> tests[two_tests]/thread" \
    "env-child error none x1 TEST_DATABASE tests[two_tests]/first -> tests[two_tests]/thread" \
    "env-unsafe-write warning none x1 TEST_DATABASE tests[two_tests]/first" \
    "env-unsafe-write warning none x1 TEST_DATABASE tests[two_tests]/second"
  told "env-clobber: set a variable and read another thread's value of it: TEST_DATABASE"
}

@test "E1: two builds in one process compile with each other's variables" {
  local builds=("$AS" builds "$BUILD/tools/demo/two-builds" .)
  bare_job "${builds[@]}"
  [ "$status" = 1 ]
  bare_is "$(sed 's/.*my package/my package/' <<<"$output" | sort -u | paste -sd,)"

  job repair -- "${builds[@]}"
  [ "$status" = 0 ]
  [ "$(cat parser-out/unit server-out/unit)" = $'parser 1.4.0\nserver 0.9.2' ]
  finds "env-clobber warning isolated x1 CARGO_PKG_NAME builds[two-builds]/two-builds -> builds[two-builds]/thread" \
    "env-clobber warning isolated x1 OUT_DIR builds[two-builds]/two-builds -> builds[two-builds]/thread" \
    "env-child warning isolated x1 CARGO_PKG_NAME another[two-builds] -> builds[two-builds]/thread" \
    "env-unsafe-write warning none x2 CARGO_PKG_NAME builds[two-builds]/two-builds" \
    "env-child warning isolated x1 CARGO_PKG_VERSION another[two-builds] -> builds[two-builds]/thread" \
    "env-unsafe-write warning none x2 CARGO_PKG_VERSION builds[two-builds]/two-builds" \
    "env-child warning isolated x1 OUT_DIR another[two-builds] -> builds[two-builds]/thread" \
    "env-unsafe-write warning none x2 OUT_DIR builds[two-builds]/two-builds"
  told "env-clobber: would have read another thread's value of a variable that it set: OUT_DIR.*, against set_variables"

  job watch -- "${builds[@]}"
  [ "$status" = 1 ]
  finds "env-clobber error none x1 CARGO_PKG_NAME builds[two-builds]/two-builds -> builds[two-builds]/thread" \
    "env-clobber error none x1 OUT_DIR builds[two-builds]/two-builds -> builds[two-builds]/thread" \
    "env-child error none x1 CARGO_PKG_NAME another[two-builds] -> builds[two-builds]/thread" \
    "env-unsafe-write warning none x2 CARGO_PKG_NAME builds[two-builds]/two-builds" \
    "env-child error none x1 CARGO_PKG_VERSION another[two-builds] -> builds[two-builds]/thread" \
    "env-unsafe-write warning none x2 CARGO_PKG_VERSION builds[two-builds]/two-builds" \
    "env-child error none x1 OUT_DIR another[two-builds] -> builds[two-builds]/thread" \
    "env-unsafe-write warning none x2 OUT_DIR builds[two-builds]/two-builds"
  told "env-clobber: set a variable and read another thread's value of it: OUT_DIR.*, against set_variables"
}

@test "E3: a program that a thread starts gets the value that another thread has set" {
  need ruby
  bare_job ruby "$SOURCES/two_jobs.rb"
  [ "$output" = $'one has started a program with two\ntwo has started a program with two' ]
  bare_is "$(head -n 1 <<<"$output")"

  job repair -- "$AS" ruby ruby "$SOURCES/two_jobs.rb"
  [ "$output" = $'one has started a program with one\ntwo has started a program with two' ]
  finds "env-child warning isolated x1 JOB_NAME program-one[ruby3.1] -> ruby[ruby]/thread" \
    "env-unsafe-write warning none x2 JOB_NAME ruby[ruby3.1]/two_jobs.rb:5"
  told "env-child: would have started a program with another thread's value of a variable: JOB_NAME"

  job watch -- "$AS" ruby ruby "$SOURCES/two_jobs.rb"
  [ "$output" = $'one has started a program with two\ntwo has started a program with two' ]
  finds "env-child error none x1 JOB_NAME program-one[ruby3.1] -> ruby[ruby]/thread" \
    "env-unsafe-write warning none x2 JOB_NAME ruby[ruby3.1]/two_jobs.rb:5"
  told "env-child: started a program with another thread's value of a variable: JOB_NAME"
}

@test "E7: a thread that sets resolver options for its getaddrinfo looks up with another thread's" {
  c_program resolvers
  local way
  bare_job "$MADE/resolvers"
  [ "$(head -n 1 <<<"$output")" = "wanted ndots:2, got ndots:5" ]
  bare_is "$(head -n 1 <<<"$output")"
  # What libc reads for itself is the process's: it is told, not repaired.
  for way in repair watch; do
    job $way -- "$AS" program "$MADE/resolvers"
    [ "$(head -n 1 <<<"$output")" = "wanted ndots:2, got ndots:5" ]
    finds "env-unsafe-write warning none x2 RES_OPTIONS program[resolvers]/resolvers"
    told 'env-unsafe-write: .*: RES_OPTIONS; at resolve \(.*resolvers.c:[0-9]+\); x2'
  done
}
