#!/usr/bin/env bats
# The compiler that deletes its own work.
load lib

prepare() {
  COMPILER=$BUILD/tools/demo/compiler-session
  # What a compiler that died an hour ago left behind: to collect it is right
  mkdir -p cache/s-00dd-working
  touch cache/s-00dd.lock
  touch -d '1 hour ago' cache/s-00dd.lock cache/s-00dd-working
}

# functions here|there: the compiler's functions in that party's stack; offsets are those of return addresses
functions() {
  local offset
  events self-lock | jq -r ".$1.stack[] | select(.module | endswith(\"compiler-session\")) | .offset" |
    while read -r offset; do
      addr2line -f -e "$COMPILER" "$(printf '%x' $((offset - 1)))" | head -n 1
    done
}

@test "L1: a compiler bare deletes the session that it works in" {
  run bare "$COMPILER" cache
  [ "$status" = 1 ]
  [[ "$output" == *'error: dep-graph.part.bin: No such file or directory' ]]
  [ -z "$(ls cache)" ]
}

@test "L1: a compiler keeps the session that it works in, and still deletes a stale one" {
  need jq
  run shimmed "$COMPILER" cache
  [ "$status" = 0 ]
  find cache -path '*-working/dep-graph.bin' | grep .
  [ ! -e cache/s-00dd-working ]
  [ "$(events self-lock | jq -r .action)" = denied ]
}

@test "R1: the record of a compiler's two locks names both descriptors and both stacks" {
  need jq addr2line
  run shimmed "$COMPILER" cache
  [ "$(events self-lock | jq '.here.fd != .there.fd')" = true ]
  functions here | grep -x collect_stale_sessions
  functions there | grep -x begin_session
}
