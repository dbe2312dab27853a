#!/usr/bin/env bats
# From the fault to its cause: who holds the lock, and what the library could not see.

bats_require_minimum_version 1.5.0
load lib

# ---- Programs that the library cannot enter ----

# said REASON: exactly one not-covered record, with this in its sentence
said() {
  [ "$(events not-covered | wc -l)" = 1 ]
  [ "$(events not-covered | jq -r '.severity + " " + .action')" = "note none" ]
  [[ "$(events not-covered | jq -r .detail)" == *"$1"* ]]
}

@test "H3: a static program is named once, however often and in whatever way it is started" {
  local way
  for way in execv execvp vfork fexecve posix_spawn posix_spawnp system; do
    rm -f "$SESSION"/*
    run bare "$PROBES/starts_program" "$way" 3 "$PROBES/says_static"
    [ "$(fact ended)" = 3 ]
    local expected=$output
    run shimmed "$PROBES/starts_program" "$way" 3 "$PROBES/says_static"
    [ "$output" = "$expected" ]
    said "tests/probes/says_static is statically linked"
  done
}

@test "H3: two processes of a session say it once between them" {
  run shimmed sh -c 'for i in 1 2 3; do sh -c "$1; exit"; done' sh "$PROBES/says_static"
  [ "$output" = $'ran=static\nran=static\nran=static' ]
  said "statically linked"
}

@test "H3: a script is followed to its interpreter" {
  printf '#!%s\n' "$PROBES/says_static" >script
  chmod +x script
  run shimmed "$PROBES/starts_program" execv 1 ./script
  said "tests/probes/says_static is statically linked"
}

@test "H3: of ordinary programs and scripts nothing is said" {
  printf '#!/bin/sh\necho script\n' >script
  chmod +x script
  run shimmed sh -c './script; ls; cat script | sort; env true'
  [ "$status" = 0 ]
  no_events
}

@test "H3: a set-user-ID program is named" {
  [ "$(id -u)" = 0 ] || skip "needs root, to give a program to another user"
  cp "$PROBES/starts_program" raised
  chown 65534 raised
  chmod 4755 raised
  run shimmed "$PROBES/starts_program" execv 1 ./raised
  said "raised is set-user-ID"
}

@test "H3: a program of another ELF class is named" {
  # 32 bits, of which there is only the beginning: whether it runs here does not matter.
  printf '\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0' >foreign
  head -c 100 /dev/zero >>foreign
  chmod +x foreign
  run shimmed "$PROBES/starts_program" execv 1 ./foreign
  said "foreign is of another architecture"
}

compile_sanitized() {
  need gcc
  printf '#include <stdio.h>\nint main(void) { puts("ran=sanitized"); return 0; }\n' >sanitized.c
  gcc -fsanitize=address -o sanitized sanitized.c 2>/dev/null || skip "gcc has no AddressSanitizer here"
}

@test "H1: a program with its own AddressSanitizer runs, and it is said how to let the library in" {
  compile_sanitized
  local way
  run bare env LD_PRELOAD="$LIBRARY" ./sanitized
  [ "$status" != 0 ]
  for way in execv vfork posix_spawn; do
    rm -f "$SESSION"/*
    run shimmed "$PROBES/starts_program" "$way" 2 ./sanitized
    [ "$output" = $'ran=sanitized\nran=sanitized\nended=2' ]
    said "ASAN_OPTIONS=verify_asan_link_order=0 lets the library in"
  done
}

@test "H1: what is said lets the library into a program with its own AddressSanitizer" {
  compile_sanitized
  ASAN_OPTIONS=verify_asan_link_order=0 run shimmed "$PROBES/starts_program" execv 1 ./sanitized
  [ "$output" = $'ran=sanitized\nended=1' ]
  no_events
}

@test "I1: shim-run says it of its own command, in the summary too" {
  rmdir "$SESSION"
  run --separate-stderr "$SHIM_RUN" -o "$SESSION" "$PROBES/says_static"
  [ "$status" = 0 ]
  [ "$output" = ran=static ]
  said "statically linked"
  # shellcheck disable=SC2154 # set by run
  [[ "$stderr" == *"not-covered: "*"says_static is statically linked"* ]]
  [ "$("$SHIM_REPORT" --format=json "$SESSION" | jq -r '.[].kind')" = not-covered ]
}

@test "I1: shim-run runs a command with its own AddressSanitizer" {
  compile_sanitized
  rmdir "$SESSION"
  run --separate-stderr "$SHIM_RUN" -o "$SESSION" ./sanitized
  [ "$status" = 0 ]
  [ "$output" = ran=sanitized ]
  said "AddressSanitizer"
}
