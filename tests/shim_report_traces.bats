#!/usr/bin/env bats
# What shim-report makes of a session's traces (shim-run --trace): real runs, and files made by hand.
#
# bats runs each test in a subshell and sets $stderr; some words are for another shell.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib
load shim_report

prepare() {
  need jq python3
  unset NO_COLOR DEBUGINFOD_URLS
  export SESSION
  cat >make_trace.py <<'END'
# make_trace.py PLACE PID [NAME=VALUE]... <OPERATIONS: a trace, and its file of stacks. Each line is an operation
# and the values that differ from the ones below; a time is in milliseconds.
import os, struct, sys
place, pid, *options = sys.argv[1:]
head = dict(dict(magic=0x6563617274676e69, version=1, capacity=65536, count=None, exe="/bin/prog"),
            **dict(option.split("=", 1) for option in options))
names = "nothing granted refused unlocked closed began ended exit".split()
records = b""
for line in sys.stdin:
    words = line.split()
    values = dict(time=0, dev=1, ino=2, start=0, end=2**63 - 1, stack=0, tid=int(pid), fd=3, result=0, other=7,
                  kind=0, type=1)
    values.update((word.split("=")[0], int(word.split("=")[1])) for word in words[1:])
    number = names.index(words[0]) if words[0] in names else int(words[0])
    when = int(values["time"] * 10**6 + (1764000000 * 10**9 if 0 <= values["time"] < 10**9 else 0))
    records += struct.pack("=qQQQQIiiiiBBBB", max(-2**63, min(when, 2**63 - 1)), *(values[name] for name in
               "dev ino start end stack tid fd result other kind type".split()), 0, number)
count = len(records) // 64 if head["count"] is None else int(head["count"])
with open(os.environ["SESSION"] + "/trace." + place, "wb") as file:
    file.write(struct.pack("=QIIQiI4064s", int(head["magic"]), int(head["version"]), int(head["capacity"]), count,
                           int(pid), 0, os.fsencode(head["exe"])) + records)
with open(os.environ["SESSION"] + "/stacks." + place, "w") as file:
    file.write('{"dev":1,"ino":2,"path":"/w/l"}\n{"id":9,"stack":[{"module":"/bin/none","build_id":"","offset":"0x77"}]}\n')
END
}

# trace PLACE PID [NAME=VALUE]...: of the operations on stdin
trace() { python3 make_trace.py "$@"; }

# traced CMD...: in a session of its own, each lock operation kept
traced() {
  rm -rf "$SESSION"
  "$SHIM_RUN" -q --trace -o "$SESSION" "$@"
}

# ---- Reading

@test "R4: the report tells how many operations were traced, and how many were lost" {
  traced flock "$WORK/l" true
  run "$SHIM_REPORT" "$SESSION"
  [[ $output =~ ^"Traced: "[0-9]+" lock operations of "[12]" program"s?"."$ ]]
  seq 5 | sed 's/.*/granted time=&/' | trace 0.1 7 count=105 capacity=5
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"operations of "*"; 100 more were lost, because 1 trace had no more room."* ]]
}

@test "I3: short waits count by file and by holder where a trace is there" {
  trace 0.1 7 exe=/bin/holds <<<$'granted time=1000\nunlocked time=1400'
  trace 1.1 8 <<<$'began time=1100 other=7\nended time=1400 other=7\ngranted time=1400 other=9'
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"at least 0.300 s"*"by file"*"0.300 s  in 1 wait  /w/l"*"by holder"*"0.300 s  in 1 wait  holds[7]"* ]]
}

@test "I3: a wait that was traced and recorded is counted once" {
  traced --wait-warn=0.05 sh -c 'flock "$1" sh -c "echo; sleep 0.3" | { read -r line; flock "$1" true; }' sh "$WORK/l"
  [ "$(events long-wait | wc -l)" -ge 1 ]
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"by file"*"in 1 wait  l"* ]]
}

@test "I3: the other side of a record has the name of its program from the trace" {
  wait_record | sed 's,"exe":"/bin/h".,,' >"$SESSION/7.0.jsonl"
  trace 0.1 9 exe=/bin/traced <<<$'granted time=1\nunlocked time=2'
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"there    traced[9]"*"by holder"*"traced[9]"* ]]
}

@test "I3: two locks in both orders are no wait, and cost no time" {
  record deadlock warning 05 '' '"action":"none","file":{"path":"/l"},"here":{"pid":7,"tid":7,"since":"2026-11-23T12:00:00Z"},"there":{"pid":9,"tid":9}' >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" "$SESSION"
  [[ $output != *"Lost in waits"* ]]
}

@test "I3: --since leaves out what was traced before" {
  trace 0.1 7 <<<$'began time=1000\nended time=1500\nbegan time=9000\nended time=9250'
  run "$SHIM_REPORT" --since=2025-11-24T16:00:05Z "$SESSION"
  [[ $output == *"at least 0.250 s"* ]]
}

# ---- Hostile files

@test "R4: what is no trace is left out and named; a newer version is said once" {
  printf 'garbage' >"$SESSION/trace.0.1"
  : >"$SESSION/trace.1.1"
  ln -s /etc/passwd "$SESSION/trace.2.1"
  mkfifo "$SESSION/trace.3.1"
  mkdir "$SESSION/trace.4.1"
  trace 5.1 -3 </dev/null
  trace 6.1 7 version=2 <<<granted
  trace 7.1 8 version=3 <<<granted
  trace 8.1 9 magic=1 <<<granted
  printf 'granted\n' | trace 9.1 10
  rm "$SESSION/stacks.9.1"
  ln -s /etc/passwd "$SESSION/stacks.9.1"
  run --separate-stderr timeout 60 "$SHIM_REPORT" "$SESSION"
  [ "$status" -eq 0 ]
  [ "$output" = "Traced: 1 lock operation of 1 program." ]
  [ "${#stderr_lines[@]}" -eq 2 ]
  [[ ${stderr_lines[0]} == "shim-report: 8 files of traces left out, the first is "*"/trace.0.1: no trace" ]]
  [[ ${stderr_lines[1]} == "shim-report: 2 traces of a newer version left out; use that version's shim-report" ]]
}

@test "R4: a trace that was cut off, or promises what it has not, gives what is there" {
  seq 100 | sed 's/.*/granted time=&/' | trace 0.1 7 count=18446744073709551615 capacity=4294967295
  truncate -s $((4096 + 64 * 50 + 10)) "$SESSION/trace.0.1"
  run "$SHIM_REPORT" "$SESSION"
  [ "$output" = "Traced: 50 lock operations of 1 program; 18446744069414584320 more were lost, because 1 trace had no more room; 4294967245 could not be read." ]
  truncate -s 1T "$SESSION/trace.0.1"
  run timeout 60 "$SHIM_REPORT" "$SESSION"
  [ "$status" -eq 0 ]
  [[ $output == "Traced: 50 lock operations"*"are left out of this report." ]]
}

@test "R4: operations with impossible numbers are counted and left out, unknown ones passed over" {
  trace 0.1 7 <<'END'
granted time=-5
granted time=1 tid=0
granted time=1 tid=-1
granted time=1 start=9 end=8
granted time=1 end=9223372036854775808
granted time=1 fd=-2
granted time=1 result=-1
granted time=1 result=99999
granted time=1 other=-1
granted time=1 kind=3
granted time=1 type=2
nothing time=1
200 time=1
8 time=1
granted time=1
END
  run "$SHIM_REPORT" "$SESSION"
  [ "$output" = "Traced: 1 lock operation of 1 program; 12 could not be read." ]
}

@test "R2: names in a trace drive no terminal, page or parser" {
  local format evil=$'\e[2J\x9b1m\n::error::forged</script><img src=x onerror=alert(1)>\\"'
  trace 0.1 7 "exe=/bin/$evil" <<<$'granted time=1\nunlocked time=8'
  trace 1.1 8 "exe=/bin/$evil" <<<$'began time=2 stack=9 other=7\nended time=8 other=7'
  jq -nc --arg evil "$evil" '{dev: 1, ino: 2, path: ("/w/" + $evil)}, {id: 9, stack: [{module: $evil, offset: $evil}, 7]},
    {id: "x", stack: 3}, {id: 9, stack: "x"}, {dev: "x", ino: [], path: "y"}' >"$SESSION/stacks.1.1"
  printf '{"id":1,\n\xff\xfe{}\n[1]\n{"id":99999999999999999999,"stack":[]}\n' >>"$SESSION/stacks.1.1"
  cp "$SESSION/stacks.1.1" "$SESSION/stacks.0.1"
  for format in text html trace; do
    "$SHIM_REPORT" --format="$format" -o out "$SESSION"
    [ "$format" != text ] || grep -q forged out
    shows_no_control out
    [ "$format" = html ] || [ "$(grep -c '<img\|</script' out)" -eq 0 ] || [ "$format" = text ]
    [ "$format" != html ] || [ "$(grep -c '<img' out)" -eq 0 ]
    [ "$format" != trace ] || jq -e . out >/dev/null
  done
}
