#!/usr/bin/env bats
# What a CI job knows already: suppressed findings, and baselines.
#
# bats runs each test in a subshell and sets $stderr.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib
load shim_report

prepare() {
  need jq
  unset NO_COLOR DEBUGINFOD_URLS
  export SESSION
}

some_records() {
  record self-lock warning 01 00000000000000a1 '"file":{"path":"/w/target/x.lock"},"exe":"/usr/bin/cargo"'
  record self-lock warning 02 00000000000000a2 '"file":{"path":"/w/other file"},"exe":"/usr/bin/cargo"'
  record deadlock error 03 00000000000000a3 '"file":{"path":"/w/target/y.lock"},"exe":"/opt/ld"'
  record env-clobber error 04 00000000000000a4 '"var":"PATH","exe":"/opt/server"'
}

# left RULE...: the fingerprints that these rules leave, and what is said, in $stderr
left() {
  printf '%s\n' "$@" >rules
  run --separate-stderr "$SHIM_REPORT" --format=json --suppress=rules "$SESSION"
  [ "$status" -eq 0 ] && json 'map(.id[14:]) | sort | join(" ")'
}

@test "I1: a rule suppresses by kind, path, variable and program, and all its parts must match" {
  some_records >"$SESSION/7.0.jsonl"
  [ "$(left '# none')" = "a1 a2 a3 a4" ]
  [ "$(left 'self-lock')" = "a3 a4" ]
  [ "$(left '* path=/w/target/*')" = "a2 a4" ]
  [ "$(left '* path=*.lock exe=cargo')" = "a2 a3 a4" ]
  [ "$(left 'self-lock path=x.lock')" = "a2 a3 a4" ]
  [ "$(left 'self-lock path=*other\ file   # why')" = "a1 a3 a4" ]
  [ "$(left '* var=P?TH')" = "a1 a2 a3" ]
  [ "$(left '* exe=/opt/*')" = "a1 a2" ]
  [ "$(left 'self-lock exe=ld' '' '* var=*')" = "a1 a2 a3" ]
  [ "$(left '*')" = "" ]
}

@test "I1: a rule suppresses by the function of any frame of either side" {
  need gcc
  build_locker
  shimmed ./locker "$WORK/data"
  [ "$(left '* function=takes_first' | wc -w)" -eq 0 ]
  [ "$(left 'self-lock function=takes_sec*' | wc -w)" -eq 0 ]
  [ "$(left '* function=takes' | wc -w)" -eq 1 ]
}

@test "I1: what is suppressed is counted, does not fail the job, and rules without use are named" {
  some_records >"$SESSION/7.0.jsonl"
  printf '%s\n' '# ours' 'self-lock' '' 'stale-lock path=*' 'env-clobber var=HOME' >rules
  run --separate-stderr "$SHIM_REPORT" --summary --suppress=rules --fail-on=self-lock "$SESSION"
  [ "$status" -eq 0 ]
  [ "${stderr_lines[0]}" = "shim-report: 2 findings suppressed by rules" ]
  [ "${stderr_lines[1]}" = "shim-report: rules:4: this rule matched nothing" ]
  [ "${stderr_lines[2]}" = "shim-report: rules:5: this rule matched nothing" ]
  [ "${#stderr_lines[@]}" -eq 3 ]
  run "$SHIM_REPORT" --suppress=rules --fail-on=deadlock "$SESSION"
  [ "$status" -eq 66 ]
}

@test "I1: a wrong rule is one clear message and status 2" {
  local rule
  some_records >"$SESSION/7.0.jsonl"
  for rule in self-luck 'self-lock file=x' '* path=a path=b' 'path=x' $'\033[2J'; do
    printf '\n%s\n' "$rule" >rules
    complains "rules:2: '" "$SHIM_REPORT" --suppress=rules "$SESSION"
  done
  printf 'self-lock\0x\n' >rules
  complains "rules:1: a NUL byte" "$SHIM_REPORT" --suppress=rules "$SESSION"
  complains "cannot read 'nothing'" "$SHIM_REPORT" --suppress=nothing "$SESSION"
}

@test "I1: a baseline leaves what is new, in another build and run too" {
  need gcc
  build_locker
  shimmed ./locker "$WORK/data"
  run --separate-stderr "$SHIM_REPORT" --write-baseline=known --fail-on=any "$SESSION"
  [ "$status" -eq 66 ]
  cp known before
  rm "$SESSION"/*.jsonl
  INSERTED='static const char unused[5000] __attribute__((unused)) = "x";\n\n' build_locker -O2
  shimmed ./locker "$WORK/data"
  run --separate-stderr "$SHIM_REPORT" --baseline=known --fail-on=any "$SESSION"
  [ "$status:$output:$stderr" = "0::shim-report: 1 finding known from the baseline" ]
  build_locker -Dtakes_second=takes_third
  shimmed ./locker "$WORK/data"
  run --separate-stderr "$SHIM_REPORT" --format=json --baseline=known --fail-on=any "$SESSION"
  [ "$status" -eq 66 ]
  [ "$(json '[.[].here.stack[].symbols[]?.function] | map(select(startswith("takes"))) | join(" ")')" = takes_third ]
  # It is brought up to date with what it leaves out.
  run "$SHIM_REPORT" --baseline=known --write-baseline=known "$SESSION"
  [ "$(grep -c 'takes\|self-lock: ' known)" -eq 2 ]
  [ "$(grep -Fxf before known | wc -l)" -ge 1 ]
}

@test "I1: a baseline is a text that is the same for the same findings, in whatever order" {
  some_records >"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --write-baseline=one "$SESSION" >/dev/null
  tac "$SESSION/7.0.jsonl" >"$SESSION/8.0.jsonl"
  rm "$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --write-baseline=two "$SESSION" >/dev/null
  cmp one two
  head -n 1 one | grep -qx '# raceshim baseline 1: .*'
  [ "$(grep -cE '^[0-9a-f]{16} (self-lock|deadlock|env-clobber): ' one)" -eq 4 ]
}

@test "I1: a session serves as a baseline, and whatever is neither is refused" {
  mkdir -m 700 before
  some_records | head -n 3 >before/1.0.jsonl
  some_records >"$SESSION/7.0.jsonl"
  run --separate-stderr "$SHIM_REPORT" --format=json --baseline=before "$SESSION"
  [ "$(json 'map(.id[14:]) | join(" ")')" = a4 ]
  [ "$stderr" = "shim-report: 3 findings known from the baseline" ]
  run --separate-stderr "$SHIM_REPORT" --format=json --baseline=before/1.0.jsonl "$SESSION"
  [ "$(json 'map(.id[14:]) | join(" ")')" = a4 ]
  echo 'something else' >other
  complains "neither a baseline nor a session" "$SHIM_REPORT" --baseline=other "$SESSION"
  printf '# raceshim baseline 1: x\n\n# ours\nxyz\n' >other
  complains "other:4: no fingerprint" "$SHIM_REPORT" --baseline=other "$SESSION"
  complains "No such file" "$SHIM_REPORT" --baseline=nothing "$SESSION"
  complains "cannot write 'none/out'" "$SHIM_REPORT" --write-baseline=none/out "$SESSION"
}

@test "R2: a baseline of hostile names is text, one line a finding" {
  hostile_records >"$SESSION/7.0.jsonl"
  "$SHIM_REPORT" --write-baseline=known "$SESSION" >/dev/null
  shows_no_control known
  [ "$(tail -n +2 known | grep -vcE '^[0-9a-f]{16} ')" -eq 0 ]
  run --separate-stderr "$SHIM_REPORT" --baseline=known "$SESSION"
  [ "$status:$output" = "0:" ] || [[ $output == "Lost in waits"* ]]
}
