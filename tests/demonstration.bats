#!/usr/bin/env bats
# The compiler that deletes its own work, and the two builds that share one environment.
load lib

prepare() {
  COMPILER=$BUILD/tools/demo/compiler-session
  BUILDS=$BUILD/tools/demo/two-builds
  mkdir packages
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

@test "E1: two builds in one process bare take each other's variables" {
  run bare "$BUILDS" packages
  [ "$status" = 1 ]
  [ "$(grep -c 'my package is' <<<"$output")" = 2 ]
  [ "$(sed -n 's/.*my package is \([a-z]*\),.*/\1/p' <<<"$output" | sort -u | wc -l)" = 1 ]
}

@test "E1: two builds in one process each keep and pass on their own variables" {
  run with_settings "locks=off env=scoped" "$BUILDS" packages
  [ "$status" = 0 ]
  [ "$(cat packages/parser-out/unit packages/server-out/unit)" = $'parser 1.4.0\nserver 0.9.2' ]
}

@test "R1: the record of two builds that are only watched names the variable, both threads and both stacks" {
  need jq addr2line
  run with_settings "locks=off env=watch" "$BUILDS" packages
  [ "$status" = 1 ]
  events env-clobber | jq -e 'select(.var == "OUT_DIR" and .action == "none" and .severity == "error")
    | .here.tid != .there.tid and .here.value.hash != .there.value.hash' >clobbers
  [ "$(sort -u clobbers)" = true ]
  events env-clobber | jq -r 'select(.var == "OUT_DIR") | .there.stack[0].offset, .here.stack[0].offset' >offsets
  while read -r offset; do
    addr2line -f -e "$BUILDS" "$(printf '%x' $((offset - 1)))" | head -n 1
  done <offsets | sort -u >functions
  [ "$(cat functions)" = $'run\nset_variables' ]
  ! grep -q 'parser' <<<"$(cat "$SESSION"/*.jsonl | jq -c '[.here.value, .there.value]')"
}
