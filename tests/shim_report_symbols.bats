#!/usr/bin/env bats
# Names for frames: shim-report, fed with records of stacks in small programs that are built here.
#
# bats runs each test in a subshell.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib

prepare() {
  need gcc jq nm readelf
  unset NO_COLOR DEBUGINFOD_URLS
  export SESSION
  cat >program.c <<'SOURCE'
#include <stdlib.h>
__attribute__((noreturn)) void gives_up(int *n) {
    abort();
}
__attribute__((noinline)) int follows(int *n) {
    return *n + 1;
}
static inline __attribute__((always_inline)) int innermost(int *n) {
    return follows(n) + 1;
}
static inline __attribute__((always_inline)) int middle(int *n) {
    return innermost(n) * 3;
}
__attribute__((noinline)) int outermost(int *n) {
    *n = 7;
    return middle(n);
}
int main(int argc, char **argv) {
    if (argc > 5)
        gives_up(&argc);
    return outermost(&argc);
}
SOURCE
}

# compile OPTION...: ./program, with functions that follow each other without a gap
compile() { gcc -g -O1 -falign-functions=1 -fno-reorder-functions -Wl,--build-id=sha1 "$@" -o program program.c; }

build_id() { readelf -n "$1" | sed -n 's/.*Build ID: //p'; }

# address_of FUNCTION [PROGRAM]
address_of() { nm "${2:-program}" | awk -v name="$1" '$3 == name { print "0x" $1 }'; }

# calls_of FUNCTION: the return addresses of the calls in it
calls_of() {
  objdump -d --no-show-raw-insn program | awk -v name="<$1>:" '
    /^[0-9a-f]+ </ { inside = $2 == name; call = 0 }
    inside && call && /^ +[0-9a-f]+:/ { sub(":", "", $1); print "0x" $1; call = 0 }
    inside && /call/ { call = 1 }'
}

# stack ADDRESS...: one record whose side here has these frames of ./program with the build ID $id
stack() {
  local address frames=
  for address; do
    frames+="{\"module\":\"$WORK/program\",\"build_id\":\"$id\",\"offset\":\"$address\"},"
  done
  printf '{"v":1,"count":1,"kind":"self-lock","severity":"warning","pid":7,"here":{"pid":7,"stack":[%s]}}\n' \
    "${frames%,}" >"$SESSION/7.0.jsonl"
}

# names: of the first record's frames, one line a frame: function:line, the innermost first
names() {
  "$SHIM_REPORT" --format=json "$SESSION" |
    jq -r '.[0].here.stack[] | [.symbols[]? | "\(.function):\(.line)\(if .inlined then "i" else "" end)"] | join(" ")'
}

unnamed() { "$SHIM_REPORT" --format=json "$SESSION" | jq -r '.[0].here.stack[0].unnamed'; }

@test "R1: a frame is shown by function, file and line, and its source line" {
  compile
  id=$(build_id program)
  stack "$(calls_of main | tail -n 1)"
  [ "$(names)" = main:21 ]
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"#0  main  program.c:21"*"return outermost(&argc);"* ]]
}

@test "R1: inlined functions are frames of their own, each with the line of its call" {
  compile -O2
  id=$(build_id program)
  stack "$(calls_of outermost)"
  [ "$(names)" = "innermost:9i middle:12i outermost:16" ]
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"#0  innermost"*"(inlined)"*"#1  middle"*"#2  outermost"* ]]
}

@test "R1: a return address behind a function's last instruction is in that function" {
  compile
  id=$(build_id program)
  [ "$(calls_of gives_up)" = "" ] # nothing of it follows the call
  stack "$(address_of follows)"
  [ "$(names)" = gives_up:3 ]
}

@test "R1: a source file that is newer than the program is not quoted" {
  compile
  id=$(build_id program)
  stack "$(calls_of main | tail -n 1)"
  touch -d '1 hour' program.c
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"main  program.c:21"* ]]
  [[ $output != *"return outermost"* ]]
}

@test "R1: another build of a module gives no names, and the report says why" {
  compile
  id=$(build_id program)
  stack "$(calls_of main | tail -n 1)"
  compile -DOTHER -O2 -fno-inline
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"#0  program+0x"* ]]
  [[ $output == *"/program, build ID $id; no names: the file on disk is another one, with build ID $(build_id program)"* ]]
  [[ $(unnamed) == "the file on disk is another one"* ]]
  [ "$(names)" = "" ]
  compile -Wl,--build-id=none
  [[ $(unnamed) == *"it has no build ID" ]]
  rm program
  [ "$(unnamed)" = "the file is not here" ]
  mkfifo program
  [ "$(timeout 10 "$SHIM_REPORT" --format=json "$SESSION" | jq -r '.[0].here.stack[0].unnamed')" = "it is no regular file" ]
  rm program
  echo text >program
  [ "$(unnamed)" = "the file on disk is no program or library" ]
}

@test "R1: debug information in a file beside the program is found" {
  need objcopy strip
  compile
  id=$(build_id program)
  stack "$(calls_of main | tail -n 1)"
  objcopy --only-keep-debug program names
  strip program
  objcopy --add-gnu-debuglink=names program
  mv names elsewhere
  [ "$(names)" = "" ]
  mkdir .debug
  mv elsewhere .debug/names
  [ "$(names)" = main:21 ]
}

@test "R1: debug information is found by build ID, even if the program is gone" {
  need objcopy
  [ "$(id -u)" -eq 0 ] || skip "only root may write to /usr/lib/debug"
  compile
  id=$(build_id program)
  stack "$(calls_of main | tail -n 1)"
  local debug=/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
  mkdir -p "${debug%/*}"
  objcopy --only-keep-debug program "$debug"
  rm program
  run names
  rm "$debug"
  rmdir --ignore-fail-on-non-empty "${debug%/*}"
  [ "$output" = main:21 ]
}

@test "R1: debug information comes from a debuginfod server if DEBUGINFOD_URLS names one, and only then" {
  need objcopy strip
  ldconfig -p | grep -q libdebuginfod || skip "libdebuginfod is not installed"
  compile
  id=$(build_id program)
  stack "$(calls_of main | tail -n 1)"
  mkdir -p "server/buildid/$id"
  objcopy --only-keep-debug program "server/buildid/$id/debuginfo"
  strip program
  export DEBUGINFOD_CACHE_PATH=$WORK/cache
  [ "$(names)" = "" ]
  DEBUGINFOD_URLS=file://$WORK/server/ "$SHIM_REPORT" --summary "$SESSION"
  [ ! -e cache ]
  [ "$(DEBUGINFOD_URLS=file://$WORK/server/ names)" = main:21 ]
}

@test "R1: without debug information the symbol table names the function, and nothing the gap behind it" {
  need strip
  compile
  id=$(build_id program)
  strip -g program
  stack "$(calls_of main | tail -n 1)"
  [ "$(names)" = main:null ]
  run "$SHIM_REPORT" "$SESSION"
  [[ $output == *"#0  main  program+0x"* ]]
  strip program
  [ "$(names)" = "" ]
}

@test "R1: without debug information functions of C++ and Rust are named as they were written" {
  grep -q -- '-DHAVE_LIBIBERTY' "$BUILD/Makefile" || skip "libiberty was not there when shim-report was built"
  local rust='_ZN3std3sys4unix7process13process_inner30_$LT$impl$u20$std..Command$GT$5spawn17hf572428fba50fc1dE'
  printf 'int leaf(int n) { return n; }\nint cpp(int n) __asm__("_ZN5outer4lock4takeEi");\nint rust(int n) __asm__("%s");
__attribute__((noinline)) int cpp(int n) { return leaf(n) + 1; }\n__attribute__((noinline)) int rust(int n) { return leaf(n) + 2; }
int main(int argc, char **argv) { (void)argv; return cpp(argc) + rust(argc); }\n' "$rust" >program.c
  gcc -O0 -Wl,--build-id=sha1 -o program program.c
  id=$(build_id program)
  stack "$(calls_of _ZN5outer4lock4takeEi)"
  [ "$(names)" = outer::lock::take:null ]
  stack "$(calls_of "$rust")"
  [ "$(names)" = "std::sys::unix::process::process_inner::<impl std::Command>::spawn:null" ]
}

@test "R1: functions of C++ carry the names of their scopes, clang's programs have names too" {
  cat >program.c <<'SOURCE'
namespace outer { struct lock { int take(int *n); }; }
__attribute__((noinline)) int leaf(int *n) { return *n; }
int outer::lock::take(int *n) { return leaf(n) + 1; }
int main(int argc, char **) { return outer::lock().take(&argc); }
SOURCE
  local compiler
  for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    "$compiler" -g -O0 -x c++ -Wl,--build-id=sha1 -o program program.c || continue
    id=$(build_id program)
    stack "$(calls_of _ZN5outer4lock4takeEPi)"
    [ "$(names)" = outer::lock::take:3 ]
  done
}

@test "R1: three hundred modules are looked up with a few descriptors" {
  local i frames=
  compile
  id=$(build_id program)
  for i in $(seq 300); do
    cp program "p$i"
    frames="{\"module\":\"$WORK/p$i\",\"build_id\":\"$id\",\"offset\":\"$(calls_of main | tail -n 1)\"}"
    printf '{"v":1,"kind":"self-lock","here":{"stack":[%s]}}\n' "$frames" >>"$SESSION/7.0.jsonl"
  done
  run bash -c 'ulimit -n 64; exec "$SHIM_REPORT" --format=json "$SESSION"'
  [ "$status" -eq 0 ]
  [ "$(jq '[.[].here.stack[0].symbols[0].function | select(. == "main")] | length' <<<"$output")" -eq 300 ]
}
