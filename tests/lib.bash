# Shared by every .bats file: how a probe is run bare, shimmed and watched, and how its records are read.
#
#   bare CMD...      without the library
#   shimmed CMD...   with it, repairing; records go to $SESSION
#   watched CMD...   with it, recording only; records go to $SESSION
#                    (both without the environment; scoped, private_env and env_watched: without the locks, and with the
#                    environment in that mode)
#   events KIND      the records of that kind, one JSON object a line (counts as written)
#   not_under_valgrind REASON
#   sh -c "$GIVEN" sh NAME   prints what that shell was started with as NAME: the library hides its own two settings
#                    from the program, not from /proc
#   fact KEY         the value of KEY=... in $output of the last `run`
#
# Paths: $PROBES holds the compiled probes, $WORK is this test's own directory.
# A prefix serves every way of running: RACESHIM_TEST_PREFIX='valgrind -q' bats tests/lock.bats

BUILD=${RACESHIM_BUILD:-$(cd "$BATS_TEST_DIRNAME/.." && pwd)}
PROBES=$BUILD/tests/probes
LIBRARY=$BUILD/.libs/libraceshim.so
SHIM_RUN=$BUILD/tools/shim-run
SHIM_REPORT=$BUILD/tools/shim-report
# shellcheck disable=SC2016,SC2089,SC2090 # a script for the inner shell
GIVEN='tr "\0" "\n" </proc/$$/environ | sed -n "s/^$1=//p"'
# shellcheck disable=SC2090
export BUILD PROBES LIBRARY SHIM_RUN SHIM_REPORT GIVEN

setup() {
  WORK=$BATS_TEST_TMPDIR
  SESSION=$WORK/session
  mkdir -m 700 "$SESSION"
  cd "$WORK" || return 1
  if declare -F prepare >/dev/null; then prepare; fi
}

bare() {
  # shellcheck disable=SC2086 # the prefix is a list of words
  env -u LD_PRELOAD -u RACESHIM ${RACESHIM_TEST_PREFIX-} "$@"
}

# with_settings SETTINGS CMD...
with_settings() {
  local settings=$1
  shift
  # shellcheck disable=SC2086 # the prefix is a list of words
  env LD_PRELOAD="$LIBRARY" RACESHIM="$settings out=$SESSION" ${RACESHIM_TEST_PREFIX-} "$@"
}

shimmed() { with_settings "locks=repair env=off ${EXTRA_SETTINGS-}" "$@"; }
watched() { with_settings "locks=watch env=off ${EXTRA_SETTINGS-}" "$@"; }
scoped() { with_settings "locks=off env=scoped ${EXTRA_SETTINGS-}" "$@"; }
private_env() { with_settings "locks=off env=private ${EXTRA_SETTINGS-}" "$@"; }
env_watched() { with_settings "locks=off env=watch ${EXTRA_SETTINGS-}" "$@"; }

events() {
  local kind=$1
  cat "$SESSION"/*.jsonl 2>/dev/null | jq -c --arg kind "$kind" 'select(.kind == $kind)'
}

# every KIND FILTER [JQ-OPTION...]: the filter holds for each record of the kind, and there is one
every() {
  local kind=$1 filter=$2
  shift 2
  events "$kind" | jq -se "$@" "length > 0 and all(.[]; $filter)" >/dev/null && return
  printf 'not so: %s\n' "$filter"
  events "$kind"
  return 1
}

# no_events: what a program that needed no repair leaves behind
no_events() { [ -z "$(cat "$SESSION"/*.jsonl 2>/dev/null)" ]; }

fact() {
  # shellcheck disable=SC2154 # $output is set by bats' run
  sed -n "s/^$1=//p" <<<"$output"
}

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
  done
}

# not_under_valgrind REASON: skips the test there
not_under_valgrind() {
  case ${RACESHIM_TEST_PREFIX-} in
  *valgrind*) skip "$1" ;;
  esac
}
