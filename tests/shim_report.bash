# shellcheck shell=bash
# shellcheck disable=SC2154 # bats sets $output and $stderr
# Records made by hand, for the tests of shim-report.

# record KIND SEVERITY TIME ID [MORE]: one line; MORE are further fields, which win over the first ones
record() {
  printf '{"v":1,"count":1           ,"kind":"%s","severity":"%s","time":"2026-11-23T12:00:%sZ","id":"%s","pid":7,"tid":7,"thread":"t","exe":"/usr/bin/prog","action":"denied"%s}\n' \
    "$1" "$2" "$3" "$4" "${5:+,$5}"
}

# A record with all that the library writes for a lock.
full_record() {
  record self-lock warning 01.5 00000000000000aa "$(tr -d '\n' <<EOF
"count":3,
"file":{"path":"$WORK/incremental/s.lock","dev":2049,"ino":77},
"range":{"start":8,"len":4,"type":"write"},
"here":{"pid":7,"tid":9,"thread":"worker","fd":5,"since":null,
 "stack":[{"module":"/lib/libc.so.6","build_id":"abcd","offset":"0x7b"},
          {"module":"/usr/bin/prog","build_id":"ff00","offset":"0x1000"}]},
"there":{"pid":8,"tid":8,"thread":"main","exe":"/usr/bin/other","fd":4,"since":"2026-11-23T11:00:00.000000000Z",
 "stack":[{"module":"/usr/lib/libbuild.so","build_id":"","offset":"0x2000"}]}
EOF
)"
}

# json PROGRAM: of the last run's array
json() { jq -r "$1" <<<"$output"; }

# hostile_records: names and sentences of all that could drive a terminal, a page, a log or a parser
hostile_records() {
  local evil='\u001b[2J\u0000\n::error::forged\r\n##[add-path]/forged ##vso[task]\u009b1m\u202egnp\u2028\u200b\ufeff\u007f\\\"'"'"'</script><img src=x onerror=alert(1)>]]>&amp;%0a`|*_<!--\udcff\ufffe'
  local long
  long=$(printf '/%0399d' 1 2 3 4 5 6 7 8 9 10)
  record "$evil" "$evil" 01 00000000000000aa "\"exe\":\"/bin/$evil\",\"action\":\"$evil\",\"detail\":\"$evil\",\"var\":\"$evil\",\"thread\":\"$evil\",\"file\":{\"path\":\"/$evil\"},\"range\":{\"type\":\"$evil\"},\"here\":{\"pid\":7,\"thread\":\"$evil\",\"since\":\"$evil\",\"stack\":[{\"module\":\"$evil\",\"build_id\":\"$evil\",\"offset\":\"$evil\"}]},\"there\":{\"pid\":8,\"exe\":\"$evil\",\"stack\":[{\"module\":\"/x/$evil\",\"offset\":\"0x10\"}]}"
  record self-lock error 02 00000000000000ab "\"file\":{\"path\":\"/$evil$long\"},\"exe\":\"$long\",\"var\":\"$evil\",\"here\":{\"pid\":7,\"tid\":7,\"since\":\"2026-11-23T11:00:00Z\",\"stack\":[{\"module\":\"$long\",\"build_id\":\"\",\"offset\":\"0x7\"}]}"
  record long-wait warning 03 00000000000000ac "\"action\":\"waited\",\"file\":{\"path\":\"$evil\"},\"exe\":\"/bin/$evil\",\"here\":{\"pid\":7,\"tid\":7,\"thread\":\"$evil\",\"since\":\"2026-11-23T11:00:00Z\"},\"there\":{\"pid\":9,\"tid\":9,\"thread\":\"$evil\",\"exe\":\"/bin/$evil\",\"since\":\"2026-11-23T10:00:00Z\"}"
  record self-lock warning 04 00000000000000ad '"file":7,"range":"x","here":[],"there":{"stack":{}},"edges":"no","exe":null,"action":3,"pid":"p","count":-4,"time":{}'
  record self-lock unheard 05 00000000000000ae '"here":{"stack":[1,"x",null,{"module":3,"offset":"0xzz"}]},"file":{"path":[]},"count":99999999999999999999,"edges":[1,{"stack":[{}]},{"pid":-1}]'
  printf '{"v":1,"kind":"raw","exe":"/a\x9b\xe2\x80\xae/b","file":{"path":"/\xff\xfe"}}\n'
}

# shows_no_control FILE: nothing but text and line ends in it, as UTF-8
shows_no_control() {
  # Control characters but the line end, C1 controls, directions and invisible characters in UTF-8.
  ! LC_ALL=C grep -qaP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xef\xbb\xbf' "$1" &&
    iconv -f UTF-8 -t UTF-8 "$1" >/dev/null &&
    ! grep -qE '^[[:blank:]]*::error::forged|##\[add-path|##vso\[' "$1"
}

# build_locker OPTION...: ./locker, which locks one file through two descriptors in two functions
build_locker() {
  cat >locker.c <<'SOURCE'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static int lock(int fd) {
    struct flock whole = {.l_type = F_WRLCK};
    return fcntl(fd, F_SETLK, &whole);
}
__attribute__((noinline)) int takes_first(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    return lock(fd) + fd;
}
__attribute__((noinline)) int takes_second(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    return lock(fd) + fd;
}
int main(int argc, char **argv) {
    char path[100];
    snprintf(path, sizeof path, "%s.%d", argv[1], (int)getpid());
    return takes_first(path) < 0 || takes_second(path) == 0;
}
SOURCE
  [ -z "${INSERTED-}" ] || sed -i "3i $INSERTED" locker.c
  gcc -g "$@" -o locker locker.c
}

# in_browser PAGE [SCRIPT]: what the page has become, and what the script, run behind the page's own, has put
# into its title
in_browser() {
  cp "$1" "$WORK/page.html"
  [ $# -eq 1 ] || printf '<script>%s</script>' "$2" >>"$WORK/page.html"
  timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$WORK/profile" \
    --virtual-time-budget=5000 --dump-dom "file://$WORK/page.html" 2>/dev/null
}

# validates SCHEMA DOCUMENT
validates() { python3 -c 'import json, sys, jsonschema
schema, document = (json.load(open(name)) for name in sys.argv[1:])
jsonschema.Draft7Validator.check_schema(schema)
jsonschema.Draft7Validator(schema).validate(document)' "$@"; }

# complains PATTERN CMD...: one line on stderr that contains PATTERN, and status 2
complains() {
  local pattern=$1
  shift
  run --separate-stderr "$@"
  printf '%s\n' "$* -> $status: $stderr"
  [ "$status" -eq 2 ] && [ "${#stderr_lines[@]}" -eq 1 ] && [[ $stderr == "shim-report: "*$pattern* ]]
}

# wait_record: process 7 waited from 11:59:50 to 12:00:01 for what process 9 has held since 11:59:00
wait_record() {
  record long-wait warning 01 00000000000000a1 '"action":"waited","file":{"path":"/w/l"},"here":{"pid":7,"tid":70,"thread":"waits","since":"2026-11-23T11:59:50Z"},"there":{"pid":9,"tid":9,"thread":"holds","exe":"/bin/h","since":"2026-11-23T11:59:00.000000500Z"}'
}
