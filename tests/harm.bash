# Shared by the suites which show that a program is not harmed. Loaded after lib.bash.
#
#   same CMD...    runs CMD bare and shimmed: the texts on both streams and the status must be equal.
#                  Afterwards $output and fact are of the shimmed run, $bare_output of the bare one.
#                  Lines kernel_KEY=..., what kind of lock the kernel holds, are not compared.
#   unharmed SCRIPT [ARG]...     the same for a script of bash in a directory of its own
#
# A run that hangs is killed, signals blocked or not: status 137.

MOST_SECONDS=${MOST_SECONDS-120}

# The usual limits: the soft one well below the hard one. A hard one as low as that is left as it is.
prepare() { ulimit -Sn 1024 2>/dev/null || true; }

bare() {
  # shellcheck disable=SC2086 # the prefix is a list of words
  timeout -s KILL "$MOST_SECONDS" env -u LD_PRELOAD -u RACESHIM ${RACESHIM_TEST_PREFIX-} "$@"
}

with_settings() {
  local settings=$1
  shift
  # shellcheck disable=SC2086 # the prefix is a list of words
  timeout -s KILL "$MOST_SECONDS" env LD_PRELOAD="$LIBRARY${EXTRA_PRELOAD:+:$EXTRA_PRELOAD}" \
    RACESHIM="$settings out=$SESSION" ${RACESHIM_TEST_PREFIX-} "$@"
}

# A library that the program has in either run, before or after the shim's.
bare_with() {
  local extra=$1
  shift
  timeout -s KILL "$MOST_SECONDS" env -u RACESHIM LD_PRELOAD="$extra" "$@"
}

compared() { grep -v '^kernel_' "$1"; }

same_as_bare() {
  local bare_status=$1 status_shimmed=$2
  bare_output=$(cat bare.out)
  # shellcheck disable=SC2034 # for fact
  output=$(cat shimmed.out)
  if [ "$bare_status" != "$status_shimmed" ]; then
    echo "status $bare_status bare, $status_shimmed shimmed"
    tail -n 5 shimmed.out shimmed.err
    return 1
  fi
  diff -u <(compared bare.out) <(compared shimmed.out) || return 1
  diff -u bare.err shimmed.err || return 1
}

same() {
  local first=0 second=0
  bare "$@" >bare.out 2>bare.err || first=$?
  shimmed "$@" >shimmed.out 2>shimmed.err || second=$?
  same_as_bare "$first" "$second"
}

bare_fact() { sed -n "s/^$1=//p" <<<"$bare_output"; }

# How many records of this kind there are.
count_events() { events "$1" | wc -l; }

need_root() { [ "$(id -u)" = 0 ] || skip 'needs root'; }

need_mounts() {
  need_root
  unshare -m true 2>/dev/null || skip 'mount namespaces are not to be had'
}

# unharmed SCRIPT [ARG]...: bash runs SCRIPT in a fresh directory of one name, bare and shimmed. What it
# prints must not depend on the time or on a process number.
unharmed() {
  local script=$1 first=0 second=0 run=$WORK/run
  shift
  printf 'set -e\n%s\n' "$script" >script
  mkdir "$run"
  (cd "$run" && bare bash ../script "$@") >bare.out 2>bare.err || first=$?
  mv "$run" bare.run
  mkdir "$run"
  (cd "$run" && shimmed bash ../script "$@") >shimmed.out 2>shimmed.err || second=$?
  [ -s bare.out ] || return 1
  if [ "$first" != 0 ]; then
    echo 'it fails without the shim:'
    cat bare.out bare.err
    return 1
  fi
  same_as_bare "$first" "$second"
}
