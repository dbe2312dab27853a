#!/usr/bin/env bats
# Section 3, the environment's kinds: exactly what is recorded of scripts of threads, in each mode, and that nothing else is.
# shellcheck disable=SC2030,SC2031 # each test has a run of its own

load lib
load environment

forget() { rm -f "$SESSION"/*.jsonl; }

# findings FILTER: the records as lines "KIND ACTION VARIABLE HERE THERE", the threads by name
findings() {
  cat "$SESSION"/*.jsonl 2>/dev/null |
    jq -r "select($1) | [.kind, .action, .var, .here.thread, .there.thread // \"-\"] | join(\" \")" | sort
}

# finds MODE SCRIPT [LINE...]: these findings, one record each, and no others. A write beside other threads is one as well,
# and has its own tests.
finds() {
  local mode=$1 script=$2 expected=
  shift 2
  forget
  in_mode "$mode" "$PROBES/env_actors" <<<"$script" >"$WORK/answers"
  if [ $# -gt 0 ]; then expected=$(printf '%s\n' "$@" | sort)$'\n'; fi
  diff <(printf '%s' "$expected") <(findings '.kind != "env-unsafe-write"') && return
  printf 'expected, and what was recorded (%s)\n' "$mode"
  cat "$WORK/answers"
  return 1
}

finds_nothing() {
  local mode script
  script=$(sed 's/^ *//')
  for mode in "$@"; do finds "$mode" "$script"; done
}

two_values='
a start b
a start c
b set AA 1
c set AA 2'

# ---- a thread reads ----

@test "env-clobber: a thread that reads what another has overwritten is told of, in every mode" {
  local read
  for read in get get-secure get-in-handler; do
    finds watch "$two_values"$'\n'"b $read AA" "env-clobber none AA b c"
    every env-clobber '.severity == "error" and .count == 1'
    finds scoped "$two_values"$'\n'"b $read AA" "env-clobber isolated AA b c"
    every env-clobber '.severity == "warning"'
    finds private "$two_values"$'\n'"b $read AA" "env-clobber isolated AA b c"
    finds off "$two_values"$'\n'"b $read AA"
  done
}

@test "env-clobber: the initial thread, putenv and a removal count as any other" {
  finds watch $'a start b\na put AA 1\nb unset AA\na get AA' "env-clobber none AA a b"
  finds scoped $'a start b\na put AA 1\nb unset AA\na get AA' "env-clobber isolated AA a b"
  finds watch $'a start b\nb unset AA\na set AA 1\nb get AA' "env-clobber none AA b a"
  finds scoped $'a start b\nb unset AA\na set AA 1\nb get AA' "env-clobber isolated AA b a"
}

@test "env-clobber: one finding is one record, with a count; which threads run the same code makes no difference" {
  local script=$two_values i mode
  for i in 3 4 5 6; do script+=$'\nb get AA\nb get AA\nc set AA '$i; done
  for mode in watch scoped; do
    finds $mode "$script" "env-clobber $([ $mode = watch ] && echo none || echo isolated) AA b c"
    every env-clobber '.count >= 4 and .count <= 8'
    finds $mode "$two_values"$'\nb get AA\nb set AA 3\nc get AA' \
      "env-clobber $([ $mode = watch ] && echo none || echo isolated) AA b c"
    every env-clobber '.count == 2'
  done
}

@test "env-clobber: a rule that watches a variable records it, and isolates nobody" {
  finds scoped+rules $'a start b\na start c\nb set WATCHED_V 1\nc set WATCHED_V 2\nb get WATCHED_V\nb spawn WATCHED_V' \
    "env-clobber none WATCHED_V b c" "env-child none WATCHED_V b c"
  grep -qxF 'b get WATCHED_V: WATCHED_V=2' "$WORK/answers"
}

# ---- a thread starts a program ----

@test "env-child: a program that is started with another thread's value, or would be, is told of" {
  local way
  for way in spawn popen system fork-exec; do
    finds watch "$two_values"$'\n'"b $way AA" "env-child none AA b c"
    every env-child '.severity == "error"'
    finds scoped "$two_values"$'\n'"b $way AA" "env-child isolated AA b c"
    every env-child '.severity == "warning"'
    finds private "$two_values"$'\n'"b $way AA" "env-child isolated AA b c"
    finds off "$two_values"$'\n'"b $way AA"
  done
}

@test "env-child: a program that is started from a vfork child is told of" {
  finds watch "$two_values"$'\nb vfork-exec AA' "env-child none AA b c"
  finds scoped "$two_values"$'\nb vfork-exec AA' "env-child isolated AA b c"
}

@test "env-child: each place that starts a program is a finding" {
  local script="$two_values"$'\nb spawn AA\nb popen AA\nb system AA'
  finds watch "$script" "env-child none AA b c" "env-child none AA b c" "env-child none AA b c"
  finds scoped "$script" "env-child isolated AA b c" "env-child isolated AA b c" "env-child isolated AA b c"
}

@test "env-child: each variable is told of, and only those that the thread wrote" {
  local script=$'a start b\na start c\nb set AA 1\nb set BB 1\nb set CC 1\nc set AA 2\nc set BB 2\nb spawn AA BB CC'
  finds watch "$script" "env-child none AA b c" "env-child none BB b c"
  finds scoped "$script" "env-child isolated AA b c" "env-child isolated BB b c"
}

# ---- what a thread does not see ----

@test "env-hidden: a contender that reads a name which only the other wrote is told of, as a note" {
  finds scoped "$two_values"$'\nc set BB 2\nb get BB' "env-hidden isolated BB b c"
  every env-hidden '.severity == "note"'
  finds scoped "$two_values"$'\nc set BB 2\nb spawn BB' "env-child isolated AA b c" "env-hidden isolated BB b c"
  finds watch "$two_values"$'\nc set BB 2\nb get BB'
}

@test "env-hidden: a thread that does not see another live thread's private value is told of" {
  finds private $'a start b\nb set AA 1\na get AA' "env-hidden isolated AA a b"
  finds private $'a start b\nb set AA 1\na spawn AA' "env-hidden isolated AA a b"
  finds private $'a start b\na start c\nb set AA 1\nc popen AA' "env-hidden isolated AA c b"
  finds scoped+rules $'a start b\nb set PRIVATE_V 1\na get PRIVATE_V' "env-hidden isolated PRIVATE_V a b"
}

@test "env-hidden: a private value of a thread that has ended, or that the reader sees, is nothing to tell of" {
  finds_nothing private <<'EOS'
    a start b
    b set AA 1
    b get AA
    b start c
    c get AA
    c spawn AA
    a get BB
    c return
    b return
    a get AA
    a spawn AA
EOS
}

# ---- nothing to tell of ----

@test "R: a variable that one thread alone wrote is nothing to tell of" {
  finds_nothing scoped watch <<'EOS'
    a set AA 0
    a start b
    a start c
    b set AA 1
    b put AA 2
    a get AA
    b get AA
    c get AA
    c spawn AA
    b popen AA
    b unset AA
    c get AA
    c fork-exec AA
EOS
}

@test "R: equal values are nothing to tell of" {
  finds_nothing scoped watch <<'EOS'
    a start b
    a start c
    b set AA 1
    c put AA 1
    a set AA 1
    b get AA
    c get AA
    b spawn AA
EOS
}

@test "R: writes before the second thread, and after it has ended, are nothing to tell of" {
  finds_nothing scoped watch private <<'EOS'
    a set AA 0
    a start b
    b get AA
    b return
    a set AA 1
    a get AA
    a join b
    a set AA 2
    a start c
    c get AA
    c spawn AA
    a popen AA
EOS
}

@test "R: what a thread published before it ended is nothing to tell of when others overwrite it" {
  finds_nothing scoped watch <<'EOS'
    a start b
    a start c
    b set AA 1
    b return
    c set AA 2
    a get AA
    c get AA
    a join b
    a set AA 2
    a get AA
    c spawn AA
EOS
}

@test "R: who wrote last reads its own value: nothing to tell of, nor of those who wrote nothing" {
  finds_nothing scoped watch <<'EOS'
    a start b
    a start c
    a start d
    b set AA 1
    c set AA 2
    c get AA
    c spawn AA
    a get AA
    a popen AA
    d get AA
EOS
}

# ---- the environment is changed beside other threads ----

@test "env-unsafe-write: a change while other threads live is recorded, once for each call" {
  local mode
  for mode in watch scoped; do
    finds $mode $'a start b\nb set AA 1\nb set BB 2\nb set AA 1\nb put CC 1\nb put DD 1\nb unset AA\nb clear\nb clear'
    diff <(findings '.kind == "env-unsafe-write"' | cut -d' ' -f1,2) <(yes 'env-unsafe-write none' | head -n 4)
    every env-unsafe-write '.severity == "warning"'
  done
}

@test "env-unsafe-write: alone, before the second thread and after it has ended, and with env=off, nothing is recorded" {
  local mode script=$'a set AA 1\na put AA 2\na unset AA\na clear'
  for mode in watch scoped private; do
    finds $mode "$script"
    no_events
    finds $mode "$script"$'\na start b\nb get AA\nb exit\na join b\n'"$script"
    no_events
  done
  finds off $'a start b\na set AA 1\nb put AA 1'
  no_events
}

# ---- what a record says ----

@test "R1: both threads are named, and both stacks lead into the program" {
  local mode b c pid
  for mode in watch scoped; do
    finds $mode "$two_values"$'\nb get AA\nb spawn AA\nb tid\nc tid\na tid' \
      "env-clobber $([ $mode = watch ] && echo none || echo isolated) AA b c" \
      "env-child $([ $mode = watch ] && echo none || echo isolated) AA b c"
    b=$(sed -n 's/^b tid: //p' "$WORK/answers")
    c=$(sed -n 's/^c tid: //p' "$WORK/answers")
    pid=$(sed -n 's/^a tid: //p' "$WORK/answers")
    for kind in env-clobber env-child; do
      every $kind '.v == 1 and .pid == $pid and .tid == $b and .here.tid == $b and .there.tid == $c' \
        --argjson b "$b" --argjson c "$c" --argjson pid "$pid"
      every $kind '.here.pid == $pid and .there.pid == $pid' --argjson pid "$pid"
      every $kind '.exe | endswith("/env_actors")'
      for side in here there; do
        every $kind '.[$side].stack | any(.[]; .module | endswith("/env_actors"))' --arg side $side
        every $kind '.[$side].stack | all(.[]; has("build_id") and has("offset"))' --arg side $side
        every $kind '.[$side].stack | any(.[]; .module | endswith("/libraceshim.so")) | not' --arg side $side
      done
      every $kind '.there.since | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T")'
    done
    every env-unsafe-write '.here.stack | any(.[]; .module | endswith("/env_actors"))'
  done
}

@test "R2: no value is anywhere in the records, unless it was asked for" {
  local mode script=$'a set DD sentinel0\na start b\na start c\nb set AA sentinel1\nc put AA sentinel2\nc default BB sentinel3
b get AA\nb get BB\nb spawn AA BB\nb unset AA\nc clear\nb set DD sentinel4\nc set DD sentinel5\nb get DD\na get DD'
  for mode in watch scoped private; do
    forget
    in_mode $mode "$PROBES/env_actors" <<<"$script" >"$WORK/answers"
    grep -q sentinel "$WORK/answers"
    [ -n "$(events env-clobber)" ]
    ! grep -rq sentinel "$SESSION"
    forget
    EXTRA_SETTINGS=show-values in_mode $mode "$PROBES/env_actors" <<<"$script" >"$WORK/answers"
    events env-clobber | grep -q sentinel
  done
}
