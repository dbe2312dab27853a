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
records = []
for line in sys.stdin:
    words = line.split()
    values = dict(time=0, dev=1, ino=2, start=0, end=2**63 - 1, stack=0, tid=int(pid), fd=3, result=0, other=7,
                  kind=0, type=1)
    values.update((word.split("=")[0], int(word.split("=")[1])) for word in words[1:])
    number = names.index(words[0]) if words[0] in names else int(words[0])
    when = int(values["time"] * 10**6 + (1764000000 * 10**9 if 0 <= values["time"] < 10**9 else 0))
    records.append(struct.pack("=qQQQQIiiiiBBBB", max(-2**63, min(when, 2**63 - 1)), *(values[name] for name in
                   "dev ino start end stack tid fd result other kind type".split()), 0, number))
count = len(records) if head["count"] is None else int(head["count"])
with open(os.environ["SESSION"] + "/trace." + place, "wb") as file:
    file.write(struct.pack("=QIIQiI4064s", int(head["magic"]), int(head["version"]), int(head["capacity"]), count,
                           int(pid), 0, os.fsencode(head["exe"])) + b"".join(records))
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

# traced_wait: of a program for another one's lock; longer than what --wait-warn says, for the holder goes on for a while
# when the wait has begun
traced_wait() {
  need python3
  # shellcheck disable=SC2016 # for the shells of the job
  traced --wait-warn=0.05 sh -c '
    flock "$1" sh -c "echo; python3 \"\$2\" awaited \"\$1\"; sleep 0.1" sh "$1" "$2" | { read -r line; flock "$1" true; }
    ' sh "$WORK/l" "$BATS_TEST_DIRNAME/programs/locks_in_turn.py"
}

# ---- Keeping

@test "R4: a session of a name of its own stays for its trace, and is named; without locks it goes" {
  export TMPDIR=$WORK/tmp
  mkdir tmp
  run "$SHIM_RUN" --trace true
  [ "$output" = "" ]
  [ -z "$(ls tmp)" ]
  run "$SHIM_RUN" --trace flock "$WORK/l" true
  [ "$status" -eq 0 ]
  [[ $output == "shim-run: the trace is in $TMPDIR/raceshim-"*"; shim-report shows it" ]]
  [[ $("$SHIM_REPORT" tmp/raceshim-*) == "Traced: "* ]]
}

@test "R4: the report of a run that is traced has no operation of an earlier run in the directory" {
  traced flock "$WORK/l" true
  "$SHIM_RUN" -q --trace -o "$SESSION" --report=html:report.html flock "$WORK/other" true
  [ "$(sed -n 's/,$//; s/^"files"://p' report.html)" = '["other"]' ]
  [[ $(sed -n 's/^"line"://p' report.html) == *" of 1 program."* ]]
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
  traced_wait
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

# ends FILE: how the holds of a file ended, in their order
ends() {
  "$SHIM_REPORT" --format=trace "$SESSION" |
    jq -r --arg name "holds $1" '[.traceEvents[] | select(.ph == "b" and .name == $name)] | sort_by(.ts)[].args.end'
}

@test "R4: what a real program lost of its trace is told" {
  EXTRA_SETTINGS=trace shimmed "$PROBES/takes_two_locks" fcntl waits one two 20000
  run "$SHIM_REPORT" "$SESSION"
  [ "$output" = "Traced: 65536 lock operations of 1 program; $((80000 + 1 - 65536)) more were lost, because 1 trace had no more room." ]
}

@test "R4: a lock that goes through the start of another program is one hold, to its unlock there" {
  traced python3 -c 'import fcntl, os, sys
file = os.open("l", os.O_RDWR | os.O_CREAT)
fcntl.lockf(file, fcntl.LOCK_EX)
os.set_inheritable(file, True)
os.execvp("python3", ["python3", "-c", "import fcntl; fcntl.lockf(%d, fcntl.LOCK_UN)" % file])'
  [ "$(ends l)" = unlocked ]
}

@test "R4: a lock that a shell shares with flock(1) lasts until the shell gives it up" {
  traced sh -c 'exec 9>l; flock 9; : between; flock -u 9; flock 9'
  [ "$(ends l)" = "unlocked by another process with the same description
the process ended" ]
}

@test "R4: of a killed process the end of a hold is not known, or is where somebody else got the lock" {
  traced python3 -c 'import fcntl, os, signal, subprocess
if os.fork() == 0:
    for name in "one", "two":
        fcntl.lockf(os.open(name, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
file = os.open("two", os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_UN)'
  [ "$(ends one)" = "not known; the trace has none" ]
  [ "$(ends two)" = "not known; by now somebody else had got the lock
unlocked" ]
}

@test "R4: a lock is upgraded and split in the report as it was in the program" {
  traced python3 -c 'import fcntl, os
file = os.open("l", os.O_RDWR | os.O_CREAT)
fcntl.lockf(file, fcntl.LOCK_SH, 10)
fcntl.lockf(file, fcntl.LOCK_EX, 10)
fcntl.lockf(file, fcntl.LOCK_UN, 2, 4)
os.close(file)'
  "$SHIM_REPORT" --format=trace -o trace.json "$SESSION"
  [ "$(jq -r '[.traceEvents[] | select(.ph == "b") | [.args.type, .args.bytes, .args.end] | join(" ")] | sort[]' trace.json)" = "read 0 to 9 locked anew, the other way
write 0 to 3 the description was closed
write 4 to 5 unlocked
write 6 to 9 the description was closed" ]
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

# ---- The page

@test "I3: the page tells who held the lock while somebody waited, one after the other" {
  need chromium
  trace 0.1 7 exe=/bin/a <<<$'granted time=1000\nunlocked time=1150\ngranted time=1350 start=50\nunlocked time=1360'
  trace 1.1 8 exe=/bin/b <<<$'granted time=1150 end=9\nunlocked time=1300 end=4\nunlocked time=1390 start=5 end=9\ngranted time=1100 kind=2\nunlocked time=1400 kind=2'
  trace 2.1 9 exe=/bin/c <<<$'began time=1100 other=7 end=9\nended time=1400 other=7 end=9'
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html 'document.title = details.textContent.includes("held meanwhileb[8] for 240.00 ms, a[7] for 50.00 ms");' >dom
  grep -q '<title>true</title>' dom
}

# contention: 20 programs, 5 files, ten thousand operations and more; every fifth one waited
contention() {
  python3 - <<'END' | while read -r program; do trace "$program.1" "$((100 + program))" <"$program.in"; done
import random
random.seed(1)
free, holder, operations = [0] * 5, [0] * 5, [[] for program in range(20)]
for turn in range(5000):
    program, file, begin = turn % 20, random.randrange(5), turn * 3
    grant = max(begin, free[file])
    if free[file] > begin:
        operations[program] += [f"began time={begin} ino={file} other={holder[file]}", f"ended time={grant} ino={file}"]
    free[file], holder[file] = grant + (16 if turn % 5 == 0 else 1), 100 + program
    operations[program] += [f"granted time={grant} ino={file} stack=9", f"unlocked time={free[file]} ino={file}"]
for program, lines in enumerate(operations):
    open(f"{program}.in", "w").write("\n".join(lines))
    print(program)
END
}

@test "I3: the page draws a traced hold and a traced wait, an arrow between them, and each leads to the other" {
  need chromium
  trace 0.1 7 exe=/bin/holds <<<$'granted time=1000 stack=9 end=99\nunlocked time=1400 end=99'
  trace 1.1 8 exe=/bin/waits <<<$'began time=1100 other=7 stack=9 end=9\nended time=1400 other=7 end=9\ngranted time=1400 other=9 end=9\nexit time=1500'
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html '
    const facts = shown.map(index => data.events[index].kind), [wait, long, short] = shown.map(index => data.events[index]);
    facts.push(lanes.map(lane => lane.label).join(), data.events[wait.spans[0].from] === long, laneOf.get(shown[0] + ":0"), laneOf.get(wait.spans[0].from + ":0"));
    facts.push(details.textContent.includes("waits[8] waited for a lock to write for 300.00 ms"), details.textContent.includes("0 to 9"),
      details.textContent.includes("none+0x77"));
    details.querySelector("button").click(); facts.push(data.events[chosen] === long, details.textContent.includes("in the way ofwaits[8]"));
    details.querySelector("button").click(); facts.push(data.events[chosen] === wait);
    choose(shown[2], true); facts.push(details.textContent.includes("the process ended"));
    document.title = facts.join(" ");' >dom
  grep -o '<title>[^<]*' dom
  grep -q '<title>wait hold hold /w/l,holds\[7\],waits\[8\] true 2 1 true true true true true true true</title>' dom
}

@test "I3: the page of ten thousand traced operations is quick, and its filter, keys and mouse choose among them" {
  need chromium
  contention
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html '
    const facts = [], press = (where, key) => where.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    const quick = run => { const start = performance.now(); run(); return performance.now() - start < 2000; };
    const filter = words => { element("filter").value = words; element("filter").dispatchEvent(new Event("input")); };
    facts.push(shown.length === data.traced.spans.length && shown.length > 5000, list.querySelectorAll(".row").length < 100);
    facts.push(quick(layOut), quick(drawTime), quick(() => filter("prog[103] /w/l wait")));
    facts.push(shown.length > 0, shown.every(index => data.events[index].kind === "wait" && data.events[index].process === "prog[103]"));
    press(document.body, "Escape"); facts.push(shown.length === data.traced.spans.length);
    press(list, "Home"); press(list, "ArrowDown"); facts.push(shown.indexOf(chosen));
    press(list, "End"); facts.push(shown.indexOf(chosen) === shown.length - 1);
    const before = data.events[chosen].spans[0].b; press(document.body, "p");
    facts.push(data.events[chosen].spans[0].b < before); press(document.body, "n"); facts.push(data.events[chosen].spans[0].b === before);
    press(document.body, "z"); facts.push(to - from < 100, from < before && before < to);
    const wait = shown[3], span = data.events[wait].spans[0], lane = laneOf.get(wait + ":0");
    [from, to] = [span.b - 5, span.e + 5]; time.scrollTop = lane * LANE - 60; drawTime();
    const box = time.getBoundingClientRect();
    time.dispatchEvent(new MouseEvent("click", {clientX: box.left + xOf((span.b + span.e) / 2), clientY: box.top + yOf(lane) + LANE / 2}));
    facts.push(chosen === wait);
    element("show").value = "waits"; element("show").dispatchEvent(new Event("change"));
    facts.push(shown.every(index => data.events[index].kind === "wait"), shown.every(index => laneOf.has(data.events[index].spans[0].from + ":0")));
    document.title = facts.join(" ");' >dom
  grep -o '<title>[^<]*' dom
  grep -q '<title>true true true true true true true true 1 true true true true true true true true</title>' dom
}

@test "I3: of more spans than a browser shows the page has the longest waits with their holders, and says so" {
  need chromium
  { for i in $(seq 0 9); do seq -f "granted time=%.0f ino=$i" 1000 2 7000 | sed 'p; s/granted/unlocked/'; done; } | trace 0.1 7
  trace 1.1 8 <<<$'began time=5000 ino=3\nended time=5400 ino=3'
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html 'document.title = [data.traced.spans.length, data.traced.left_out, data.events[shown[0]].kind, element("counts").textContent.split("; ")[1],
    element("traced").className].join(" ");' >dom
  grep -o '<title>[^<]*' dom
  grep -q '<title>20000 10011 wait 20000 of 30011 traced spans, 10011 are not in this page </title>' dom
}

@test "I3: the page says how many operations were lost" {
  need chromium
  trace 0.1 7 count=105 capacity=5 <<<$'granted time=1\ngranted time=2 start=5\nbegan time=3\nrefused time=4\nrefused time=5'
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html 'choose(shown.find(index => data.events[index].kind === "hold"), true);
    document.title = [element("traced").className, element("traced").textContent, details.textContent.includes("the trace was full here")].join(" ");' >dom
  grep -q '<title>warning Traced: 5 lock operations of 1 program; 100 more were lost, because 1 trace had no more room. true</title>' dom
}

@test "I3: the page marks a finding on the traced lock that it tells of" {
  need chromium
  traced_wait
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html '
    const lane = lanes.find(lane => lane.spans.some(entry => entry.isMark && entry.span.t === "wait"));
    document.title = [records, lane.label.replace(/[0-9]+/, "N"), lane.spans.map(entry => entry.span.t + (entry.isMark ? " marked" : "")).join(), lanes.length].join(" ");' >dom
  grep -o '<title>[^<]*' dom
  grep -q '<title>1 flock\[N\] hold,wait,wait marked 3</title>' dom
}

@test "R2: in a browser the page of a trace with hostile names has no element or script of theirs" {
  need chromium
  local evil='</script><img src=x onerror=alert(1)>'
  trace 0.1 7 "exe=/bin/$evil" <<<$'granted time=1 stack=9\nrefused time=4 result=11 other=8'
  jq -nc --arg evil "$evil" '{dev: 1, ino: 2, path: $evil}, {id: 9, stack: [{module: $evil, offset: "0x1"}]}' >"$SESSION/stacks.0.1"
  trace 1.1 2147483647 <<<$'began time=9223372036855 other=2147483647\nunlocked time=9223372036855 start=9223372036854775807\ngranted time=0 start=9223372036854775806 ino=9223372036854775808'
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html '
    const seen = [];
    for (const index of shown) { choose(index, true); zoomToChosen(); seen.push(document.querySelectorAll("img, iframe, script").length); }
    document.title = seen.join(" ") + " " + document.body.textContent.includes("onerror=alert(1)");' >dom
  grep -o '<title>[^<]*' dom
  grep -q '<title>3 3 3 3 true</title>' dom
}

# ---- For Perfetto

# well_formed FILE: every event has what viewers want, each span its end, and each arrow's end lies in a slice of its
# thread; the slices of a thread lie in each other or apart
well_formed() {
  python3 - "$1" <<'END'
import json, sys
from collections import defaultdict
events = json.load(open(sys.argv[1]))["traceEvents"]
spans, flows, slices = defaultdict(list), defaultdict(list), defaultdict(list)
for event in events:
    assert all(key in event for key in ("ph", "ts", "pid", "tid", "name")), event
    if event["ph"] in "be":
        spans[event["cat"], event["id"]].append(event)
    elif event["ph"] in "sf":
        flows[event["id"]].append(event)
    elif event["ph"] == "X":
        slices[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
for begin, end in spans.values():
    assert (begin["ph"], end["ph"]) == ("b", "e") and begin["ts"] <= end["ts"] and begin["name"] == end["name"], begin
for start, finish in flows.values():
    assert (start["ph"], finish["ph"]) == ("s", "f"), start
    for event in start, finish:
        assert any(a <= event["ts"] <= b for a, b in slices[event["pid"], event["tid"]]), event
for key, found in slices.items():
    for a, b in found:
        for c, d in found:
            assert not a < c < b < d, (key, a, b, c, d)
END
}

@test "I3: the format trace has the traced holds and waits, with an arrow from the hold to the wait" {
  trace 0.1 7 exe=/bin/holds <<<$'granted time=1000 stack=9 end=99\nunlocked time=1400 end=99'
  trace 1.1 8 exe=/bin/waits <<<$'began time=1100 other=7 tid=80 end=9\nended time=1400 other=7 tid=80 end=9\ngranted time=1400 tid=80 end=9 type=0'
  "$SHIM_REPORT" --format=trace -o trace.json "$SESSION"
  well_formed trace.json
  [ "$(jq -c '.traceEvents[] | select(.ph == "b") | [.pid, .tid, .cat, .name, .args.bytes, .args.type, .args.at, .args.behind, .args.end]' trace.json)" = '[7,7,"hold","holds /w/l","0 to 99","write","none+0x77",null,"unlocked"]
[8,80,"wait","waits for /w/l","0 to 9","write",null,"holds[7]","granted"]
[8,80,"hold","holds /w/l","0 to 9","read",null,null,"not known; the trace has none"]' ]
  [ "$(jq -c '[.traceEvents[] | select(.ph == "s" or .ph == "f") | [.ph, .pid, .tid, .ts % 1000000000]]' trace.json)" = '[["s",7,7,1100000],["f",8,80,1100000]]' ]
  [ "$(jq -r '.traceEvents[] | select(.ph == "M" and .pid == 8).args.name' trace.json)" = "waits[8]" ]
  [ "$(jq -r .otherData.traced trace.json)" = "Traced: 5 lock operations of 2 programs." ]
}

@test "I3: the format trace says where a trace was full, and how much is left out" {
  seq 5 | sed 's/.*/granted time=&/' | trace 0.1 7 count=105 capacity=5
  "$SHIM_REPORT" --format=trace -o trace.json "$SESSION"
  [ "$(jq -c '.traceEvents[] | select(.ph == "i") | [.pid, .name, .ts % 1000000]' trace.json)" = '[7,"the trace is full: 100 lock operations are lost",5000]' ]
  [[ $(jq -r .otherData.traced trace.json) == *"100 more were lost"* ]]
}

@test "I3: the format trace of real programs that contend has an arrow for each wait" {
  need sqlite3
  cat >contend.py <<'END'
import fcntl, os, sys
told, tell = os.pipe()
file = os.open("data.lock", os.O_RDWR | os.O_CREAT)
fcntl.lockf(file, fcntl.LOCK_EX, 10)
if os.fork() == 0:
    own = os.open("data.lock", os.O_RDWR)
    os.write(tell, b"x")
    fcntl.lockf(own, fcntl.LOCK_EX, 5)
    sys.exit()
os.read(told, 1)
inode = ":%d " % os.stat("data.lock").st_ino
while not any(" -> " in line and inode in line for line in open("/proc/locks")):
    pass
fcntl.lockf(file, fcntl.LOCK_UN)
os.wait()
END
  traced sh -c 'python3 contend.py; sqlite3 x.db "create table t(a); insert into t values(1)"; flock l true'
  "$SHIM_REPORT" --format=trace -o trace.json "$SESSION"
  well_formed trace.json
  [ "$(jq -c '[.traceEvents[] | select(.ph == "b" and .cat == "wait") | .name]' trace.json)" = '["waits for data.lock"]' ]
  [ "$(jq -c '[.traceEvents[] | select(.ph == "s" or .ph == "f") | .ph]' trace.json)" = '["s","f"]' ]
  [ "$(jq '[.traceEvents[] | select(.ph == "b" and .cat == "hold") | .name] | unique | length' trace.json)" -ge 3 ]
  [[ $(jq -r '.traceEvents[] | select(.cat == "hold" and .args.bytes == "1073741824 to 1073741824").args.lock' trace.json) == *fcntl* ]]
  # The lock and the wait were asked for somewhere.
  [ "$(jq '[.traceEvents[] | select(.cat == "wait" and .ph == "b") | .args.at | length > 0] | all' trace.json)" = true ]
}

@test "I3: a wait that was traced and recorded has one arrow, and slices that do not cut each other" {
  traced_wait
  "$SHIM_REPORT" --format=trace -o trace.json "$SESSION"
  well_formed trace.json
  [ "$(jq -c '[.traceEvents[] | select(.ph == "s" or .ph == "f") | .ph]' trace.json)" = '["s","f"]' ]
}
