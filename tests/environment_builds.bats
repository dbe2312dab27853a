#!/usr/bin/env bats
# One environment for two builds: two threads of one process set the same variables to values of their own and start
# compilers. Bare, the build that has set them first works with the other's; shimmed, each with its own.

load lib
load harm
load programs

# builds_of FILE BUILD: the facts of one build, without its name
builds_of() { sed -n "s/^$2_//p" "$1"; }

# two_builds CMD...: bare, the first build has none of its own values; the second, which has set them last, has all
# that it can have. Shimmed, both have as much as the second.
two_builds() {
  bare "$@" >bare.out
  builds_of bare.out one | grep -vE '^(env_own=1|env_clear=0|empty=0)$' | cut -d= -f2 | sort -u >bare.one
  [ "$(cat bare.one)" = 0 ]
  [ "$(builds_of bare.out two | grep -c '=14$')" -ge 8 ]
}

both_work() {
  shimmed "$@" >shimmed.out
  diff <(builds_of bare.out two) <(builds_of shimmed.out two) || return 1
  diff <(builds_of shimmed.out two) <(builds_of shimmed.out one) || return 1
}

fact_in() { sed -n "s/^$2=//p" "$1"; }

# The names that records of this kind speak of, sorted
variables() { events "$1" | jq -r .var | sort -u; }

@test "E3: two builds in two threads of a Rust program hand their own variables to compilers by every Command" {
  rust rust_builds
  two_builds "$MADE/rust_builds" "$WORK/bare"
  both_work "$MADE/rust_builds" "$WORK/shimmed"
  # rustc writes what it was given into the program that it makes.
  [ "$(fact_in shimmed.out one_rustc)" = 14 ]
}

@test "E3: two builds in two threads of a Python program hand their own variables to compilers by every call" {
  need python3 gcc
  two_builds python3 -B "$SOURCES/builds.py" "$WORK/bare"
  both_work python3 -B "$SOURCES/builds.py" "$WORK/shimmed"
  # These look for their files where PYTHONPATH and C_INCLUDE_PATH say.
  [ "$(fact_in shimmed.out one_python)" = 1 ]
  [ "$(fact_in shimmed.out one_gcc)" = 1 ]
}

@test "E3: two builds in two threads of a C program hand their own variables on by popen, system, posix_spawn, fork and vfork" {
  c_program builds
  two_builds "$MADE/builds" threads
  both_work "$MADE/builds" threads
  # What the builds have set is the process's when they have ended, as without the shim.
  [ "$(fact_in shimmed.out outside)" = 1 ]
}

@test "E4: two builds, each in a scope with an inner scope for the compiler, have their own variables, and leave none behind" {
  c_program builds
  two_builds "$MADE/builds" scopes
  [ "$(fact_in bare.out two_inner_left)" = 13 ]
  shimmed "$MADE/builds" scopes >shimmed.out
  [ -z "$(builds_of shimmed.out one | grep -v '=14$')" ]
  diff <(builds_of shimmed.out one) <(builds_of shimmed.out two)
  [ "$(fact_in shimmed.out outside)" = 0 ]
}

@test "E1: two builds have their own variables 20 times out of 20" {
  c_program builds
  bare "$MADE/builds" threads >bare.out
  for _ in {1..20}; do both_work "$MADE/builds" threads; done
}

@test "E1: --env=private gives two builds their own variables, and the process none of them" {
  c_program builds
  bare "$MADE/builds" threads >bare.out
  in_mode private "$MADE/builds" threads >shimmed.out
  diff <(builds_of bare.out two) <(builds_of shimmed.out two)
  diff <(builds_of shimmed.out two) <(builds_of shimmed.out one)
  [ "$(fact_in shimmed.out outside)" = 0 ]
}

# --- tests that run side by side ---

side_by_side() { "$1" "$MADE/parallel_tests" --test-threads=8 >"$1.out" 2>&1; }

@test "E3: parallel tests of a rustc --test binary that set one variable pass, which bare pass alone only" {
  local test
  rust parallel_tests --test
  for test in $("$MADE/parallel_tests" --list | sed -n 's/: test$//p'); do
    SIDE_BY_SIDE=1 bare "$MADE/parallel_tests" --exact "$test" >alone.out
    grep -q '^test result: ok. 1 passed' alone.out
  done
  for _ in {1..10}; do
    if side_by_side bare; then return 1; fi
    [ "$(grep -c '^test .* FAILED$' bare.out)" -ge 4 ]
    side_by_side shimmed || {
      cat shimmed.out
      return 1
    }
    grep -q '^test result: ok. 8 passed' shimmed.out
  done
}

# What std builds when a change was asked for is the same where the variable is not in `environ`: whether it was taken
# out or is another thread's removal cannot be told (`more` and `less` of the setter).
@test "E3: a thread of a Rust program that has set a variable keeps it when another removes it, and the other way round" {
  rust removes_beside
  run bare "$MADE/removes_beside"
  [ -z "$(fact setter_var)$(fact setter_plain)" ]
  [ "$(fact early_remover_var)" = set ]
  run shimmed "$MADE/removes_beside"
  [ "$(fact setter_var)" = set ]
  [ "$(fact setter_plain)" = set ]
  [ "$(fact setter_own)" = own ]
  [ -z "$(fact remover_var)$(fact remover_plain)$(fact remover_more)$(fact remover_less)" ]
  [ -z "$(fact early_remover_var)$(fact early_remover_plain)$(fact early_remover_more)$(fact early_remover_less)" ]
  [ "$(fact early_remover_own)" = own ]
  [ "$(fact late_setter_var)" = set ]
  [ "$(fact late_setter_plain)" = set ]
  [ "$(fact late_setter_more)" = set ]
  [ -z "$(fact late_setter_less)" ]
}

# --- the record ---

# functions KIND here|there: the program's functions in that party's stacks; offsets are those of return addresses
functions() {
  events "$1" | jq -r ".$2.stack[] | select(.module | endswith(\"/builds\")) | .offset" | sort -u |
    while read -r offset; do
      addr2line -f -e "$MADE/builds" "$(printf '%x' $((offset - 1)))" | head -n 1
    done | sort -u
}

build_variables() { sed -n '/names\[\]/,/};/s/"/\n/gp' "$SOURCES/builds.c" | grep -E '^[A-Z_]+$' | sort; }

@test "R1: the record of two builds under --watch names every variable, both threads and both stacks" {
  need jq addr2line
  c_program builds
  run watched "$MADE/builds" threads
  [ "$(fact one_get)" = 0 ]
  [ "$(build_variables | wc -l)" = 14 ]
  for kind in env-clobber env-child; do
    diff <(build_variables) <(variables "$kind")
    [ "$(events "$kind" | jq -r .severity | sort -u)" = error ]
    [ "$(events "$kind" | jq -r .action | sort -u)" = none ]
    # One other thread wrote what was got.
    [ "$(events "$kind" | jq -r '.there.tid' | sort -u | wc -l)" = 1 ]
    [ "$(events "$kind" | jq -r 'select(.here.tid == .there.tid)')" = '' ]
    functions "$kind" there | grep -x set_all
  done
  # One thread was wrong in all. Programs are started by its children, too.
  [ "$(events env-clobber | jq -r '.here.tid' | sort -u | wc -l)" = 1 ]
  functions env-clobber here | grep -x count_read
  functions env-child here | grep -x by_popen
  functions env-child here | grep -x by_system
  functions env-child here | grep -x spawn
}

@test "R2: the record of two builds has no value of a variable, unless it was asked for" {
  need jq
  c_program builds
  watched "$MADE/builds" threads >watched.out
  [ -n "$(events env-clobber)" ]
  [ -z "$(grep -rE '(one|two)-(CARGO|OUT_DIR|TARGET)' "$SESSION")" ]
  EXTRA_SETTINGS="${EXTRA_SETTINGS-} show-values" watched "$MADE/builds" threads >watched.out
  grep -rq 'two-CARGO_PKG_NAME' "$SESSION"
}

@test "E1: what the shim did for two builds is recorded as isolated" {
  need jq
  c_program builds
  shimmed "$MADE/builds" threads >shimmed.out
  diff <(build_variables) <(variables env-clobber)
  diff <(build_variables) <(variables env-child)
  [ "$(cat "$SESSION"/*.jsonl | jq -r 'select(.kind == "env-clobber" or .kind == "env-child") | .action' | sort -u)" = isolated ]
}
