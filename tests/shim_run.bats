#!/usr/bin/env bats
# Section 4 of the contract: shim-run is, to the command and to its caller, as good as not there.
#
# Many words here are for another shell; bats runs each test in a subshell and sets $stderr.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib

prepare() {
  export TMPDIR=$WORK
  unset NO_COLOR
}

# A failed test leaves no process behind.
teardown() { [ -z "${job-}" ] || kill -KILL "$job" -- "-$job" 2>/dev/null || true; }

# until_true CMD...: asks again until it is so, for at most ten seconds
until_true() {
  local deadline=$((SECONDS + 10))
  until "$@"; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      printf 'still not so: %s\n' "$*"
      return 1
    fi
  done
}

# state PID: R, S, T (stopped), Z or nothing
state() { sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null; }
has_state() { [ "$(state "$1")" = "$2" ]; }
is_gone() { [ ! -e "/proc/$1" ] || has_state "$1" Z; }
# Standard signals do not queue: a second one of a number waits for the first to be taken.
has_taken_all() { grep -q '^ShdPnd:[[:space:]]*0*$' "/proc/$1/status"; }
has_line() { grep -qx -- "$2" "$1"; }
count_lines() { grep -cx -- "$2" "$1"; }
count_is() { [ "$(count_lines "$1" "$2")" = "$3" ]; }

# start CMD...: in a process group of its own, its output in log; $job is its process
start() {
  : >log
  set -m
  "$@" >log 2>&1 3>&- &
  job=$!
  set +m
}

# start_log PREFIX...: signal_log, ready; $command is its process
start_log() {
  start "$@" "$PROBES/signal_log"
  until_true has_line log ready=yes
  command=$(sed -n 's/^pid=//p' log)
}

# leave_record KIND SEVERITY [STATUS]: makes $command_words a command that leaves such a record in the
# directory s, as the library would write it, and ends with STATUS
leave_record() {
  printf '{"v":1,"kind":"%s","severity":"%s","time":"NOW","pid":7,"tid":7,"thread":"t","exe":"/bin/prog","action":"denied","count":3,"id":"%016x"}\n' \
    "$1" "$2" "$RANDOM$RANDOM" >line
  command_words=(sh -c "sed \"s/NOW/\$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)/\" line >>s/7.0.jsonl; exit ${3-0}")
}

sessions() { find "$WORK" -maxdepth 1 -name 'raceshim-*'; }

# ---- exit status

@test "I1: the exit status is the command's" {
  local status_wanted
  for status_wanted in 0 1 7 125 255; do
    run "$SHIM_RUN" sh -c "exit $status_wanted"
    [ "$status" -eq "$status_wanted" ]
    [ "$output" = "" ]
  done
}

@test "I1: the exit status is 128+N when signal N ended the command" {
  local sig
  for sig in HUP INT QUIT KILL SEGV PIPE TERM USR1; do
    run env --default-signal "$SHIM_RUN" sh -c "ulimit -c 0; kill -$sig \$\$"
    [ "$status" -eq $((128 + $(kill -l "$sig"))) ]
  done
}

@test "I1: 127 for a command that is not found and 126 for one that cannot be executed, as env" {
  : >plain
  chmod 644 plain
  mkdir directory
  local name wanted status
  for name in no-such-command ./no-such-command ./plain ./directory ./plain/x; do
    wanted=0
    env "$name" 2>/dev/null || wanted=$?
    status=0
    "$SHIM_RUN" "$name" 2>said || status=$?
    [ "$status" -eq "$wanted" ]
    [ "$(wc -l <said)" -eq 1 ]
    grep -q "^shim-run: cannot run '$name': " said
  done
  [ -z "$(sessions)" ]
}

@test "I1: a script without an interpreter line runs as it does under env" {
  echo 'echo words: "$@"' >script
  chmod 755 script
  run "$SHIM_RUN" ./script a b
  [ "$status" -eq 0 ]
  [ "$output" = "words: a b" ]
}

@test "I1: whatever is wrong with the options is one clear message and status 125" {
  printf 'lock a.lock off\nlok b.lock off\n' >rules
  : >plain
  refused() {
    local pattern=$1
    shift
    run "$SHIM_RUN" "$@"
    printf '%s\n' "shim-run $* -> $status: $output"
    [ "$status" -eq 125 ] && [ "${#lines[@]}" -eq 1 ] && [[ $output == "shim-run: "* ]] &&
      [[ $output == *$pattern* ]]
  }
  refused "command is missing"
  refused "command is missing" --watch
  refused "command is missing" --
  refused "unknown option '--frobnicate'" --frobnicate true
  refused "unknown option '--frobnicate=1'" --frobnicate=1 true
  refused "unknown option '-x'" -x true
  refused "option '--watch' takes no value" --watch=yes true
  refused "option '--rules' wants a value" --rules
  refused "option '-o' wants a value" -o
  refused "repair, watch or off" --locks=mend true
  refused "scoped, private, watch or off" --env=all true
  refused "number of seconds" --lock-timeout=-1 true
  refused "number of seconds" --lock-timeout=soon true
  refused "number of seconds" --wait-warn= true
  refused "from 1 to 255" --exit-code=0 true
  refused "from 1 to 255" --exit-code=256 true
  refused "from 1 to 255" --exit-code=x true
  refused "'self-luck' is no kind" --fail-on=self-lock,self-luck true
  refused "'' is no kind" --fail-on= true
  refused "formats are: text json github junit sarif html trace" --report=pdf true
  refused "file's name" --report=json: true
  refused "cannot write 'none/here'" --report=json:none/here true
  refused "No such file" --rules=no-such-file true
  refused "rules:2: " --rules=rules true
  refused "not a regular file" --rules=. true
  [ -z "$(sessions)" ]
}

@test "I1: an option's value may stand after it or behind an equals sign, and what follows the command is its own" {
  run "$SHIM_RUN" --locks watch --wait-warn 2.5 --exit-code 9 --out s1 sh -c "$GIVEN" sh RACESHIM
  [ "$status" -eq 0 ]
  [ -d s1 ]
  [[ $output == *"locks=watch"* ]]
  [[ $output == *"wait-warn=2.5"* ]]
  run "$SHIM_RUN" --locks=off --locks=watch -os2 -q -- echo --watch -q --help
  [ "$output" = "--watch -q --help" ]
  [ -d s2 ]
}

@test "I1: a settings word carries blanks, percent signs and line ends of a path" {
  mkdir -m 700 $'a b%c\nd'
  run "$SHIM_RUN" -o $'a b%c\nd' sh -c "$GIVEN" sh RACESHIM
  [ "$status" -eq 0 ]
  [[ $output == *"out=$WORK/a%20b%25c%0ad"* ]]
}

@test "I1: --help and --version print and end with status 0" {
  run --separate-stderr "$SHIM_RUN" --help
  [ "$status" -eq 0 ]
  [ "$stderr" = "" ]
  [[ $output == "Usage: shim-run"* ]]
  local option
  for option in watch locks env rules out fail-on exit-code lock-timeout wait-warn report quiet show-values no-follow trace; do
    [[ $output == *"--$option"* ]]
  done
  run "$SHIM_RUN" --version
  [ "$status" -eq 0 ]
  [[ $output == "shim-run (raceshim) "[0-9]* ]]
}

# ---- signals and job control

@test "I1: a signal sent to shim-run reaches the command, once" {
  local sig
  start_log "$SHIM_RUN"
  for sig in HUP INT QUIT USR1 USR2 ALRM PIPE CONT WINCH TSTP TTIN TTOU SEGV CHLD URG RTMIN RTMAX; do
    kill "-$sig" "$job"
    until_true has_line log "got=$(kill -l "$sig")"
  done
  kill -TERM "$job"
  wait "$job"
  for sig in HUP INT QUIT USR1 USR2 ALRM PIPE CONT WINCH TSTP TTIN TTOU SEGV CHLD URG RTMIN RTMAX TERM; do
    count_is log "got=$(kill -l "$sig")" 1
  done
}

@test "I1: a signal sent to the whole process group reaches the command once, as bare" {
  one_group_signal_each() {
    local sig
    start_log "$@"
    for sig in HUP INT USR1 USR2 CONT RTMIN; do
      kill "-$sig" -- "-$job"
      until_true has_line log "got=$(kill -l "$sig")"
    done
    kill -TERM -- "-$job"
    wait "$job"
    for sig in HUP INT USR1 USR2 CONT RTMIN TERM; do
      count_is log "got=$(kill -l "$sig")" 1
    done
  }
  one_group_signal_each env
  one_group_signal_each "$SHIM_RUN"
}

@test "I1: signals sent to the group one upon the other reach the command once each" {
  local sig round
  start_log "$SHIM_RUN"
  for round in {1..50}; do
    for sig in USR1 HUP RTMIN INT USR2 QUIT RTMAX ALRM; do
      kill "-$sig" -- "-$job"
    done
    for sig in USR1 HUP RTMIN INT USR2 QUIT RTMAX ALRM; do
      until_true count_is log "got=$(kill -l "$sig")" "$round"
    done
    until_true has_taken_all "$job"
  done
  kill -TERM -- "-$job"
  wait "$job"
  for sig in USR1 HUP RTMIN INT USR2 QUIT RTMAX ALRM; do
    count_is log "got=$(kill -l "$sig")" "$round"
  done
  count_is log "got=$(kill -l TERM)" 1
}

@test "I1: signals reach the command though shim-run's other process was stopped or killed" {
  local way
  for way in STOP KILL; do
    start_log "$SHIM_RUN"
    until_true pgrep -P "$job" shim-witness >witness
    kill "-$way" "$(cat witness)"
    kill -USR1 "$job"
    until_true has_line log "got=$(kill -l USR1)"
    until_true has_taken_all "$job"
    kill -USR2 -- "-$job"
    until_true has_line log "got=$(kill -l USR2)"
    until_true has_taken_all "$job"
    kill -TERM "$job"
    wait "$job"
    count_is log "got=$(kill -l USR1)" 1
    count_is log "got=$(kill -l USR2)" 1
  done
}

@test "I1: after a signal to the group the next one to shim-run alone still reaches the command" {
  local round
  start_log "$SHIM_RUN"
  for round in 1 3 5; do
    kill -USR1 -- "-$job"
    until_true count_is log "got=$(kill -l USR1)" "$round"
    until_true has_taken_all "$job"
    kill -USR1 "$job"
    until_true count_is log "got=$(kill -l USR1)" $((round + 1))
    until_true has_taken_all "$job"
  done
  kill -TERM "$job"
  wait "$job"
}

@test "I1: a queued signal keeps its value" {
  need python3
  start_log "$SHIM_RUN"
  python3 - "$job" <<'EOF'
import ctypes, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.sigqueue.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
sys.exit(libc.sigqueue(int(sys.argv[1]), signal.SIGRTMIN + 3, 4711))
EOF
  until_true has_line log value=4711
  kill -TERM "$job"
  wait "$job"
}

@test "I1: the command stops and goes on with shim-run, and the caller sees both" {
  local sig
  mkfifo fifo
  for sig in STOP TSTP TTIN; do
    start "$SHIM_RUN" sh -c 'echo $$; read -r line <fifo'
    until_true test -s log
    command=$(cat log)
    kill "-$sig" "$command"
    until_true has_state "$command" T
    until_true has_state "$job" T
    kill -CONT "$job"
    until_true has_state "$command" S
    kill -KILL "$command"
    wait "$job" || [ $? -eq 137 ]
  done
}

@test "I1: SIGTSTP sent to shim-run stops the command and then itself" {
  mkfifo fifo
  start "$SHIM_RUN" sh -c 'echo $$; read -r line <fifo; echo "$line"'
  until_true test -s log
  command=$(cat log)
  kill -TSTP "$job"
  until_true has_state "$command" T
  until_true has_state "$job" T
  kill -CONT -- "-$job"
  until_true has_state "$job" S
  echo went on >fifo
  wait "$job"
  has_line log "went on"
}

@test "I1: an ignored signal stays ignored in the command, and a default one default" {
  run bash -c 'trap "" HUP USR1; exec "$SHIM_RUN" grep SigIgn /proc/self/status'
  local shimmed=$output
  run bash -c 'trap "" HUP USR1; exec grep SigIgn /proc/self/status'
  [ "$output" = "$shimmed" ]
  run "$SHIM_RUN" grep -E 'SigIgn|SigBlk' /proc/self/status
  shimmed=$output
  run grep -E 'SigIgn|SigBlk' /proc/self/status
  [ "$output" = "$shimmed" ]
}

@test "I1: SIGCHLD ignored by the caller does not lose the exit status" {
  need python3
  run python3 -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])' "$SHIM_RUN" sh -c 'exit 9'
  [ "$status" -eq 9 ]
}

@test "I1: an alarm that was set before shim-run reaches the command" {
  need perl
  start_log perl -e 'alarm 1; exec @ARGV' "$SHIM_RUN"
  until_true has_line log "got=$(kill -l ALRM)"
  kill -TERM "$job"
  wait "$job"
}

# ---- terminal, descriptors, environment

# at_terminal COMMAND-LINE: on a terminal of its own, which shows in the file screen
at_terminal() { TERM=xterm script -qec "$1" /dev/null >screen 2>&1 3>&-; }

@test "I1: stdin, stdout and stderr are the command's, and a terminal stays one" {
  need script
  run --separate-stderr "$SHIM_RUN" sh -c 'cat; echo err >&2' <<<"through"
  [ "$output" = through ]
  [ "$stderr" = err ]
  at_terminal "'$SHIM_RUN' sh -c 'test -t 0 && test -t 1 && test -t 2 && stty size >/dev/null && echo a terminal'"
  grep -q 'a terminal' screen
}

@test "I1: the interrupt key of a terminal reaches the command once" {
  need script
  mkfifo keys
  TERM=xterm script -qec "'$SHIM_RUN' '$PROBES/signal_log'" /dev/null <keys >screen 2>&1 3>&- &
  local job=$!
  exec 8>keys
  until_true grep -q ready=yes screen
  printf '\003' >&8
  until_true grep -q "got=2" screen
  kill -TERM "$(sed -n 's/^pid=\([0-9]*\).*/\1/p' screen)"
  wait "$job"
  exec 8>&-
  [ "$(grep -c 'got=2' screen)" -eq 1 ]
}

@test "I1: the suspend key stops the command in an interactive shell, and fg goes on with it" {
  need script
  mkfifo keys fifo
  PS1='' TERM=xterm script -qec "bash --norc --noprofile -i" /dev/null <keys >screen 2>&1 3>&- &
  local job=$!
  exec 8>keys
  printf '%s\n' "'$SHIM_RUN' sh -c 'echo \$\$ >pid; read -r line <fifo; echo \$line >ended; exit 3'" >&8
  until_true test -s pid
  printf '\032' >&8
  until_true has_state "$(cat pid)" T
  until_true grep -q Stopped screen
  printf 'fg\n' >&8
  until_true has_state "$(cat pid)" S
  echo resumed >fifo
  until_true test -s ended
  printf 'echo status=$?\nexit\n' >&8
  wait "$job" || true
  exec 8>&-
  grep -q 'status=3' screen
}

@test "I1: closed descriptors stay closed, and others are handed on" {
  local redirections
  for redirections in '<&-' '>&-' '<&- >&-' '8<&0 9>&1'; do
    eval "bash -c 'exec ls /proc/self/fd 2>&1 >&8' 8>bare $redirections" || true
    eval "'$SHIM_RUN' bash -c 'exec ls /proc/self/fd 2>&1 >&8' 8>shimmed $redirections" || true
    diff bare shimmed
  done
}

@test "I1: a pipe ends when the command closes it, not when shim-run ends" {
  mkfifo fifo
  timeout 20 bash -c '"$SHIM_RUN" sh -c "echo a; exec >&-; read -r line <fifo; echo \$line >ended" |
    { cat; echo on >fifo; }' 3>&-
  [ "$(cat ended)" = on ]
}

@test "I1: shim-run does not hold a lock on a descriptor that the command has closed" {
  need flock
  run bash -c 'exec 9>lock; flock 9; exec "$SHIM_RUN" sh -c "exec 9>&-; flock -n lock echo free"'
  [ "$status" -eq 0 ]
  [ "$output" = free ]
}

@test "I1: the command's environment is the caller's, also what no shell can spell, in its order" {
  given=(Z=1 A=2 'a.b=dotted' 'BASH_FUNC_f%%=() { :; }' $'TWO=a\nb' 'UTF=é' $'RAW=\xff%41' EMPTY= PATH="$PATH" 'last word')
  env -i "${given[@]:0:9}" env -0 >bare
  env -i "${given[@]:0:9}" "$SHIM_RUN" env -0 >shimmed
  cmp bare shimmed
  env -i "$SHIM_RUN" "$(command -v env)" -0 >shimmed
  [ ! -s shimmed ]
}

@test "E8: the library comes after what others put into LD_PRELOAD, and once" {
  [ -z "${RACESHIM_SANITIZED-}" ] || skip "a sanitizer's runtime refuses to come behind a preloaded library"
  run env LD_PRELOAD=/no/a.so:/no/b.so "$SHIM_RUN" sh -c "$GIVEN" sh LD_PRELOAD
  [ "${lines[-1]}" = "/no/a.so:/no/b.so:$LIBRARY" ]
  run env LD_PRELOAD="/no/a.so $LIBRARY" "$SHIM_RUN" sh -c "$GIVEN" sh LD_PRELOAD
  [ "${lines[-1]}" = "/no/a.so $LIBRARY" ]
  run env LD_PRELOAD= "$SHIM_RUN" sh -c "$GIVEN" sh LD_PRELOAD
  [ "${lines[-1]}" = ":$LIBRARY" ]
  run env -u LD_PRELOAD "$SHIM_RUN" sh -c "$GIVEN" sh LD_PRELOAD
  [ "${lines[-1]}" = "$LIBRARY" ]
}

@test "I1: the library is in the command and not in shim-run" {
  run "$SHIM_RUN" sh -c 'grep -c libraceshim.so /proc/$$/maps; cat /proc/$PPID/maps'
  [ "${lines[0]}" -gt 0 ]
  [[ ${output#*$'\n'} == *shim-exec* ]]
  [[ ${output#*$'\n'} != *libraceshim* ]]
}

@test "H1: no process of shim-run's is left after the command" {
  need ps setsid
  run setsid -w bash -c '"$SHIM_RUN" true; ps -o comm= -s $$; :'
  printf '%s\n' "$output"
  [ "$(sort <<<"$output")" = $'bash\nps' ]
}

@test "H1: no process of shim-run's is left when it is killed by SIGKILL" {
  need pgrep
  start_log "$SHIM_RUN"
  until_true pgrep -P "$job" shim-witness >witness
  kill -KILL "$job"
  wait "$job" || [ $? -eq 137 ]
  until_true is_gone "$(cat witness)"
  until_true is_gone "$command"
}

# ---- the session directory

@test "R5: the session is a private directory of an unpredictable name, gone when nothing was recorded" {
  show='d=$(tr "\0" "\n" </proc/$$/environ | sed -n "s/^RACESHIM=.*out=\([^ ]*\).*/\1/p"); echo "dir=$d"; stat -c mode=%a "$d"'
  run "$SHIM_RUN" sh -c "$show"
  [[ $(fact dir) =~ ^"$WORK"/raceshim-[A-Za-z0-9]{10}$ ]]
  [ "$(fact mode)" = 700 ]
  [ -z "$(sessions)" ]
  local first
  first=$(fact dir)
  run "$SHIM_RUN" sh -c "$show"
  [ "$(fact dir)" != "$first" ]
  run bash -c "umask 0; \"\$SHIM_RUN\" sh -c '$show; umask'"
  [ "$(fact mode)" = 700 ]
  [ "${lines[2]}" = 0000 ]
  run bash -c "umask 777; \"\$SHIM_RUN\" sh -c '$show'"
  [ "$(fact mode)" = 700 ]
}

@test "R5: a session with records is kept and named in the summary" {
  leave_record self-lock warning
  run "$SHIM_RUN" sh -c 'd=$(sh -c "$GIVEN" sh RACESHIM); d=${d#*out=}; cat line >"${d%% *}/7.0.jsonl"'
  [ "$status" -eq 0 ]
  local kept
  kept=$(sessions)
  [ -s "$kept/7.0.jsonl" ]
  [[ $output == *"the records are in $kept"* ]]
}

@test "R5: a session directory that the user names is made with mode 0700, and kept" {
  run "$SHIM_RUN" -o s true
  [ "$status" -eq 0 ]
  [ "$(stat -c %a s)" = 700 ]
  run "$SHIM_RUN" --out="$WORK/s/" true
  [ "$status" -eq 0 ]
}

@test "R5: a link, a file, a directory open to others or of another user's is refused, with what to do" {
  refused() {
    local pattern=$1
    shift
    run "$SHIM_RUN" "$@" touch ran
    printf '%s\n' "$status: $output"
    [ "$status" -eq 125 ] && [ ! -e ran ] && [ "${#lines[@]}" -eq 1 ] && [[ $output == *$pattern* ]]
  }
  mkdir -m 700 real
  ln -s real link
  refused "symbolic link" -o link
  refused "symbolic link" -o link/
  ln -s nowhere dangling
  refused "symbolic link" -o dangling
  : >file
  refused "no directory" -o file
  local mode
  for mode in 755 770 1700 500; do
    mkdir -m "$mode" "open$mode"
    refused "chmod 0700" -o "open$mode"
  done
  refused "cannot make session directory" -o no/such/parent
  refused "cannot make session directory" -o /proc/none
  TMPDIR=$WORK/none refused "set TMPDIR"
  [ "$(id -u)" -ne 0 ] || {
    mkdir -m 700 foreign
    chown 65534 foreign
    refused "belongs to user 65534" -o foreign
  }
}

@test "I1: a directory with earlier records is used again, and those are not this run's findings" {
  leave_record self-lock warning
  run "$SHIM_RUN" -o s --fail-on=any "${command_words[@]}"
  [ "$status" -eq 66 ]
  run "$SHIM_RUN" -o s --fail-on=any true
  [ "$status" -eq 0 ]
  [ "$output" = "" ]
  leave_record deadlock error
  run "$SHIM_RUN" -o s --fail-on=any "${command_words[@]}"
  [ "$status" -eq 66 ]
  [[ $output == *deadlock* ]]
  [[ $output != *self-lock* ]]
}

# ---- findings

@test "I1: the summary goes to stderr after the command: a line a finding, then where the records are" {
  leave_record self-lock warning 4
  run --separate-stderr "$SHIM_RUN" -o s "${command_words[@]}"
  [ "$status" -eq 4 ]
  [ "$output" = "" ]
  [ "${#stderr_lines[@]}" -eq 2 ]
  [[ ${stderr_lines[0]} == "prog[7] self-lock: "*"; denied; x3" ]]
  [[ ${stderr_lines[1]} == *"records are in $WORK/s"* ]]
  rm -r s
  run "$SHIM_RUN" -q -o s "${command_words[@]}"
  [ "$status" -eq 4 ]
  [ "$output" = "" ]
}

@test "I1: --fail-on changes the status when such a record was written, and only then" {
  status_is() {
    local wanted=$1
    shift
    rm -rf s
    run "$SHIM_RUN" -q -o s "$@" "${command_words[@]}"
    [ "$status" -eq "$wanted" ]
  }
  leave_record self-lock warning 4
  status_is 4
  status_is 4 --exit-code=9
  status_is 66 --fail-on=self-lock
  status_is 66 --fail-on=any
  status_is 66 --fail-on deadlock,self-lock
  status_is 9 --fail-on=self-lock --exit-code=9
  status_is 2 --fail-on=self-lock --exit-code=2
  status_is 4 --fail-on=deadlock
  leave_record degraded note
  status_is 0 --fail-on=any
  status_is 66 --fail-on=degraded
}

@test "I1: --report writes to its file beside the summary, or to stderr in its place" {
  need jq
  leave_record self-lock warning
  run "$SHIM_RUN" -o s --report=json:out.json "${command_words[@]}"
  [ "$status" -eq 0 ]
  [[ $output == "prog[7] self-lock"* ]]
  [ "$(jq -r '.[0].kind' out.json)" = self-lock ]
  rm -r s
  run --separate-stderr "$SHIM_RUN" -o s --report text "${command_words[@]}"
  [ "$output" = "" ]
  [[ $stderr == "warning: self-lock: prog[7]"* ]]
  rm -r s
  run "$SHIM_RUN" -q --report=json:empty.json true
  [ "$status" -eq 0 ]
  [ "$(jq -c . empty.json)" = "[]" ]
}

@test "I1: colour only on a terminal, and not with NO_COLOR" {
  need script
  leave_record self-lock warning
  echo "'$SHIM_RUN' -o s sh -c 'cat line >s/7.0.jsonl'" >call
  sh call >plain 2>&1
  run grep -c $'\033' plain
  [ "$output" -eq 0 ]
  rm s/*
  at_terminal "sh call"
  grep -q $'\033\\[' screen
  rm s/*
  NO_COLOR=1 at_terminal "sh call"
  run grep -c $'\033' screen
  [ "$output" -eq 0 ]
}

@test "I1: --env is handed on" {
  local mode
  for mode in scoped private watch off; do
    run "$SHIM_RUN" "--env=$mode" sh -c "$GIVEN" sh RACESHIM
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == *"env=$mode"* ]]
  done
}

@test "I1: --watch is --locks=watch --env=watch; the default is repair and scoped" {
  run "$SHIM_RUN" --watch sh -c "$GIVEN" sh RACESHIM
  [[ $output == *"locks=watch env=watch"* ]]
  run "$SHIM_RUN" sh -c "$GIVEN" sh RACESHIM
  [[ $output == *"locks=repair env=scoped"* ]]
  run "$SHIM_RUN" --show-values --no-follow sh -c "$GIVEN" sh RACESHIM
  [[ $output == *show-values*no-follow* ]]
}

@test "I1: --rules hands on the file's absolute path" {
  echo 'lock *.lock description' >rules
  run "$SHIM_RUN" --rules=rules sh -c "$GIVEN" sh RACESHIM
  [[ $output == *"rules=$WORK/rules"* ]]
}

# ---- where the pieces are

@test "I1: a missing library, helper or reporter is one clear message" {
  mkdir -p tree/tools tree/.libs
  cp "$BUILD/tools/shim-run" "$BUILD/tools/shim-exec" "$BUILD/tools/shim-report" tree/tools
  run tree/tools/shim-run true
  [ "$status" -eq 125 ]
  [ "$output" = "shim-run: cannot find the library '$WORK/tree/.libs/libraceshim.so': No such file or directory; is raceshim installed completely?" ]
  cp "$LIBRARY" tree/.libs
  run tree/tools/shim-run true
  [ "$status" -eq 0 ]
  mkdir 'tree two'
  cp -r tree/. 'tree two'
  run 'tree two/tools/shim-run' true
  [ "$status" -eq 125 ]
  [[ $output == *"blank or a colon"* ]]
  rm tree/tools/shim-report
  run tree/tools/shim-run true
  [ "$status" -eq 125 ]
  [[ $output == *"cannot find"*"shim-report"* ]]
  rm tree/tools/shim-exec
  run tree/tools/shim-run true
  [ "$status" -eq 125 ]
}

@test "I1: it is found through PATH, through a link and from another directory" {
  mkdir bin
  ln -s "$SHIM_RUN" bin/shim-run
  PATH=$WORK/bin:$PATH run shim-run sh -c "$GIVEN" sh LD_PRELOAD
  [ "$output" = "$LIBRARY" ]
  cd /
  run "$WORK/bin/shim-run" sh -c "$GIVEN" sh LD_PRELOAD
  [ "$output" = "$LIBRARY" ]
  PATH=${SHIM_RUN%/*}:$PATH run shim-run sh -c "$GIVEN" sh LD_PRELOAD
  [ "$output" = "$LIBRARY" ]
}

# installed_prefix: where the files of `make install` lie within $WORK/stage
install_staged() {
  need make
  make -s -C "$BUILD" install DESTDIR="$WORK/stage" >make.log 2>&1 3>&- || {
    cat make.log
    return 1
  }
  installed=$(find "$WORK/stage" -path '*/bin/shim-run')
  installed=${installed%/bin/shim-run}
}

@test "I1: the installed shim-run works, staged too" {
  install_staged
  run "$installed/bin/shim-run" sh -c 'echo "now=$(sh -c "$GIVEN" sh LD_PRELOAD)"; grep -c libraceshim /proc/$$/maps'
  [ "$status" -eq 0 ]
  [[ $(fact now) == "$WORK/stage/"*/libraceshim.so ]]
  [ "${lines[1]}" -gt 0 ]
  run "$installed/bin/shim-report" --version
  [ "$status" -eq 0 ]
  [ -s "$installed/share/man/man1/shim-run.1" ]
  [ -s "$installed/share/man/man1/shim-report.1" ]
}

@test "E8: a library for more than one ABI is left to the dynamic loader, where that finds it" {
  need gcc
  install_staged
  # A second tree whose libraries lie where the loader of Debian looks, and one where it does not.
  local triplet lib
  triplet=$(gcc -print-multiarch)
  [ -n "$triplet" ] || skip "no multiarch directories here"
  for lib in "$triplet" plain; do
    mkdir -p "multi/$lib/bin" "multi/$lib/libexec/raceshim" "multi/$lib/lib/$lib" "multi/$lib/lib/other"
    cp "$installed"/bin/shim-* "multi/$lib/bin"
    cp "$BUILD/tools/shim-exec" "multi/$lib/libexec/raceshim"
    cp "$LIBRARY" "multi/$lib/lib/$lib"
    cp "$LIBRARY" "multi/$lib/lib/other"
    sed -i -e "s|^prefix=.*|prefix=$WORK/multi/$lib|" -e "s|^exec_prefix=.*|exec_prefix=\$prefix|" \
      -e "s|^bindir=.*|bindir=\$prefix/bin|" -e "s|^libdir=.*|libdir=\$prefix/lib/$lib|" \
      -e "s|^helperdir=.*|helperdir=\$prefix/libexec/raceshim|" "multi/$lib/bin/shim-run"
    run "multi/$lib/bin/shim-run" sh -c 'echo "now=$(sh -c "$GIVEN" sh LD_PRELOAD)"; grep libraceshim /proc/$$/maps | head -n 1'
    [ "$status" -eq 0 ]
    [[ ${lines[1]} == *"$WORK/multi/$lib/lib/$lib/libraceshim.so" ]]
    if [ "$lib" = plain ]; then
      [ "$(fact now)" = "$WORK/multi/plain/lib/plain/libraceshim.so" ]
    else
      [ "$(fact now)" = "$WORK/multi/$lib/"'$LIB/libraceshim.so' ]
    fi
  done
}
