#!/usr/bin/env bats
# R3 and L3, by force: a program that locks, waits, writes its environment and forks in threads is killed at any moment,
# and sessions are used by several programs at once.
#
# RACESHIM_LONG=1: a thousand times instead of a hundred.
# shellcheck disable=SC2154 # bats' run sets them

bats_require_minimum_version 1.5.0
export MOST_SECONDS=900 # of a run with all its rounds
load lib
load harm
load witness

if [ -n "${RACESHIM_LONG-}" ]; then
  KILLS=1000
  export BATS_TEST_TIMEOUT=900
else
  KILLS=100
fi

# whole_records DIR: each line of each file is a record with the fields that every one has, and is ended; blanks may be
# left of one that was not written.
whole_records() {
  local file
  for file in "$1"/*.jsonl; do
    [ -e "$file" ] || continue
    [ -z "$(tail -c 1 "$file" | tr -d ' ')" ] || {
      echo "$file: its last line is not ended"
      return 1
    }
  done
  # On a busy machine all may have been killed before they had anything to say.
  cat "$1"/*.jsonl 2>/dev/null | grep '[^ ]' >lines || [ ! -s lines ]
  jq -c 'select(.v == 1 and (.count > 0) and (.pid > 0) and (.tid > 0) and
    ([.kind, .severity, .action, .time, .id, .thread, .exe] | all(type == "string")) and
    (.time | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$")))' lines >whole
  [ "$(wc -l <whole)" = "$(wc -l <lines)" ]
}

# kill_in SESSION FILE COUNT [CMD...]: rounds in the default modes; CMD starts the program
kill_in() {
  local session=$1 file=$2 count=$3
  shift 3
  bare "$PROBES/kills_at_random" --count="$count" "$file" "$@" env LD_PRELOAD="$LIBRARY" RACESHIM="out=$session" \
    "$PROBES/locks_until_killed"
}

# reported DIR: shim-report reads it, and has nothing to complain of
reported() {
  run --separate-stderr "$SHIM_REPORT" --format=json "$1"
  [ "$status:$stderr" = 0: ]
}

prepare() { need jq; }

@test "R3: killed at any moment, a program leaves whole records and no lock, and the next run starts clean" {
  not_under_valgrind "it is killed before it has begun"
  run kill_in "$SESSION" "$WORK/file" "$KILLS"
  echo "$output"
  expect killed="$KILLS"
  whole_records "$SESSION"
  # Of each sort something was written, and nothing went wrong.
  events self-lock | grep -q .
  events lock-lost | grep -q .
  events env-unsafe-write | grep -q .
  [ -z "$(events degraded)" ]
  reported "$SESSION"
}

@test "R3: two sessions at once, keep apart, and both survive kills" {
  not_under_valgrind "it is killed before it has begun"
  local session other="$WORK/other" status_of_one=0
  mkdir -m 700 "$other"
  kill_in "$other" "$WORK/second" "$((KILLS / 4))" >second.out 3>&- &
  kill_in "$SESSION" "$WORK/first" "$((KILLS / 4))" >first.out || status_of_one=$?
  wait "$!"
  cat first.out second.out
  [ "$status_of_one" = 0 ]
  for session in "$SESSION" "$other"; do
    whole_records "$session"
    reported "$session"
  done
  # No record of one tells of the other's files.
  run grep -l "$WORK/second" "$SESSION"/*.jsonl
  [ -z "$output" ]
  run grep -l "$WORK/first" "$other"/*.jsonl
  [ -z "$output" ]
}

@test "L3: programs of two sessions exclude each other, and the holder is named though it is in the other one" {
  local other="$WORK/other" holder
  mkdir -m 700 "$other"
  mkfifo go
  bare env LD_PRELOAD="$LIBRARY" RACESHIM="out=$other" "$PROBES/holds_until_told" fcntl "$WORK/file" >held <go 3>&- &
  exec 7>go
  until grep -q holder= held; do kill -0 "$!"; done
  holder=$(sed -n 's/^holder=//p' held)
  run bare env LD_PRELOAD="$LIBRARY" RACESHIM="lock-timeout=0.2 out=$SESSION" "$PROBES/holds_until_told" fcntl "$WORK/file" 7>&- </dev/null
  exec 7>&-
  wait "$!"
  [ "$status" = 99 ]
  [ "$(events lock-timeout | jq -r .there.pid)" = "$holder" ]
  [[ "$(events lock-timeout | jq -r .there.command)" == *"holds_until_told fcntl $WORK/file" ]]
  [ -z "$(cat "$other"/*.jsonl 2>/dev/null)" ]
}

@test "R3: a session that is shared with another PID namespace survives kills on both sides" {
  not_under_valgrind "it is killed before it has begun"
  unshare -pf true 2>/dev/null || skip "PID namespaces are not to be had"
  local status_of_one=0
  kill_in "$SESSION" "$WORK/second" "$((KILLS / 4))" unshare -pf --kill-child=KILL >second.out 3>&- &
  kill_in "$SESSION" "$WORK/first" "$((KILLS / 4))" >first.out || status_of_one=$?
  wait "$!"
  cat first.out second.out
  [ "$status_of_one" = 0 ]
  whole_records "$SESSION"
  [ -z "$(events degraded)" ]
  reported "$SESSION"
}

@test "R3: where the log disk is full, a program that is killed leaves no lock either, and what was written is read" {
  not_under_valgrind "it is killed before it has begun"
  need_mounts
  # shellcheck disable=SC2016 # for the inner shell
  run unshare -m bash -c '
    mount -t tmpfs -o size=64k none "$1" && chmod 700 "$1" || exit 99
    "$2" --count="$3" "$4" env LD_PRELOAD="$5" RACESHIM="out=$1" "$6"
    status=$?
    "$7" "$1" >report || exit 98
    exit "$status"' bash "$SESSION" "$PROBES/kills_at_random" "$((KILLS / 4))" "$WORK/file" "$LIBRARY" \
    "$PROBES/locks_until_killed" "$SHIM_REPORT"
  echo "$output"
  expect killed="$((KILLS / 4))"
}
