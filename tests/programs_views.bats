# Programs that are started by threads which contend: each finds its own thread's view.

load lib
load harm

prepare() {
  ulimit -Sn 1024 2>/dev/null || true
  mkdir bin
  ln -s "$PROBES/prints_environment" bin/shows
  export PATH=$WORK/bin:$PATH
  export A=1 X=0 GONE=here
}

shimmed() { with_settings "locks=repair env=scoped ${EXTRA_SETTINGS-}" "$@"; }

# found: one line for each program: who started it, how, with which environment: what it found of X, Y, GONE, ONLY
found() {
  awk '
    function flush() { if (head != "") { print head ": " x y gone only } }
    /^== / { flush(); head = substr($0, 4); x = y = gone = only = ""; next }
    /^ *X=/ { x = $1 " " }
    /^ *Y=/ { y = "Y " }
    /^ *GONE=/ { gone = "GONE " }
    /^ *ONLY=/ { only = "ONLY " }
    END { flush() }'
}

# expected: what each is to find. The two contenders wrote X; the first wrote Y; the second removed GONE. environ has
# X=second and Y.
expected() {
  local who=$1 way=$2 kind=$3
  case $who-$kind in
  first-inherited | first-copied) echo 'X=first Y GONE ' ;;
  first-changed) echo 'X=callers Y GONE ' ;;
  first-shortened) echo 'Y ' ;;
  second-inherited | second-copied) echo 'X=second ' ;;
  second-changed) echo 'X=callers ' ;;
  second-shortened) echo '' ;;
  *-rebuilt) echo 'X=callers ONLY ' ;;
  *-emptied) echo '' ;;
  initial-inherited | initial-copied) echo 'X=second Y ' ;;
  initial-changed) echo 'X=callers Y ' ;;
  initial-shortened) echo 'Y ' ;;
  esac
}

finds_views() {
  shimmed "$PROBES/starts_programs" "$WORK/bin/shows" contend "$@" >out 2>err
  found <out >found
  [ -s found ]
  local who way kind vfork rest wanted
  while read -r who way kind rest; do
    case $kind in
    *:) vfork='' rest=" $rest" kind=${kind%:} ;;
    *) vfork=vfork rest=${rest#vfork:} ;;
    esac
    wanted=$(expected "$who" "$way" "$kind")
    if [ "$(xargs <<<"$rest")" != "$(xargs <<<"$wanted")" ]; then
      echo "$who $way $kind $vfork: found $rest, wanted $wanted"
      return 1
    fi
  done <found
}

# Without the shim the first contender's programs find the second's value.
finds_another() {
  bare "$PROBES/starts_programs" "$WORK/bin/shows" contend "$@" | found >found
  grep -q "^first ${1} inherited.*X=second" found
}

contenders_find_their_views() { finds_another "$1" && finds_views "$1"; }

@test "E3: two threads that contend start programs by execve, and each finds its thread's view" {
  contenders_find_their_views execve
}

@test "E3: two threads that contend start programs by execvpe, and each finds its thread's view" {
  contenders_find_their_views execvpe
}

@test "E3: two threads that contend start programs by execle, and each finds its thread's view" {
  contenders_find_their_views execle
}

@test "E3: two threads that contend start programs by fexecve, and each finds its thread's view" {
  contenders_find_their_views fexecve
}

@test "E3: two threads that contend start programs by execveat, and each finds its thread's view" {
  contenders_find_their_views execveat
}

@test "E3: two threads that contend start programs by syscall, and each finds its thread's view" {
  contenders_find_their_views syscall
}

@test "E3: two threads that contend start programs by syscall_at, and each finds its thread's view" {
  contenders_find_their_views syscall_at
}

@test "E3: two threads that contend start programs by execv, and each finds its thread's view" {
  contenders_find_their_views execv
}

@test "E3: two threads that contend start programs by execvp, and each finds its thread's view" {
  contenders_find_their_views execvp
}

@test "E3: two threads that contend start programs by execl, and each finds its thread's view" {
  contenders_find_their_views execl
}

@test "E3: two threads that contend start programs by execlp, and each finds its thread's view" {
  contenders_find_their_views execlp
}

@test "E3: two threads that contend start programs by posix_spawn, and each finds its thread's view" {
  contenders_find_their_views posix_spawn
}

@test "E3: two threads that contend start programs by posix_spawnp, and each finds its thread's view" {
  contenders_find_their_views posix_spawnp
}

@test "E3: two threads that contend start programs by system, and each finds its thread's view" {
  contenders_find_their_views system
}

@test "E3: two threads that contend start programs by popen, and each finds its thread's view" {
  contenders_find_their_views popen
}

@test "E3: two threads that contend start programs by wordexp, and each finds its thread's view" {
  contenders_find_their_views wordexp
}

@test "E3: wordexp expands a variable as its thread sees it" {
  bare "$PROBES/starts_programs" "$WORK/bin/shows" contend wordexp >out
  [ "$(grep -c '^second$' out)" -eq 3 ]
  shimmed "$PROBES/starts_programs" "$WORK/bin/shows" contend wordexp >out
  [ "$(grep -c '^first$' out)" -eq 1 ]
}

@test "E3: a program is looked for in the PATH that its thread sees" {
  mkdir first second
  printf '#!/bin/sh\nexit 11\n' >first/tool
  printf '#!/bin/sh\nexit 22\n' >second/tool
  printf 'exit 33\n' >first/by-shell
  printf 'not allowed\n' >first/forbidden
  chmod +x first/tool second/tool first/by-shell
  run bare "$PROBES/searches_path" tool contend
  [ "$(grep -c 'first .* status=22' <<<"$output")" -eq 4 ]
  run shimmed "$PROBES/searches_path" tool contend
  [ "$(grep -c 'first .* status=11' <<<"$output")" -eq 4 ]
  [ "$(grep -c 'second .* status=22' <<<"$output")" -eq 4 ]
  run shimmed "$PROBES/searches_path" by-shell contend
  [ "$(grep -c 'first exec.* status=33' <<<"$output")" -eq 3 ]
  [[ $output == *'first posix_spawnp status=108 ENOEXEC'* ]]
  [ "$(grep -c 'second .* ENOENT' <<<"$output")" -eq 4 ]
  run shimmed "$PROBES/searches_path" forbidden contend
  [ "$(grep -c 'first .* EACCES' <<<"$output")" -eq 4 ]
  run shimmed "$PROBES/searches_path" ./first/tool contend
  [ "$(grep -c ' status=11' <<<"$output")" -eq 8 ]
}
