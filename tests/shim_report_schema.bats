#!/usr/bin/env bats
# The records as the documents describe them.
#
# bats runs each test in a subshell.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib
load shim_report

prepare() {
  need jq python3
  python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"
  unset DEBUGINFOD_URLS
  export SESSION
  DOCUMENTS=$BATS_TEST_DIRNAME/../doc
  cat >validate.py <<'SOURCE'
# validate.py SCHEMA RECORDS: says what is not as the schema wants it, and which fields it does not describe
import json, sys
import jsonschema

schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)

def close(part):
    """The same schema, for which a field that is not described is wrong."""
    if isinstance(part, dict):
        part = {key: close(value) for key, value in part.items()}
        if "properties" in part:
            part["additionalProperties"] = False
    elif isinstance(part, list):
        part = [close(value) for value in part]
    return part

strict = jsonschema.Draft7Validator(close(schema))
text = open(sys.argv[2], encoding="utf-8").read()
records = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
wrong = 0
for record in records:
    for error in list(validator.iter_errors(record)) + list(strict.iter_errors(record)):
        print(list(error.absolute_path), error.message[:200])
        wrong += 1
print(len(records), "records")
sys.exit(wrong > 0 or not records)
SOURCE
}

validate() {
  run python3 validate.py "$DOCUMENTS/raceshim-record.schema.json" "$1"
  printf '%s\n' "$output"
  [ "$status" -eq 0 ]
}

@test "R4: what the library writes is as the schema says, and the schema describes all of it" {
  mkdir -p cache
  shimmed "$BUILD/tools/demo/compiler-session" cache
  shimmed "$PROBES/unlocking_second_description" fcntl "$WORK/file"
  shimmed "$PROBES/threads_share_description" fcntl same "$WORK/file"
  shimmed "$PROBES/locks_file_that_is_gone" unlinked "$WORK/file"
  cat "$SESSION"/*.jsonl >records
  [ "$(jq -r .kind records | sort -u | wc -l)" -ge 5 ]
  validate records
  "$SHIM_REPORT" --format=json -o merged "$SESSION"
  validate merged
  [ "$(jq '[.[].here.stack[]? | select(.symbols)] | length' merged)" -gt 0 ]
}

@test "R4: the example in the description of the format is a record" {
  sed -n '/^```json/,/^```/p' "$DOCUMENTS/log-format.md" | sed '1d;$d; s/"6f0c\.\.\."/"6f0c"/' | jq -c . >records
  validate records
}

@test "R4: the schema refuses what is no record" {
  local change
  record self-lock warning 01 00000000000000aa >good
  validate good
  for change in 's/"v":1/"v":2/' 's/"severity":"warning"/"severity":"grave"/' 's/"count":1 /"count":0 /' \
    's/Z",/",/' 's/"pid":7/"pid":-7/' 's/aa"/AA"/' 's/"exe"/"program"/'; do
    sed "$change" good >bad
    [ "$(cat good)" != "$(cat bad)" ]
    run python3 validate.py "$DOCUMENTS/raceshim-record.schema.json" bad
    [ "$status" -eq 1 ]
  done
}

@test "R4: the documented line loads the records into SQLite" {
  need sqlite3
  full_record >"$SESSION/7.0.jsonl"
  record lock-lost error 02 00000000000000ab '"file":{"path":"/x/\udcff\"y"},"count":4' >>"$SESSION/7.0.jsonl"
  PATH=$BUILD/tools:$PATH bash -c "$(grep '^    shim-report .* sqlite3 ' "$DOCUMENTS/log-format.md")"
  run bash -c "$(grep '^    sqlite3 r.db' "$DOCUMENTS/log-format.md")"
  [ "${#lines[@]}" -eq 2 ]
  [[ ${lines[0]} == "lock-lost|/x/"*'"y|4' ]]
  [ "${lines[1]}" = "self-lock|$WORK/incremental/s.lock|3" ]
}
