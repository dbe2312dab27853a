#!/usr/bin/env bats
# Section 4 of the contract, and R2 to R5 from the reader's side: shim-report, fed with records made by hand.
#
# bats runs each test in a subshell and sets $stderr; some words are for another shell.
# shellcheck disable=SC1003,SC2016,SC2030,SC2031,SC2129,SC2154

bats_require_minimum_version 1.5.0
load lib
load shim_report

prepare() {
  unset NO_COLOR
  export SESSION
}

# at_terminal COMMAND-LINE: on a terminal of its own, which shows in the file screen
at_terminal() { TERM=xterm script -qec "$1" /dev/null >screen 2>&1 </dev/null 3>&-; }

# ---- what is shown

@test "I3: the text shows what happened, the evidence and both sides with their stacks" {
  full_record >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" "$SESSION"
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == "warning: self-lock: prog[7] asked for a lock that it holds itself"*"(x3)" ]]
  [[ $output == *"file     incremental/s.lock"* ]]
  [[ $output == *"bytes    8 to 11, write"* ]]
  [[ $output == *"done     denied"* ]]
  [[ $output == *'here     prog[7], thread 9 "worker", descriptor 5'* ]]
  [[ $output == *'there    other[8], thread 8 "main", descriptor 4, since 2026-11-23T11:00:00'* ]]
  [[ $output == *" here "*" there"$'\n'*"#0   libc.so.6+0x7b "*" libbuild.so+0x2000"$'\n'*"#1   prog+0x1000"* ]]
  [[ $output == *"/usr/bin/prog, build ID ff00"* ]]
}

@test "I3: on a narrow terminal each side has its stack below it" {
  need script
  full_record >"$SESSION/7.0.jsonl"
  at_terminal "stty rows 50 cols 90; NO_COLOR=1 '$SHIM_REPORT' '$SESSION'"
  run cat screen
  [[ $output == *"descriptor 5"*"#0  libc.so.6+0x7b"*"#1  prog+0x1000"*"there    other[8]"*"#0  libbuild.so+0x2000"* ]]
  at_terminal "stty rows 50 cols 110; NO_COLOR=1 '$SHIM_REPORT' '$SESSION'"
  run cat screen
  [[ $output == *"#0   libc.so.6+0x7b "*" libbuild.so+0x2000"* ]]
  [ "$(tr -d '\r' <screen | wc -L)" -le 110 ]
}

@test "I3: every kind of record has words of its own" {
  run "$SHIM_REPORT" --fail-on=none "$SESSION"
  local kind names=${output##*kinds are }
  names=${names%, or any}
  [ "$(tr -cd , <<<"$names" | wc -c)" -eq 16 ]
  for kind in ${names//,/}; do
    record "$kind" note 01 00000000000000aa >"$SESSION/7.0.jsonl"
    run "$SHIM_REPORT" "$SESSION"
    [[ ${lines[0]} =~ ^"note: $kind: prog[7] "[a-z] ]]
    [ "${#lines[1]}" -gt 30 ]
  done
}

@test "I3: a cycle shows each of its edges" {
  record deadlock error 01 00000000000000aa '"edges":[{"pid":7,"tid":7,"fd":3},{"pid":8,"tid":8,"exe":"/bin/b","fd":4},{"pid":0,"tid":0,"fd":-1}]' >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"waits    prog[7], thread 7, descriptor 3"* ]]
  [[ $output == *"waits    b[8], thread 8, descriptor 4"* ]]
  [[ $output == *"waits    an unknown process"* ]]
}

@test "I3: findings come by severity, then by time, from all files and sessions" {
  mkdir -m 700 second
  record degraded note 01 0000000000000001 >"$SESSION/7.0.jsonl"
  record self-lock warning 05 0000000000000002 >>"$SESSION/7.0.jsonl"
  record deadlock error 09 0000000000000003 >>"$SESSION/7.0.jsonl"
  record stale-lock warning 04.25 0000000000000004 >"$SESSION/8.0.jsonl"
  record lock-lost error 08 0000000000000005 >second/9.0.jsonl
  record long-wait warning 04.125 0000000000000006 >alone
  echo 'not a record' >"$SESSION/other-file"
  run "$SHIM_REPORT" --format=json "$SESSION" second alone
  [ "$status" -eq 0 ]
  [ "$(json 'map(.kind) | join(" ")')" = "lock-lost deadlock long-wait stale-lock self-lock degraded" ]
}

@test "I3: records of one fingerprint are one finding, with the counts added and the earliest kept" {
  record self-lock warning 05 00000000000000aa '"count":3,"pid":8' >"$SESSION/8.0.jsonl"
  record self-lock warning 02 00000000000000aa '"count":4         ,"pid":9' >"$SESSION/9.0.jsonl"
  record self-lock warning 04 00000000000000aa '"count":5' >>"$SESSION/9.0.jsonl"
  record self-lock warning 03 00000000000000ab >>"$SESSION/9.0.jsonl"
  record stale-lock warning 03 00000000000000aa >>"$SESSION/9.0.jsonl"
  run "$SHIM_REPORT" --format=json "$SESSION"
  [ "$(json length)" -eq 3 ]
  [ "$(json '.[0] | "\(.pid) \(.count)"')" = "9 12" ]
}

@test "I3: records without a fingerprint are never merged" {
  record self-lock warning 05 '' >"$SESSION/8.0.jsonl"
  record self-lock warning 05 xyz >>"$SESSION/8.0.jsonl"
  record self-lock warning 05 '' >>"$SESSION/8.0.jsonl"
  run "$SHIM_REPORT" --format=json "$SESSION"
  [ "$(json length)" -eq 3 ]
}

@test "I3: a session without records gives an empty report" {
  run --separate-stderr "$SHIM_REPORT" "$SESSION"
  [ "$status:$output:$stderr" = "0::" ]
  run --separate-stderr "$SHIM_REPORT" --summary "$SESSION"
  [ "$status:$output:$stderr" = "0::" ]
  run --separate-stderr "$SHIM_REPORT" --format=json "$SESSION"
  [ "$status:$(json -c .):$stderr" = "0:[]:" ] || [ "$(jq -c . <<<"$output")" = "[]" ]
}

@test "I1: the summary has one line a finding: program, kind, what, path, action, both sides, count; then where" {
  full_record >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --summary "$SESSION"
  [ "${lines[0]}" = "prog[7] self-lock: asked for a lock that it holds itself through another descriptor: incremental/s.lock, held by other[8]; denied; at prog+0x1000, against libbuild.so+0x2000; x3" ]
  [[ ${lines[1]} == *"records are in $SESSION"* ]]
  [ "${#lines[@]}" -eq 2 ]
}

@test "I1: the summary shows the callers where both sides locked in one function" {
  local top='{"module":"/p","build_id":"","offset":"0x10"}'
  record self-lock warning 01 00000000000000aa "\"here\":{\"stack\":[$top,{\"module\":\"/p\",\"offset\":\"0x20\"}]},\"there\":{\"stack\":[$top,{\"module\":\"/p\",\"offset\":\"0x30\"}]}" >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --summary "$SESSION"
  [[ ${lines[0]} == *"; at p+0x10 from p+0x20, against p+0x10 from p+0x30" ]]
}

@test "I1: the summary shows no caller where libc called the function" {
  local top='{"module":"/p","build_id":"","offset":"0x10"}'
  local start='{"module":"/lib/libc.so.6","offset":"0x20"}'
  record self-lock warning 01 00000000000000aa "\"here\":{\"stack\":[$top,$start]},\"there\":{\"stack\":[$top,$start]}" >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --summary "$SESSION"
  [[ ${lines[0]} == *"; at p+0x10, against p+0x10" ]]
}

@test "I1: the summary names who holds the lock by its command, which cannot forge or fill the screen" {
  local long
  long=$(printf '%0300d' 1)
  record ancestor-wait warning 01 00000000000000aa '"action":"waited","file":{"path":"/w/l"},"there":{"pid":8,"exe":"/usr/bin/flock","command":"flock l sh -c \u001b[2Jflock l true"}' >"$SESSION/7.0.jsonl"
  record long-wait warning 02 00000000000000ab "\"action\":\"waited\",\"file\":{\"path\":\"/w/l\"},\"there\":{\"pid\":9,\"command\":\"perl $long\"}" >>"$SESSION/7.0.jsonl"
  record self-lock warning 03 00000000000000ac '"file":{"path":"/w/l"},"there":{"pid":7,"command":"its own"}' >>"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --summary "$SESSION"
  [ "${lines[0]}" = 'prog[7] ancestor-wait: waits for a lock that its own ancestor holds: /w/l, held by flock[8] (flock l sh -c \x1b[2Jflock l true); waited' ]
  [[ ${lines[1]} == *"held by perl[9] (perl 0"*...*"1); waited" ]]
  [ "${#lines[1]}" -lt 200 ]
  [[ ${lines[2]} != *"its own)"* ]]
}

@test "I1: the summary says what would have happened where the library has prevented it" {
  local kind
  for kind in env-clobber env-child; do
    record "$kind" warning 01 "00000000000000a${#kind}" '"action":"isolated","var":"OUT"' >>"$SESSION/7.0.jsonl"
    record "$kind" error 02 "00000000000000b${#kind}" '"action":"none","var":"OUT"' >>"$SESSION/7.0.jsonl"
  done
  record leaked-lock warning 03 00000000000000ac '"action":"none","file":{"path":"/w/l"},"there":{"pid":9,"exe":"/usr/bin/sleep"}' >>"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --summary "$SESSION"
  printf '%s\n' "${lines[@]}"
  [ "${lines[0]}" = "prog[7] env-clobber: set a variable and read another thread's value of it: OUT" ]
  [[ ${lines[1]} == "prog[7] env-child: started a program with another thread's value of a variable: OUT"* ]]
  [ "${lines[2]}" = "prog[7] env-clobber: would have read another thread's value of a variable that it set: OUT; kept apart" ]
  [ "${lines[3]}" = "prog[7] env-child: would have started a program with another thread's value of a variable: OUT; kept apart" ]
  [[ ${lines[4]} == "prog[7] leaked-lock: left a program behind that still has a lock: /w/l, held by sleep[9]"* ]]
}

@test "I1: of one severity the summary has last what only says that something may go wrong" {
  record degraded warning 01 00000000000000a1 >"$SESSION/7.0.jsonl"
  record env-unsafe-write warning 02 00000000000000a2 >>"$SESSION/7.0.jsonl"
  record env-hidden note 03 00000000000000a3 >>"$SESSION/7.0.jsonl"
  record env-clobber warning 04 00000000000000a4 >>"$SESSION/7.0.jsonl"
  record self-lock warning 05 00000000000000a5 >>"$SESSION/7.0.jsonl"
  record deadlock error 06 00000000000000a6 >>"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --summary "$SESSION"
  [ "$(sed -n 's/^prog\[7\] \([a-z-]*\):.*/\1/p' <<<"$output" | tr '\n' ' ')" = "deadlock env-clobber self-lock degraded env-unsafe-write env-hidden " ]
}

@test "I1: the summary fits a screen, and tells how many findings are left out" {
  need script
  local i
  for i in $(seq 100 199); do
    record self-lock warning 01 "0000000000000$i" "\"file\":{\"path\":\"/a/long/path/to/lock-$i\"}" >>"$SESSION/7.0.jsonl"
  done
  run "$SHIM_REPORT" --summary "$SESSION"
  [ "$(fold -w 80 <<<"$output" | wc -l)" -le 24 ]
  [[ $output == *"... and "*" more"* ]]
  at_terminal "stty rows 12 cols 60; '$SHIM_REPORT' --summary '$SESSION'"
  [ "$(sed 's/\x1b\[[0-9;]*m//g; s/\r//' screen | fold -w 60 | wc -l)" -le 12 ]
  at_terminal "stty rows 200 cols 200; '$SHIM_REPORT' --summary '$SESSION'"
  [ "$(grep -c self-lock screen)" -eq 100 ]
}

# ---- options

@test "I1: a wrong option is one clear message and status 2" {
  complains "session directory is missing" "$SHIM_REPORT"
  complains "unrecognized option" "$SHIM_REPORT" --frobnicate "$SESSION" || [[ $stderr == *frobnicate* ]]
  complains "formats are: text json github junit sarif html trace" "$SHIM_REPORT" --format=pdf "$SESSION"
  complains "from 1 to 255" "$SHIM_REPORT" --exit-code=300 "$SESSION"
  complains "'self-luck' is no kind" "$SHIM_REPORT" --fail-on=self-luck "$SESSION"
  complains "a time like" "$SHIM_REPORT" --since=yesterday "$SESSION"
  complains "cannot write 'none/out'" "$SHIM_REPORT" -o none/out "$SESSION"
}

@test "I1: --fail-on and --exit-code set the status by kind, and any by severity" {
  record self-lock warning 01 00000000000000aa >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" "$SESSION"
  [ "$status" -eq 0 ]
  run "$SHIM_REPORT" --fail-on=self-lock "$SESSION"
  [ "$status" -eq 66 ]
  run "$SHIM_REPORT" --fail-on=any --exit-code=3 "$SESSION"
  [ "$status" -eq 3 ]
  run "$SHIM_REPORT" --fail-on=deadlock,stale-lock "$SESSION"
  [ "$status" -eq 0 ]
  record degraded note 01 00000000000000aa >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --fail-on=any "$SESSION"
  [ "$status" -eq 0 ]
}

@test "I1: -o writes to the file and leaves standard output alone; a full disk is an error" {
  full_record >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" -o out "$SESSION"
  [ "$status:$output" = "0:" ]
  grep -q self-lock out
  [ ! -e /dev/full ] || complains "No space left" "$SHIM_REPORT" -o /dev/full "$SESSION"
}

@test "I1: --since leaves out earlier records" {
  record self-lock warning 05 00000000000000aa >"$SESSION/7.0.jsonl"
  record deadlock error 06.5 00000000000000ab >>"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --format=json --since=2026-11-23T12:00:06Z "$SESSION"
  [ "$(json 'map(.kind) | join(" ")')" = deadlock ]
  run "$SHIM_REPORT" --format=json --since=2026-11-23T12:00:06.500000001Z "$SESSION"
  [ "$(json length)" -eq 0 ]
}

@test "I1: colour only on a terminal, and not with NO_COLOR or a dumb one" {
  need script
  full_record >"$SESSION/7.0.jsonl"
  at_terminal "'$SHIM_REPORT' '$SESSION'"
  grep -q $'\033\\[' screen
  local without
  for without in NO_COLOR=1 TERM=dumb; do
    at_terminal "env $without '$SHIM_REPORT' '$SESSION'"
    run grep -c $'\033' screen
    [ "$output" -eq 0 ]
  done
  "$SHIM_REPORT" "$SESSION" >plain
  run grep -c $'\033' plain
  [ "$output" -eq 0 ]
}

# ---- damaged, hostile and foreign input

@test "R4: fields, kinds and actions that are not known are kept and do no harm" {
  record new-kind warning 01 00000000000000aa '"action":"mended","colour":{"deep":[1,2]}' >"$SESSION/7.0.jsonl"
  run "$SHIM_REPORT" --format=json "$SESSION"
  [ "$(json '.[0].colour.deep[1]')" = 2 ]
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == "warning: new-kind: prog[7]"*"mended"* ]]
}

@test "R4: fields of a wrong type do no harm" {
  record self-lock warning 01 00000000000000aa '"file":7,"range":"x","here":[],"there":{"stack":{}},"edges":"no","exe":null,"action":3,"pid":"p","count":-4,"time":{}' >"$SESSION/7.0.jsonl"
  record self-lock unheard 01 00000000000000ab '"here":{"stack":[1,"x",null,{"module":3,"offset":"0xzz"}]},"file":{"path":[]},"count":99999999999999999999' >>"$SESSION/7.0.jsonl"
  run --separate-stderr "$SHIM_REPORT" "$SESSION"
  [ "$status:$stderr" = "0:" ]
  run --separate-stderr "$SHIM_REPORT" --summary "$SESSION"
  [ "$status:$stderr" = "0:" ]
  [ "${#lines[@]}" -eq 3 ]
}

@test "R4: truncated and garbage lines are left out and said once, the whole ones are read" {
  {
    full_record
    echo garbage
    printf '\0\0\0\n\n[]\n{}\n7\n{"v":1}\n'
    head -c 2000 /dev/urandom | tr '\n' ' '
    echo
    record deadlock error 09 0000000000000003
    full_record | head -c 100
  } >"$SESSION/7.0.jsonl"
  run --separate-stderr "$SHIM_REPORT" --format=json "$SESSION"
  [ "$status" -eq 0 ]
  [ "$(json 'map(.kind) | join(" ")')" = "deadlock self-lock" ]
  [ "${#stderr_lines[@]}" -eq 1 ]
  [[ $stderr == *"8 lines could not be read as records, the first in $SESSION/7.0.jsonl"* ]]
}

@test "R4: a line of blanks, which is left where a record was taken back, is no damage" {
  {
    echo '     '
    full_record
    printf '%1023s\n' '' ''
  } >"$SESSION/7.0.jsonl"
  run --separate-stderr "$SHIM_REPORT" --format=json "$SESSION"
  [ "$status:$stderr" = "0:" ]
  [ "$(json length)" -eq 1 ]
}

@test "R4: a record of a newer version is left out, and said" {
  full_record | sed 's/"v":1/"v":2/' >"$SESSION/7.0.jsonl"
  run --separate-stderr "$SHIM_REPORT" "$SESSION"
  [ "$status:$output" = "0:" ]
  [[ $stderr == *"1 record of a newer version"* ]]
}

@test "R4: a line without an end is passed over in bounded memory" {
  [ -z "${RACESHIM_SANITIZED-}" ] || skip "a sanitizer maps more than any bound"
  {
    head -c 300000000 /dev/zero | tr '\0' x
    echo
    full_record
  } >"$SESSION/7.0.jsonl"
  run --separate-stderr bash -c 'ulimit -v 200000; exec "$SHIM_REPORT" --format=json "$SESSION"'
  [ "$status" -eq 0 ]
  [ "$(json length)" -eq 1 ]
  [[ $stderr == *"1 line longer than 1 MiB"* ]]
}

@test "R4: numbers of 64 bits and bytes that are no characters come through" {
  record self-lock warning 01 00000000000000aa '"exe":"/x/\udce9\udcff","file":{"path":"/a/\udcff\\udcff b\ud83d\ude00","dev":1,"ino":18446744073709551615}' >"$SESSION/7.0.jsonl"
  run --separate-stderr "$SHIM_REPORT" "$SESSION"
  [ "$stderr" = "" ]
  [[ $output == *'\xe9\xff[7]'* ]]
  [[ $output == *'/a/\xff\\udcff b😀'* ]]
  run "$SHIM_REPORT" --format=json "$SESSION"
  [[ $output == *'"path":"/a/\udcff\\udcff b\uD83D\uDE00"'* ]]
  [[ $output == *18446744073709551615* ]]
}

@test "R2: nothing that a record says can drive a terminal or forge a line, in any format" {
  hostile_records >"$SESSION/7.0.jsonl"
  local how
  for how in --format={text,json,github,junit,sarif,html,trace} --summary; do
    run --separate-stderr timeout 20 "$SHIM_REPORT" "$how" -o out "$SESSION"
    printf '%s: %s %s\n' "$how" "$status" "$stderr"
    [ "$status:$stderr" = "0:" ]
    shows_no_control out
    case $how in
      --format=html) [ "$(grep -c '</script' out):$(grep -c '<img' out)" = 2:0 ] ;;
      --format=json | --format=junit | --format=sarif | --format=trace) [ "$(grep -c '<img\|</script' out)" -eq 0 ] ;;
    esac
  done
}

@test "R2: where the terminal has no UTF-8 only ASCII is shown" {
  need script
  record self-lock warning 01 00000000000000aa '"file":{"path":"/tmp/caf\u00e9"}' >"$SESSION/7.0.jsonl"
  at_terminal "env -u LC_CTYPE -u LANG LC_ALL=C '$SHIM_REPORT' '$SESSION'"
  grep -qF '/tmp/caf\u{e9}' screen
}

@test "R5: a session that is a link, another user's, or not there is refused with one message" {
  full_record >"$SESSION/7.0.jsonl"
  ln -s session link
  complains "symbolic link" "$SHIM_REPORT" link
  complains "symbolic link" "$SHIM_REPORT" link/
  complains "No such file" "$SHIM_REPORT" no-such-session
  mkfifo fifo
  complains "neither a directory nor a regular file" timeout 10 "$SHIM_REPORT" fifo
  complains "neither a directory nor a regular file" "$SHIM_REPORT" /dev/null
  [ "$(id -u)" -ne 0 ] || {
    mkdir -m 700 foreign
    chown 65534 foreign
    complains "belongs to user 65534" "$SHIM_REPORT" foreign
  }
}

@test "R5: links, FIFOs and directories in a session are left out, and said once" {
  full_record >"$SESSION/7.0.jsonl"
  record deadlock error 01 00000000000000ac >elsewhere
  ln -s "$WORK/elsewhere" "$SESSION/1.0.jsonl"
  mkfifo "$SESSION/2.0.jsonl"
  mkdir "$SESSION/3.0.jsonl"
  run --separate-stderr timeout 10 "$SHIM_REPORT" --format=json "$SESSION"
  [ "$status" -eq 0 ]
  [ "$(json 'map(.kind) | join(" ")')" = self-lock ]
  [ "${#stderr_lines[@]}" -eq 1 ]
  [[ $stderr == *"3 files left out, the first is "*"1.0.jsonl: a symbolic link" ]]
}

@test "R5: what can be read is reported when another session cannot, with status 2" {
  full_record >"$SESSION/7.0.jsonl"
  run --separate-stderr "$SHIM_REPORT" --format=json no-such-session "$SESSION"
  [ "$status" -eq 2 ]
  [ "$(json length)" -eq 1 ]
}

@test "I3: twenty thousand records in a thousand files are read" {
  local i
  awk 'BEGIN { for (i = 0; i < 20000; i++) {
    file = sprintf("%s/%d.0.jsonl", ARGV[1], i / 20)
    if (file != last) close(last)
    last = file
    printf "{\"v\":1,\"kind\":\"self-lock\",\"severity\":\"warning\",\"time\":\"2026-11-23T12:00:00Z\",\"count\":2,\"id\":\"%016x\"}\n", i % 5000 + 1 >file
  } }' "$SESSION"
  run bash -c 'ulimit -n 64; exec "$SHIM_REPORT" --format=json "$SESSION"'
  [ "$status" -eq 0 ]
  [ "$(json '"\(length) \(map(.count) | add)"')" = "5000 40000" ]
}

# Each of its own fingerprint and with a stack of its own, so that nothing is merged and nothing shared.
million_records() {
  awk 'BEGIN { for (i = 0; i < 1000000; i++)
    printf "{\"v\":1,\"count\":1,\"kind\":\"long-wait\",\"severity\":\"%s\",\"time\":\"2026-11-23T12:%02d:%02dZ\",\"id\":\"%016x\",\"pid\":7,\"here\":{\"stack\":[{\"module\":\"/p\",\"offset\":\"0x%x\"}]}}\n", i == 777777 ? "error" : "warning", i / 60 % 60, i % 60, i + 1, i }'
}

@test "I3: a million findings are sorted in 200 MiB, and progress is shown on a terminal only" {
  [ -z "${RACESHIM_SANITIZED-}" ] || skip "a sanitizer maps more than any bound"
  need script
  million_records >"$SESSION/7.0.jsonl"
  run --separate-stderr bash -c 'ulimit -v 204800; exec "$SHIM_REPORT" --summary "$SESSION"'
  [ "$status:$stderr" = "0:" ]
  [[ ${lines[0]} == "process[7] long-wait"* ]]
  [[ $output == *"... and 99"*" more"* ]]
  run --separate-stderr bash -c 'ulimit -v 204800; "$SHIM_REPORT" "$SESSION" | grep -c "^[a-z]*: long-wait: "; "$SHIM_REPORT" --format=json "$SESSION" | grep -c "\"fingerprint\""'
  [ "$output:$stderr" = $'1000000\n1000000:' ]
  at_terminal "'$SHIM_REPORT' --format=json -o '$WORK/out' '$SESSION'"
  grep -aqE 'shim-report: (reading|writing), +[0-9]+ %' screen
  # It is taken away at the end.
  tail -c 20 screen | grep -aqF $'\r\033[K'
}

@test "R4: a sparse file of a gigabyte without a line in it is one line left out" {
  [ -z "${RACESHIM_SANITIZED-}" ] || skip "a sanitizer maps more than any bound"
  full_record >"$SESSION/7.0.jsonl"
  truncate -s 1G "$SESSION/8.0.jsonl"
  run --separate-stderr bash -c 'ulimit -v 204800; exec "$SHIM_REPORT" --format=json "$SESSION"'
  [ "$status" -eq 0 ]
  [ "$(json length)" -eq 1 ]
  [ "$stderr" = "shim-report: 1 line longer than 1 MiB left out" ]
}

# ---- manuals

@test "I1: the manuals name every option, and are clean" {
  local tool page=$BATS_TEST_DIRNAME/../doc option
  for tool in shim-run shim-report; do
    for option in $("$BUILD/tools/$tool" --help | grep -oE -- '--[a-z-]+' | sort -u); do
      sed 's/\\-/-/g' "$page/$tool.1" | grep -qF -- "$option"
    done
    if command -v groff >/dev/null; then
      run groff -man -Tutf8 -ww -z "$page/$tool.1"
      [ "$status:$output" = "0:" ]
    fi
    if command -v mandoc >/dev/null; then
      run mandoc -T lint "$page/$tool.1"
      [ "$status:$output" = "0:" ]
    fi
  done
}
