#!/usr/bin/env bats
# Section 3, the kinds that need one process: what is recorded, and that nothing else is.
# shellcheck disable=SC2016 # the variables are those of jq
# shellcheck disable=SC2030,SC2031 # each test has a run of its own

load lib
load witness

# recorded KIND=ACTION...: exactly these, one record each
recorded() {
  local expected actual
  expected=$(printf '%s\n' "$@" | sort)
  actual=$(cat "$SESSION"/*.jsonl 2>/dev/null | jq -r '"\(.kind)=\(.action)"' | sort)
  [ "$actual" = "$expected" ] && return
  printf 'expected:\n%s\nrecorded:\n%s\n' "$expected" "$actual"
  cat "$SESSION"/*.jsonl
  return 1
}

# A record says what a reader of it needs, and both stacks lead into the program.
well_formed() {
  local kind=$1 probe=$2
  every "$kind" '.v == 1 and (.severity | IN("error", "warning", "note"))'
  every "$kind" '.time | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{9}Z$")'
  every "$kind" '.file.path | endswith("/file")'
  every "$kind" '.exe | endswith("/" + $probe)' --arg probe "$probe"
  every "$kind" '.pid == .here.pid and .tid == .here.tid and .here.thread != null'
  leads_into "$kind" here "$probe"
}

leads_into() {
  every "$1" '.[$side].stack | any(.[]; .module | endswith("/" + $probe))' --arg side "$2" --arg probe "$3"
  every "$1" '.[$side].stack | all(.[]; has("build_id") and has("offset"))' --arg side "$2"
  every "$1" '.[$side].stack | any(.[]; .module | endswith("/libraceshim.so")) | not' --arg side "$2"
}

descriptors() {
  every "$1" '.here.fd == $here and .there.fd == $there' --argjson here "$2" --argjson there "$3"
}

locked_range() {
  every "$1" '.range == {start: $start, len: $len, type: "write"}' --argjson start "$2" --argjson len "$3"
}

forget() { rm -f "$SESSION"/*.jsonl; }

# self_lock WAY KIND SECOND ACTION
self_lock() {
  local probe=locks_against_itself
  fresh_file
  forget
  run "$1" "$PROBES/$probe" "$2" 1 file
  expect "second=$3"
  recorded "self-lock=$4"
  well_formed self-lock $probe
  leads_into self-lock there $probe
  descriptors self-lock "$(fact second_fd)" "$(fact first_fd)"
  every self-lock '.count == 1 and .there.pid == .pid and .there.tid == .tid'
  every self-lock '.file.ino == $ino' --argjson ino "$(stat -c %i file)"
}

@test "self-lock: a request that meets the process's own lock is denied and recorded (repair)" {
  self_lock shimmed fcntl EAGAIN denied
  locked_range self-lock 0 10
  self_lock shimmed lockf EAGAIN denied
  locked_range self-lock 0 10
}

@test "self-lock: a request that meets the process's own lock is granted and recorded (watch)" {
  self_lock watched fcntl ok granted
  locked_range self-lock 0 10
  self_lock watched lockf ok granted
  locked_range self-lock 0 10
}

@test "self-lock: flock and F_OFD_SETLK are denied by the kernel and recorded in both modes" {
  local way
  for way in shimmed watched; do
    self_lock $way flock EAGAIN denied
    self_lock $way ofd EAGAIN denied
    locked_range self-lock 0 10
  done
}

@test "self-lock: a repeated finding is one record with its count" {
  local way
  for way in shimmed watched; do
    fresh_file
    forget
    run $way "$PROBES/locks_against_itself" flock 1000 file
    expect second=EAGAIN
    recorded self-lock=denied
    every self-lock '.count == 1000'
  done
}

# lock_lost WAY ACTION HOW
lock_lost() {
  local probe=closing_second_description
  echo "by $3"
  fresh_file
  forget
  run "$1" "$PROBES/$probe" "$3" file
  expect unlock=ok
  recorded "lock-lost=$2"
  well_formed lock-lost $probe
  leads_into lock-lost there $probe
  descriptors lock-lost "$(fact second_fd)" "$(fact first_fd)"
  locked_range lock-lost 0 10
}

@test "lock-lost: a close that would drop another description's lock keeps it and is recorded (repair)" {
  local how
  for how in close close_range closefrom dup2 dup3 fclose freopen pclose closedir raw_close; do
    lock_lost shimmed kept $how
  done
}

@test "lock-lost: a close that drops another description's lock is recorded (watch)" {
  local how
  for how in close close_range closefrom dup2 dup3 fclose freopen pclose closedir raw_close; do
    lock_lost watched lost $how
  done
}

# foreign_unlock WAY ACTION
foreign_unlock() {
  local probe=unlocking_second_description how
  for how in fcntl wait lockf; do
    fresh_file
    forget
    run "$1" "$PROBES/$probe" $how file
    expect second_unlocks=ok
    recorded "foreign-unlock=$2"
    well_formed foreign-unlock $probe
    leads_into foreign-unlock there $probe
    every foreign-unlock '.range.type == "write"'
    descriptors foreign-unlock "$(fact second_fd)" "$(fact first_fd)"
  done
}

@test "foreign-unlock: an unlock of another description's bytes releases nothing and is recorded (repair)" {
  foreign_unlock shimmed kept
}

@test "foreign-unlock: an unlock of another description's bytes is recorded (watch)" {
  foreign_unlock watched lost
}

shared_description() {
  local probe=threads_share_description kind which
  for kind in fcntl lockf flock ofd; do
    for which in same copy; do
      fresh_file
      forget
      run "$1" "$PROBES/$probe" $kind $which file
      expect first=ok second=ok
      recorded shared-description=granted
      well_formed shared-description $probe
      leads_into shared-description there $probe
      descriptors shared-description "$(fact second_fd)" "$(fact first_fd)"
      every shared-description '.here.tid == $here and .there.tid == $there' \
        --argjson here "$(fact second_tid)" --argjson there "$(fact first_tid)"
    done
  done
}

@test "shared-description: two threads that lock the same bytes through one description are recorded (repair)" {
  shared_description shimmed
}

@test "shared-description: two threads that lock the same bytes through one description are recorded (watch)" {
  shared_description watched
}

# stale_lock WAY unlinked|replaced|waited
stale_lock() {
  local probe=locks_file_that_is_gone
  fresh_file
  forget
  run witnessed "$1" "$PROBES/$probe" "$2" file
  expect lock=ok
  recorded stale-lock=granted
  every stale-lock '.here.fd == $fd and .count == 1' --argjson fd "$(fact fd)"
  every stale-lock '.exe | endswith("/" + $probe)' --arg probe $probe
  leads_into stale-lock here $probe
}

@test "stale-lock: a lock granted on a file that went while it was waited for is recorded (repair)" {
  stale_lock shimmed waited
}

@test "stale-lock: a lock granted on a file that went while it was waited for is recorded (watch)" {
  stale_lock watched waited
}

@test "stale-lock: a lock granted on a file that went after it was opened is recorded (repair)" {
  stale_lock shimmed unlinked
  stale_lock shimmed replaced
}

@test "stale-lock: a lock granted on a file that went after it was opened is recorded (watch)" {
  stale_lock watched unlinked
  stale_lock watched replaced
}

@test "H1: a program that keeps to the rules leaves no record" {
  local way
  run bare "$PROBES/keeps_to_the_rules" file
  expect done=yes
  for way in shimmed watched; do
    run $way "$PROBES/keeps_to_the_rules" file
    expect done=yes
    no_events
  done
}

# What the other tests show to differ under repair is the same as bare when it is only watched.
watched_like_bare() {
  local facts
  fresh_file
  run witnessed bare "$@"
  facts=$(facts_only)
  fresh_file
  run witnessed watched "$@"
  [ "$(facts_only)" = "$facts" ] && return
  printf '%s\nbare:\n%s\nwatched:\n%s\n' "$*" "$facts" "$output"
  return 1
}

@test "L8: watch leaves ownership, closing and processes as they are bare" {
  local inheritor=$PROBES/acts_on_inherited_descriptor how
  for how in reopen thread procfd; do
    watched_like_bare "$PROBES/second_description_conflicts" $how file
  done
  for how in close close_range dup2 fclose freopen pclose closedir raw_close assembly; do
    watched_like_bare "$PROBES/closing_second_description" $how file
    watched_like_bare "$PROBES/closing_one_of_two_holders" $how file
  done
  for how in fcntl whole wait lockf; do
    watched_like_bare "$PROBES/unlocking_second_description" $how file
  done
  for how in dup before scm; do
    watched_like_bare "$PROBES/duplicate_shares_owner" $how file
  done
  for how in fork fork_of_fork _Fork clone; do
    watched_like_bare "$PROBES/child_is_excluded" $how file
  done
  watched_like_bare "$PROBES/second_description_waits" file
  watched_like_bare "$PROBES/failed_exec_keeps_lock" file there-is-no-such-program fits
  watched_like_bare "$PROBES/exec_keeps_lock" execv file "$inheritor" {} file \
    witness:inherited kind:kind second close-second witness:closed
  for how in posix_spawn system vfork; do
    watched_like_bare "$PROBES/program_is_excluded" $how file "$inheritor" {} file \
      lock unlock witness:unlocked close witness:closed
  done
}
