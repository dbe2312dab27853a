#!/usr/bin/env bats
# L1: the owner of a record lock is this process's use of one open file description.

load lib
load witness

# A second description is no obstacle bare, and conflicts as another process would under the shim.
second_description_conflicts() {
  fresh_file
  run witnessed bare "$PROBES/second_description_conflicts" "$1" file
  expect first=ok holder=free second=ok
  fresh_file
  run witnessed shimmed "$PROBES/second_description_conflicts" "$1" file
  expect first=ok holder=write holder_pid=owner second=EAGAIN
}

@test "L1: a second description in the same thread is excluded" {
  second_description_conflicts reopen
}

@test "L1: a second description in another thread is excluded" {
  second_description_conflicts thread
}

@test "L1: a second description opened through a hard link is excluded" {
  second_description_conflicts hardlink
}

@test "L1: a second description opened through a symbolic link is excluded" {
  second_description_conflicts symlink
}

@test "L1: a second description opened through /proc/self/fd is excluded" {
  second_description_conflicts procfd
}

@test "L1: a second description opened after a rename is excluded" {
  second_description_conflicts renamed
}

@test "L1: a waiting request through a second description waits for the unlock" {
  not_under_valgrind "it stops all threads while one waits for an OFD lock"
  fresh_file
  run witnessed bare "$PROBES/second_description_waits" file
  expect waiter=ok "granted=before the unlock"
  fresh_file
  run witnessed shimmed "$PROBES/second_description_waits" file
  expect waiter=ok "granted=after the unlock" unlock=ok
}

# two_ranges EXPECTED TYPE START LEN TYPE START LEN: bare, the process never meets itself
two_ranges() {
  local expected=$1
  shift
  fresh_file
  run bare "$PROBES/two_ranges_two_descriptions" file "$@"
  expect first=ok second=ok
  fresh_file
  run shimmed "$PROBES/two_ranges_two_descriptions" file "$@"
  expect first=ok "second=$expected" || { echo "ranges: $*" && return 1; }
}

@test "L1: readers share, a writer excludes readers and writers" {
  two_ranges ok read 0 10 read 0 10
  two_ranges EAGAIN read 0 10 write 0 10
  two_ranges EAGAIN write 0 10 read 0 10
  two_ranges EAGAIN write 0 10 write 0 10
}

@test "L1: ranges conflict where they overlap" {
  two_ranges EAGAIN write 0 10 write 9 10
  two_ranges EAGAIN write 9 10 write 0 10
  two_ranges EAGAIN write 0 100 write 50 1
  two_ranges EAGAIN write 50 1 write 0 100
  two_ranges EAGAIN write 0 0 write 1000000 1
  two_ranges EAGAIN write 1000000 1 write 0 0
  two_ranges EAGAIN read 0 10 write 9 1
}

@test "L1: ranges that touch do not conflict" {
  two_ranges ok write 0 10 write 10 10
  two_ranges ok write 10 10 write 0 10
  two_ranges ok write 0 10 write 10 0
}

@test "L1: disjoint ranges do not conflict" {
  two_ranges ok write 0 10 write 100 10
  two_ranges ok write 100 0 write 0 10
}

# The copy owns the lock; that the shim tells it from another description shows bare as no conflict.
duplicate_shares_owner() {
  local prefix=()
  if [ "$1" = unqueried ]; then
    prefix=("$PROBES/without_queries")
    shift
  fi
  fresh_file
  run witnessed bare "${prefix[@]}" "$PROBES/duplicate_shares_owner" "$1" file
  [ -z "$(fact skip)" ] || skip "$(fact skip)"
  expect copy_meets=free copy=ok other_description=ok copy_unlocks=ok after=free
  fresh_file
  run witnessed shimmed "${prefix[@]}" "$PROBES/duplicate_shares_owner" "$1" file
  expect copy_meets=free copy=ok other_description=EAGAIN copy_unlocks=ok after=free
}

@test "L1: a descriptor made by dup shares its owner" { duplicate_shares_owner dup; }
@test "L1: a descriptor made by dup2 shares its owner" { duplicate_shares_owner dup2; }
@test "L1: a descriptor made by dup3 shares its owner" { duplicate_shares_owner dup3; }
@test "L1: a descriptor made by F_DUPFD shares its owner" { duplicate_shares_owner dupfd; }
@test "L1: a descriptor made by F_DUPFD_CLOEXEC shares its owner" { duplicate_shares_owner dupfd_cloexec; }
@test "L1: a descriptor duplicated before the first lock shares its owner" { duplicate_shares_owner before; }
@test "L1: a descriptor sent to oneself by SCM_RIGHTS shares its owner" { duplicate_shares_owner scm; }
@test "L1: a descriptor made by syscall(SYS_dup) shares its owner" { duplicate_shares_owner raw; }
@test "L1: a descriptor duplicated in assembly shares its owner" { duplicate_shares_owner assembly; }

@test "L1: without kcmp and F_DUPFD_QUERY, a descriptor made by dup shares its owner" {
  duplicate_shares_owner unqueried dup
}
@test "L1: without kcmp and F_DUPFD_QUERY, a descriptor made by dup2 shares its owner" {
  duplicate_shares_owner unqueried dup2
}
@test "L1: without kcmp and F_DUPFD_QUERY, a descriptor made by dup3 shares its owner" {
  duplicate_shares_owner unqueried dup3
}
@test "L1: without kcmp and F_DUPFD_QUERY, a descriptor made by F_DUPFD shares its owner" {
  duplicate_shares_owner unqueried dupfd
}
@test "L1: without kcmp and F_DUPFD_QUERY, a descriptor made by F_DUPFD_CLOEXEC shares its owner" {
  duplicate_shares_owner unqueried dupfd_cloexec
}
@test "L1: without kcmp and F_DUPFD_QUERY, a descriptor duplicated before the first lock shares its owner" {
  duplicate_shares_owner unqueried before
}
@test "L1: without kcmp and F_DUPFD_QUERY, a descriptor sent to oneself by SCM_RIGHTS shares its owner" {
  duplicate_shares_owner unqueried scm
}
@test "L1: without kcmp and F_DUPFD_QUERY, a descriptor made by syscall(SYS_dup) shares its owner" {
  duplicate_shares_owner unqueried raw
}
