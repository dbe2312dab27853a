#!/usr/bin/env bats
# L2: closing a descriptor releases only what its own description holds. The witness is another
# process: its F_GETLK and /proc/locks, which must agree.

load lib
load witness

skip_without_assembly() { [ -z "$(fact skip)" ] || skip "$(fact skip)"; }

# Every closing path is asked three questions: does the lock of another description stay; does the
# closed description's own lock go, and nothing else; does a duplicate keep it until it is closed too.
closes() {
  another_descriptions_lock_stays "$1"
  own_lock_goes "$1"
  last_duplicate_releases "$1"
}

another_descriptions_lock_stays() {
  fresh_file
  run witnessed bare "$PROBES/closing_second_description" "$1" file
  skip_without_assembly
  expect before=write after=free
  fresh_file
  run witnessed shimmed "$PROBES/closing_second_description" "$1" file
  expect before=write after=write unlock=ok unlocked=free
}

own_lock_goes() {
  fresh_file
  run witnessed bare "$PROBES/closing_one_of_two_holders" "$1" file
  expect first_before=write second_before=write first_after=free second_after=free
  fresh_file
  run witnessed shimmed "$PROBES/closing_one_of_two_holders" "$1" file
  expect first_before=write second_before=write first_after=write second_after=free
}

last_duplicate_releases() {
  local which
  for which in first copy; do
    # closefrom and its like would close the descriptor behind, too.
    case $1-$which in close_range_to_end-first | closefrom-first) continue ;; esac
    fresh_file
    run witnessed bare "$PROBES/closing_one_duplicate" "$which" "$1" file
    expect one_closed=free both_closed=free
    fresh_file
    run witnessed shimmed "$PROBES/closing_one_duplicate" "$which" "$1" file
    expect one_closed=write both_closed=free
  done
}

@test "L2: close releases what its own description holds, and only that" { closes close; }
@test "L2: __close releases what its own description holds, and only that" { closes __close; }
@test "L2: close_range releases what its own description holds, and only that" { closes close_range; }
@test "L2: close_range to the end releases what its own description holds, and only that" {
  closes close_range_to_end
}
@test "L2: closefrom releases what its own description holds, and only that" { closes closefrom; }
@test "L2: dup2 over a descriptor releases what its own description holds, and only that" { closes dup2; }
@test "L2: dup3 over a descriptor releases what its own description holds, and only that" { closes dup3; }
@test "L2: fclose releases what its own description holds, and only that" { closes fclose; }
@test "L2: freopen releases what its own description holds, and only that" { closes freopen; }
@test "L2: pclose releases what its own description holds, and only that" { closes pclose; }
@test "L2: closedir releases what its own description holds, and only that" { closes closedir; }
@test "L2: endmntent releases what its own description holds, and only that" { closes endmntent; }
@test "L2: syscall(SYS_close) releases what its own description holds, and only that" { closes raw_close; }
@test "L2: syscall(SYS_close_range) releases what its own description holds, and only that" {
  closes raw_close_range
}
@test "L2: syscall(SYS_dup3) releases what its own description holds, and only that" { closes raw_dup3; }

@test "L2: a close in assembly keeps another description's lock" {
  another_descriptions_lock_stays assembly
}

@test "L2: a file that libc opens and closes by itself keeps its lock" {
  fresh_file
  run witnessed bare "$PROBES/libc_opens_locked_file" file
  expect after=free
  fresh_file
  run witnessed shimmed "$PROBES/libc_opens_locked_file" file
  expect after=write
}

@test "L2: without kcmp and F_DUPFD_QUERY, the last duplicate that is closed releases the lock" {
  local which
  for which in first copy; do
    fresh_file
    run witnessed bare "$PROBES/without_queries" "$PROBES/closing_one_duplicate" $which close file
    expect one_closed=free both_closed=free
    fresh_file
    run witnessed shimmed "$PROBES/without_queries" "$PROBES/closing_one_duplicate" $which close file
    expect one_closed=write both_closed=free
  done
}

# exec_closes WHICH BARE SHIMMED: whether the next image's witness meets the first ten bytes locked
exec_closes() {
  local how
  for how in open fcntl range; do
    fresh_file
    run witnessed bare "$PROBES/exec_closes_a_description" "$1" "$how" file \
      "$PROBES/acts_on_inherited_descriptor" {} file witness:first witness-next:next
    expect "first=$2" next=free
    fresh_file
    run witnessed shimmed "$PROBES/exec_closes_a_description" "$1" "$how" file \
      "$PROBES/acts_on_inherited_descriptor" {} file witness:first witness-next:next unlock witness:unlocked
    expect "first=$3" "next=${4-free}" unlock=ok unlocked=free
  done
}

@test "L2: exec of a close-on-exec descriptor keeps another description's lock" {
  exec_closes second free write
}

@test "L2: exec of a close-on-exec descriptor releases what its own description holds, and only that" {
  exec_closes first free free write
}

@test "L2: exec of a close-on-exec duplicate keeps the lock of the descriptor that is left" {
  exec_closes copy free write
}

@test "L2: unlocking through one description keeps what another holds" {
  local how
  for how in fcntl whole wait lockf; do
    fresh_file
    run witnessed bare "$PROBES/unlocking_second_description" "$how" file
    expect second_unlocks=ok after=free
    fresh_file
    run witnessed shimmed "$PROBES/unlocking_second_description" "$how" file
    expect second_unlocks=ok after=write
  done
}

number_reused_unseen() {
  fresh_file
  run witnessed bare "$PROBES/number_reused_unseen" "$1" "$2" file file.other
  skip_without_assembly
  expect lock=ok other=write file=free unlock=ok other_unlocked=free
  fresh_file
  run witnessed shimmed "$PROBES/number_reused_unseen" "$1" "$2" file file.other
  expect lock=ok other=write file=free unlock=ok other_unlocked=free
}

@test "L2: a number closed and opened in assembly locks the file that it names now" {
  number_reused_unseen assembly assembly
}

@test "L2: a number closed in assembly and opened by libc locks the file that it names now" {
  number_reused_unseen assembly open
}

@test "L2: a number closed by syscall(2) and opened by libc locks the file that it names now" {
  number_reused_unseen raw_close open
}

@test "L2: a number closed by syscall(2) and opened in assembly locks the file that it names now" {
  number_reused_unseen raw_close assembly
}

@test "L2: a number closed inside libc locks the file that it names now" {
  number_reused_unseen endmntent open
}

@test "L2: a number closed and opened unseen for the same file locks it" {
  local open
  for open in assembly open; do
    fresh_file
    run witnessed bare "$PROBES/number_reused_unseen" assembly "$open" file file
    skip_without_assembly
    expect lock=ok other=write unlock=ok other_unlocked=free
    fresh_file
    run witnessed shimmed "$PROBES/number_reused_unseen" assembly "$open" file file
    expect lock=ok other=write unlock=ok other_unlocked=free
  done
}

@test "L2: fclose releases the lock after what was buffered is written" {
  not_under_valgrind "its own log meets the limit of the size of files"
  bare_and_shimmed_alike "$PROBES/fclose_flushes_before_release" file
  expect during_flush=write fclose=EFBIG after=free
}

@test "L2: a mapping made through the locked descriptor does not keep the lock" {
  local how
  for how in close close_range dup2 fclose raw_close; do
    bare_and_shimmed_alike "$PROBES/mapping_outlives_descriptor" "$how" file
    expect before=write after=free
  done
}

@test "L2: a descriptor closed while a thread waits through it leaves no lock behind" {
  not_under_valgrind "it stops all threads while one waits for an OFD lock"
  bare_and_shimmed_alike "$PROBES/closed_while_a_thread_waits" file
  expect close=ok waiter=EBADF after=free
}
