#!/usr/bin/env bats
# R2 and R5 from end to end: a program whose files, directories, threads, variables and words are chosen to do mischief runs
# under shim-run, and every format shows what happened without obeying a byte of it.
#
# RACESHIM_LONG=1: a whole gigabyte of damage instead of a tenth of it.
#
# bats runs each test in a subshell and sets $stderr.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib
load shim_report

# What a name in a file system can hold: all but NUL and the slash, which stands between two directories.
EVIL=$'\e[2J\a\n::error::forged\r\n##[add-path]f ##vso[task]\xc2\x9b1m\xe2\x80\xaegnp\xe2\x80\xa8\xef\xbb\xbf\x7f\\"\'<img src=x onerror=alert(1)>]]>&amp;%0a`|*_<!--\xff\xfe\xed\xa0\x80'
EVIL_DIRECTORY=$'</script><script>document.title="forged"<'
# A variable's name ends at the equals sign.
VARIABLE=VAR${EVIL//=/}
KINDS='env-unsafe-write lock-timeout self-lock'

prepare() {
  need jq
  unset NO_COLOR DEBUGINFOD_URLS GITHUB_STEP_SUMMARY GITHUB_WORKSPACE
  mkdir -p "$WORK/$EVIL_DIRECTORY/script>$EVIL"
  cd "$WORK/$EVIL_DIRECTORY/script>$EVIL" || return 1
  cp "$PROBES/hostile_names" "prog$EVIL"
}

# run_hostile [OPTION]...: FILE is the file to lock; the session is of such a name too
run_hostile() {
  SESSION=$WORK/session$EVIL
  run --separate-stderr "$SHIM_RUN" -o "$SESSION" --lock-timeout=0.2 "$@" -- "./prog$EVIL" "${FILE-file$EVIL}" \
    $'\e]0;\n"<\xff' "$VARIABLE" "$EVIL" "</script>"
  [ "$status" -eq 0 ]
  [[ $output == *second=EAGAIN*waited=refused* ]]
  [ "$(cat "$SESSION"/*.jsonl | jq -r .kind | sort | paste -sd ' ')" = "$KINDS" ]
}

# report FORMAT: in the file out, without a word on stderr
report() {
  run --separate-stderr "$SHIM_REPORT" --format="$1" -o out "$SESSION"
  [ "$status:$stderr" = 0: ]
}

@test "R2: the records of a hostile program are ASCII, and shim-run's summary drives no terminal" {
  run_hostile
  printf '%s\n' "$stderr" >summary
  shows_no_control summary
  [ "$(grep -c self-lock summary):$(grep -c lock-timeout summary)" = 1:1 ]
  run bash -c "cat \"\$1\"/*.jsonl | LC_ALL=C tr -d '\\n -~' | wc -c" bash "$SESSION"
  [ "$output" = 0 ]
}

@test "R2: text of a hostile program shows every name, and is text alone" {
  run_hostile
  report text
  shows_no_control out
  [ "$(grep -c '^[a-z]*: \(self-lock\|lock-timeout\|env-unsafe-write\): ' out)" -eq 3 ]
  grep -qF 'command ./prog\x1b[2J' out
  grep -qF 'variable VAR\x1b[2J' out
  # The functions have their names: the program is found under its own.
  grep -qF 'lock_and_set  ' out
}

@test "R2: JSON of a hostile program is as the schema says, and its paths are the files' to the byte" {
  python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"
  run_hostile
  report json
  shows_no_control out
  jq '{type: "array", items: .}' "$BATS_TEST_DIRNAME/../doc/raceshim-record.schema.json" >"$WORK/schema.json"
  validates "$WORK/schema.json" out
  python3 - out "file$EVIL" "prog$EVIL" "$EVIL" "$VARIABLE" <<'SOURCE'
import json, os, sys
report, file, program, evil, variable = sys.argv[1:]
records = {record["kind"]: record for record in json.load(open(report))}
same = lambda text, path: text.encode("utf-8", "surrogateescape") == os.fsencode(os.path.realpath(path))
for kind in "self-lock", "lock-timeout":
    assert same(records[kind]["file"]["path"], file), records[kind]["file"]
for record in records.values():
    assert same(record["exe"], program), record["exe"]
assert os.fsencode(evil) in records["lock-timeout"]["there"]["command"].encode("utf-8", "surrogateescape")
assert records["env-unsafe-write"]["var"].encode("utf-8", "surrogateescape") == os.fsencode(variable)
SOURCE
}

@test "R2: annotations of a hostile program are one a finding, and the step's summary has our elements alone" {
  run_hostile
  export GITHUB_STEP_SUMMARY=$WORK/summary.md
  report github
  shows_no_control out
  shows_no_control "$GITHUB_STEP_SUMMARY"
  [ "$(wc -l <out)" -eq 3 ]
  [ "$(grep -cE '^::(error|warning|notice) ((file|line|title)=[^:,]*,?)*::' out)" -eq 3 ]
  sed -E 's/^<details><summary>//; s/<\/summary>$//; s/^<pre>//; s/<\/pre>$//; s/^<\/details>//' "$GITHUB_STEP_SUMMARY" >inner
  [ "$(grep -c '[<>]' inner)" -eq 0 ]
}

@test "R2: JUnit of a hostile program is valid XML of three cases" {
  need xmllint
  run_hostile
  report junit
  shows_no_control out
  xmllint --noout --schema "$BATS_TEST_DIRNAME/schemas/junit.xsd" out
  [ "$(xmllint --xpath 'count(//testcase)' out):$(xmllint --xpath 'count(//*)' out)" = 3:8 ]
}

@test "R2: SARIF of a hostile program is as the standard says, and its URIs are URIs" {
  python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"
  run_hostile
  report sarif
  shows_no_control out
  validates "$BATS_TEST_DIRNAME/schemas/sarif.json" out
  [ "$(jq '.runs[0].results | length' out)" -eq 3 ]
  [ "$(jq -r '[.. | .uri? // empty | select(test("^[A-Za-z0-9:/._~%-]*$") | not)] | length' out)" -eq 0 ]
}

@test "R2: the page of a hostile program has no element and no script of its names in a browser" {
  need chromium
  run_hostile
  report html
  shows_no_control out
  in_browser out '
    const seen = [];
    for (const index of shown) { choose(index, true); seen.push(document.querySelectorAll("img, iframe, script").length); }
    document.title = seen.join(" ") + " " + document.body.textContent.includes("onerror=alert(1)");' >dom
  grep -q '<title>3 3 3 true</title>' dom
}

@test "R2: the trace of a hostile program is JSON of whole events" {
  run_hostile
  report trace
  shows_no_control out
  [ "$(jq '[.traceEvents[] | has("ph") and has("ts") and has("pid") and has("tid") and has("name")] | all and length > 5' out)" = true ]
}

@test "R2: --report writes each format for a hostile program, and changes neither its output nor its status" {
  local format
  for format in text json github junit sarif html trace; do
    rm -rf "$WORK/session$EVIL"
    run_hostile --report="$format:$WORK/$format.out" -q
    [ -z "$stderr" ]
    shows_no_control "$WORK/$format.out"
  done
}

@test "R2: a wait of a hostile program is shown live without what drives a terminal" {
  mkfifo "$WORK/go"
  SESSION=$WORK/session$EVIL
  "$SHIM_RUN" -o "$SESSION" -q -- "./prog$EVIL" "file$EVIL" $'\e\n' VAR "$EVIL" >"$WORK/facts" 2>&1 <"$WORK/go" 3>&- &
  local program=$!
  exec 7>"$WORK/go"
  until "$SHIM_REPORT" --live "$SESSION" >live 2>/dev/null && grep -q 'has waited' live; do kill -0 "$program"; done
  kill "$program"
  exec 7>&-
  wait "$program" || true
  shows_no_control live
  grep -qF 'file\x1b[2J' live
}

# deep_directory LENGTH: makes and enters directories until the path of the working directory has that length
deep_directory() {
  local name left
  name=$(printf 'd%.0s' {1..200})
  while left=$(($1 - $(pwd | wc -c))) && [ "$left" -gt 0 ]; do
    [ "$left" -gt 400 ] || name=$(printf 'e%.0s' $(seq $((left > 201 ? left / 2 : left))))
    mkdir "$name"
    cd "$name" || return 1
  done
}

@test "R2: a file whose path has 4,000 bytes is told whole in JSON, and shortened where people read" {
  cd "$WORK"
  deep_directory 3980
  cp "$PROBES/hostile_names" "$WORK/prog$EVIL"
  local name path
  name=$(printf 'x%.0s' $(seq $((4000 - $(pwd | wc -c)))))
  path=$PWD/$name
  [ "${#path}" -eq 4000 ]
  run --separate-stderr "$SHIM_RUN" -o "$SESSION" --lock-timeout=0.2 -- "$WORK/prog$EVIL" "$path" thread VAR
  [ "$status" -eq 0 ]
  "$SHIM_REPORT" --format=json -o "$WORK/out" "$SESSION"
  [ "$(jq -r 'map(select(.kind == "self-lock"))[0].file.path' "$WORK/out")" = "$path" ]
  local format
  for format in text github junit sarif html trace; do
    (cd / && "$SHIM_REPORT" --format="$format" -o "$WORK/out" "$SESSION")
    shows_no_control "$WORK/out"
  done
  "$SHIM_REPORT" --summary -o "$WORK/out" "$SESSION"
  [ "$(wc -L <"$WORK/out")" -lt 1000 ]
}

@test "R4: a file of a gigabyte of truncated and garbage records is read in bounded memory, and what is whole is told" {
  [ -z "${RACESHIM_SANITIZED-}" ] || skip "a sanitizer maps more than any bound"
  SESSION=$WORK/records
  mkdir -m 700 "$SESSION"
  local quarter=$((25 << 20))
  [ -z "${RACESHIM_LONG-}" ] || quarter=$((250 << 20))
  {
    head -c "$quarter" /dev/zero | tr '\0' '\n'
    yes '{"v":1,"kind":"self-lock","here":{"stack":[{"module":"/p' | head -c "$quarter"
    echo
    yes $'\x80\xff{"v":1}\\' | head -c "$quarter"
    echo
    record self-lock warning 01 00000000000000aa
    head -c "$quarter" /dev/zero
  } >"$SESSION/7.0.jsonl"
  run --separate-stderr bash -c 'ulimit -v 204800; exec "$0" --format=json "$1"' "$SHIM_REPORT" "$SESSION"
  [ "$status" -eq 0 ]
  [ "$(json length)" -eq 1 ]
  [[ $stderr == *" lines could not be read as records, the first in "*"1 line longer than 1 MiB left out" ]]
}

@test "R5: a session that is a link or somebody else's is refused in one line, whatever it is called" {
  local name=$WORK/link$EVIL
  mkdir -m 700 "$WORK/real"
  ln -s "$WORK/real" "$name"
  complains "is a symbolic link" "$SHIM_REPORT" "$name"
  printf '%s\n' "$stderr" >said
  shows_no_control said
  run --separate-stderr "$SHIM_RUN" -o "$name" true
  [ "$status:${#stderr_lines[@]}" = 125:1 ]
  printf '%s\n' "$stderr" >said
  shows_no_control said
  [ "$(id -u)" -ne 0 ] || {
    mkdir -m 700 "$WORK/foreign$EVIL"
    chown 65534 "$WORK/foreign$EVIL"
    complains "belongs to user 65534" "$SHIM_REPORT" "$WORK/foreign$EVIL"
    run --separate-stderr "$SHIM_RUN" -o "$WORK/foreign$EVIL" true
    [ "$status:${#stderr_lines[@]}" = 125:1 ]
  }
}
