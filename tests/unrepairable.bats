# Locks which cannot be repaired stay as they were, and it is said once why.

load lib
load harm

# POSIX's lock, the same result as bare, and one record of it.
stays_posix() {
  same "$PROBES/lock_by_kind" "$1" copy
  [ "$(fact kernel_written)" = POSIX ]
  [ "$(count_events degraded)" = 1 ]
  [ "$(events degraded | jq 'has("detail")')" = true ]
}

@test "L7: locks on a pipe stay POSIX locks" { stays_posix pipe; }
@test "L7: locks on a FIFO stay POSIX locks" { stays_posix fifo; }
@test "L7: locks on a socket stay POSIX locks" { stays_posix socket; }
@test "L7: locks on a terminal stay POSIX locks" { stays_posix tty; }
@test "L7: locks on /dev/null stay POSIX locks" { stays_posix devnull; }

@test "L7: two descriptions of a device are one owner as before, and its lost lock is recorded" {
  same "$PROBES/two_descriptions_of_a_device"
  [ "$(fact second)" = ok ]
  [ "$(fact closed)" = free ]
  [ "$(count_events degraded)" = 1 ]
  [ "$(events self-lock | jq -r .action)" = granted ]
  [ "$(events lock-lost | jq -r .action)" = lost ]
}

@test "L7: locks on a directory are as before" {
  same "$PROBES/lock_by_kind" directory
  [ "$(fact readable)" = read ]
}

@test "L7: locks through an O_PATH descriptor fail as before" {
  same "$PROBES/lock_by_kind" opath
  [ "$(fact write)" = EBADF ]
  no_events
}

# No name leads to the file, but /proc/self/fd does.
is_repaired() {
  same "$PROBES/lock_by_kind" "$1"
  [ "$(fact written)" = write ]
  run bare "$PROBES/lock_by_kind" "$1" copy
  [ "$(fact copy_closed)" = free ]
  run shimmed "$PROBES/lock_by_kind" "$1" copy
  [ "$(fact copy_closed)" = read ]
  [ "$(count_events degraded)" = 0 ]
}

# A file that never had a name has not lost it.
@test "L7: locks on a memfd are repaired" {
  is_repaired memfd
  [ "$(count_events stale-lock)" = 0 ]
}

@test "L7: locks on an unlinked file are repaired" { is_repaired unlinked; }

@test "L7: locks on an O_TMPFILE file are repaired" {
  bare "$PROBES/lock_by_kind" tmpfile >/dev/null || skip 'no O_TMPFILE on this file system'
  is_repaired tmpfile
  [ "$(count_events stale-lock)" = 0 ]
}

@test "H3: a lock taken before setuid to nobody is kept and changed after it" {
  need_root
  chmod 711 "$WORK"
  same "$PROBES/lock_after_setuid" before file
  [ "$(fact reopen)" = EACCES ]
  [ "$(fact locked)" = write ]
  [ "$(fact kernel_locked)" = OFDLCK ]
}

@test "H3: a file that cannot be opened any more after setuid to nobody is locked as before" {
  need_root
  chmod 711 "$WORK"
  same "$PROBES/lock_after_setuid" after file
  [ "$(fact locked)" = write ]
  [ "$(fact kernel_locked)" = POSIX ]
}

@test "H3: a program that gave up its rights still says once what it could not repair" {
  need_root
  chmod 711 "$WORK"
  same "$PROBES/lock_after_setuid" found file
  [ "$(count_events self-lock)" = 1 ]
  [ "$(count_events degraded)" = 1 ]
}

@test "H3: eight locked files where twelve descriptors are allowed, the hard limit above" {
  same "$PROBES/lock_at_descriptor_limit" soft 12
  [ "$(fact lock7)" = ok ]
  [ "$(fact last_fd)" = 11 ]
  [ "$(fact kernel_locked7)" = OFDLCK ]
  no_events
}

@test "H3: eight locked files where every descriptor is taken, the hard limit above" {
  same "$PROBES/lock_at_descriptor_limit" soft 12 full
  [ "$(fact lock7)" = ok ]
  [ "$(fact kernel_locked7)" = OFDLCK ]
}

@test "H3: eight locked files where twelve descriptors are all that can be had" {
  same "$PROBES/lock_at_descriptor_limit" hard 12
  [ "$(fact lock7)" = ok ]
  [ "$(fact last_fd)" = 11 ]
  [ "$(fact kernel_locked7)" = POSIX ]
}

# A record takes a descriptor or two of its own, for an instant.
@test "H3: locks that are not repaired for want of descriptors are recorded once for each file" {
  same "$PROBES/lock_at_descriptor_limit" hard 16
  [ "$(fact kernel_locked7)" = POSIX ]
  [ "$(count_events degraded)" = 8 ]
  [ "$(events degraded | jq -s 'map(select(.detail | length > 0)) | length')" = 8 ]
}

@test "H3: eight locked files where twelve descriptors are all that can be had, and taken" {
  same "$PROBES/lock_at_descriptor_limit" hard 12 full
  [ "$(fact lock7)" = ok ]
  [ "$(fact kernel_locked7)" = POSIX ]
}

@test "H3: eight locked files where the privileged may have more than twelve descriptors" {
  need_root
  same "$PROBES/lock_at_descriptor_limit" root 12
  [ "$(fact lock7)" = ok ]
  [ "$(fact last_fd)" = 11 ]
}

@test "H3: a program started without /proc locks as before" {
  need_mounts
  # shellcheck disable=SC2016 # for the inner shell
  same unshare -m sh -c 'umount -l /proc && exec "$0" "$@"' "$PROBES/closing_second_description" \
    close file
  [ "$(fact unlock)" = ok ]
  # shellcheck disable=SC2016
  same unshare -m sh -c 'umount -l /proc && exec "$0" "$@"' "$PROBES/lock_by_kind" unlinked
  [ "$(fact written)" = write ]
  [ "$(count_events degraded)" -ge 1 ]
}

@test "H3: a program that loses /proc locks as before" {
  need_mounts
  same "$PROBES/lock_without_proc" after file
  [ "$(fact proc)" = gone ]
  [ "$(fact locked)" = write ]
  [ "$(fact kernel_locked)" = POSIX ]
  [ "$(count_events degraded)" = 1 ]
}

@test "H3: a lock taken before /proc was lost is kept and changed after it" {
  need_mounts
  same "$PROBES/lock_without_proc" before file
  [ "$(fact locked)" = write ]
  [ "$(fact unlocked)" = free ]
  [ "$(fact kernel_locked)" = OFDLCK ]
}

@test "H3: where limits may not be set a lock is repaired or said to be not" {
  same "$PROBES/lock_under_seccomp" limit file
  [ "$(fact locked)" = write ]
  if [ "$(fact kernel_locked)" = POSIX ]; then
    [ "$(count_events degraded)" = 1 ]
  fi
}

# No question about descriptors is needed for one that was copied by dup.
@test "H3: where kcmp is refused a lock is repaired" {
  same "$PROBES/lock_under_seccomp" kcmp file
  [ "$(fact kernel_locked)" = OFDLCK ]
  [ "$(fact closed)" = free ]
}

@test "H3: where F_DUPFD_QUERY is refused a lock is repaired" {
  same "$PROBES/lock_under_seccomp" query file
  [ "$(fact kernel_locked)" = OFDLCK ]
}

@test "H3: where process_vm_readv is refused bad pointers and good ones mean what they did" {
  same "$PROBES/lock_under_seccomp" memory file
  [ "$(fact lock)" = ok ]
  [ "$(fact bad_pointer)" = 'Bad address' ]
}

@test "H3: where all of these are refused the program locks as before" {
  same "$PROBES/lock_under_seccomp" all file
  [ "$(fact locked)" = write ]
  [ "$(fact closed)" = free ]
}

@test "H3: a program that can map no more memory locks as before" {
  same "$PROBES/lock_without_memory" file
  [ "$(fact more)" = 'Cannot allocate memory' ]
  [ "$(fact failures)" = 0 ]
}

@test "H3: a program with sixteen megabytes of address space starts and locks as before" {
  # shellcheck disable=SC2016 # for the inner shell
  same bash -c 'ulimit -v 16384 && exec "$0" "$@"' "$PROBES/lock_by_kind" unlinked
  [ "$(fact written)" = write ]
}

# A finding with nowhere to write it to: the repair stands, the program hears nothing of it.
finds_quietly() {
  run "$@" "$PROBES/asks_against_own_lock" file
  [ "$status" = 0 ]
  [ "$output" = $'first=ok\ngranted=0\nrefused=1\nthreads=1\nchild=none' ]
}

@test "H3: without a session directory the lock is repaired all the same" {
  run bare "$PROBES/asks_against_own_lock" file
  [ "$(fact granted)" = 1 ]
  rmdir "$SESSION"
  finds_quietly shimmed
  [ ! -e "$SESSION" ]
}

@test "H3: without any session directory named the lock is repaired all the same" {
  finds_quietly env LD_PRELOAD="$LIBRARY" RACESHIM='locks=repair env=off'
}

@test "H3: on a read-only session directory the lock is repaired all the same" {
  need_mounts
  shim_in_mount() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare -m sh -c 'mount -t tmpfs -o ro none "$1" && shift && exec "$@"' sh "$SESSION" \
      env LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$SESSION" "$@"
  }
  finds_quietly shim_in_mount
}

# Not one block is free, so the file can be made but nothing written to it.
@test "R3: on a full session directory the lock is repaired all the same" {
  need_mounts
  # shellcheck disable=SC2016 # for the inner shell
  shim_on_full_disk() {
    unshare -m bash -c '
      mount -t tmpfs -o size=64k none "$1" || exit 99
      chmod 700 "$1"
      cat /dev/zero >"$1/filler" 2>/dev/null
      shift
      exec "$@"' bash "$SESSION" \
      env LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$SESSION" "$@"
  }
  finds_quietly shim_on_full_disk
}

@test "H3: a file size limit of nothing does not make a record kill the program" {
  # shellcheck disable=SC2016 # for the inner shell
  shim_without_size() {
    bash -c 'ulimit -f 0 && exec "$@"' bash \
      env LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$SESSION" "$@"
  }
  finds_quietly shim_without_size
}
