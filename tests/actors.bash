# Conversations with tests/probes/lock_actors: several of them at once, under the shim or outside it.
#
#   start NAME bare|shimmed|watched PROCESS...   starts one; its processes end with the test
#   say NAME "a1 lock A 0"                       one line of its script; the answer is in $reply
#   script bare|shimmed|watched PROCESS... <<<LINES    runs a whole script; the answers are in $output and $lines
#   answers LINES                                fails with a diff unless $output consists of these lines

declare -gA to_actors from_actors jobs_of_actors
declare -g reply=

start() {
  local name=$1 how=$2 to from fd
  shift 2
  mkfifo "$WORK/$name.to" "$WORK/$name.from"
  (
    exec 3>&-
    # Whoever keeps the other end of a pipe open keeps its reader alive.
    for fd in "${to_actors[@]}" "${from_actors[@]}"; do exec {fd}>&-; done
    "$how" "$PROBES/lock_actors" "$@" <"$WORK/$name.to" >"$WORK/$name.from"
  ) &
  jobs_of_actors[$name]=$!
  exec {to}>"$WORK/$name.to" {from}<"$WORK/$name.from"
  to_actors[$name]=$to
  from_actors[$name]=$from
}

say() {
  local name=$1 line=$2
  echo "$line" >&"${to_actors[$name]}"
  if ! read -r -t 60 reply <&"${from_actors[$name]}"; then
    echo "$name does not answer to: $line"
    return 1
  fi
  reply=${reply#"$line: "}
}

stop() {
  local name=$1 to=${to_actors[$1]} from=${from_actors[$1]}
  exec {to}>&- {from}<&-
  unset "to_actors[$name]" "from_actors[$name]"
  # Their locks are gone only when they are.
  wait "${jobs_of_actors[$name]}" || true
}

teardown() {
  local name
  for name in "${!to_actors[@]}"; do stop "$name"; done
}

# What the program said, without what a prefix as valgrind says beside it.
# shellcheck disable=SC2034,SC2154 # $output and $lines are set by run
without_prefix() {
  output=$(sed '/^==[0-9]*==/d' <<<"$output")
  mapfile -t lines <<<"$output"
}

# shellcheck disable=SC2154 # $status is set by run
script() {
  local how=$1
  shift
  run "$how" "$PROBES/lock_actors" "$@"
  [ "$status" -eq 0 ]
  without_prefix
}

answers() {
  without_prefix
  diff <(printf '%s\n' "$1") <(printf '%s\n' "$output")
}
