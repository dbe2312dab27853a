#!/usr/bin/env bats
# L5: waiting for a lock, and the waits that can never end.
#
# Most tests are scripts of tests/probes/lock_actors: a1 and a2 are two threads of process a. In process a,
# A and B are two descriptions of one file; other processes have one, A.
# shellcheck disable=SC2154 # $reply is set by say

load lib
load actors

# What every script begins with.
three_open='a1 open A file
a1 open B file
b1 open A file
c1 open A file
'

# The library alone, as the dynamic linker loads it: no settings, no session.
preloaded() {
  # shellcheck disable=SC2086 # the prefix is a list of words
  env -u RACESHIM -u XDG_RUNTIME_DIR -u TMPDIR -u HOME LD_PRELOAD="$LIBRARY" ${RACESHIM_TEST_PREFIX-} "$@"
}

# valgrind runs one thread at a time, and takes F_OFD_SETLKW for a call that does not wait: until the lock is
# granted no other thread of the process runs, and no signal arrives.
waits_beside() { not_under_valgrind "valgrind stops a whole process that waits for an OFD lock"; }

# The answers to a script, without those to $three_open.
told() {
  local how=$1 text=$2
  run "$how" "$PROBES/lock_actors" a2 b1 c1 <<<"$three_open$text"
  [ "$status" -eq 0 ]
  without_prefix
  output=$(sed 1,4d <<<"$output")
}

# plays "HOW..." TRANSCRIPT: the lines of the transcript up to ": " get the answers that stand behind it.
plays() {
  local how
  for how in $1; do
    echo "$how:"
    # shellcheck disable=SC2001 # there are many lines
    told "$how" "$(sed 's/: .*//' <<<"$2")"
    answers "$2"
  done
}

forget_events() { rm -f "${SESSION:?}"/*.jsonl; }

# Not one event of this kind.
without_event() { [ -z "$(events "$1")" ] || { events "$1" && return 1; }; }

# The fields of the only event of a kind, by a filter of jq's.
the_event() {
  local kind=$1 filter=$2
  [ "$(events "$kind" | wc -l)" -eq 1 ] || { events "$kind" && return 1; }
  events "$kind" | jq -r "$filter"
}

# ---- signals ----

interrupted='b1 lock A 0: ok
a1 lock A 0: waits
a1 signal: EINTR
a1 lockf A 1: waits
a1 signal: EINTR
b1 unlock A 0: ok
a1 try A 0: ok
b1 try A 0: EAGAIN'

@test "L5: a signal whose handler has no SA_RESTART ends the wait with EINTR" {
  waits_beside
  plays "bare shimmed watched preloaded" "$interrupted"
}

restarted='a1 restart: ok
b1 lock A 0: ok
a1 lock A 0: waits
a1 signal: waits
a1 signal: waits
a1 still 50: waits
b1 unlock A 0: ok
a1 end: ok
b1 try A 0: EAGAIN'

@test "L5: with SA_RESTART the wait goes on after the signal" {
  waits_beside
  plays "bare shimmed watched preloaded" "$restarted"
}

@test "L5: a handler that jumps out of the wait leaves a descriptor that works, and no wait behind" {
  waits_beside
  local expected='b1 lock A 0: ok
a1 lock A 1: ok
a1 lock-or-jump A 0: waits
a1 signal: jumped
b1 lock A 1: waits
a1 unlock A 1: ok
b1 end: ok
a1 lock A 0: waits
b1 unlock A 0: ok
a1 end: ok
c1 get A 0: write 0 1 by a
a1 close A: ok
c1 get A 0: free'
  # A close of A would drop all locks of the process bare; it holds no others.
  plays "bare shimmed" "$expected"
  EXTRA_SETTINGS=lock-timeout=20 plays shimmed "$expected"
  without_event deadlock
  without_event long-wait
}

@test "L5: 300 jumps out of waits use nothing up" {
  waits_beside
  local i text='b1 lock A 0
'
  for ((i = 0; i < 300; i++)); do text+='a1 lock-or-jump A 0
a1 signal
'; done
  text+='a1 lock A 1
a1 lock A 0
b1 lock A 1
b1 unlock A 0
a1 end'
  told shimmed "$text"
  [ "$(grep -c ': jumped' <<<"$output")" -eq 300 ]
  [ "$(tail -n 4 <<<"$output")" = "a1 lock A 0: waits
b1 lock A 1: EDEADLK
b1 unlock A 0: ok
a1 end: ok" ]
}

# ---- cancellation ----

cancelled='b1 lock A 0: ok
a2 lock A 1: ok
a2 lock A 0: waits
a1 cancel 2: joined
a2 end: cancelled
b1 lock A 1: waits
a1 unlock A 1: ok
b1 end: ok
b1 unlock A 0 2: ok
c1 get A 0 0: free
c1 lock A 0 0: ok
c1 unlock A 0 0: ok
a1 lock A 0: ok'

@test "L5: a thread cancelled in the wait leaves no lock and no record of its wait behind" {
  waits_beside
  plays "bare shimmed preloaded" "$cancelled"
  without_event deadlock
  without_event long-wait
}

@test "L5: a thread cancelled asynchronously in the wait leaves no lock and no record of its wait behind" {
  waits_beside
  plays "bare shimmed" "a2 asynchronous: ok
$cancelled"
  without_event deadlock
  without_event long-wait
}

@test "L5: a pending cancellation acts at F_SETLKW, not at F_SETLK" {
  local expected='a2 lock-cancelled A 0: ok, cancelled
a1 cancel 2: joined
b1 try A 0: EAGAIN
a1 unlock A 0: ok
b1 try A 0: ok'
  plays "bare shimmed watched" "$expected"
}

# ---- fairness ----

@test "L5: several processes that wait all get the lock, one at a time" {
  local how
  for how in bare shimmed preloaded; do
    run "$how" "$PROBES/waiters_take_turns" file processes 8 20
    [ "$(fact granted)" -eq 160 ]
    [ "$(fact overlaps)" -eq 0 ]
    [ "$(fact refused)" -eq 0 ]
  done
}

@test "L5: several threads that wait through their own descriptions all get the lock, one at a time" {
  waits_beside
  run bare "$PROBES/waiters_take_turns" file threads 8 20
  [ "$(fact granted_while_held)" = yes ]
  [ "$(fact overlaps)" -gt 0 ]
  run shimmed "$PROBES/waiters_take_turns" file threads 8 20
  [ "$(fact granted_while_held)" = no ]
  [ "$(fact granted)" -eq 160 ]
  [ "$(fact overlaps)" -eq 0 ]
  [ "$(fact refused)" -eq 0 ]
}

# ---- cycles of waits: one is refused, the others proceed ----

process_cycle='a1 lock A 0: ok
b1 lock A 1: ok
a1 lock A 1: waits
b1 lock A 0: EDEADLK
a1 still 50: waits
b1 unlock A 1: ok
a1 end: ok'

@test "L5: of two processes that wait for each other one is refused" {
  plays "bare shimmed preloaded" "$process_cycle"
  [ "$(the_event deadlock .action)" = refused ]
}

@test "L5: of two processes that wait for each other on two files one is refused" {
  local expected='a1 open C other: ok
b1 open C other: ok
a1 lock A 0: ok
b1 lock C 0: ok
a1 lock C 0: waits
b1 lock A 0: EDEADLK
b1 close C: ok
a1 end: ok'
  plays "bare shimmed" "$expected"
}

@test "L5: of two processes that wait for each other by lockf one is refused" {
  # Offsets are 0, so that lockf asks for the first byte.
  local expected='a1 open C other: ok
b1 open C other: ok
a1 lockf A 1: ok
b1 lockf C 1: ok
a1 lockf C 1: waits
b1 lockf A 1: EDEADLK
b1 unlock C 0: ok
a1 end: ok'
  plays "bare shimmed" "$expected"
}

@test "L5: of two threads that wait for each other one is refused" {
  waits_beside
  local lines_told='a1 lock A 0
a2 lock B 1
a1 lock A 1
a2 lock B 0
a2 unlock B 1
a1 end'
  told bare "$lines_told"
  [ "$(grep -c ': ok' <<<"$output")" -eq 6 ]
  plays "shimmed preloaded" 'a1 lock A 0: ok
a2 lock B 1: ok
a1 lock A 1: waits
a2 lock B 0: EDEADLK
a2 unlock B 1: ok
a1 end: ok'
  [ "$(the_event deadlock .action)" = refused ]
}

@test "L5: in a ring of three processes one is refused" {
  local expected='a1 lock A 0: ok
b1 lock A 1: ok
c1 lock A 2: ok
a1 lock A 1: waits
b1 lock A 2: waits
c1 lock A 0: EDEADLK
c1 unlock A 2: ok
b1 end: ok
b1 unlock A 1 2: ok
a1 end: ok'
  plays "bare shimmed preloaded" "$expected"
}

@test "L5: in a ring of two threads and a process one is refused" {
  waits_beside
  # Bare, b is refused although a2 waits for nothing: the kernel takes a1's wait for the whole process's.
  local lines_told='a1 lock A 0
a2 lock B 2
b1 lock A 1
a1 lock A 1
b1 lock A 2
a2 lock B 0
a2 unlock B 2
b1 end
b1 unlock A 1 2
a1 end'
  told bare "$lines_told"
  grep -qx 'b1 lock A 2: EDEADLK' <<<"$output"
  plays shimmed 'a1 lock A 0: ok
a2 lock B 2: ok
b1 lock A 1: ok
a1 lock A 1: waits
b1 lock A 2: waits
a2 lock B 0: EDEADLK
a2 unlock B 2: ok
b1 end: ok
b1 unlock A 1 2: ok
a1 end: ok'
}

@test "L5: a thread that would wait for itself through another description is refused" {
  local lines_told='a1 lock A 0
a1 lock B 0
a1 unlock A 0
a1 lock B 0'
  told bare "$lines_told"
  [ "$(grep -c ': ok' <<<"$output")" -eq 4 ]
  plays "shimmed preloaded" 'a1 lock A 0: ok
a1 lock B 0: EDEADLK
a1 unlock A 0: ok
a1 lock B 0: ok'
}

@test "L5: a reader that would wait for its own other reading is refused" {
  local lines_told='a1 lock A 0 1 read
a1 lock B 0 1 read
a1 lock A 0
b1 lock A 0 1 read'
  told bare "$lines_told"
  grep -qx 'a1 lock A 0: ok' <<<"$output"
  plays shimmed 'a1 lock A 0 1 read: ok
a1 lock B 0 1 read: ok
a1 lock A 0: EDEADLK
b1 lock A 0 1 read: ok'
}

@test "L5: of two readers that both want to write one is refused" {
  local expected='a1 lock A 0 1 read: ok
b1 lock A 0 1 read: ok
a1 lock A 0: waits
b1 lock A 0: EDEADLK
b1 unlock A 0: ok
a1 end: ok'
  plays "bare shimmed" "$expected"
}

@test "L5: a cycle is found when each process holds 1, 100 or 500 locks" {
  local n last how
  for n in 1 100 500; do
    last=$((10 + 2 * (n - 1)))
    for how in bare shimmed; do
      told "$how" "a1 many A 10 $n
b1 many A 5011 $n
a1 lock A $((5001 + last))
b1 lock A $last
b1 unlock A 0 0
a1 end"
      answers "a1 many A 10 $n: ok
b1 many A 5011 $n: ok
a1 lock A $((5001 + last)): waits
b1 lock A $last: EDEADLK
b1 unlock A 0 0: ok
a1 end: ok"
    done
  done
}

@test "L5: a cycle of processes that were started apart is found" {
  start one shimmed a1
  start two shimmed b1
  cycle_apart
}

@test "L5: a cycle of processes under two sessions is found" {
  start one preloaded a1
  start two shimmed b1
  cycle_apart
}

cycle_apart() {
  say one "a1 open A file"
  say two "b1 open A file"
  say one "a1 lock A 0"
  say two "b1 lock A 1"
  say one "a1 lock A 1"
  [ "$reply" = waits ]
  say two "b1 lock A 0"
  [ "$reply" = EDEADLK ]
  say two "b1 unlock A 1"
  say one "a1 end"
  [ "$reply" = ok ]
}

@test "L5: of 200 cycles whose last two waits begin together each has exactly one victim" {
  waits_beside
  run bare "$PROBES/cycle_races" file threads 200
  [ "$(fact no_victim)" -eq 200 ]
  local how who
  for how in shimmed preloaded; do
    for who in threads processes; do
      run "$how" "$PROBES/cycle_races" file "$who" 200
      echo "$how $who: $output"
      [ "$status" -eq 0 ]
      [ "$(fact one_victim)" -eq 200 ]
      [ "$(fact errors)" -eq 0 ]
    done
  done
  run bare "$PROBES/cycle_races" file processes 200
  [ "$(fact one_victim)" -eq 200 ]
}

# ---- waits that are no cycles ----

@test "L5: a process is not refused because another thread of the holder's waits for it" {
  waits_beside
  local lines_told='a1 lock A 0
b1 lock A 1
a2 lock A 1
b1 lock A 0
b1 still 100
a1 unlock A 0
b1 end
b1 unlock A 1
a2 end'
  told bare "$lines_told"
  grep -qx 'b1 lock A 0: EDEADLK' <<<"$output"
  plays "shimmed preloaded" 'a1 lock A 0: ok
b1 lock A 1: ok
a2 lock A 1: waits
b1 lock A 0: waits
b1 still 100: waits
a1 unlock A 0: ok
b1 end: ok
b1 unlock A 1: ok
a2 end: ok'
  without_event deadlock
}

@test "L5: a slow holder is waited for" {
  local expected='c1 lock A 2: ok
b1 lock A 1: ok
b1 lock A 2: waits
a1 lock A 1: waits
a1 still 300: waits
b1 still 300: waits
c1 unlock A 2: ok
b1 end: ok
b1 unlock A 1: ok
a1 end: ok'
  plays "bare shimmed" "$expected"
  without_event deadlock
  without_event long-wait
}

@test "L5: a slow thread of the same process is waited for" {
  waits_beside
  plays shimmed 'a1 lock A 0: ok
a2 lock B 0: waits
a2 still 300: waits
a1 unlock A 0: ok
a2 end: ok'
  without_event deadlock
  without_event self-deadlock
}

@test "L5: a wait that a signal ended is part of no cycle" {
  waits_beside
  local expected='a1 lock A 0: ok
b1 lock A 1: ok
a1 lock A 1: waits
a1 signal: EINTR
b1 lock A 0: waits
a1 unlock A 0: ok
b1 end: ok'
  plays "bare shimmed" "$expected"
  without_event deadlock
}

@test "L5: a wait that ended with its process is part of no cycle" {
  local expected='a1 lock A 0: ok
b1 lock A 1: ok
a1 lock A 1: waits
a1 kill: killed
b1 lock A 0: ok
c1 lock A 0: waits
b1 unlock A 0: ok
c1 end: ok'
  plays "bare shimmed" "$expected"
  without_event deadlock
}

@test "L5: bytes that do not meet make no cycle" {
  # b holds 1 and 3, a waits for 1; b asks for 4 to 9, of which a holds nothing, c does.
  plays shimmed 'a1 lock A 0: ok
b1 lock A 1: ok
b1 lock A 3: ok
c1 lock A 5: ok
a1 lock A 1: waits
b1 lock A 4 6: waits
c1 unlock A 5: ok
b1 end: ok
b1 unlock A 1: ok
a1 end: ok'
  without_event deadlock
}

# ---- whose a lock is ----

@test "L5: a lock is taken to be released by the thread that took it last" {
  waits_beside
  # a1 took the byte, then a2 took it again: a1's wait is not in the way.
  plays shimmed 'a1 lock A 0: ok
a2 lock A 0: ok
b1 lock A 1: ok
a1 lock A 1: waits
b1 lock A 0: waits
a2 unlock A 0: ok
b1 end: ok
b1 unlock A 1: ok
a1 end: ok'
}

handed_over='a1 lock A 0: ok
a1 lock B 0: waits
a2 unlock A 0: ok
a1 end: ok
a1 unlock B 0: ok
a1 lock A 0: ok
b1 lock A 1: ok
a1 lock A 1: waits
b1 lock A 0: waits
a2 unlock A 0: ok
b1 end: ok
b1 unlock A 1: ok
a1 end: ok'

@test "L5: a rule lets threads hand locks to each other" {
  waits_beside
  plays shimmed 'a1 lock A 0: ok
a1 lock B 0: EDEADLK'
  echo 'wait program=* handover' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" plays shimmed "$handed_over"
}

@test "L5: a rule for another program changes nothing" {
  echo 'wait program=*/another-program handover' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" plays shimmed 'a1 lock A 0: ok
a1 lock B 0: EDEADLK'
}

# ---- the records ----

# Both sides of an event in a, threads 1 and maybe 2, with a stack each.
both_sides() {
  jq -e '(.here.stack | length > 0) and (.there.stack | length > 0)
    and (.here.stack[0].module | length > 0) and .here.pid > 0 and .there.pid > 0
    and (.file.path | endswith("/file"))' >/dev/null
}

@test "L5: a self-deadlock is recorded, repaired or watched" {
  plays shimmed 'a1 lock A 0: ok
a1 lock B 0: EDEADLK'
  [ "$(the_event self-deadlock .action)" = refused ]
  [ "$(the_event self-deadlock '"\(.range.start) \(.range.len) \(.range.type)"')" = "0 1 write" ]
  [ "$(the_event self-deadlock '.here.pid == .there.pid and .here.tid == .there.tid')" = true ]
  [ "$(the_event self-deadlock '.here.fd != .there.fd')" = true ]
  events self-deadlock | both_sides
  forget_events
  plays watched 'a1 lock A 0: ok
a1 lock B 0: ok'
  [ "$(the_event self-deadlock .action)" = granted ]
  events self-deadlock | both_sides
}

# The kernel lets them wait for ever: the record is there while they do.
hopeless() {
  local how=$1 verb=$2
  start hopeless "$how" a1
  say hopeless "a1 open A file"
  say hopeless "a1 open B file"
  say hopeless "a1 $verb"
  [ "$reply" = ok ]
  say hopeless "a1 ${verb/A/B}"
  [ "$reply" = waits ]
  [ "$(the_event self-deadlock .action)" = waited ]
  events self-deadlock | both_sides
  say hopeless "a1 signal"
  [ "$reply" = EINTR ]
  stop hopeless
  forget_events
  rm "$WORK"/hopeless.*
}

@test "L5: a flock that waits for its own thread is recorded and waits, repaired or watched" {
  hopeless shimmed "flock A ex"
  hopeless watched "flock A ex"
}

@test "L5: an OFD lock that waits for its own thread is recorded and waits, repaired or watched" {
  waits_beside
  hopeless shimmed "ofd A 0"
  hopeless watched "ofd A 0"
}

@test "L5: a deadlock's record has an edge for every participant" {
  waits_beside
  start ring shimmed a2 b1
  say ring "a1 open A file"
  say ring "a1 open B file"
  say ring "b1 open A file"
  say ring "a1 pid"
  local a=$reply
  say ring "b1 pid"
  local b=$reply
  say ring "a1 lock A 0"
  say ring "a2 lock B 2"
  say ring "b1 lock A 1"
  say ring "a1 lock A 1"
  say ring "b1 lock A 2"
  say ring "a2 lock B 0"
  [ "$reply" = EDEADLK ]
  [ "$(the_event deadlock .action)" = refused ]
  [ "$(the_event deadlock '.edges | length')" -eq 3 ]
  [ "$(the_event deadlock '[.edges[].pid] | sort | join(" ")')" = "$(printf '%s\n' "$a" "$a" "$b" | sort -n | paste -sd ' ')" ]
  [ "$(the_event deadlock '[.edges[].tid] | unique | length')" -eq 3 ]
  [ "$(the_event deadlock '[.edges[] | select(.fd >= 0)] | length')" -eq 3 ]
  # What each waits for
  [ "$(the_event deadlock '[.edges[].range.start] | sort | join(" ")')" = "0 1 2" ]
  [ "$(the_event deadlock '[.edges[].file.path] | unique | join(" ")')" = "$WORK/file" ]
  run "$SHIM_REPORT" "$SESSION"
  [ "$(grep -c ', descriptor [0-9]*, for ' <<<"$output")" -ge 2 ]
  # The stacks of its own process at least.
  [ "$(the_event deadlock "[.edges[] | select(.pid == $a) | .stack | length > 0] | all")" = true ]
}

# Two parties lock one thing each, then wait for the other's, in a way that the kernel does not look into.
hopeless_ring() {
  local how=$1 verb=$2 second=$3
  start ring "$how" a2 b1
  say ring "a1 open A file"
  say ring "a1 open B other"
  say ring "$second open C file"
  say ring "$second open D other"
  say ring "a1 $verb A $4"
  say ring "$second $verb D $4"
  say ring "a1 $verb B $4"
  [ "$reply" = waits ]
  without_event deadlock
  say ring "$second $verb C $4"
  [ "$reply" = waits ]
  [ "$(the_event deadlock .action)" = waited ]
  [ "$(the_event deadlock '.edges | length')" -eq 2 ]
  say ring "$second signal"
  [ "$reply" = EINTR ]
  say ring "a1 signal"
  [ "$reply" = EINTR ]
  stop ring
  forget_events
  rm "$WORK"/ring.*
}

@test "L5: a deadlock by flock is recorded and waits, repaired or watched" {
  local how
  for how in shimmed watched; do
    hopeless_ring "$how" flock a2 ex
    hopeless_ring "$how" flock b1 ex
  done
}

@test "L5: a deadlock by OFD locks is recorded and waits, repaired or watched" {
  waits_beside
  local how
  for how in shimmed watched; do
    hopeless_ring "$how" ofd a2 0
    hopeless_ring "$how" ofd b1 0
  done
}

@test "L5: watched, a deadlock of processes is refused by the kernel and recorded" {
  plays watched "$process_cycle"
  [ "$(the_event deadlock '.edges | length')" -eq 2 ]
}

# ---- limits that the user sets ----

@test "L5: lock-timeout ends a wait with EDEADLK, of flock with EWOULDBLOCK, and records the holder" {
  start bare bare a1 b1
  say bare "b1 open A file"
  say bare "a1 open A file"
  say bare "b1 lock A 0"
  say bare "a1 lock A 0"
  EXTRA_SETTINGS=lock-timeout=1 start limited shimmed a1 b1 c1 d1
  local actor
  for actor in a1 b1 c1 d1; do
    say limited "$actor open A limited"
    say limited "$actor open B limited-too"
  done
  say limited "a1 pid"
  local holder=$reply
  say limited "a1 lock A 0"
  say limited "a1 flock B ex"
  say limited "b1 lock A 0"
  say limited "c1 lockf A 1"
  say limited "d1 flock B ex"
  for actor in b1=EDEADLK c1=EDEADLK d1=EAGAIN; do
    say limited "${actor%=*} end"
    echo "${actor%=*}: $reply"
    [ "$reply" = "${actor#*=}" ]
    # Tenths of a second.
    say limited "${actor%=*} elapsed"
    [ "$reply" -ge 9 ]
    [ "$reply" -le 30 ]
  done
  [ "$(events lock-timeout | jq -s 'map(.here.pid) | unique | length')" -eq 3 ]
  [ "$(events lock-timeout | jq -s "map(.there.pid == $holder) | map(select(.)) | length")" -ge 2 ]
  # Nothing is left of the waits: the lock can be had when it is free.
  say limited "a1 unlock A 0"
  say limited "b1 lock A 0"
  [ "$reply" = ok ]
  # Bare, it has waited all the time.
  say bare "a1 still 10"
  [ "$reply" = waits ]
}

@test "L5: lock-timeout records the holder of a flock too" {
  EXTRA_SETTINGS=lock-timeout=0.1 start limited shimmed a1 b1
  say limited "a1 open A limited"
  say limited "b1 open A limited"
  say limited "a1 pid"
  local holder=$reply
  say limited "a1 flock A ex"
  say limited "b1 flock A ex"
  say limited "b1 end"
  [ "$reply" = EAGAIN ]
  [ "$(the_event lock-timeout .there.pid)" = "$holder" ]
}

@test "L5: lock-timeout ends a wait for an OFD lock too" {
  EXTRA_SETTINGS=lock-timeout=1 start limited shimmed a1 b1
  say limited "a1 open A limited"
  say limited "b1 open A limited"
  say limited "a1 ofd A 0"
  say limited "b1 ofd A 0"
  say limited "b1 end"
  [ "$reply" = EDEADLK ]
  [ "$(events lock-timeout | wc -l)" -eq 1 ]
}

@test "L5: a signal ends a wait before lock-timeout does" {
  waits_beside
  EXTRA_SETTINGS=lock-timeout=20 plays shimmed "$interrupted"
  EXTRA_SETTINGS=lock-timeout=20 plays shimmed "$restarted"
  EXTRA_SETTINGS=lock-timeout=20 plays shimmed "$cancelled"
  without_event lock-timeout
}

# A wait of 0.15 s and more for what another process took in this way.
long_wait() {
  local verb=$1 holder waiter
  EXTRA_SETTINGS=wait-warn=0.05 start slow shimmed a1 b1
  say slow "b1 open A file"
  say slow "a1 open A file"
  say slow "b1 pid"
  holder=$reply
  say slow "a1 pid"
  waiter=$reply
  say slow "b1 $verb"
  say slow "a1 $verb"
  [ "$reply" = waits ]
  say slow "a1 still 150"
  [ "$reply" = waits ]
  say slow "b1 close A"
  say slow "a1 end"
  [ "$reply" = ok ]
  echo "$verb"
  [ "$(the_event long-wait .action)" = waited ]
  [ "$(the_event long-wait '"\(.here.pid) \(.there.pid)"')" = "$waiter $holder" ]
  # It holds nothing any more when this is recorded.
  [[ "$(the_event long-wait .there.command)" == "$PROBES/lock_actors "* ]]
  [ "$(the_event long-wait '.there.fd >= 0 and (.there.stack | length > 0)')" = true ]
  stop slow
  forget_events
  rm "$WORK"/slow.*
}

@test "L5: a wait longer than wait-warn is recorded with the holder" {
  long_wait "lock A 0"
  long_wait "lockf A 1"
  long_wait "ofd A 0"
}

@test "L5: a wait for a flock longer than wait-warn is recorded with the holder" {
  long_wait "flock A ex"
}

@test "L5: a wait shorter than wait-warn is not recorded" {
  EXTRA_SETTINGS=wait-warn=10 told shimmed 'b1 lock A 0
a1 lock A 0
a1 still 150
b1 unlock A 0
a1 end'
  grep -qx 'a1 end: ok' <<<"$output"
  without_event long-wait
}

@test "L5: a wait that had not ended when the program was killed is recorded" {
  start slow wrapped a1 b1
  say slow "b1 open A file"
  say slow "a1 open A file"
  say slow "b1 lock A 0"
  say slow "a1 lock A 0"
  [ "$reply" = waits ]
  say slow "a1 still 150"
  say slow "a1 kill"
  stop slow
  [ "$(the_event long-wait .action)" = waited ]
}

wrapped() { "$SHIM_RUN" -q --env=off --wait-warn=0.05 --out="$SESSION" -- "$@"; }
