# Shared by the suites that run programs of other languages under --env=scoped. Loaded after lib.bash and harm.bash.
#
#   shimmed CMD...       with the library, each thread's environment scoped; so `same` compares that with bare
#   watched CMD...       with it, recording only
#   in_mode MODE CMD...  --env=MODE
#   rust NAME [OPTION]...        compiles tests/programs/NAME.rs, once for all tests of the file, into $MADE/NAME
#   c_program NAME [OPTION]...   the same for NAME.c
#   java_program NAME            compiles NAME.java; run it by `java -cp $MADE NAME`
#   environment_events           the kinds of all records about the environment, sorted
#
# The programs are Debian's: other versions of an interpreter that the user has in front of them are often wrappers.
# A program prints facts (key=value); $SOURCES holds them. The variables that it sets are named JOB_*, so that what else is in the
# environment does not matter.

PATH=/usr/bin:/bin:/usr/sbin:/sbin
SOURCES=$BATS_TEST_DIRNAME/programs
MADE=${BATS_FILE_TMPDIR-}
export PATH SOURCES MADE
unset RUST_BACKTRACE

in_mode() {
  local mode=$1
  shift
  with_settings "locks=repair env=$mode ${EXTRA_SETTINGS-}" "$@"
}
shimmed() { in_mode scoped "$@"; }
watched() { with_settings "locks=watch env=watch ${EXTRA_SETTINGS-}" "$@"; }

# made NAME CMD...: runs CMD unless it has made $MADE/NAME already
made() {
  local name=$1
  shift
  [ -e "$MADE/$name" ] && return
  bare "$@" || {
    echo "$name does not compile"
    return 1
  }
}

rust() {
  local name=$1
  shift
  need rustc
  made "$name" rustc --edition 2021 -C debuginfo=1 -D warnings "$@" -o "$MADE/$name" "$SOURCES/$name.rs"
}

c_program() {
  local name=$1
  shift
  need gcc
  made "$name" gcc -g -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -I "$BATS_TEST_DIRNAME/../src" -pthread "$@" \
    -o "$MADE/$name" "$SOURCES/$name.c"
}

java_program() {
  need java javac
  made "$1.class" javac -d "$MADE" "$SOURCES/$1.java"
}

environment_events() {
  cat "$SESSION"/*.jsonl 2>/dev/null | jq -r 'select(.kind | startswith("env-")) | .kind' | sort
}
