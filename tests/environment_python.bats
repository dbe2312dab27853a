#!/usr/bin/env bats
# CPython's own tests of what uses the environment and starts programs, bare and under --env=scoped.
#
# By default those are left out that wait for the clock. RACESHIM_LONG=1 runs all.

load lib
load harm
load programs

LEFT_OUT='timeout|_dead$|repeated_call_after_stdout_close'
[ -z "${RACESHIM_LONG-}" ] || LEFT_OUT='^$'

# outcomes RUN MODULE...: into RUN.outcomes; each run in a directory of its own
outcomes() {
  local run=$1
  shift
  mkdir "$run"
  (cd "$run" && TMPDIR=$WORK/$run "$run" python3 -W ignore "$SOURCES/cpython_tests.py" "$WORK/$run.outcomes" "$LEFT_OUT" "$@") \
    >"$run.out" 2>&1 </dev/null || true
}

# equal_outcomes LEAST MODULE...: the same tests pass, fail and are skipped, and at least so many pass
equal_outcomes() {
  local least=$1
  shift
  need python3
  python3 -c 'import test.test_os' 2>/dev/null || skip "Python's own tests are not installed"
  outcomes bare "$@" &
  local job=$!
  outcomes shimmed "$@"
  wait "$job" # not for bats' own watch on the time
  diff bare.outcomes shimmed.outcomes || {
    tail -n 60 shimmed.out
    return 1
  }
  [ "$(grep -c '^passed ' shimmed.outcomes)" -ge "$least" ]
}

@test "H1: CPython's test_os has the same outcomes under the shim" {
  equal_outcomes 200 test.test_os
}

@test "H1: CPython's test_posix has the same outcomes under the shim" {
  equal_outcomes 100 test.test_posix
}

@test "H1: CPython's test_subprocess has the same outcomes under the shim" {
  equal_outcomes 200 test.test_subprocess
}
