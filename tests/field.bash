# shellcheck shell=bash
# shellcheck disable=SC2034 # $status, $output and $errors are for the tests
# Shared by the corpus of field cases and by the clean workloads: whole jobs under shim-run, and exactly what is found.
# Loaded after lib.bash.
#
#   in_directory NAME            a fresh directory of that name in $WORK, filled by `furnish` where a test has one
#   bare_job CMD...              CMD without the library there
#   job repair|watch [OPTION]... -- CMD...     CMD under shim-run, in its default mode or with --watch
#   hangs FILE... -- CMD...      CMD without the library: it holds and waits for all these files, and goes on doing so
#   hung_job MODE FILE... -- [OPTION]... -- CMD...    the same under shim-run; killed, as people kill such a job
#   as NAME CMD...               a command: CMD, whose process is known as NAME in the findings; scripts that have this as
#                                "$AS" NAME CMD... name their processes
#   bare_is TEXT                 what went wrong without the library, for the table of the corpus
#   finds [LINE]...              these findings, and no others. A LINE is
#                                   KIND SEVERITY ACTION xCOUNT SUBJECT HERE -> THERE
#                                the subject a path with the bytes, or a variable; each side a NAME, with the program, and
#                                the thread if it is not the initial one. Behind a deadlock stands its ring.
#   told PATTERN                 shim-run's summary has a line like that; after a hung_job shim-report's text
#
# $output and $errors are what the last job wrote, $status is its exit status.

# Nothing but the library's own settings may differ between the runs. A run is killed when it is much too late.
JOB_SECONDS=60
[ -z "${RACESHIM_CORPUS_TABLE-}" ] || RACESHIM_CORPUS_TABLE=$(realpath -m "$RACESHIM_CORPUS_TABLE")

prepare() {
  # Debian's programs: in front of them others are often wrappers.
  export PATH=/usr/bin:/bin:/usr/sbin:/sbin
  export LC_ALL=C.UTF-8 AS=$WORK/as
  # shellcheck disable=SC2016 # for the shell that runs it
  printf '#!/bin/sh\nname=$1\nshift\necho "$name=$$" >>"$NAMES"\nexec "$@"\n' >"$AS"
  chmod +x "$AS"
  declare -ga table=()
  declare -g bare_text='' mode='' verdict=''
  # The usual limits: the soft one well below the hard one.
  ulimit -Sn 1024 2>/dev/null || true
}

in_directory() {
  rm -rf "${WORK:?}/$1"
  mkdir "$WORK/$1"
  cd "$WORK/$1" || return 1
  export NAMES=$WORK/$1.names
  : >"$NAMES"
  if declare -F furnish >/dev/null; then furnish; fi
}

# run_job CMD...: without the descriptors of bats, so that a program's numbers are the same everywhere
run_job() {
  status=0
  "$@" >"$WORK/out" 2>"$WORK/err" </dev/null 3>&- 4>&- || status=$?
  output=$(cat "$WORK/out") errors=$(cat "$WORK/err")
}

bare_job() {
  in_directory bare
  run_job timeout -s KILL "$JOB_SECONDS" env -u LD_PRELOAD -u RACESHIM "$@"
}

# begin_job MODE: its directory and its session; $options are what shim-run is given for it
begin_job() {
  mode=$1
  in_directory "$mode"
  SESSION=$WORK/$mode.session
  rm -rf "$SESSION"
  options=(-o "$SESSION")
  [ "$mode" = repair ] || options+=(--watch)
}

job() {
  begin_job "$1"
  shift
  run_job timeout -s KILL "$JOB_SECONDS" "$SHIM_RUN" "${options[@]}" "$@"
  verdict=$errors
}

# someone_waits_for FILE: the kernel has a lock request for it that waits
someone_waits_for() { [ -e "$1" ] && grep -q -- "-> .*:$(stat -c %i "$1") " /proc/locks; }

# until_all_wait FILE...: each of them has a waiter
until_all_wait() {
  local file
  for file; do
    until someone_waits_for "$file"; do kill -0 "$hanging" 2>/dev/null || return; done
  done
}

# wait_for_ever FILE... -- CMD...: CMD in a session of its own comes to a wait for each FILE, and half a second does not
# end it. Then all of it is killed.
wait_for_ever() {
  local files=() result=0
  while [ "$1" != -- ]; do
    files+=("$1")
    shift
  done
  shift
  setsid "$@" >"$WORK/out" 2>"$WORK/err" </dev/null 3>&- 4>&- &
  hanging=$!
  until_all_wait "${files[@]}" || result=1
  if timeout 0.5 tail -s 0.05 -f /dev/null --pid="$hanging"; then result=1; fi
  until_all_wait "${files[@]}" || result=1
  { kill -KILL -- -"$hanging" && wait "$hanging"; } 2>/dev/null || true
  output=$(cat "$WORK/out") errors=$(cat "$WORK/err")
  if [ "$result" != 0 ]; then
    printf 'it does not hang:\n%s\n%s\n' "$output" "$errors"
  fi
  return "$result"
}

hangs() {
  local files=()
  in_directory bare
  while [ "$1" != -- ]; do
    files+=("$1")
    shift
  done
  shift
  wait_for_ever "${files[@]}" -- env -u LD_PRELOAD -u RACESHIM "$@"
}

hung_job() {
  local files=()
  begin_job "$1"
  shift
  while [ "$1" != -- ]; do
    files+=("$1")
    shift
  done
  shift
  wait_for_ever "${files[@]}" -- "$SHIM_RUN" "${options[@]}" "$@"
  verdict=$("$SHIM_REPORT" --format=text "$SESSION")
}

bare_is() { bare_text=$*; }

# The findings as lines; processes have the names that $NAMES gives them, and paths begin in the job's directory.
found() {
  local names
  names=$(jq -Rn '[inputs | capture("^(?<name>.*)=(?<pid>[0-9]+)$") | {(.pid): .name}] | add // {}' "$NAMES")
  cat "$SESSION"/*.jsonl 2>/dev/null | jq -r --argjson names "$names" --arg directory "$PWD/" '
    def program: split("/") | last;
    def name: $names[tostring] // "another";
    . as $record |
    # Of one that has ended the command is known, not the file of the program.
    def side: (if .pid == $record.pid then $record.exe
        else (.command // .exe // "?" | split(" ") | first) end | program) as $program |
      "\(.pid | name)[\($program)]";
    # The name of the other thread is known as long as that lives.
    def thread($name): if .tid == .pid or .tid == 0 then "" else "/\($name)" end;
    # shim-run itself has no part in what it tells about the end of its job.
    def sides:
      (if .here then .here | side + thread(.thread) else "shim-run" end) +
      (if .there then " -> \(.there | side + thread("thread"))" else "" end);
    def subject:
      if .file then "\(.file.path | ltrimstr($directory)) \(.range.type // "") \(.range.start // "")+\(.range.len // "")"
      else .var // .detail end;
    "\(.kind) \(.severity) \(.action) x\(.count) \(subject) \(sides)" +
      (if .edges then " ring: \([.edges[].pid | name] | join(" > "))" else "" end)' | LC_ALL=C sort
}

# Each Debian has another version of Python and of Ruby in the names of their programs.
versionless() { sed -E 's/(python|ruby)3\.[0-9]+/\1/g'; }

finds() {
  local expected='' got
  if [ $# -gt 0 ]; then expected=$(printf '%s\n' "$@" | versionless | LC_ALL=C sort); fi
  got=$(found | versionless | LC_ALL=C sort)
  # Under --watch and repaired, the table has a line each.
  table+=("$mode" "$expected" "$got" "")
  [ "$got" = "$expected" ] && return
  printf 'expected (%s):\n%s\nfound:\n%s\n' "$mode" "$expected" "$got"
  cat "$SESSION"/*.jsonl 2>/dev/null || true
  return 1
}

told() {
  local line
  if line=$(versionless <<<"$verdict" | grep -m 1 -E -- "$(versionless <<<"$1")"); then
    table[-1]=$line
    return
  fi
  printf 'no line like: %s\nin:\n%s\n' "$1" "$verdict"
  return 1
}

# ---- The table of the corpus: what the tests saw, as Markdown ----

cell() { sed -e 's/&/\&amp;/g; s/</\&lt;/g; s/|/\\|/g' <<<"${1:-nothing}" | paste -sd '~' | sed 's/~/<br>/g'; }

table_begin() {
  if [ -n "${RACESHIM_CORPUS_TABLE-}" ]; then
    printf '%s\n' '| case | bare | mode | expected | got | what the user reads |' '|---|---|---|---|---|---|' \
      >"$RACESHIM_CORPUS_TABLE"
  fi
}

table_end_case() {
  local at row
  [ -n "${RACESHIM_CORPUS_TABLE-}" ] || return 0
  for ((at = 0; at < ${#table[@]}; at += 4)); do
    row="| $(cell "$BATS_TEST_DESCRIPTION") | $(cell "$bare_text") | ${table[at]}"
    row+=" | $(cell "${table[at + 1]}") | $(cell "${table[at + 2]}") | $(cell "${table[at + 3]:--}") |"
    printf '%s\n' "$row" >>"$RACESHIM_CORPUS_TABLE"
  done
}
