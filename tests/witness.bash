# For the lock tests: an outsider beside the probe, and what was said compared with what is expected.
#
#   witnessed bare|shimmed|watched CMD...   CMD with a witness, which probes find by $WITNESS
#   expect KEY=VALUE...                     facts in $output of the last `run`, and its status 0
#   bare_and_shimmed_alike CMD...           both witnessed: status 0 and the same facts

# Where nothing may change, a library that is not there passes: it has to be.
[ -r "$LIBRARY" ] || {
  echo "there is no $LIBRARY" >&2
  return 1
}

witnessed() {
  local status=0
  # The witness ends when its standard input does: it cannot outlive the test.
  exec 9> >(exec env -u LD_PRELOAD -u RACESHIM "$PROBES/witness" serve witness.socket >>witness.log 2>&1 3>&-)
  WITNESS=witness.socket "$@" 9>&- || status=$?
  exec 9>&-
  return "$status"
}

expect() {
  local pair
  # shellcheck disable=SC2154 # $output and $status are set by bats' run
  if [ "$status" -ne 0 ]; then
    printf 'expected status 0, not %s:\n%s\n' "$status" "$output"
    return 1
  fi
  for pair; do
    [ "$(fact "${pair%%=*}")" = "${pair#*=}" ] && continue
    printf 'expected %s in:\n%s\n' "$pair" "$output"
    return 1
  done
}

bare_and_shimmed_alike() {
  local facts
  fresh_file
  run witnessed bare "$@"
  expect || return
  facts=$(facts_only)
  fresh_file
  run witnessed shimmed "$@"
  expect || return
  [ "$(facts_only)" = "$facts" ] && return
  printf 'bare:\n%s\nshimmed:\n%s\n' "$facts" "$output"
  return 1
}

# $output without what a prefix, as valgrind, says beside it
facts_only() { grep '^[a-z_]*=' <<<"$output"; }

# The file that a probe locks, without what an earlier probe left of it.
fresh_file() {
  rm -f file file.*
  : >file
}
