#!/usr/bin/env bats
# raceshim.h: a thread enters and leaves a scope of the environment. Without the library the functions do nothing.

load lib
load harm
load programs

EXAMPLES=$BATS_TEST_DIRNAME/../doc/examples
HEADER=$BATS_TEST_DIRNAME/../src

prepare() { unset JOB_A JOB_B OUT_DIR COMPILER_MODE; }

# in_scopes SCENARIO: what tests/programs/scopes.c prints under the shim must be the standard input. Not optimised, so
# that the header's functions have frames of their own.
in_scopes() {
  c_program scopes -O0
  shimmed "$MADE/scopes" "$1" >shimmed.out
  diff - shimmed.out
}

# --- the scope itself ---

@test "E4: an inner scope lies over the outer one, and leaving restores exactly what was there" {
  in_scopes nested <<EOF
read_through=process -
array=process -
outer_program=outer outer
innermost=inner innermost
innermost_program=inner innermost
inner=inner -
inner_program=inner -
outer=outer outer
process=process -
process_program=process -
EOF
}

@test "E4: clearenv within a scope empties what its thread sees, and nothing else" {
  in_scopes cleared <<EOF
cleared=- -
path=-
set_again=- inner
outer=process outer
process=process -
path_left=1
EOF
}

@test "E4: threads that are started in a scope see it, others do not, and what nobody has written in it is live" {
  in_scopes threads <<EOF
started_inside=scope -
outside=process -
outside_program=process -
live=scope outside
left=process outside
started_afterwards=process outside
at_the_end=process changed
EOF
}

@test "E4: a thread that was started in a scope writes for itself" {
  in_scopes thread_writes <<EOF
thread_begins=scope -
thread=thread -
left=process -
EOF
}

@test "E4: the wrong order, the wrong thread and a scope that is not entered are errors that change nothing" {
  in_scopes errors <<EOF
enter_null=EINVAL
leave_null=EINVAL
leave_never_entered=EINVAL
enter=0
enter_twice=EINVAL
leave_outer_first=EINVAL
still_inner=inner -
leave_in_thread=EPERM
still_inner_after_thread=inner -
leave_inner=0
outer=outer -
leave_inner_twice=EINVAL
leave_outer=0
process=process -
enter_again=0
empty=process -
leave_again=0
EOF
}

@test "E4: a scope that was left by longjmp is left together with the outer one" {
  in_scopes jumps <<EOF
inner=inner -
leave_outer=0
process=process -
EOF
}

@test "E4: a signal handler sees what its thread sees" {
  in_scopes handler <<EOF
handler=scope
handler=process
EOF
}

@test "E4: in a forked child the scopes are the child's own" {
  in_scopes forks <<EOF
child_inner=inner -
child_program=child -
child_outer=outer -
child=process -
inner=inner -
outer=outer -
process=process -
EOF
}

@test "E4: a thread that ends within a scope leaves it, and leaves nothing behind" {
  in_scopes thread_ends <<EOF
thread=ended -
joined=process -
EOF
}

@test "E4: a function is run within a scope" {
  in_scopes functions <<EOF
active=1
function=process -
function_program=function -
with_scope=0
process=process -
EOF
}

@test "E4: an outer scope held while the inner one is entered never deadlocks, 10,000 times, nor mixes two threads" {
  in_scopes many <<EOF
mine=own
other=own
process=- -
EOF
}

@test "E4: scopes work the same under --env=private" {
  c_program scopes -O0
  local scenario
  for scenario in nested cleared errors jumps handler forks functions many; do
    shimmed "$MADE/scopes" "$scenario" >scoped.out
    in_mode private "$MADE/scopes" "$scenario" >private.out
    diff scoped.out private.out
  done
}

@test "E4: without the library, and under --env=watch and off, the functions return 0 and change nothing" {
  c_program scopes -O0
  local scenario
  for scenario in nested cleared errors jumps handler forks thread_ends functions; do
    bare "$MADE/scopes" "$scenario" >bare.out
    [ -z "$(grep -E 'E(INVAL|PERM)|enter:|leave:' bare.out)" ]
    in_mode watch "$MADE/scopes" "$scenario" >watch.out
    in_mode off "$MADE/scopes" "$scenario" >off.out
    diff <(grep -v ^active= bare.out) <(grep -v ^active= watch.out)
    diff <(grep -v ^active= bare.out) <(grep -v ^active= off.out)
  done
  [ "$(bare "$MADE/scopes" functions | head -n 1)" = active=0 ]
  [ "$(bare "$MADE/scopes" nested | tail -n 1)" = 'process_program=inner innermost' ]
}

# --- the header and the examples ---

@test "E4: the header compiles without a warning as C and as C++, by gcc and clang, with and without _GNU_SOURCE" {
  need gcc
  local compiler
  echo '#include <raceshim.h>' >alone.c
  cp alone.c alone.cc
  echo 'int main(void) { raceshim_scope s = {{0}}; return raceshim_scope_enter(&s) + raceshim_active(); }' | tee -a alone.c >>alone.cc
  for compiler in 'gcc -std=c99' 'gcc -std=gnu17 -D_GNU_SOURCE' 'clang -std=c11' 'g++ -std=c++11' 'g++ -std=c++20' 'clang++ -std=c++17'; do
    command -v "${compiler%% *}" >/dev/null || continue
    case $compiler in
    *++*) source=alone.cc ;;
    *) source=alone.c ;;
    esac
    # shellcheck disable=SC2086 # a compiler and its options
    $compiler -Wall -Wextra -Wpedantic -Wconversion -Werror -I "$HEADER" "$source" -o alone
  done
}

@test "E4: pkg-config says how a program is compiled" {
  need pkg-config
  PKG_CONFIG_PATH=$BUILD pkg-config --validate raceshim
  run env PKG_CONFIG_PATH="$BUILD" pkg-config --cflags --libs raceshim
  [[ "$output" == *-I*include*-ldl* ]]
  [[ "$(PKG_CONFIG_PATH=$BUILD pkg-config --variable=library raceshim)" == */libraceshim.so ]]
}

# example CMD...: runs bare, and under the shim, where two builds have their own and the process nothing
example() {
  bare "$@" >bare.out
  [ "$(fact_in bare.out afterwards)" != '' ]
  shimmed "$@" >shimmed.out
  cat shimmed.out
  [ -z "$(fact_in shimmed.out afterwards)" ]
}

fact_in() { sed -n "s/^$2=//p" "$1"; }

@test "E4: the example in C runs without the library, and keeps two builds apart with it" {
  need gcc
  gcc -Wall -Wextra -Werror -I "$HEADER" "$EXAMPLES/scope.c" -pthread -o example
  example ./example
  [ "$(fact_in bare.out active)" = 0 ]
  [ "$(fact_in shimmed.out active)" = 1 ]
  [ "$(fact_in shimmed.out one)" = '/tmp/one one' ]
  [ "$(fact_in shimmed.out two)" = '/tmp/two two' ]
}

@test "E4: the example in C++ runs without the library, and keeps two builds apart with it, also by exceptions" {
  need g++
  g++ -Wall -Wextra -Werror -I "$HEADER" "$EXAMPLES/scope.cc" -pthread -o example
  example ./example
  [ "$(fact_in shimmed.out one)" = '/tmp/one one, then ' ]
  [ "$(fact_in shimmed.out two)" = '/tmp/two two, then ' ]
}

@test "E4: the example in Rust runs without the library, and keeps two builds apart with it" {
  need rustc
  rustc --edition 2021 -D warnings -o example "$EXAMPLES/scope.rs"
  example ./example
  [ "$(fact_in shimmed.out one)" = '/tmp/one one, then /tmp/one' ]
  [ "$(fact_in shimmed.out two)" = '/tmp/two two, then /tmp/two' ]
}

# compiled BODY: rustc's verdict on a function that uses the guards
compiled() {
  cat >probe.rs <<EOF
#[path = "$EXAMPLES/scope.rs"]
#[allow(dead_code)]
mod example;
use example::scope::*;
fn main() -> std::io::Result<()> {
    $1
    Ok(())
}
EOF
  rustc --edition 2021 --emit=metadata probe.rs >rustc.out 2>&1
}

# rejected ERROR BODY
rejected() {
  if compiled "$2"; then return 1; fi
  grep -oE '^error\[E[0-9]+\]' rustc.out | sort -u >errors
  [ "$(cat errors)" = "error[$1]" ] || {
    cat rustc.out
    return 1
  }
}

@test "E4: the guards in Rust: an inner scope within its outer one compiles" {
  need rustc
  compiled 'let mut outer = OuterScope::enter()?; { let mut inner = outer.inner()?; let _innermost = inner.inner()?; } let _again = outer.inner()?;'
}

@test "E4: the guards in Rust: an inner scope without its outer one does not compile" {
  need rustc
  rejected E0599 'let _inner = InnerScope::enter()?;'
  rejected E0624 'let _inner = InnerScope::within(&mut ())?;'
}

@test "E4: the guards in Rust: an inner scope that outlives its outer one does not compile" {
  need rustc
  rejected E0597 'let _inner = { let mut outer = OuterScope::enter()?; outer.inner()? };'
  rejected E0505 'let mut outer = OuterScope::enter()?; let inner = outer.inner()?; drop(outer); drop(inner);'
  rejected E0505 'let mut outer = OuterScope::enter()?; let mut inner = outer.inner()?; let innermost = inner.inner()?; drop(inner); drop(innermost);'
}

@test "E4: the guards in Rust: two inner scopes side by side, and a guard in another thread, do not compile" {
  need rustc
  rejected E0499 'let mut outer = OuterScope::enter()?; let one = outer.inner()?; let two = outer.inner()?; drop(one); drop(two);'
  rejected E0277 'let outer = OuterScope::enter()?; std::thread::spawn(move || drop(outer)).join().unwrap();'
}
