#!/usr/bin/env bats
# L3: between processes nothing changes. Most tests want the same facts bare and shimmed: what a plain
# rewrite to description-owned locks would break.
# shellcheck disable=SC2016 # for the shell and the make that read what is written

load lib
load witness

prepare() { INHERITOR=$PROBES/acts_on_inherited_descriptor; }

child_is_excluded() {
  bare_and_shimmed_alike "$PROBES/child_is_excluded" "$1" file
  expect child_meets=write child_meets_pid=owner child_lock=EAGAIN child_next_bytes=ok \
    child_unlock=ok after_child_unlock=write child_second=EAGAIN child_close=ok \
    after_child_close=write after_child_end=write next_bytes_after_child_end=free \
    parent_unlock=ok after_unlock=free
}

@test "L3: a forked child is excluded, and its unlock, close and end release nothing" {
  child_is_excluded fork
}

@test "L3: the child of a child is excluded, and its unlock, close and end release nothing" {
  child_is_excluded fork_of_fork
}

@test "L3: a child of _Fork is excluded, and its unlock, close and end release nothing" {
  child_is_excluded _Fork
}

@test "L3: a child of syscall(SYS_clone) is excluded, and its unlock, close and end release nothing" {
  child_is_excluded clone
}

@test "L3: a child of syscall(SYS_fork) is excluded, and its unlock, close and end release nothing" {
  child_is_excluded raw_fork
}

@test "L3: a child of forkpty is excluded, and its unlock, close and end release nothing" {
  child_is_excluded forkpty
}

# Only parent_second differs: bare, the parent does not meet itself (L1).
program_is_excluded() {
  local way
  for way in bare shimmed; do
    fresh_file
    run witnessed "$way" "$PROBES/program_is_excluded" "$1" file "$INHERITOR" {} file \
      holder lock unlock witness:unlocked second close witness:closed
    expect holder=write lock=EAGAIN unlock=ok unlocked=write second=EAGAIN close=ok closed=write \
      after_end=write parent_unlock=ok after_unlock=free
    case $1 in system | popen) ;; *) expect holder_pid=owner ;; esac
  done
  expect parent_second=EAGAIN
}

@test "L3: a program started by fork and exec is excluded, and releases nothing" {
  program_is_excluded fork
}

@test "L3: a program started by vfork and exec is excluded, and releases nothing" {
  program_is_excluded vfork
}

@test "L3: a program started by clone(CLONE_VM | CLONE_VFORK) is excluded, and releases nothing" {
  program_is_excluded clone_vfork
}

@test "L3: a program started by posix_spawn is excluded, and releases nothing" {
  program_is_excluded posix_spawn
}

@test "L3: a program started by posix_spawnp is excluded, and releases nothing" {
  program_is_excluded posix_spawnp
}

@test "L3: a program started by system is excluded, and releases nothing" {
  program_is_excluded system
}

@test "L3: a program started by popen is excluded, and releases nothing" {
  program_is_excluded popen
}

# child_closes vfork|clone
child_closes() {
  local how
  for how in close close_range dup2 unlock; do
    echo "by $how"
    fresh_file
    run witnessed bare "$PROBES/vfork_child_closes" "$1" "$how" file
    expect after=write again=ok second=ok unlock=ok after_unlock=free
    fresh_file
    run witnessed shimmed "$PROBES/vfork_child_closes" "$1" "$how" file
    expect after=write again=ok second=EAGAIN unlock=ok after_unlock=free
  done
}

@test "L3: a vfork child's closing and unlocking leave the parent's lock and its record alone" {
  child_closes vfork
}

@test "L3: a CLONE_VM child's closing and unlocking leave the parent's lock and its record alone" {
  child_closes clone
}

@test "L3: a daemon owns nothing of what the process that became it had locked" {
  bare_and_shimmed_alike "$PROBES/daemon_leaves_lock_behind" file
  expect in_daemon=free lock=ok locked=write close=ok closed=free ended=yes
}

@test "L3: a child that shares the descriptor table leaves its parent's locks alone" {
  not_under_valgrind "it has no clone with CLONE_FILES alone"
  local what
  for what in nothing calls; do
    bare_and_shimmed_alike "$PROBES/shared_descriptor_table" "$what" file
    expect after=write again=ok locked=write unlock=ok after_unlock=free
  done
  fresh_file
  run witnessed bare "$PROBES/shared_descriptor_table" duplicate file
  expect after=free
  fresh_file
  run witnessed shimmed "$PROBES/shared_descriptor_table" duplicate file
  expect child_duplicate=ok after=write again=ok locked=write unlock=ok after_unlock=free
}

owner_is_killed() {
  local way who
  for way in bare shimmed; do
    for who in inside outside; do
      fresh_file
      run witnessed "$way" "$PROBES/owner_is_killed" "$1" "$who" file "$INHERITOR"
      expect
      [ "$(fact held | sort -u)" = write ]
      [ "$(fact sleeper | sort -u)" = alive ]
      if [ "$(fact ms)" -lt 0 ] || [ "$(fact ms)" -gt 100 ]; then
        printf '%s, %s: %s ms\n' "$way" "$who" "$(fact ms)"
        return 1
      fi
    done
  done
}

@test "L3: a killed owner's lock is gone in 100 ms though its forked child has the descriptor" {
  owner_is_killed fork
}

@test "L3: a killed owner's lock is gone in 100 ms though its child of _Fork has the descriptor" {
  owner_is_killed _Fork
}

@test "L3: a killed owner's lock is gone in 100 ms though its child of SYS_clone has the descriptor" {
  owner_is_killed clone
}

@test "L3: a killed owner's lock is gone in 100 ms though a program started by vfork has the descriptor" {
  owner_is_killed vfork
}

@test "L3: a killed owner's lock is gone in 100 ms though a program started by posix_spawn has the descriptor" {
  owner_is_killed posix_spawn
}

@test "L3: a killed owner's lock is gone in 100 ms though a program started by system has the descriptor" {
  owner_is_killed system
}

@test "L3: a killed owner's lock is gone in 100 ms though a program started by popen has the descriptor" {
  owner_is_killed popen
}

@test "L3: an inherited descriptor is a mutex among processes" {
  local kind
  run bare "$PROBES/inherited_mutex" ofd file
  expect entered=1500 excluded=no
  for kind in record lockf; do
    run bare "$PROBES/inherited_mutex" "$kind" file
    expect entered=1500 excluded=yes
    run shimmed "$PROBES/inherited_mutex" "$kind" file
    expect entered=1500 excluded=yes
  done
}

@test "L3: a lock survives exec, and the new program can unlock it" {
  local how
  for how in execv execve execvp execvpe execl execle execlp fexecve execveat raw thread; do
    echo "by $how"
    bare_and_shimmed_alike "$PROBES/exec_keeps_lock" "$how" file "$INHERITOR" {} file \
      witness:inherited lock unlock witness:unlocked
    expect inherited=write lock=ok unlock=ok unlocked=free
  done
}

@test "L3: a lock that came through exec is owned by its description from then on" {
  fresh_file
  run witnessed bare "$PROBES/exec_keeps_lock" execv file "$INHERITOR" {} file \
    second close-second witness:closed
  expect second=ok close_second=ok closed=free
  fresh_file
  run witnessed shimmed "$PROBES/exec_keeps_lock" execv file "$INHERITOR" {} file \
    second close-second witness:closed lock close witness:own_closed
  expect second=EAGAIN close_second=ok closed=write lock=ok close=ok own_closed=free
}

@test "L3: a lock survives a chain of exec" {
  bare_and_shimmed_alike "$PROBES/exec_keeps_lock" execv file "$INHERITOR" {} file \
    witness:first exec witness:second exec witness:third lock unlock witness:unlocked
  expect first=write second=write third=write lock=ok unlock=ok unlocked=free
}

@test "L3: a lock survives exec of a #! script, what the script runs, and the script's own exec" {
  printf '#!/bin/sh\nenv true\n"%s" "$1" "$2" lock witness:in_script unlock close\n' "$INHERITOR" >script
  printf '(exec env true)\nexec "%s" "$@"\n' "$INHERITOR" >>script
  chmod +x script
  bare_and_shimmed_alike "$PROBES/exec_keeps_lock" execv file ./script {} file \
    witness:inherited unlock witness:unlocked
  expect lock=EAGAIN in_script=write inherited=write unlocked=free
}

# ./static: the program that inherits, where no library can enter
build_static() {
  need cc
  cc -std=gnu11 -static -o static "$BATS_TEST_DIRNAME/probes/acts_on_inherited_descriptor.c" ||
    skip "no static libc"
}

@test "L3: a lock survives exec of a static program as a POSIX lock" {
  build_static
  bare_and_shimmed_alike "$PROBES/exec_keeps_lock" execv file ./static {} file \
    witness:inherited kind:kind lock unlock witness:unlocked
  expect inherited=write kind=POSIX lock=ok unlock=ok unlocked=free
}

@test "L3: a lock that came through exec from a program without the shim is the process's own" {
  fresh_file
  run witnessed bare "$PROBES/exec_keeps_lock" execv file \
    "$(command -v env)" LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$SESSION" \
    "$INHERITOR" {} file witness:inherited lock unlock witness:unlocked
  expect inherited=write lock=ok unlock=ok unlocked=free
}

# exec_fails ERROR PROGRAM fits|too-long
exec_fails() {
  fresh_file
  run witnessed bare "$PROBES/failed_exec_keeps_lock" file "$2" "$3"
  expect "exec=$1" after=write again=ok second=ok after_close=free
  fresh_file
  run witnessed shimmed "$PROBES/failed_exec_keeps_lock" file "$2" "$3"
  expect "exec=$1" after=write again=ok second=EAGAIN after_close=write unlock=ok after_unlock=free
}

@test "L3: a lock survives an exec that finds no program, and its description owns it still" {
  exec_fails ENOENT ./there-is-no-such-program fits
  exec_fails ENOENT there-is-no-such-program fits
}

@test "L3: a lock survives an exec that is not allowed, and its description owns it still" {
  : >not-executable
  exec_fails EACCES ./not-executable fits
  exec_fails EACCES . fits
}

@test "L3: a lock survives an exec of too much, and its description owns it still" {
  not_under_valgrind "it ends when an exec fails so late"
  exec_fails E2BIG true too-long
}

@test "L3: a lock survives an exec of a static program that fails, and its description owns it still" {
  not_under_valgrind "it ends when an exec fails so late"
  build_static
  exec_fails E2BIG ./static too-long
}

# grouped_make WAY file|pipe: a recursive make whose 16 targets print 80 KB each
grouped_make() {
  local top sub
  if [ ! -d tree ]; then
    mkdir tree
    for top in 1 2 3 4; do
      mkdir "tree/$top"
      for sub in 1 2 3 4; do
        printf '%s:\n\t@awk '\''BEGIN { for (i = 0; i < 1000; i++) printf "%%-79s\\n", "group%s" }'\''\n' \
          "t$sub" "$top.$sub"
      done >"tree/$top/Makefile"
      sed -i '1i all: t1 t2 t3 t4' "tree/$top/Makefile"
    done
    printf 'all: 1 2 3 4\n.PHONY: 1 2 3 4\n1 2 3 4:\n\t@$(MAKE) -C $@\n' >tree/Makefile
  fi
  if [ "$2" = pipe ]; then
    "$1" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C tree -j8 -Otarget | cat >out
  else
    "$1" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C tree -j8 -Otarget >out
  fi
}

# No group is torn: as many changes from one group to another as there are groups.
groups_are_whole() {
  local lines groups
  lines=$(grep -c '^group' out)
  groups=$(sed -n 's/^\(group[^ ]*\).*/\1/p' out | uniq | wc -l)
  [ "$lines" -eq 16000 ] && [ "$groups" -eq 16 ] && return
  echo "$lines lines in $groups groups, not 16000 in 16"
  return 1
}

@test "L3: make -j8 -Otarget with recursive makes tears no group, to a file and to a pipe" {
  local to
  need make awk
  make --version | head -n 1 | grep -q 'GNU Make' || skip "make is not GNU make"
  for to in file pipe; do
    grouped_make bare "$to"
    groups_are_whole
    for _ in $(seq 20); do
      grouped_make shimmed "$to"
      groups_are_whole
    done
  done
}
