#!/usr/bin/env bats
# The manual pages and the README say what is so.
#
# Many words here are for another shell; bats runs each test in a subshell.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib

TOP=$BATS_TEST_DIRNAME/..
DOCUMENTS=$TOP/doc

# page NAME.SECTION: as text, no word of which is broken
page() { man -l --no-hyphenation --no-justification -Tutf8 -P cat "$DOCUMENTS/$1" 2>&1 | sed "s/\x1b\[[0-9;]*m//g" | col -bx; }

kinds() { sed -n 's/^    KIND([A-Z_]*, "\([a-z-]*\)").*/\1/p' "$TOP/src/report/event.h"; }

# options FILE: the long options in it
options() { grep -oE -- '--[a-z]+(-[a-z]+)*' "$1" | sort -u; }

@test "I1: the manual pages are free of warnings" {
  need man groff
  local file
  for file in "$DOCUMENTS"/*.[0-9]; do
    # A page that only names another one.
    ! grep -q '^\.so ' "$file" || continue
    run man -l --warnings -Tutf8 -P cat "$file"
    [ "$status" -eq 0 ]
    run bash -c 'man -l --warnings -Tutf8 "$1" 2>&1 >/dev/null' bash "$file"
    [ "$output" = "" ]
  done
}

@test "I1: the manual pages have every option of the commands, and no other" {
  need man col
  local name other=shim-report
  for name in shim-run shim-report; do
    # Without what it says of the other command
    page "$name.1" | sed '/^EXAMPLES/,$d' | tr -s '\n ' ' ' | sed "s/$other --[a-z-]*//g" >page
    "$BUILD/tools/$name" --help >help
    options help >wanted
    options page >found
    diff wanted found
    other=$name
  done
}

@test "I3: raceshim(7) tells of every kind how severe it is, and the other pages name it" {
  need man col
  local kind
  page raceshim.7 >raceshim
  page shim-run.1 >shim-run
  [ "$(kinds | wc -l)" -ge 17 ]
  for kind in $(kinds); do
    printf '%s\n' "$kind"
    grep -qE "^ +$kind \((error|warning|note)" raceshim
    grep -qE "(^|[ ,])$kind([ ,;]|\$)" shim-run
    grep -q "^| \`$kind\` |" "$DOCUMENTS/log-format.md"
  done
}

@test "I1: the files that the documents refer to are there" {
  local file link
  for file in "$TOP/README.md" "$DOCUMENTS"/*.md; do
    for link in $(grep -oE '\]\([^)]*\)' "$file" | sed 's/^](//; s/)$//' | grep -v '^https\?:'); do
      printf '%s\n' "$link"
      [ -e "${file%/*}/$link" ]
    done
  done
}

@test "L6: shim-run takes the rules in the README and in its manual page" {
  sed -n '/^lock .*process  /,/^```/p' "$TOP/README.md" | grep -v '^```' >rules
  [ "$(wc -l <rules)" -ge 4 ]
  sed -n '/^# The cache locks/,/^\.EE/p' "$DOCUMENTS/shim-run.1" | grep -v '^\.' | sed 's/\\-/-/g' >>rules
  [ "$(grep -c handover rules)" -eq 2 ]
  run "$SHIM_RUN" --rules=rules true
  [ "$status:$output" = "0:" ]
}

# without_numbers: what differs from run to run and from machine to machine
without_numbers() { sed -E 's/\[[0-9]+\]/[N]/g; s/s-[0-9a-f]{4}\b/s-N/g; s/\+0x[0-9a-f]+/+0xN/g; s/\([^ ()]*\//(/g; s/after [0-9.]+ s/after N s/'; }

@test "I1: the commands in the README print what it says" {
  need flock
  local line
  ln -s "$BUILD" build
  unset DEBUGINFOD_URLS
  sed -n 's/^\$ //p' "$TOP/README.md" >commands
  [ "$(wc -l <commands)" -ge 8 ]
  export TMPDIR=$WORK
  bash commands >printed 2>&1 || true # what is bare or given up fails
  without_numbers <printed >found
  # The lines of the findings; what else the programs print depends on which thread is first.
  grep -E '^[a-z-]+\[[0-9]+\] [a-z-]+: ' "$TOP/README.md" | without_numbers >wanted
  [ "$(wc -l <wanted)" -ge 5 ]
  while read -r line; do
    grep -qxF -- "$line" found || {
      printf 'not printed: %s\n' "$line"
      cat printed
      return 1
    }
  done <wanted
  [ "$(grep -c '^collector: s-00dd.lock: .*deleting s-00dd-working' printed)" -eq 2 ]
  grep -q '^error: dep-graph.part.bin: No such file' printed
  grep -q '^warning: self-lock: compiler-session' printed
}
