# What was found is in the session directory, whole, once, and can do no mischief there.

load lib
load harm

ask() { shimmed "$PROBES/asks_against_own_lock" "$@"; }

lines() { cat "$SESSION"/*.jsonl | wc -l; }

# Every line of the session is one JSON object, and the last one ends.
all_parse() {
  local file
  for file in "$SESSION"/*.jsonl; do
    [ -s "$file" ] || continue
    [ "$(tail -c 1 "$file" | od -An -tx1 | tr -d ' ')" = 0a ] || return 1
    [ "$(jq -c 'select(type == "object")' "$file" | wc -l)" = "$(wc -l <"$file")" ] || return 1
  done
}

counted() { cat "$SESSION"/*.jsonl | jq -s 'map(select(.kind == "self-lock").count) | add'; }

@test "R4: a record has every field of the schema" {
  run ask file
  [ "$(lines)" = 1 ]
  run jq -r '[.v, .kind, .severity, .action, .count] | join(" ")' "$SESSION"/*.jsonl
  [ "$output" = '1 self-lock error denied 1' ] || [ "$output" = '1 self-lock warning denied 1' ]
  run jq -e '
    (.time | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$")) and
    (.pid > 0) and (.tid == .pid) and (.thread | length > 0) and (.id | test("^[0-9a-f]{16}$")) and
    (.exe | endswith("/asks_against_own_lock")) and
    (.file.path | endswith("/file")) and (.file.dev > 0 or (.file.dev | type) == "string") and
    .range.start == 0 and .range.len == 10 and .range.type == "write" and
    (.here | has("pid") and has("tid") and has("thread") and has("fd") and has("since") and has("stack")) and
    (.there | has("pid") and has("tid") and has("thread") and has("fd") and has("since") and has("stack"))' \
    "$SESSION"/*.jsonl
  [ "$status" = 0 ]
}

@test "R4: the inode and the path of a record are the file's" {
  run ask file
  [ "$(jq .file.ino "$SESSION"/*.jsonl)" = "$(stat -c %i file)" ]
  [ "$(jq -r .file.path "$SESSION"/*.jsonl)" = "$(realpath file)" ]
}

@test "R4: the time of a record is the time at which it happened" {
  local before after
  before=$(date -u +%Y-%m-%dT%H:%M:%S)
  run ask file
  after=$(date -u +%Y-%m-%dT%H:%M:%S.Z)
  run jq -r .time "$SESSION"/*.jsonl
  [[ ! "$output" < "$before" ]]
  [[ "$output" < "$after" || "${output%.*}" = "${after%.*}" ]]
}

@test "R1: a record names both threads and both descriptors" {
  run shimmed "$PROBES/asks_from_two_places" file
  [ "$(fact denied)" = 3 ]
  local event
  event=$(events self-lock | head -n 1)
  [ "$(jq .pid <<<"$event")" = "$(fact pid)" ]
  [ "$(jq .here.fd <<<"$event")" = "$(fact second)" ]
  [ "$(jq .there.fd <<<"$event")" = "$(fact first)" ]
  [ "$(jq .here.tid <<<"$event")" = "$(fact asking_thread)" ]
  [ "$(jq .there.tid <<<"$event")" = "$(fact pid)" ]
  [ "$(jq -r .here.thread <<<"$event")" = asker ]
  [ "$(jq -r .there.thread <<<"$event")" = holder ]
  [ "$(jq -r '.there.since <= .here.since' <<<"$event")" = true ]
}

@test "R1: a record has the stack of each side, as module, build ID and offset" {
  need readelf addr2line
  run shimmed "$PROBES/asks_from_two_places" file
  local id event name side
  id=$(readelf -n "$PROBES/asks_from_two_places" | sed -n 's/.*Build ID: //p')
  event=$(events self-lock | head -n 1)
  for side in here there; do
    jq -e ".$side.stack | length > 1" <<<"$event"
    # The library's own frames are not the program's business.
    run jq -r ".$side.stack[0].module" <<<"$event"
    [[ "$output" == */asks_from_two_places ]]
    if [ -n "$id" ]; then
      [ "$(jq -r ".$side.stack[0].build_id" <<<"$event")" = "$id" ]
    fi
  done
  # One frame of the asking side is the place; offsets are return addresses.
  name=$(jq -r '.here.stack[] | select(.module | endswith("/asks_from_two_places")) | .offset' <<<"$event" |
    while read -r offset; do
      printf '0x%x\n' $((offset - 1))
    done | xargs addr2line -i -f -e "$PROBES/asks_from_two_places")
  grep -x ask_here <<<"$name"
}

@test "R1: two places are two findings, and the second time at one place is no third" {
  run shimmed "$PROBES/asks_from_two_places" file
  [ "$(count_events self-lock)" = 2 ]
  [ "$(events self-lock | jq -s 'map(.count) | sort == [1, 2]')" = true ]
  [ "$(events self-lock | jq -s 'map(.id) | unique | length')" = 2 ]
}

@test "R1: equal findings of two runs have one fingerprint" {
  run ask file
  run ask file
  [ "$(count_events self-lock)" = 2 ]
  [ "$(events self-lock | jq -s 'map(.id) | unique | length')" = 1 ]
  [ "$(events self-lock | jq -s 'map(.pid) | unique | length')" = 2 ]
}

@test "R3: a finding of which the program then dies by SIGKILL is recorded" {
  run ask file 1 kill
  [ "$status" = 137 ]
  [ "$(count_events self-lock)" = 1 ]
  [ "$(counted)" = 1 ]
  all_parse
}

@test "R3: a thousand repeats are one record with the right count, however the program ends" {
  local end
  for end in return _exit quick_exit kill; do
    rm -f "$SESSION"/*
    run ask file 1000 "$end"
    [ "$(lines)" = 1 ]
    [ "$(counted)" = 1000 ]
    all_parse
  done
}

@test "R3: a program that executes another keeps its records and the next one adds its own" {
  not_under_valgrind "it is itself what /proc/self/exe names"
  run ask file 5 exec
  [ "$status" = 0 ]
  # The lock outlives the exec, so the next program meets it with both its requests.
  [ "$(fact first)" = $'ok\nEAGAIN' ]
  [ "$(counted)" = 7 ]
  all_parse
}

@test "R3: processes and threads that record at once do not corrupt each other's records" {
  run shimmed "$PROBES/asks_in_parallel" 4 3 100
  [ "$(fact asked)" = 1201 ]
  all_parse
  [ "$(counted)" = 1201 ]
  [ "$(cat "$SESSION"/*.jsonl | jq -s 'map(.pid) | unique | length')" = 5 ]
  # Each line is of the process that its file is named after.
  for file in "$SESSION"/*.jsonl; do
    [ "$(jq -s 'map(.pid) | unique | map(tostring) | join(" ")' -r "$file")" = "$(basename "$file" | cut -d . -f 1)" ]
  done
}

@test "R3: two programs at once in one session do not corrupt each other's records" {
  mkdir one two
  (cd one && shimmed "$PROBES/asks_in_parallel" 2 2 50 >/dev/null) &
  local other=$!
  (cd two && shimmed "$PROBES/asks_in_parallel" 2 2 50 >/dev/null)
  wait "$other"
  all_parse
  [ "$(counted)" = 402 ]
}

@test "R3: a process with the number of an earlier one does not overwrite its records" {
  need_root
  unshare -p -f true 2>/dev/null || skip 'PID namespaces are not to be had'
  run unshare -p -f --mount-proc env LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$SESSION" \
    "$PROBES/asks_against_own_lock" file
  [ "$(fact refused)" = 1 ]
  run unshare -p -f --mount-proc env LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$SESSION" \
    "$PROBES/asks_against_own_lock" file
  [ "$(fact refused)" = 1 ]
  [ "$(counted)" = 2 ]
  [ "$(cat "$SESSION"/*.jsonl | jq -s 'map(.pid) | unique | length')" = 1 ]
  all_parse
}

@test "R3: a session directory that fills up while records are written leaves whole lines" {
  need_mounts
  # shellcheck disable=SC2016 # for the inner shell
  run unshare -m bash -c '
    mount -t tmpfs -o size=48k none "$1" || exit 99
    chmod 700 "$1"
    env LD_PRELOAD="$2" RACESHIM="locks=repair env=off out=$1" "$3" 8 2 20
    status=$?
    cp "$1"/*.jsonl .
    exit "$status"' bash "$SESSION" "$LIBRARY" "$PROBES/asks_in_parallel"
  [ "$status" = 0 ]
  [ "$output" = asked=321 ]
  # Some were written, and no line was cut off.
  mv ./*.jsonl "$SESSION"
  [ "$(lines)" -ge 1 ]
  all_parse
}

# records_name NAME: a finding about a file of that name is one record without a byte that could do harm.
records_name() {
  run ask "$1"
  [ "$(fact refused)" = 1 ]
  [ "$(lines)" = 1 ]
  all_parse
  # Nothing but printable ASCII and the end of the line.
  run bash -c "LC_ALL=C tr -d '\\n -~' <\"\$1\" | wc -c" bash "$SESSION"/*.jsonl
  [ "$output" = 0 ]
}

@test "R2: a newline in a name forges no record" {
  local name=$'file\n{"v":1,"kind":"deadlock"}'
  records_name "$name"
  [ "$(count_events deadlock)" = 0 ]
  [ "$(events self-lock | jq -r .file.path)" = "$(realpath .)/$name" ]
}

@test "R2: quotes and backslashes in a name end no string" {
  # shellcheck disable=SC1003 # a backslash at the end
  local name='a"b\"c\'
  records_name "$name"
  [ "$(events self-lock | jq -r .file.path)" = "$(realpath .)/$name" ]
}

@test "R2: control characters in a name drive no terminal" {
  local name=$'a\e[31mb\a\b\x7f\tc\r'
  records_name "$name"
  [ "$(events self-lock | jq -r .file.path)" = "$(realpath .)/$name" ]
}

@test "R2: C1 control characters in a name drive no terminal" {
  local name=$'a\xc2\x9b31mb\xc2\x9dc'
  records_name "$name"
}

@test "R2: markup in a name is none in an HTML page" {
  mkdir 'a<script>&b<'
  local name='a<script>&b</script>'
  records_name "$name"
  [ "$(events self-lock | jq -r .file.path)" = "$(realpath .)/$name" ]
  run grep -c '[<>&]' "$SESSION"/*.jsonl
  [ "$output" = 0 ]
}

@test "R2: a name that is not UTF-8 is recorded as valid JSON" {
  records_name $'a\xff\xfe\xc0\xafb\xed\xa0\x80'
  iconv -f UTF-8 -t UTF-8 "$SESSION"/*.jsonl >/dev/null
  [[ "$(events self-lock | jq -r .file.path)" == */a*b* ]]
}

@test "R2: the names of threads and programs are escaped too" {
  cp "$PROBES/asks_from_two_places" $'odd\n\e"program'
  run shimmed ./$'odd\n\e"program' file $'t\n\e"\xff'
  [ "$(fact denied)" = 3 ]
  [ "$(lines)" = 2 ]
  all_parse
  run bash -c "LC_ALL=C tr -d '\\n -~' <\"\$1\" | wc -c" bash "$SESSION"/*.jsonl
  [ "$output" = 0 ]
  events self-lock | jq -e '.exe | endswith("odd\n\u001b\"program")'
}

@test "R2: the longest name is recorded as valid JSON" {
  local deep name
  name=$(printf 'x%.0s' {1..200})
  deep=$(for _ in {1..15}; do printf '%s/' "$name"; done)
  mkdir -p "$deep"
  run ask "$deep"$'\e'
  [ "$(fact refused)" = 1 ]
  [ "$(lines)" = 1 ]
  all_parse
}

@test "R5: records are for their owner's eyes, whatever the umask" {
  local mask
  for mask in 000 022 777; do
    rm -f "$SESSION"/*
    run bash -c "umask $mask; exec \"\$@\"" bash env LD_PRELOAD="$LIBRARY" \
      RACESHIM="locks=repair env=off out=$SESSION" "$PROBES/asks_from_two_places" file
    [ "$(lines)" = 2 ]
    [ "$(stat -c %a "$SESSION"/*.jsonl)" = 600 ]
  done
}

# Nothing is written to $1, and the program is repaired all the same.
writes_nothing_to() {
  run env LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$1" \
    "$PROBES/asks_against_own_lock" file
  [ "$status" = 0 ]
  [ "$output" = $'first=ok\ngranted=0\nrefused=1\nthreads=1\nchild=none' ]
  [ -z "$(ls -A "$SESSION")" ]
}

@test "R5: a session directory that is a link is not written to" {
  ln -s "$SESSION" link
  writes_nothing_to "$WORK/link"
  writes_nothing_to "$WORK/link/"
}

@test "R5: a session directory that others may write to is not written to" {
  local mode
  for mode in 770 707 777 1777; do
    chmod "$mode" "$SESSION"
    writes_nothing_to "$SESSION"
  done
  chmod 700 "$SESSION"
  run ask file
  [ "$(lines)" = 1 ]
}

@test "R5: somebody else's session directory is not written to" {
  need_root
  chown 65534 "$SESSION"
  writes_nothing_to "$SESSION"
}

@test "R5: a session directory that is a file is left as it is" {
  echo text >"$WORK/plain"
  writes_nothing_to "$WORK/plain"
  [ "$(cat "$WORK/plain")" = text ]
}

# The next number is planted for every process that could come.
@test "R5: a link in the session directory is not followed" {
  echo text >target
  # shellcheck disable=SC2016 # for the inner shell
  run bash -c 'ln -s "$PWD/target" "$1/$$.0.jsonl"; ln -s "$PWD/target" "$1/$$.1.jsonl"; shift; exec "$@"' \
    bash "$SESSION" env LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$SESSION" \
    "$PROBES/asks_against_own_lock" file
  [ "$(fact refused)" = 1 ]
  [ "$(cat target)" = text ]
}

@test "I2: an escaped session directory is found" {
  mkdir -m 700 'odd name 100%'
  run env LD_PRELOAD="$LIBRARY" RACESHIM="locks=repair env=off out=$WORK/odd%20name%20100%25" \
    "$PROBES/asks_against_own_lock" file
  [ "$(cat 'odd name 100%'/*.jsonl | jq -r .kind)" = self-lock ]
}

# The settings that can be read stand, the others are ignored and named.
@test "I2: bad settings are ignored and recorded" {
  not_under_valgrind "it reads the settings as a program of its own"
  local bad
  for bad in locks=banana frobnicate wait-warn=often lock-timeout=-1 env=%zz =x 'rules=/nonexistent/rules'; do
    rm -f "$SESSION"/*
    run with_settings "$bad env=off" "$PROBES/asks_against_own_lock" file
    [ "$status" = 0 ]
    [ "$output" = $'first=ok\ngranted=0\nrefused=1\nthreads=1\nchild=none' ]
    [ "$(count_events self-lock)" = 1 ]
    [ "$(count_events degraded)" = 1 ]
    events degraded | jq -e '.detail | length > 0'
  done
}

@test "I2: a program without findings says of bad settings too that they were ignored" {
  not_under_valgrind "it reads the settings as a program of its own"
  run with_settings frobnicate true
  [ "$status" = 0 ]
  [ "$output" = '' ]
  [ "$(count_events degraded)" = 1 ]
}

@test "R3: a program without findings leaves no record behind, one that never locks no file" {
  run shimmed "$PROBES/numbers_seen" facts
  [ "$status" = 0 ]
  grep -x kernel_held=OFDLCK facts
  no_events
  rm -f "$SESSION"/*
  run shimmed true
  [ -z "$(ls -A "$SESSION")" ]
}

@test "R3: a session directory without room for the picture of its locks still takes records, or nothing" {
  need_mounts
  local size
  for size in 4k 8k 12k 16k 24k; do
    # shellcheck disable=SC2016 # for the inner shell
    run unshare -m bash -c '
      mount -t tmpfs -o size="$4" none "$1" || exit 99
      chmod 700 "$1"
      exec env LD_PRELOAD="$2" RACESHIM="locks=repair env=off out=$1" "$3" 8 2 20' \
      bash "$SESSION" "$LIBRARY" "$PROBES/asks_in_parallel" "$size"
    [ "$status" = 0 ]
    [ "$output" = asked=321 ]
  done
}
