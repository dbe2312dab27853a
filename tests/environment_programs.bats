#!/usr/bin/env bats
# Programs of other languages under --env=scoped. Where no two threads write different values to one name, all is as it
# was: what each thread reads, what it finds in the whole environment, what the programs that it starts are given.
#
# Scoping every thread from its first write on would break most of these.

load lib
load harm
load programs

# equal CMD...: the same bare and shimmed, and something was printed
equal() {
  same "$@"
  [ -s shimmed.out ]
}

# nothing_isolated: no thread ever had another value than the process
nothing_isolated() {
  [ -z "$(environment_events | grep -v '^env-unsafe-write$')" ] || {
    environment_events | uniq -c
    return 1
  }
}

# --- what one thread sets, others see (E1) ---

@test "E1: what a thread of a Rust program sets is seen by the others, alive and joined, and by Command" {
  rust publishes
  equal "$MADE/publishes"
  [ "$(fact worker_var)" = 'Ok("worker")' ]
  [ "$(fact beside_var)" = 'Ok("worker")' ]
  nothing_isolated
}

@test "E1: what a thread of a Python program sets is seen by the main thread, the pool and subprocess" {
  need python3
  equal python3 -B "$SOURCES/publishes.py"
  [[ "$(fact beside_none)" == *JOB_NEW=worker* ]]
  nothing_isolated
}

@test "E1: what a thread of a Ruby program sets is seen by ENV.to_h and all programs, alive and joined" {
  need ruby
  equal ruby "$SOURCES/publishes.rb"
  [[ "$(fact beside_to_h)" == *JOB_NEW=worker* ]]
}

@test "E1: what a thread of a Ruby program replaces and clears is gone for the others and their programs" {
  need ruby
  equal ruby "$SOURCES/clears.rb"
  [ "$(fact replaced_to_h)" = JOB_REPLACED=yes ]
  [ -z "$(fact cleared_popen)" ]
  nothing_isolated
}

@test "E1: what a worker of Node with SHARE_ENV sets is seen by the main thread and by child_process" {
  need node
  equal node "$SOURCES/publishes.js"
  [[ "$(fact beside_plain)" == *JOB_NEW=worker* ]]
  [[ "$(fact copied_plain)" == *JOB_COPY=copy* ]]
  nothing_isolated
}

@test "E1: ProcessBuilder gives programs of two threads of Java what its environment() holds" {
  java_program Publishes
  JOB_NAME=initial JOB_ANOTHER=initial equal java -Xshare:auto -XX:TieredStopAtLevel=1 -cp "$MADE" Publishes
  [ "$(fact one_copied)" = 'JOB_ANOTHER=initial JOB_NAME=initial' ]
  [ -z "$(environment_events)" ]
}

# Here two threads contend although nothing is wrong: neither can be told that the other's value was meant for it.
@test "E1: what the main thread writes anew over the value of a thread that lives is not seen by that one; the record says so, and a rule ends it" {
  need ruby
  run bare ruby "$SOURCES/writes_anew.rb"
  [ "$(fact thread)" = main ]
  run shimmed ruby "$SOURCES/writes_anew.rb"
  [ "$(fact thread)" = worker ]
  [ "$(fact main)" = main ]
  [ "$(fact program)" = main ]
  [ "$(events env-clobber | jq -r '.var + " " + .action')" = 'JOB_NAME isolated' ]
  echo 'env JOB_NAME shared' >rules
  EXTRA_SETTINGS="${EXTRA_SETTINGS-} rules=$WORK/rules" run shimmed ruby "$SOURCES/writes_anew.rb"
  [ "$(fact thread)" = main ]
}

# --- one thread: libc's behaviour to the letter (E6) ---

@test "E6: Perl's %ENV, local, programs, forks and threads are as without the shim" {
  need perl
  # In what order `local %ENV` puts back what was there
  PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 equal perl "$SOURCES/publishes.pl"
  [ "$(fact local_get)" = local ]
  [ "$(fact thread_get)" = thread ]
  [ -z "$(environment_events)" ]
}

@test "E6: bash, which has a getenv of its own, exports, unsets and starts programs as without the shim" {
  equal bash "$SOURCES/publishes.sh"
  [ "$(fact length)" = 5000 ]
  [ -z "$(environment_events)" ]
}

@test "E6: dash exports, unsets and starts programs as without the shim" {
  need dash
  equal dash "$SOURCES/publishes.sh"
  [ "$(fact length)" = 5000 ]
  [ -z "$(environment_events)" ]
}

@test "E6: every language finds the environment that it was started with, entry by entry, and nothing of the shim" {
  local -x JOB_EMPTY='' JOB_LINES=$'one\ntwo' JOB_EQUALS='=a=b='
  equal env
  [ -z "$(grep -E '^(LD_PRELOAD|RACESHIM|RACESHIM_HANDOVER)=' shimmed.out)" ]
  equal printenv
  equal bash -c 'declare -x'
  equal dash -c export
  equal sh -c 'env | sort; exec env'
  if command -v python3; then equal python3 -c 'import os; print(os.environ); os.execvp("env", ["env"])'; fi
  if command -v perl; then equal perl -e 'print map { "$_=$ENV{$_}\n" } sort keys %ENV; exec "env"'; fi
  if command -v ruby; then equal ruby -e 'p ENV.to_h; exec "env"'; fi
  if command -v node; then equal node -e 'console.log(process.env, String(child_process.execSync("env")))'; fi
  if command -v make; then
    printf 'all:\n\t@env\n\t@echo $(origin LD_PRELOAD) $(origin RACESHIM)\n' >Makefile
    equal make -s
  fi
  if command -v git; then equal git -c alias.e='!env' e; fi
}

@test "E6: a program started with nothing has nothing, and its children are still covered" {
  equal env -i /usr/bin/env -i JOB_ONLY=only /usr/bin/env
  [ "$output" = JOB_ONLY=only ]
  need python3
  # A lock that only the shim can see lost: the Python program is five programs away.
  cat >loses.py <<'EOF'
import fcntl
first, second = open("file", "w"), open("file", "w")
fcntl.lockf(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
second.close()
EOF
  equal sh -c 'echo before; exec env -i /bin/sh -c "/usr/bin/env -i /bin/bash -c \"/usr/bin/env -i /usr/bin/python3 loses.py\""'
  [ "$(events lock-lost | jq -r .action)" = kept ]
}

# --- tools that hand the environment on ---

@test "E6: make exports, overrides and unexports variables to recipes, sub-makes and the shell function" {
  need make
  # shellcheck disable=SC2016 # for make
  JOB_OUTER=outer unharmed '
    cat >Makefile <<"END"
export JOB_EXPORTED = exported
JOB_HIDDEN = hidden
export JOB_SHELL := $(shell echo $$JOB_OUTER)
unexport JOB_DROPPED
all: one two sub
one two:
	@echo "$@ $$JOB_OUTER $$JOB_EXPORTED $$JOB_HIDDEN $$JOB_SHELL $$JOB_DROPPED $(JOB_OUTER)"
one: export JOB_EXPORTED = of-one
two: JOB_OUTER = of-two
sub:
	@$(MAKE) --no-print-directory JOB_OVERRIDDEN=yes leaf
leaf:
	@echo "$(MAKELEVEL) $$JOB_EXPORTED $$JOB_OVERRIDDEN"; env | grep ^JOB_ | sort
END
    JOB_DROPPED=dropped make
    make -e JOB_EXPORTED=command | sort
    make -j2 | sort'
  no_events
}

@test "E6: gcc finds its files by the variables that it is given" {
  need gcc
  # shellcheck disable=SC2016
  unharmed '
    mkdir include lib temporary
    echo "#define ANSWER 42" >include/answer.h
    echo "int answer(void) { return 0; }" >answer.c
    printf "%s\n" "#include <answer.h>" "int answer(void);" "int main(void) { return ANSWER + answer(); }" >main.c
    gcc -shared -fPIC answer.c -o lib/libanswer.so
    gcc main.c -lanswer -o main 2>/dev/null || echo "status $?"
    export CPATH=$PWD/include LIBRARY_PATH=$PWD/lib LD_RUN_PATH=$PWD/lib TMPDIR=$PWD/temporary SOURCE_DATE_EPOCH=1
    gcc main.c -lanswer -o main
    ./main || echo "status $?"
    env -u LD_RUN_PATH gcc main.c -lanswer -o other
    LD_LIBRARY_PATH=$PWD/lib ./other || echo "status $?"
    echo __DATE__ | gcc -E -P -
    GCC_EXEC_PREFIX=/nowhere/ gcc -print-search-dirs | head -n 1
    ls temporary | wc -l'
  no_events
}

@test "E6: cmake and ninja configure and build, and rules and tests see what was set for them" {
  need cmake ninja gcc
  # shellcheck disable=SC2016
  unharmed '
    cat >CMakeLists.txt <<"END"
cmake_minimum_required(VERSION 3.13)
project(probe C)
message(STATUS "outer $ENV{JOB_OUTER}")
set(ENV{JOB_SET} set)
unset(ENV{JOB_OUTER})
execute_process(COMMAND sh -c "echo $JOB_SET ${JOB_OUTER-none}" OUTPUT_VARIABLE seen)
message(STATUS "seen ${seen}")
add_executable(probe probe.c)
add_custom_command(TARGET probe POST_BUILD COMMAND ${CMAKE_COMMAND} -E env JOB_RULE=rule sh -c "env | grep ^JOB_ | sort >rule" VERBATIM)
enable_testing()
add_test(NAME sees COMMAND sh -c "env | grep ^JOB_ | sort >seen")
set_tests_properties(sees PROPERTIES ENVIRONMENT "JOB_TEST=test;JOB_OUTER=changed")
END
    echo "int main(void) { return 7; }" >probe.c
    export JOB_OUTER=outer
    cmake -G Ninja -S . -B build | grep -vE "done|written"
    ninja -C build
    build/probe || echo "status $?"
    (cd build && ctest >/dev/null && cat rule seen)
    ninja -C build
    cmake --build build --target clean'
  no_events
}

@test "E6: git hands its variables to hooks, aliases, editors and helpers" {
  need git
  # shellcheck disable=SC2016
  unharmed '
    export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
    export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org JOB_NAME=outer
    export GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" GIT_COMMITTER_DATE="2020-01-01T00:00:00Z"
    git init -q -b main repository && cd repository
    printf "%s\n" "#!/bin/sh" "env | grep -E \"^(GIT|JOB)_\" | sort" >.git/hooks/pre-commit
    chmod +x .git/hooks/pre-commit
    echo 1 >file; git add file
    GIT_EDITOR="sh -c \"echo \$JOB_NAME >\\\$1\" -" git commit -q 2>&1
    git log --format=%s
    git -c alias.e="!env | grep -E \"^(GIT|JOB)_\" | sort" e
    GIT_PAGER="sed s/^/paged:/" git -c core.pager=cat --paginate log --format=%an
    git rebase -q --exec "echo in rebase \$JOB_NAME" --root 2>&1'
  no_events
}

@test "E6: gdb starts a program with the environment that was set in it" {
  need gdb gcc
  echo 'int main(void) { return 0; }' >empty.c
  gcc -g empty.c -o empty
  bare gdb -q -nx -batch -ex run ./empty 2>&1 | grep -q 'exited normally' || skip 'no program can be traced here'
  # shellcheck disable=SC2016
  JOB_OUTER=outer JOB_DROPPED=dropped unharmed '
    gdb -q -nx -batch -ex "set environment JOB_SET set" -ex "unset environment JOB_DROPPED" -ex "show environment" \
      -ex run /usr/bin/env 2>/dev/null | grep -E "^(JOB_.*|LD_PRELOAD|RACESHIM|RACESHIM_HANDOVER|LINES|COLUMNS) ?="
    gdb -q -nx -batch -ex "break main" -ex run -ex "print (char *)getenv(\"JOB_OUTER\")" \
      -ex "call (int)setenv(\"JOB_CALLED\", \"called\", 1)" -ex "print (char *)getenv(\"JOB_CALLED\")" ../empty 2>/dev/null |
      grep "^.[0-9] =" | sed "s/0x[0-9a-f]* //"'
  # It sets variables while its own threads run.
  nothing_isolated
}

# --- two threads that disagree (E3): what they start is given what they set ---

# disagreed CMD...: bare, "one" finds what "two" has set; shimmed, each finds its own, and "two" finds what it did.
# What is `two` in the facts is `one` in the other thread's, by the sed script in $ONE_FOR_TWO.
disagreed() {
  bare "$@" >bare.out
  shimmed "$@" >shimmed.out
  diff <(sed -n 's/^one_//p' bare.out) <(sed -n 's/^two_//p' bare.out) || return 1
  diff <(grep '^two_' bare.out) <(grep '^two_' shimmed.out) || return 1
  diff <(sed -n 's/^two_//p' bare.out | sed "$ONE_FOR_TWO") <(sed -n 's/^one_//p' shimmed.out) || return 1
}

isolated() { environment_events | grep -q -e '^env-clobber$' -e '^env-child$'; }

@test "E3: two threads of Ruby that disagree read their own value and hand it to all programs" {
  need ruby
  ONE_FOR_TWO='s/two-2/one-1/; s/false2/false1/' disagreed ruby "$SOURCES/contends.rb"
  isolated
}

@test "E3: two workers of Node that share the environment and disagree hand their own value to child_process" {
  need node
  ONE_FOR_TWO='s/=two$/=one/' disagreed node "$SOURCES/contends.js"
  isolated
}

# --- what libc reads for itself is the process's (E7) ---

@test "E7: the time zone, locale and resolver options that a thread of Python sets are the process's, also when two disagree" {
  need python3
  unset TZ LC_ALL LANG RES_OPTIONS
  equal python3 "$SOURCES/reads_for_itself.py"
  [[ "$(fact worker_hour)" == '(21,'* ]]
  [[ "$(fact worker_resolver)" == '(7, 4,'* ]]
  [[ "$(fact both_one_hour)" == '(5,'* ]]
  [[ "$(fact again_two_charset)" == *UTF-8* ]]
}

@test "E7: the time zone that a thread of Ruby sets is the process's, also when two disagree" {
  need ruby
  equal ruby "$SOURCES/reads_for_itself.rb"
  [ "$(fact worker_zone)" = 'WORK 2' ]
  [ "$(fact again_two_zone)" = 'ONE 21' ]
}
