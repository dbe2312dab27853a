#!/usr/bin/env bats
# L4: ranges, errors, and who holds what.
# shellcheck disable=SC2154 # $reply is set by say

load lib
load actors

# The number of random sequences; a prefix like valgrind makes each some hundred times dearer.
sequences() {
  if [ -n "${RACESHIM_TEST_PREFIX-}" ]; then echo $(($1 / 200)); else echo "$1"; fi
}

@test "L4: 100,000 random sequences of lock operations get the answers of the kernel's OFD locks" {
  run shimmed "$PROBES/random_lock_sequences" --count="$(sequences 100000)"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(fact sequences)" -eq "$(sequences 100000)" ]
  [ "$(fact differences)" -eq 0 ]
  # The sequences are about something: many steps meet a lock.
  [ "$(fact conflicts)" -gt "$(sequences 40000)" ]
}

@test "L4: bare, the random sequences differ from the kernel's OFD locks" {
  run bare "$PROBES/random_lock_sequences" --count="$(sequences 5000)"
  [ "$status" -eq 0 ]
  [ "$(fact differences)" -gt "$(sequences 1000)" ]
}

@test "L4: one command repeats one random sequence" {
  # The holders' pids are other ones each time.
  one() { bare "$PROBES/random_lock_sequences" --seed="$1" --count=1 | sed 's/pid=.*//'; }
  local first
  first=$(one 4711)
  grep -q '^step_11_subject=' <<<"$first"
  [ "$(one 4711)" = "$first" ]
  [ "$(one 4712)" != "$first" ]
}

@test "L8: watched, random sequences get the answers that they get bare" {
  run bare "$PROBES/random_lock_sequences" --seed=815 --count="$(sequences 20000)"
  local trace differences
  trace=$(fact trace)
  differences=$(fact differences)
  run watched "$PROBES/random_lock_sequences" --seed=815 --count="$(sequences 20000)"
  [ "$status" -eq 0 ]
  [ "$(fact differences)" -eq "$differences" ]
  [ "$(fact trace)" = "$trace" ]
}

@test "L4: every error of fcntl(2) is the one that the program gets bare" {
  not_under_valgrind "valgrind counts bad pointers as errors, and the exit status says so"
  run bare "$PROBES/lock_errnos" "$WORK/file"
  [ "$status" -eq 0 ]
  without_prefix
  local bare_output=$output
  run shimmed "$PROBES/lock_errnos" "$WORK/file"
  [ "$status" -eq 0 ]
  answers "$bare_output"
  # And they are those of the manual page.
  [ "$(fact closed_SETLK)" = EBADF ]
  [ "$(fact write_lock_on_reader_SETLKW)" = EBADF ]
  [ "$(fact type_3_SETLK)" = EINVAL ]
  [ "$(fact type_unlock_GETLK)" = EINVAL ]
  [ "$(fact length_below_0_GETLK)" = EINVAL ]
  [ "$(fact behind_last_byte_SETLK)" = EOVERFLOW ]
  [ "$(fact null_SETLK)" = EFAULT ]
  [ "$(fact one_byte_in_no_access_SETLK)" = EFAULT ]
  [ "$(fact read_only_GETLK)" = EFAULT ]
  [ "$(fact up_to_no_access_SETLK)" = ok ]
  [ "$(fact held_SETLK)" = EAGAIN ]
  [ "$(fact cycle_SETLKW)" = EDEADLK ]
  [ "$(fact signal_SETLKW)" = EINTR ]
}

@test "L8: watched, every error of fcntl(2) is the one that the program gets bare" {
  not_under_valgrind "valgrind counts bad pointers as errors, and the exit status says so"
  run bare "$PROBES/lock_errnos" "$WORK/file"
  without_prefix
  local bare_output=$output
  run watched "$PROBES/lock_errnos" "$WORK/file"
  [ "$status" -eq 0 ]
  answers "$bare_output"
}

@test "L4: lockf locks forwards, backwards and to the end of the file as bare" {
  run bare "$PROBES/lockf_ranges" "$WORK/file"
  [ "$status" -eq 0 ]
  without_prefix
  local bare_output=$output
  run shimmed "$PROBES/lockf_ranges" "$WORK/file"
  [ "$status" -eq 0 ]
  answers "$bare_output"
  [ "$(fact lock_backwards_table)" = "write 7+13" ]
  [ "$(fact unlock_middle_table)" = "write 7+5, write 14+11" ]
  [ "$(fact other_test_held)" = EACCES ]
  [ "$(fact below_zero)" = EINVAL ]
}

@test "L4: lockf's F_TEST tells a second description of the same process that the bytes are held" {
  local lines_told='a1 open A file
a1 open B file
a1 lock A 0 10
a1 test A 5
a1 test B 5'
  script bare a1 <<<"$lines_told"
  [ "${lines[4]}" = "a1 test B 5: ok" ]
  script shimmed a1 <<<"$lines_told"
  [ "${lines[3]}" = "a1 test A 5: ok" ]
  [ "${lines[4]}" = "a1 test B 5: EACCES" ]
}

@test "L4: an outsider sees ranges split, merged, upgraded and downgraded" {
  start outside bare a1
  start inside shimmed b1
  say outside "a1 open A file"
  say inside "b1 open A file"
  act() {
    say inside "b1 $1"
    [ "$reply" = ok ]
  }
  seen() { # RANGE, what the outsider meets there
    say outside "a1 get A $1"
    echo "$1 is ${reply% by *}, should be $2"
    [ "${reply% by *}" = "$2" ]
  }
  act "lock A 0 10"
  seen "0 10" "write 0 10"
  act "unlock A 4 2"
  seen "0 6" "write 0 4"
  seen "4 2" "free"
  seen "5 9" "write 6 4"
  act "lock A 3 4"
  seen "0 1" "write 0 10"
  act "lock A 2 3 read"
  seen "2 1" "read 2 3"
  seen "5 1" "write 5 5"
  seen "2 1 read" "free"
  act "lock A 10 0"
  seen "20 1" "write 5 0"
  act "lock A 2 3"
  seen "2 1 read" "write 0 0"
  act "unlock A 0 0"
  seen "0 0" "free"
}

@test "L4: F_GETLK names the process itself when another description of it holds the lock" {
  local lines_told='a1 open A file
a1 open B file
a1 lock A 0
a1 get B 0
a1 get A 0'
  script bare a1 <<<"$lines_told"
  [ "${lines[3]}" = "a1 get B 0: free" ]
  script shimmed a1 <<<"$lines_told"
  [ "${lines[3]}" = "a1 get B 0: write 0 1 by a" ]
  [ "${lines[4]}" = "a1 get A 0: free" ]
}

@test "L4: F_GETLK names another process under the shim, and the right one when the holder changes" {
  local told='a1 open A file
b1 open A file
c1 open A file
a1 lock A 0
b1 get A 0
b1 get A 0
a1 unlock A 0
c1 lock A 0
b1 get A 0
c1 unlock A 0
a1 lock A 0
b1 get A 0
a1 kill
b1 get A 0
c1 lock A 0 1 read
b1 get A 0
b1 get A 0 1 read
b1 lock A 1
c1 get A 0 2'
  local expected='b1 get A 0: write 0 1 by a
b1 get A 0: write 0 1 by a
b1 get A 0: write 0 1 by c
b1 get A 0: write 0 1 by a
b1 get A 0: free
b1 get A 0: read 0 1 by c
b1 get A 0 1 read: free
c1 get A 0 2: write 1 1 by b'
  script bare a1 b1 c1 <<<"$told"
  diff <(echo "$expected") <(grep get <<<"$output")
  script shimmed a1 b1 c1 <<<"$told"
  diff <(echo "$expected") <(grep get <<<"$output")
}

@test "L4: F_GETLK names the right one of two processes that hold neighbouring bytes" {
  script shimmed a1 b1 c1 <<<'a1 open A file
a1 open B file
b1 open A file
c1 open A file
a1 lock A 0
a1 lock B 1
b1 lock A 2
c1 get A 0
c1 get A 1
c1 get A 2
a1 get A 2
a1 get A 1
b1 get A 1'
  diff <(grep get <<<"$output") - <<'END'
c1 get A 0: write 0 1 by a
c1 get A 1: write 1 1 by a
c1 get A 2: write 2 1 by b
a1 get A 2: write 2 1 by b
a1 get A 1: write 1 1 by a
b1 get A 1: write 1 1 by a
END
}

@test "L4: F_GETLK names the holder of the range that it reports when readers overlap" {
  local told='a1 open A file
b1 open A file
b1 open B file
c1 open A file
a1 lock A 5 0 read
b1 lock A 0 100 read
c1 get A 6 2
b1 get B 200
b1 get B 6 2
a1 get A 6 2
b1 get A 6 2'
  local expected='c1 get A 6 2: read 5 0 by a
b1 get B 200: read 5 0 by a
b1 get B 6 2: read 5 0 by a
a1 get A 6 2: read 0 100 by b
b1 get A 6 2: read 5 0 by a'
  script bare a1 b1 c1 <<<"$told"
  diff <(echo "$expected") <(grep get <<<"$output")
  script shimmed a1 b1 c1 <<<"$told"
  diff <(echo "$expected") <(grep get <<<"$output")
}

@test "L4: F_GETLK on free bytes changes l_type and nothing else" {
  run bare "$PROBES/ask_free_bytes" file
  [ "$status" -eq 0 ]
  without_prefix
  local bare_output=$output
  [ "$(fact never_locked_stack_fcntl)" = "0 type=2 whence=1 start=3 len=-2 pid=4711" ]
  run shimmed "$PROBES/ask_free_bytes" file
  [ "$status" -eq 0 ]
  answers "$bare_output"
}

@test "L4: F_GETLK names an outsider that holds a POSIX lock" {
  start outside bare a1
  say outside "a1 open A file"
  say outside "a1 lock A 0"
  [ "$reply" = ok ]
  say outside "a1 pid"
  script shimmed b1 <<<'b1 open A file
b1 get A 0
b1 lock A 5
b1 get A 0'
  [ "${lines[1]}" = "b1 get A 0: write 0 1 by $reply" ]
  [ "${lines[3]}" = "b1 get A 0: write 0 1 by $reply" ]
}

@test "L4: F_GETLK names an outsider that holds a description-owned lock" {
  local told='b1 open A file
b1 get A 0
b1 lock A 5
b1 get A 0'
  start outside bare a1
  say outside "a1 open A file"
  say outside "a1 ofd A 0"
  [ "$reply" = ok ]
  say outside "a1 pid"
  script bare b1 <<<"$told"
  [ "${lines[1]}" = "b1 get A 0: write 0 1 by -1" ]
  script shimmed b1 <<<"$told"
  [ "${lines[1]}" = "b1 get A 0: write 0 1 by $reply" ]
  [ "${lines[3]}" = "b1 get A 0: write 0 1 by $reply" ]
}

@test "L4: F_GETLK follows a lock from an outsider to a process under the shim and back" {
  start outside bare a1
  start inside shimmed b1 c1
  say outside "a1 open A file"
  say inside "b1 open A file"
  say inside "c1 open A file"
  say outside "a1 pid"
  local outsider=$reply
  say outside "a1 ofd A 0"
  say inside "b1 get A 0"
  [ "$reply" = "write 0 1 by $outsider" ]
  say outside "a1 ofd-unlock A 0"
  say inside "c1 lock A 0"
  say inside "b1 get A 0"
  [ "$reply" = "write 0 1 by c" ]
  say inside "c1 unlock A 0"
  say outside "a1 lock A 0"
  say inside "b1 get A 0"
  [ "$reply" = "write 0 1 by $outsider" ]
  say outside "a1 unlock A 0"
  say outside "a1 ofd A 0"
  say inside "b1 get A 0"
  [ "$reply" = "write 0 1 by $outsider" ]
}

@test "L4: F_GETLK names a process under another session's shim" {
  start other shimmed a1
  say other "a1 open A file"
  say other "a1 lock A 0"
  say other "a1 pid"
  SESSION=$WORK/second
  mkdir -m 700 "$SESSION"
  script shimmed b1 <<<'b1 open A file
b1 get A 0'
  [ "${lines[1]}" = "b1 get A 0: write 0 1 by $reply" ]
}

@test "L4: a holder met before is not searched for again" {
  not_under_valgrind "valgrind itself reads"
  start outside bare a1
  say outside "a1 open A file"
  say outside "a1 ofd A 0"
  say outside "a1 pid"
  run shimmed "$PROBES/ask_holder_twice" file
  [ "$(fact first_pid)" = "$reply" ]
  [ "$(fact again_pid)" = "$reply" ]
  # It may be looked at again, to see whether it still holds the lock.
  [ "$(fact again_reads)" -le 4 ]
}
