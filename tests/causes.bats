#!/usr/bin/env bats
# From the fault to its cause: who holds the lock, and what the library could not see.

bats_require_minimum_version 1.5.0
load lib

# ---- Programs that the library cannot enter ----

# said REASON: exactly one not-covered record, with this in its sentence
said() {
  [ "$(events not-covered | wc -l)" = 1 ]
  [ "$(events not-covered | jq -r '.severity + " " + .action')" = "note none" ]
  [[ "$(events not-covered | jq -r .detail)" == *"$1"* ]]
}

@test "H3: a static program is named once, however often and in whatever way it is started" {
  local way
  for way in execv execvp vfork fexecve posix_spawn posix_spawnp system; do
    rm -f "$SESSION"/*
    run bare "$PROBES/starts_program" "$way" 3 "$PROBES/says_static"
    [ "$(fact ended)" = 3 ]
    local expected=$output
    run shimmed "$PROBES/starts_program" "$way" 3 "$PROBES/says_static"
    [ "$output" = "$expected" ]
    said "tests/probes/says_static is statically linked"
  done
}

@test "H3: two processes of a session say it once between them" {
  run shimmed sh -c 'for i in 1 2 3; do sh -c "$1; exit"; done' sh "$PROBES/says_static"
  [ "$output" = $'ran=static\nran=static\nran=static' ]
  said "statically linked"
}

@test "H3: a script is followed to its interpreter" {
  printf '#!%s\n' "$PROBES/says_static" >script
  chmod +x script
  run shimmed "$PROBES/starts_program" execv 1 ./script
  said "tests/probes/says_static is statically linked"
}

@test "H3: of ordinary programs and scripts nothing is said" {
  printf '#!/bin/sh\necho script\n' >script
  chmod +x script
  run shimmed sh -c './script; ls; cat script | sort; env true'
  [ "$status" = 0 ]
  no_events
}

@test "H3: a set-user-ID program is named" {
  [ "$(id -u)" = 0 ] || skip "needs root, to give a program to another user"
  cp "$PROBES/starts_program" raised
  chown 65534 raised
  chmod 4755 raised
  run shimmed "$PROBES/starts_program" execv 1 ./raised
  said "raised is set-user-ID"
}

@test "H3: a program of another ELF class is named" {
  # 32 bits, of which there is only the beginning: whether it runs here does not matter.
  printf '\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0' >foreign
  head -c 100 /dev/zero >>foreign
  chmod +x foreign
  run shimmed "$PROBES/starts_program" execv 1 ./foreign
  said "foreign is of another architecture"
}

compile_sanitized() {
  need gcc
  printf '#include <stdio.h>\nint main(void) { puts("ran=sanitized"); return 0; }\n' >sanitized.c
  gcc -fsanitize=address -o sanitized sanitized.c 2>/dev/null || skip "gcc has no AddressSanitizer here"
}

@test "H1: a program with its own AddressSanitizer runs, and it is said how to let the library in" {
  compile_sanitized
  local way
  run bare env LD_PRELOAD="$LIBRARY" ./sanitized
  [ "$status" != 0 ]
  for way in execv vfork posix_spawn; do
    rm -f "$SESSION"/*
    run shimmed "$PROBES/starts_program" "$way" 2 ./sanitized
    [ "$output" = $'ran=sanitized\nran=sanitized\nended=2' ]
    said "ASAN_OPTIONS=verify_asan_link_order=0 lets the library in"
  done
}

@test "H1: what is said lets the library into a program with its own AddressSanitizer" {
  compile_sanitized
  ASAN_OPTIONS=verify_asan_link_order=0 run shimmed "$PROBES/starts_program" execv 1 ./sanitized
  [ "$output" = $'ran=sanitized\nended=1' ]
  no_events
}

@test "I1: shim-run says it of its own command, in the summary too" {
  rmdir "$SESSION"
  run --separate-stderr "$SHIM_RUN" -o "$SESSION" "$PROBES/says_static"
  [ "$status" = 0 ]
  [ "$output" = ran=static ]
  said "statically linked"
  # shellcheck disable=SC2154 # set by run
  [[ "$stderr" == *"not-covered: "*"says_static is statically linked"* ]]
  [ "$("$SHIM_REPORT" --format=json "$SESSION" | jq -r '.[].kind')" = not-covered ]
}

@test "I1: shim-run runs a command with its own AddressSanitizer" {
  compile_sanitized
  rmdir "$SESSION"
  run --separate-stderr "$SHIM_RUN" -o "$SESSION" ./sanitized
  [ "$status" = 0 ]
  [ "$output" = ran=sanitized ]
  said "AddressSanitizer"
}

# ---- A lock that an ancestor holds ----

# for_ever CMD...: it has not ended after a second
for_ever() {
  run timeout -k 1 1 env "$@"
  [ "$status" = 124 ]
}

# ancestor JQ: of the only ancestor-wait
ancestor() {
  [ "$(events ancestor-wait | wc -l)" = 1 ] || {
    printf 'not one ancestor-wait; %s says:\n' "$SESSION" >&2
    cat "$SESSION"/*.jsonl >&2
    printf '%s\n' "$output" >&2
  }
  events ancestor-wait | jq -r "$1"
}

@test "L5: a child that waits for its parent's lock while that waits for it is told so at once" {
  local kind
  for kind in fcntl lockf ofd flock; do
    rm -f "$SESSION"/* file
    for_ever LD_PRELOAD= "$PROBES/child_waits_for_parent" "$kind" holds file
    EXTRA_SETTINGS=lock-timeout=0.2 run shimmed "$PROBES/child_waits_for_parent" "$kind" holds file
    [ "$status" = 0 ]
    [ "$(ancestor .there.pid)" = "$(fact parent)" ]
    [ "$(ancestor .here.pid)" = "$(fact child)" ]
    [ "$(ancestor .file.path)" = "$WORK/file" ]
    [[ "$(ancestor .detail)" == *"neither ever will"* ]]
  done
}

@test "L5: a child whose parent releases the lock meanwhile has waited, and that is all" {
  local kind
  for kind in fcntl lockf ofd flock; do
    run shimmed "$PROBES/child_waits_for_parent" "$kind" releases file
    [ "$(fact ended)" = ok ]
    run bare "$PROBES/child_waits_for_parent" "$kind" releases file
    [ "$(fact ended)" = ok ]
  done
  no_events
}

@test "L5: a long wait for an ancestor that may yet release the lock is recorded without a verdict" {
  EXTRA_SETTINGS=wait-warn=0.000001 run shimmed "$PROBES/child_waits_for_parent" fcntl releases file
  [ "$(fact ended)" = ok ]
  [ "$(ancestor .there.pid)" = "$(fact parent)" ]
  [[ "$(ancestor .detail)" == *"if it waits for it in turn"* ]]
}

# What a build tool does that is called by its own build script.
@test "L5: flock(1) within flock(1) on the same file waits for its ancestor" {
  need flock
  for_ever LD_PRELOAD= flock file flock file true
  EXTRA_SETTINGS=lock-timeout=0.2 run shimmed flock file flock file true
  [ "$status" != 0 ]
  [ "$(ancestor .there.exe)" = "$(command -v flock)" ]
  [[ "$(ancestor .detail)" == *"neither ever will"* ]]
}

# flock(1) takes the lock on the shell's descriptor and ends: who took it is no more, who has it is.
@test "L5: a shell's lock on its own descriptor keeps out the command that it waits for" {
  need flock bash
  printf 'exec 9>file; flock 9; echo "shell=$$"; flock file true; exit 0\n' >script
  for_ever LD_PRELOAD= bash script
  EXTRA_SETTINGS=lock-timeout=0.2 run shimmed bash script
  [ "$(ancestor .there.pid)" = "$(fact shell)" ]
  [[ "$(ancestor .detail)" == *"neither ever will"* ]]
}

# Each of the two file systems gives its first file the same inode number. The kernel lists locks by processor.
@test "L5: a lock on another file system's file of the same inode number is not taken for the one waited for" {
  need flock taskset
  unshare -m true 2>/dev/null || skip 'mount namespaces are not to be had'
  taskset -c 1 true 2>/dev/null || skip 'there is one processor only'
  mkdir one other
  EXTRA_SETTINGS=lock-timeout=0.2 run shimmed unshare -m bash -c '
    mount -t tmpfs none one && mount -t tmpfs none other || exit
    taskset -c 0 flock other/file taskset -c 1 "$1" flock holds one/file
    stat -c inode=%i one/file other/file' bash "$PROBES/child_waits_for_parent"
  [ "$status" = 0 ]
  [ "$(fact inode | uniq | wc -l)" = 1 ]
  [ "$(ancestor .there.pid)" = "$(fact parent)" ]
}

@test "L5: a grandchild of the holder waits for its ancestor" {
  need flock
  EXTRA_SETTINGS=lock-timeout=0.2 run shimmed flock file sh -c 'sh -c "flock file true; exit 0"; exit 0'
  [ "$status" = 0 ]
  [ "$(ancestor .there.exe)" = "$(command -v flock)" ]
}

@test "R3: a job that is killed while it waits for its ancestor has said so" {
  need flock
  rmdir "$SESSION"
  run timeout -s KILL 1 "$SHIM_RUN" -q -o "$SESSION" flock file flock file true
  [ "$(ancestor .there.exe)" = "$(command -v flock)" ]
  [ "$(events long-wait | wc -l)" = 1 ]
}

# ---- Who holds it ----

# holds WHO KIND: somebody has the file locked until the test ends; $holder is its number for us
holds() {
  mkfifo go
  "$1" "$PROBES/holds_until_told" "$2" "$WORK/file" >held <go 3>&- &
  job=$!
  exec 7>go
  until grep -q holder= held; do kill -0 "$job"; done
  holder=$(sed -n 's/^holder=//p' held)
}

release() {
  exec 7>&-
  wait "$job"
  rm -f go held
}

# gives_up KIND: a process of the session waits for it and gives up
gives_up() {
  EXTRA_SETTINGS=lock-timeout=0.2 run shimmed "$PROBES/holds_until_told" "$1" "$WORK/file" 7>&- </dev/null
  [ "$status" = 99 ]
  [ "$(events lock-timeout | wc -l)" = 1 ]
}

there() { events lock-timeout | jq -r ".there | $1"; }

@test "R1: the holder of a lock is named with its command, its descriptor, since when and from where" {
  local kind
  for kind in fcntl ofd flock; do
    rm -f "$SESSION"/*
    holds shimmed "$kind"
    gives_up "$kind"
    release
    [ "$(there .pid)" = "$holder" ]
    [ "$(there .command)" = "$PROBES/holds_until_told $kind $WORK/file" ]
    [ "$(there .exe)" = "$(realpath "$PROBES/holds_until_told")" ] || [[ "$(there .exe)" == *lt-holds_until_told ]]
    [ "$(there .tid)" = "$holder" ]
    [ "$(there .fd)" = 3 ]
    [[ "$(there .since)" < "$(events lock-timeout | jq -r .here.since)" ]]
    [[ "$(there .started)" < "$(there .since)" ]]
    [[ "$(there '.stack[0].module')" == *holds_until_told ]]
    [ "$(there '.stack[0].build_id | length')" -gt 0 ]
  done
}

@test "R1: a holder outside of the session is found, with its command and its age" {
  local kind
  for kind in fcntl ofd flock; do
    rm -f "$SESSION"/*
    holds bare "$kind"
    gives_up "$kind"
    release
    [ "$(there .pid)" = "$holder" ]
    [ "$(there .command)" = "$PROBES/holds_until_told $kind $WORK/file" ]
    [[ "$(there .started)" < "$(events lock-timeout | jq -r .time)" ]]
    [ "$(there .since)" = null ]
  done
}

in_namespace() { shimmed unshare -pf "$@"; }
in_namespace_with_proc() { shimmed unshare -pf --mount-proc "$@"; }

@test "R1: a holder in another PID namespace is named by its number here and its number there" {
  unshare -pf true 2>/dev/null || skip "PID namespaces are not to be had"
  local kind way
  for kind in in_namespace:fcntl in_namespace:flock in_namespace_with_proc:fcntl in_namespace_with_proc:flock; do
    way=${kind%:*}
    kind=${kind#*:}
    rm -f "$SESSION"/*
    holds "$way" "$kind"
    [ "$holder" = 1 ]
    gives_up "$kind"
    holder=$(pgrep -n -f "^$PROBES/holds_until_told $kind $WORK/file")
    [ "$(there .ns_pid)" = 1 ]
    [ "$(there .pid)" = "$holder" ]
    [ "$(there .command)" = "$PROBES/holds_until_told $kind $WORK/file" ]
    [[ "$(there '.stack[0].module')" == *holds_until_told ]]
    release
  done
}

@test "R3: a holder that was killed is not named for a lock that another one has" {
  local kind first
  for kind in fcntl flock; do
    rm -f "$SESSION"/*
    holds shimmed "$kind"
    first=$holder
    kill -KILL "$holder"
    wait "$job" || true
    exec 7>&-
    rm -f go held
    holds bare "$kind"
    gives_up "$kind"
    release
    [ "$(there .pid)" = "$holder" ]
    [ "$(there .pid)" != "$first" ]
    [ "$(there .since)" = null ]
  done
}

# ---- While the job runs ----

@test "I1: shim-run says who waits for whom, and again each time that the wait is twice as long" {
  need flock
  run --separate-stderr "$SHIM_RUN" --wait-warn=0.1 --lock-timeout=1 flock file flock file true
  [ "$output" = '' ]
  local said
  # shellcheck disable=SC2154 # set by run
  said=$(grep '^raceshim: flock\[.* has waited' <<<"$stderr")
  # At 0.1, 0.2, 0.4 and 0.8 s, when nothing delays a look.
  [ "$(wc -l <<<"$said")" -ge 2 ]
  [ "$(wc -l <<<"$said")" -le 4 ]
  [[ "$said" == *"(flock file true) has waited "*" for file (write), held for "*" by flock["*"] (flock file flock file true), an ancestor that waits for it: this will never end"* ]]
}

@test "I1: shim-run names a holder outside of the session" {
  holds bare fcntl
  run --separate-stderr "$SHIM_RUN" --wait-warn=0.1 --lock-timeout=0.5 "$PROBES/holds_until_told" fcntl file 7>&- </dev/null
  release
  [[ "$stderr" == *" for file (write), held by holds_until_told[$holder] ("* ]]
}

@test "I1: shim-run says nothing of short waits, nor with -q, nor with --wait-warn=0" {
  run --separate-stderr "$SHIM_RUN" "$PROBES/child_waits_for_parent" fcntl releases file
  [ "$status" = 0 ]
  [ "$stderr" = '' ]
  local option
  for option in -q --wait-warn=0; do
    run --separate-stderr "$SHIM_RUN" --wait-warn=0.05 "$option" --lock-timeout=0.5 flock file flock file true
    [[ "$stderr" != *"has waited"* ]]
  done
}

# waiting_job: a session in which one process holds the file and another one waits for it
waiting_job() {
  rmdir "$SESSION"
  TMPDIR=$WORK setsid "$SHIM_RUN" -q "$@" --wait-warn=0 flock file flock file true 3>&- &
  job=$!
}

# end_job: the whole of it; who waits has the lock too, by the descriptor that it inherited
end_job() {
  kill -KILL -- -"$job"
  wait "$job" || true
}

# live [SESSION]: what shim-report shows as soon as somebody waits
live() {
  until run "$SHIM_REPORT" --live "$@" && [[ "$output" == *"has waited"* ]]; do kill -0 "$job"; done
}

@test "I4: shim-report --live shows who waits for whom and who holds, for how long" {
  need flock
  waiting_job -o "$SESSION"
  live "$SESSION"
  end_job
  [[ "${lines[0]}" == "flock["*"] (flock file true) has waited "*" s for file (write), held for "*" s by flock["*"] (flock file flock file true)"* ]]
  [[ "${lines[1]}" == "flock["*"] (flock file flock file true) has held file (write) for "*" s" ]]
  [ "${#lines[@]}" = 2 ]
  # Whoever was killed is there until it is gone.
  until run "$SHIM_REPORT" --live "$SESSION" && [ "$output" = "nobody holds a lock or waits for one" ]; do
    [ "$status" = 0 ]
  done
}

@test "I4: shim-report --live finds the session by itself" {
  need flock
  waiting_job
  export TMPDIR=$WORK
  live
  end_job
  [ "${#lines[@]}" = 2 ]
}

@test "I4: shim-report --live says what is wrong with a session that it cannot show" {
  TMPDIR=$WORK run "$SHIM_REPORT" --live
  [ "$status" = 2 ]
  [[ "$output" == *"no session of yours"* ]]
  run "$SHIM_REPORT" --live /nonexistent
  [ "$status" = 2 ]
  [[ "$output" == *"/nonexistent': No such file"* ]]
  ln -s "$SESSION" link
  run "$SHIM_REPORT" --live link
  [ "$status" = 2 ]
}

@test "R5: shim-report --live shows nothing of a picture that is cut off or garbage, and does not crash" {
  need flock python3
  waiting_job -o "$SESSION"
  live "$SESSION"
  cp "$SESSION/picture" picture
  end_job
  local way
  for way in empty cut noise lies; do
    python3 - "$way" picture "$SESSION/picture" <<'END'
import os, random, sys
way, source, target = sys.argv[1:]
data = bytearray(open(source, "rb").read())
random.seed(4)
if way == "empty":
    data = b""
elif way == "cut":
    data = data[:len(data) // 2]
elif way == "noise":
    data = random.randbytes(len(data))
else:
    # The head is right, and the pid and start of a process that lives; the rest is anything.
    data[4096:] = random.randbytes(len(data) - 4096)
    started = int(open(f"/proc/{os.getppid()}/stat").read().rsplit(")", 1)[1].split()[19])
    namespace = os.stat("/proc/self/ns/pid").st_ino
    for place in range(4096):
        at = 4096 + 1024 * place
        data[at:at + 32] = ((1 << 32 | os.getppid()).to_bytes(8, "little") + (1).to_bytes(4, "little") +
                            namespace.to_bytes(4, "little") + bytes(8) + started.to_bytes(8, "little"))
    for entry in range(4096 + 4096 * 1024, len(data), 128):
        data[entry:entry + 8] = (1 << 32 | random.randrange(1, 4097)).to_bytes(8, "little")
        data[entry + 8] &= 0xfe
        data[entry + 64] &= 0xfe
open(target, "wb").write(data)
END
    run "$SHIM_REPORT" --live "$SESSION"
    [ "$status" = 0 ]
    ! LC_ALL=C grep -q '[^ -~]' <<<"$output"
    [ "$way" = lies ] || [ "$output" = "nobody holds a lock or waits for one" ]
  done
}

# ---- Locks that others inherited ----

# What a compile cache does: a program that is started under the lock stays, with the lock's descriptor.
# It ends when the pipe does, which the test has open as 7.
leave_behind() {
  mkfifo go
  exec 7<>go
  cat >script <<'END'
flock file sh -c 'cat <go >/dev/null 2>&1 & exit 0'
"$@"
exit 0
END
}

leak() { events leaked-lock | jq -r "$1"; }

@test "L3: a program that inherited the lock of one that has ended is named to who waits for it" {
  need flock
  leave_behind
  run bare timeout -k 1 1 sh script flock file true 3>&- 7>&-
  [ "$status" = 124 ]
  exec 7>&-
  exec 7<>go
  EXTRA_SETTINGS=lock-timeout=0.3 run shimmed sh script flock file true 3>&- 7>&-
  exec 7>&-
  [ "$(events leaked-lock | wc -l)" = 1 ]
  [ "$(leak .there.command)" = cat ]
  [ "$(leak .there.fd)" = 3 ]
  [ "$(leak .file.path)" = "$WORK/file" ]
  [[ "$(leak .detail)" == *"took the lock and has ended"* ]]
  [[ "$(leak .there.since)" < "$(leak .time)" ]]
}

@test "L3: shim-run names a program that goes on with an inherited lock when the job has ended" {
  need flock
  leave_behind
  rmdir "$SESSION"
  run --separate-stderr "$SHIM_RUN" -o "$SESSION" sh script 3>&- 7>&-
  exec 7>&-
  [ "$(events leaked-lock | wc -l)" = 1 ]
  [ "$(leak .there.command)" = cat ]
  [ "$(leak .there.fd)" = 3 ]
  [ "$(leak .severity)" = warning ]
  [ "$(leak .file.path)" = "$WORK/file" ]
  [[ "$stderr" == *"leaked-lock: "*"file"* ]]
}

@test "L3: nothing has leaked where a shell, a daemon of the same program, or the child under flock(1) holds the lock" {
  need flock
  rmdir "$SESSION"
  # flock(1) ends, and the shell has the lock: that is what it is for.
  run "$SHIM_RUN" -o "$SESSION" --lock-timeout=0.2 sh -c 'exec 9>file; flock 9; flock file true; exit 0'
  [ -z "$(events leaked-lock)" ]
  # The command under flock(1) has the descriptor as long as flock(1) has.
  run "$SHIM_RUN" -o "$SESSION" --lock-timeout=0.2 flock file2 sh -c 'flock file2 true; exit 0'
  [ -z "$(events leaked-lock)" ]
  # It closes the descriptor for its command.
  run "$SHIM_RUN" -o "$SESSION" flock -o file3 sh -c 'sleep 1 >/dev/null 2>&1 3>&- & exit 0'
  [ -z "$(events leaked-lock)" ]
}

# The usual script: `exec 9>file; flock 9; make`. What it runs has the descriptor too, for as long as it runs.
@test "L3: of a shell's lock the shell is the holder, and not the command that it runs at the moment" {
  need flock bash
  mkfifo go
  exec 7<>go
  cat >script <<'END'
exec 9>file
flock 9
echo "holder=$$" >held
sh -c 'echo >runs; read -r word <go; exit 0'
exit 0
END
  shimmed bash script 3>&- 7>&- &
  job=$!
  until [ -e runs ]; do kill -0 "$job"; done
  EXTRA_SETTINGS=lock-timeout=0.2 run shimmed flock file true 7>&-
  echo >&7
  wait "$job"
  exec 7>&-
  [ "$status" != 0 ]
  [ -z "$(events leaked-lock)" ]
  [ "$(there .pid)" = "$(sed -n 's/^holder=//p' held)" ]
}

# ---- The order of locks ----

# inversion JQ: of the only deadlock record
inversion() {
  [ "$(events deadlock | wc -l)" = 1 ]
  events deadlock | jq -r "$1"
}

@test "L5: two processes that take two locks in both orders, one after the other, may deadlock" {
  local kind
  for kind in fcntl ofd flock mixed; do
    rm -f "$SESSION"/*
    run bare sh -c '"$1" "$2" waits one flocked && "$1" "$2" waits flocked one' sh "$PROBES/takes_two_locks" "$kind"
    [ "$output" = $'taken=1\ntaken=1' ]
    run shimmed sh -c '"$1" "$2" waits one flocked 5 && "$1" "$2" waits flocked one 5' sh "$PROBES/takes_two_locks" "$kind"
    [ "$output" = $'taken=5\ntaken=5' ]
    [ "$(inversion '.severity + " " + .action')" = "warning none" ]
    [ "$(inversion .file.path)" = "$WORK/one" ]
    [[ "$(inversion .detail)" == *"while $WORK/flocked was locked"* ]]
    [ "$(inversion '.here.stack[0].module')" = "$(inversion '.there.stack[0].module')" ]
    [ "$(inversion .there.command)" = "$PROBES/takes_two_locks $kind waits one flocked 5" ]
  done
}

@test "L5: one order, or requests that do not wait, are no deadlock" {
  run shimmed sh -c '"$1" fcntl waits one two 3; "$1" fcntl waits one two 3' sh "$PROBES/takes_two_locks"
  [ "$output" = $'taken=3\ntaken=3' ]
  run shimmed sh -c '"$1" fcntl tries three four; "$1" fcntl tries four three' sh "$PROBES/takes_two_locks"
  [ "$output" = $'taken=1\ntaken=1' ]
  no_events
}

# ---- A lock file that is no more ----

# waited_for: somebody waits for the file
waited_for() { grep -q -- "-> .*:$(stat -c %i "$WORK/file") " /proc/locks; }

@test "L3: who waited for a lock on a file that was unlinked or replaced meanwhile is told so" {
  local kind way waiter
  for kind in fcntl ofd flock; do
    for way in unlinked replaced; do
      rm -f "$SESSION"/* file
      holds bare "$kind"
      shimmed "$PROBES/holds_until_told" "$kind" "$WORK/file" >granted </dev/null 3>&- 7>&- &
      waiter=$!
      until waited_for; do kill -0 "$waiter"; done
      rm file
      [ "$way" = unlinked ] || touch file
      release
      wait "$waiter"
      grep -q holder= granted
      [ "$(events stale-lock | wc -l)" = 1 ]
      [ "$(events stale-lock | jq -r .action)" = granted ]
    done
  done
}

# ---- The trace ----

# traced: prints the session's traces, one operation a line
traced() {
  cat >read_trace.py <<'END'
import glob, json, struct, sys
names = "lost granted refused unlocked closed began ended exit".split()
paths, rows = {}, []
for name in glob.glob(sys.argv[1] + "/stacks.*"):
    for line in open(name):
        entry = json.loads(line)
        if "path" in entry:
            paths[entry["dev"], entry["ino"]] = entry["path"].rsplit("/")[-1]
for name in glob.glob(sys.argv[1] + "/trace.*"):
    data = open(name, "rb").read()
    magic, version, capacity, count, pid = struct.unpack_from("=QIIQi", data)
    assert magic == 0x6563617274676e69 and version == 1, name
    for i in range(min(count, capacity)):
        time, dev, ino, start, end, stack, tid, fd, result, other, kind, write, _, operation = struct.unpack_from(
            "=qQQQQIiiiiBBBB", data, 4096 + 64 * i)
        rows.append((time, pid, names[operation], paths.get((dev, ino), "-"), kind, start, end, bool(stack), result,
                     other if operation in (5, 6) else bool(other)))
    if count > capacity:
        print("lost", count - capacity)
for time, *row in sorted(rows)[:int(sys.argv[2])]:
    print(*row)
END
  python3 read_trace.py "$SESSION" "${1-100}"
}

@test "R4: --trace keeps every lock operation, with its path, its stack and its error" {
  need python3
  local all=9223372036854775807
  EXTRA_SETTINGS=trace run shimmed "$PROBES/takes_two_locks" mixed waits one flocked
  [ "$output" = taken=1 ]
  run traced
  local pid=${lines[0]%% *}
  [ "$output" = "$pid granted one 0 0 $all True 0 True
$pid granted flocked 2 0 $all True 0 True
$pid unlocked flocked 2 0 $all False 0 True
$pid unlocked one 0 0 $all False 0 True
$pid exit - 0 0 0 False 0 False" ]
}

@test "R4: a trace has waits with the holder, refusals, and locks that went with a descriptor" {
  need python3
  holds shimmed flock
  EXTRA_SETTINGS='trace lock-timeout=0.2' run shimmed "$PROBES/holds_until_told" flock "$WORK/file" 7>&- </dev/null
  run traced
  release
  [ "$(cut -d' ' -f2,3,7- <<<"$output")" = "began file True 0 $holder
ended file True 11 $holder" ]
  rm -f "$SESSION"/*
  EXTRA_SETTINGS=trace run shimmed "$PROBES/asks_against_own_lock" file
  run traced
  [[ "$output" == *" refused file "* ]]
  rm -f "$SESSION"/*
  EXTRA_SETTINGS=trace run shimmed "$PROBES/closing_one_of_two_holders" close file
  run traced
  [[ "$output" == *" closed file "* ]]
}

@test "R4: a trace tells whose each lock is: of one description, of another one, or of the process" {
  need python3
  EXTRA_SETTINGS=trace run shimmed "$PROBES/takes_two_locks" fcntl waits one two
  owners() { python3 -c 'import glob, struct, sys
data = b"".join(open(name, "rb").read()[4096:] for name in glob.glob(sys.argv[1] + "/trace.*"))
rows = [struct.unpack_from("=qQQQQIiiiiBBBB", data, at) for at in range(0, len(data), 64)]
print(*[len({row[9] for row in rows if row[13] in (1, 3)}), len([row for row in rows if row[13] in (1, 3) and row[9] == 0])])' "$SESSION"; }
  [ "$(owners)" = "2 0" ]
  rm -f "$SESSION"/*
  EXTRA_SETTINGS=trace run watched "$PROBES/takes_two_locks" fcntl waits one two
  [ "$(owners)" = "1 4" ]
}

@test "R4: a trace is bounded, and counts what it lost" {
  need python3
  EXTRA_SETTINGS=trace run shimmed "$PROBES/takes_two_locks" fcntl waits one two 20000
  [ "$output" = taken=20000 ]
  run traced 3
  [ "${lines[0]}" = "lost $((80000 + 1 - 65536))" ]
  [ "${#lines[@]}" = 4 ]
}

@test "R4: each process of a session has a trace of its own, a forked child too; without --trace there is none" {
  need python3
  rmdir "$SESSION"
  run "$SHIM_RUN" -q --trace -o "$SESSION" "$PROBES/child_waits_for_parent" fcntl releases file
  [ "$status" = 0 ]
  [ "$(find "$SESSION" -name 'trace.*' | wc -l)" = 2 ]
  run traced
  [ "$(cut -d' ' -f2 <<<"$output" | sort | tr '\n' ' ')" = "began ended exit granted granted unlocked " ]
  rm -f "$SESSION"/*
  run shimmed "$PROBES/takes_two_locks" fcntl waits one two
  [ -z "$(find "$SESSION" -name 'trace.*')" ]
}
