#!/usr/bin/env bats
# The formats that other systems read: each is read here by a parser that is not ours.
#
# bats runs each test in a subshell and sets $stderr; some words are for another shell.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib
load shim_report

prepare() {
  need jq
  unset NO_COLOR DEBUGINFOD_URLS GITHUB_STEP_SUMMARY GITHUB_WORKSPACE
  export SESSION
}

# compiler_record: the two locks of the demonstration's compiler, as the library records them
compiler_session() {
  mkdir -p cache/s-00dd-working
  touch cache/s-00dd.lock
  touch -d '1 hour ago' cache/s-00dd.lock cache/s-00dd-working
  shimmed "$BUILD/tools/demo/compiler-session" cache >/dev/null
}

# fingerprints FILE: of a report in SARIF
fingerprints() { jq -r '.runs[].results[].partialFingerprints[]' "$1"; }

# ---- GitHub

@test "I3: an annotation names the line of the program's call, and both sides" {
  compiler_session
  run "$SHIM_REPORT" --format=github "$SESSION"
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == "::warning file="*"/tools/demo/compiler-session.c,line="*",title=self-lock%3A cache/s-"*".lock::compiler-session["*"] self-lock: asked for"*"from collect_if_unused"*"from begin_session"* ]]
  GITHUB_WORKSPACE=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
  export GITHUB_WORKSPACE
  run "$SHIM_REPORT" --format=github "$SESSION"
  [[ ${lines[0]} == "::warning file=tools/demo/compiler-session.c,line="* ]]
}

@test "I3: there are no more annotations than GitHub shows, and the rest is in the step's summary" {
  local i
  for i in $(seq 100 140); do
    record self-lock warning 01 "0000000000000$i" "\"file\":{\"path\":\"/w/$i\"}" >>"$SESSION/7.0.jsonl"
    record deadlock error 01 "0000000000000$i" "\"file\":{\"path\":\"/e/$i\"}" >>"$SESSION/7.0.jsonl"
    record degraded note 01 "0000000000000$i" "\"file\":{\"path\":\"/n/$i\"}" >>"$SESSION/7.0.jsonl"
  done
  echo before >summary.md
  GITHUB_STEP_SUMMARY=summary.md run "$SHIM_REPORT" --format=github "$SESSION"
  [ "$(grep -c '^::error ' <<<"$output"):$(grep -c '^::warning ' <<<"$output"):$(grep -c '^::notice ' <<<"$output")" = 10:10:10 ]
  [[ $output == *"raceshim: 93 more findings, in the summary of this step" ]]
  [ "$(head -n 1 summary.md)" = before ]
  grep -qxF '| 41 | 41 | 41 |' summary.md
  [ "$(grep -c '^<details>' summary.md)" -eq 123 ]
}

@test "I3: the step's summary stays below GitHub's limit" {
  local i path
  path=$(printf '/%0200d' $(seq 15))
  for i in $(seq 1000 1400); do
    record self-lock warning 01 "000000000000$i" "\"file\":{\"path\":\"$path$i\"}"
  done >"$SESSION/7.0.jsonl"
  GITHUB_STEP_SUMMARY=summary.md run "$SHIM_REPORT" --format=github "$SESSION"
  [ "$(stat -c %s summary.md)" -lt 1048576 ]
  tail -n 1 summary.md | grep -qx '\.\.\. and [0-9]* more'
}

@test "R2: no name can add a workflow command, or markup to the step's summary" {
  hostile_records >"$SESSION/7.0.jsonl"
  GITHUB_STEP_SUMMARY=summary.md run "$SHIM_REPORT" --format=github "$SESSION"
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -eq 6 ]
  [ "$(grep -cE '^::(error|warning|notice) ((file|line|title)=[^:,]*,?)*::' <<<"$output")" -eq 6 ]
  shows_no_control summary.md
  # Between our own elements nothing is left that Markdown or HTML reads.
  sed -E 's/^<details><summary>//; s/<\/summary>$//; s/^<pre>//; s/<\/pre>$//; s/^<\/details>//' summary.md >inner
  [ "$(grep -c '[<>]' inner):$(grep -cE '^(<details>|&#|[A-Za-z]).*[]`*_[]' summary.md)" = 0:0 ]
}

# ---- JUnit

@test "I3: JUnit has a failed case for each warning and error, a passed one for each note" {
  need xmllint
  record self-lock warning 01 00000000000000a1 '"file":{"path":"/w/1"}' >"$SESSION/7.0.jsonl"
  record deadlock error 02 00000000000000a2 '"file":{"path":"/w/2"}' >>"$SESSION/7.0.jsonl"
  record degraded note 03 00000000000000a3 '"file":{"path":"/w/3"}' >>"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --format=junit -o junit.xml "$SESSION"
  xmllint --noout --schema "$BATS_TEST_DIRNAME/schemas/junit.xsd" junit.xml
  [ "$(xmllint --xpath 'string(/testsuites/testsuite/@tests)' junit.xml)" = 3 ]
  [ "$(xmllint --xpath 'string(/testsuites/testsuite/@failures)' junit.xml)" = 2 ]
  [ "$(xmllint --xpath 'count(//testcase)' junit.xml):$(xmllint --xpath 'count(//failure)' junit.xml)" = 3:2 ]
  [ "$(xmllint --xpath 'string(//testcase[1]/@name)' junit.xml)" = "deadlock: /w/2" ]
  [ "$(xmllint --xpath 'string(//testcase[1]/@classname)' junit.xml)" = "raceshim.prog" ]
}

@test "I3: JUnit of a session without findings has one case that passed" {
  need xmllint
  "$SHIM_REPORT" --format=junit -o junit.xml "$SESSION"
  xmllint --noout --schema "$BATS_TEST_DIRNAME/schemas/junit.xsd" junit.xml
  [ "$(xmllint --xpath 'count(//testcase)' junit.xml):$(xmllint --xpath 'count(//failure)' junit.xml)" = 1:0 ]
}

@test "R2: JUnit of hostile names is well-formed XML of the same elements" {
  need xmllint
  hostile_records >"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --format=junit -o junit.xml "$SESSION"
  xmllint --noout --schema "$BATS_TEST_DIRNAME/schemas/junit.xsd" junit.xml
  [ "$(xmllint --xpath 'count(//*)' junit.xml)" -eq 14 ]
}

# ---- SARIF

@test "I3: SARIF has a rule for each kind, both stacks as code flows, and is as the standard says" {
  python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"
  compiler_session
  "$SHIM_REPORT" --format=sarif -o report.sarif "$SESSION"
  validates "$BATS_TEST_DIRNAME/schemas/sarif.json" report.sarif
  [ "$(jq '.runs[0].tool.driver.rules | length' report.sarif)" -eq 17 ]
  [ "$(jq '[.runs[0] as $run | $run.results[] | $run.tool.driver.rules[.ruleIndex].id == .ruleId] | all' report.sarif)" = true ]
  jq '.runs[0].results[0]' report.sarif >result
  [ "$(jq -r '[.codeFlows[].threadFlows[0].id] | join(" ")' result)" = "here there" ]
  [ "$(jq -r '[.codeFlows[0].threadFlows[0].locations[].location.message.text] | .[-2:] | join(" ")' result)" = "collect_if_unused lock_without_waiting" ]
  [ "$(jq -r '.locations[0].physicalLocation.region.startLine' result)" -eq \
    "$(grep -n 'fcntl(fd, F_SETLK' "$BATS_TEST_DIRNAME/../tools/demo/compiler-session.c" | cut -d: -f1)" ]
  hostile_records >"$SESSION/8.0.jsonl"
  "$SHIM_REPORT" --format=sarif -o report.sarif "$SESSION"
  validates "$BATS_TEST_DIRNAME/schemas/sarif.json" report.sarif
}

@test "I3: SARIF paths in the working directory are relative to it, others are absolute" {
  need gcc
  build_locker
  shimmed ./locker "$WORK/data"
  "$SHIM_REPORT" --format=sarif -o report.sarif "$SESSION"
  [ "$(jq -c '.runs[0].results[0].locations[0].physicalLocation.artifactLocation' report.sarif)" = '{"uri":"locker.c","uriBaseId":"%SRCROOT%"}' ]
  [ "$(jq -r '.runs[0].originalUriBaseIds["%SRCROOT%"].uri' report.sarif)" = "file://$WORK/" ]
  (cd / && "$SHIM_REPORT" --format=sarif -o "$WORK/report.sarif" "$SESSION")
  [ "$(jq -r '.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri' report.sarif)" = "file://$WORK/locker.c" ]
}

@test "I3: a fingerprint survives another run, file number, build, line and optimization, not another function" {
  need gcc
  local first
  build_locker
  shimmed ./locker "$WORK/data"
  "$SHIM_REPORT" --format=sarif -o report.sarif "$SESSION"
  first=$(fingerprints report.sarif)
  [ "$(wc -w <<<"$first")" -eq 1 ]
  rm "$SESSION"/*.jsonl
  INSERTED='/* one more */ static const char unused[1000] __attribute__((unused)) = "x";\n\n' build_locker -O2
  shimmed ./locker "$WORK/data"
  "$SHIM_REPORT" --format=sarif -o report.sarif "$SESSION"
  [ "$(fingerprints report.sarif)" = "$first" ]
  rm "$SESSION"/*.jsonl
  build_locker -Dtakes_second=takes_third
  shimmed ./locker "$WORK/data"
  "$SHIM_REPORT" --format=sarif -o report.sarif "$SESSION"
  [ "$(wc -w <<<"$(fingerprints report.sarif)")" -eq 1 ]
  [ "$(fingerprints report.sarif)" != "$first" ]
}

@test "I3: SARIF has as many results as GitHub takes, and says how many are left out" {
  awk 'BEGIN { for (i = 0; i < 25002; i++) print "{\"v\":1,\"kind\":\"self-lock\",\"severity\":\"warning\"}" }' >"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --format=sarif -o report.sarif "$SESSION"
  [ "$(jq '.runs[0].results | length' report.sarif)" -eq 25000 ]
  [[ $(jq -r '.runs[0].invocations[0].toolExecutionNotifications[0].message.text' report.sarif) == "2 findings"* ]]
}

# same_finding PATH PATH: have records of these paths one fingerprint?
same_finding() {
  record self-lock warning 01 '' "\"file\":{\"path\":\"$1\"}" >"$SESSION/7.0.jsonl"
  record self-lock warning 02 '' "\"file\":{\"path\":\"$2\"}" >>"$SESSION/7.0.jsonl"
  [ "$("$SHIM_REPORT" --format=json "$SESSION" | jq '[.[].fingerprint] | unique | length')" -eq 1 ]
}

@test "I3: a fingerprint knows a file by its name, without directories, numbers and random letters" {
  same_finding /a/b/Cargo.lock /c/Cargo.lock
  same_finding /t/s-41c3-working.lock /t/s-9-working.lock
  same_finding /t/tmp.aBcDeFgHiJ /u/tmp.xYzAbCdEfG
  run same_finding /a/Cargo.lock /a/index.lock
  [ "$status" -eq 1 ]
  run same_finding /a/data.db /a/data.journal
  [ "$status" -eq 1 ]
}

# ---- the trace

@test "I3: the trace has a span for the hold and for the wait, and an arrow from holder to waiter" {
  wait_record >"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --format=trace -o trace.json "$SESSION"
  [ "$(jq -c '[.traceEvents[] | select(.ph == "b" and .cat == "wait")] | map([.pid, .tid, .name])' trace.json)" = '[[7,70,"waits for /w/l"]]' ]
  [ "$(jq -c '[.traceEvents[] | select(.ph == "b" and .cat == "hold")] | map([.pid, .name])' trace.json)" = '[[9,"holds /w/l"]]' ]
  # Each span ends, with its own number, and not before it begins.
  [ "$(jq '[.traceEvents | group_by(.id)[] | map(select(.ph == "b" or .ph == "e")) | select(length > 0) |
    length == 2 and .[0].ph == "b" and .[1].ph == "e" and .[0].ts <= .[1].ts] | all and length == 2' trace.json)" = true ]
  # Each end of the arrow lies in a slice of its thread.
  [ "$(jq -c '[.traceEvents[] | select(.ph == "s" or .ph == "f") | [.ph, .pid]]' trace.json)" = '[["s",9],["f",7]]' ]
  [ "$(jq '.traceEvents as $all | [$all[] | select(.ph == "s" or .ph == "f") | . as $arrow |
    any($all[]; .ph == "X" and .pid == $arrow.pid and .tid == $arrow.tid and .ts <= $arrow.ts and .ts + .dur >= $arrow.ts)] | all' trace.json)" = true ]
  [ "$(jq -r '.traceEvents[] | select(.ph == "M" and .name == "process_name" and .pid == 9).args.name' trace.json)" = "h[9]" ]
  [ "$(jq '.traceEvents[] | select(.ph == "X" and .pid == 7).dur' trace.json)" = 11000000 ]
  hostile_records >"$SESSION/8.0.jsonl"
  "$SHIM_REPORT" --format=trace -o trace.json "$SESSION"
  [ "$(jq '[.traceEvents[] | has("ph") and has("ts") and has("pid") and has("tid") and has("name")] | all' trace.json)" = true ]
}

@test "I3: of a cycle the trace has each wait, and an arrow for each edge" {
  record deadlock error 01 00000000000000aa '"file":{"path":"/l"},"edges":[{"pid":7,"tid":7,"since":"2026-11-23T12:00:00Z"},{"pid":8,"tid":8,"since":"2026-11-23T11:59:00Z"},{"pid":9,"tid":9}]' >"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --format=trace -o trace.json "$SESSION"
  [ "$(jq -c '[.traceEvents[] | select(.ph == "b") | [.cat, .pid]]' trace.json)" = '[["wait",7],["wait",8],["wait",9]]' ]
  [ "$(jq -c '[.traceEvents[] | select(.ph == "s" or .ph == "f") | .pid]' trace.json)" = '[8,7,9,8,7,9]' ]
}

# ---- time lost

@test "I1: the summary tells who held the lock, and how long the wait was" {
  wait_record >"$SESSION/7.0.jsonl"
  wait_record | sed 's/long-wait/lock-timeout/; s/"waited"/"refused"/' >>"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --summary "$SESSION"
  [ "${lines[0]}" = "prog[7] long-wait: waited long for a lock: /w/l, held by h[9]; waited 11.0 s" ]
  [ "${lines[1]}" = "prog[7] lock-timeout: gave up waiting for a lock: /w/l, held by h[9]; refused after 11.0 s" ]
}

@test "I1: of a holder that has ended the summary has the name from its command" {
  wait_record | sed 's|"exe":"/bin/h"|"command":"/usr/bin/worker --queue one"|' >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --summary "$SESSION"
  [[ ${lines[0]} == "prog[7] long-wait: waited long for a lock: /w/l, held by worker[9] (/usr/bin/worker --queue one); "* ]]
}

@test "I3: the time lost in waits is counted by file and by holder, for every wait" {
  wait_record >"$SESSION/7.0.jsonl"
  wait_record >"$SESSION/8.0.jsonl"
  wait_record | sed 's,/w/l,/w/other,; s/11:59:50/11:59:59/; s/"pid":9,/"pid":10,/' >>"$SESSION/8.0.jsonl"
  # The same wait once more: the holder is an ancestor.
  wait_record | sed 's/long-wait/ancestor-wait/' >>"$SESSION/8.0.jsonl"
  record self-lock warning 01 00000000000000a9 '"file":{"path":"/x"},"here":{"since":"2026-11-23T11:00:00Z"}' >>"$SESSION/8.0.jsonl"
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"Lost in waits: at least 24.000 s"*"by file"*"22.000 s  in 2 waits  /w/l"*"2.000 s  in 1 wait  /w/other"*"by holder"*"22.000 s  in 2 waits  h[9]"*"2.000 s  in 1 wait  h[10]"* ]]
  [[ $output != *"wait  /x"* ]]
  run "$SHIM_REPORT" --summary "$SESSION"
  [[ $output == *"raceshim: At least 24.0 s were lost in 3 waits: most for /w/l (22.0 s), and most to h[9] (22.0 s)."* ]]
}

# ---- the page

@test "I3: the page stands alone: it names no other file and no host" {
  compiler_session
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  grep -q "Content-Security-Policy\" content=\"default-src 'none'" report.html
  run grep -ciE '(src|href|action|url)[[:blank:]]*[=(]|@import|https?://' report.html
  [ "$output" -eq 0 ]
}

@test "I3: the page shows ten thousand records in a browser, and a filter, keys and the mouse choose among them" {
  need chromium
  awk 'BEGIN { for (i = 0; i < 10000; i++)
    printf "{\"v\":1,\"kind\":\"long-wait\",\"severity\":\"warning\",\"action\":\"waited\",\"count\":1,\"pid\":%d,\"tid\":%d,\"exe\":\"/bin/p\",\"time\":\"2026-11-23T12:%02d:%02d.5Z\",\"file\":{\"path\":\"/f/%d.lock\"},\"here\":{\"pid\":%d,\"tid\":%d,\"since\":\"2026-11-23T12:%02d:%02dZ\"},\"there\":{\"pid\":3,\"tid\":3,\"exe\":\"/bin/h\",\"since\":\"2026-11-23T11:59:00Z\"}}\n", i, i, i / 167, i % 60, i % 50, i, i, i / 167, i % 60 }' >"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html '
    const facts = [], press = (where, key) => where.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    facts.push(data.events.length, shown.length, list.querySelectorAll(".row").length < 100);
    press(list, "ArrowDown"); press(list, "ArrowDown");
    facts.push(shown.indexOf(chosen), details.textContent.includes("was in the way of"));
    press(list, "End"); facts.push(shown.indexOf(chosen), list.querySelectorAll("[aria-selected=true]").length);
    element("filter").value = "/F/7.lock P[57]"; element("filter").dispatchEvent(new Event("input"));
    facts.push(shown.length, details.querySelector("h2").textContent.includes("p[57]"));
    const before = to - from; press(document.body, "+"); facts.push((to - from) / before);
    press(document.body, "Escape"); facts.push(shown.length);
    const [number, span] = [laneOf.get(shown[5] + ":1"), data.events[shown[5]].spans[1]];
    time.scrollTop = number * LANE - 60; drawTime();
    const box = time.getBoundingClientRect();
    time.dispatchEvent(new MouseEvent("click", {clientX: box.left + xOf((span.b + span.e) / 2), clientY: box.top + yOf(number) + LANE / 2}));
    facts.push(chosen === shown[5]);
    document.title = facts.join(" ");' >dom
  grep -o '<title>[^<]*' dom
  grep -q '<title>10000 10000 true 2 true 9999 1 1 true 0.5 10000 true</title>' dom
}

@test "R2: in a browser the page of hostile names shows them, and has no element or script of theirs" {
  need chromium
  hostile_records >"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --format=html -o report.html "$SESSION"
  in_browser report.html '
    const seen = [];
    for (const index of shown) { choose(index, true); seen.push(document.querySelectorAll("img, iframe, script").length); }
    document.title = seen.join(" ") + " " + document.body.textContent.includes("onerror=alert(1)");' >dom
  grep -q '<title>3 3 3 3 3 3 true</title>' dom
}
