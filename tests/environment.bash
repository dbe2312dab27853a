# What the tests of the environment share. Their programs are scripts for tests/probes/env_actors.
#
#   in_mode MODE CMD...          env=MODE; MODE may be bare, and scoped+rules means: with the rules file of write_rules;
#                                nothing is recorded where $without_records is set
#   agrees MODES <<LINES         the script gets these answers bare and in each of the modes
#   differs MODES <<LINES        ... and another one bare where a line says so
#
# A line is a step of the script and its answer, "b get AA: AA=1"; without an answer "ok" is expected. Where the answer
# bare is another one it follows: "b get AA: AA=1 <> AA=2". Watching, and with env=off, all answers are those of bare.
# Each script is also given to the model of tests/probes/environment_model.h, which judges the random programs.

# The model knows the meaning of these names.
write_rules() {
  cat >"$WORK/rules" <<'RULES'
env SHARED_* shared
env SCOPED_* scoped
env PRIVATE_* private
env WATCHED_* watch
RULES
}

in_mode() {
  local mode=$1 rules=
  shift
  if [ "$mode" = bare ]; then
    bare "$@"
    return
  fi
  if [[ $mode = *+rules ]]; then
    write_rules
    rules="rules=$WORK/rules"
  fi
  local settings="locks=repair env=${mode%+rules} $rules ${EXTRA_SETTINGS-}"
  if [ -n "${without_records-}" ]; then
    # shellcheck disable=SC2086 # the prefix is a list of words
    env LD_PRELOAD="$LIBRARY" RACESHIM="$settings" ${RACESHIM_TEST_PREFIX-} "$@"
  else
    with_settings "$settings" "$@"
  fi
}

# The model's options for a mode.
expectation() {
  case $1 in
  bare | watch* | off*) echo --expect=bare ;;
  *+rules) echo "--expect=${1%+rules} --rules" ;;
  *) echo "--expect=$1" ;;
  esac
}

# answers_in MODE <SCRIPT: the lines with the answers that are due in this mode
answers_in() {
  sed -E '/^ *(#|$)/d; s/^ +//; /^[^:]*$/s/$/: ok/' | case $1 in
  bare | watch* | off*) sed -E 's/: .* <> /: /' ;;
  *) sed -E 's/ <> .*//' ;;
  esac
}

# Runs "$@" on the script, which must give the answers that are due in the mode.
gives_answers() {
  local mode=$1 script=$2
  shift 2
  if ! diff <(answers_in "$mode" <<<"$script") \
    <(answers_in "$mode" <<<"$script" | sed 's/: .*//' | "$@" 2>&1 | sed '/^==[0-9]*==/d'); then
    echo "expected, and what came instead ($mode: ${*: -2})"
    return 1
  fi
}

plays_in() {
  local mode=$1 script=$2
  gives_answers "$mode" "$script" in_mode "$mode" "$PROBES/env_actors"
}

# The steps which the model knows.
model_agrees() {
  local mode=$1 script
  script=$(grep -Ev '^ *[a-z] (tid|clock|locale)' <<<"$2")
  # shellcheck disable=SC2046 # a list of words
  gives_answers "$mode" "$script" bare "$PROBES/random_environments" --model $(expectation "$mode")
}

plays() {
  local script=$1 mode
  shift
  for mode in bare watch off "$@"; do
    plays_in "$mode" "$script"
    model_agrees "$mode" "$script"
  done
}

agrees() {
  local script
  script=$(cat)
  [[ $script != *' <> '* ]]
  # shellcheck disable=SC2068 # the modes are words
  plays "$script" $@
}

differs() {
  local script
  script=$(cat)
  [[ $script = *' <> '* ]]
  # shellcheck disable=SC2068 # the modes are words
  plays "$script" $@
}
