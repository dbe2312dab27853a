#!/usr/bin/env bats
# The process environment: a program with one thread sees what it sees without the shim, and with several it neither
# crashes nor misses a variable.

load lib
load harm

shimmed() { scoped "$@"; }

# RACESHIM_LONG=1: as long as it takes to be surer.
if [ -n "${RACESHIM_LONG-}" ]; then
  CHANGES=60000 SIGNALS=20000 MANY=10000000
else
  CHANGES=6000 SIGNALS=1000 MANY=500000
fi

@test "E6: all that a program sees of its environment is the same, byte for byte" {
  same "$PROBES/environment_seen"
  [ "$(grep -c . shimmed.out)" -gt 100 ]
  grep -q '^set no value: signal 11$' shimmed.out
  # It starts itself anew with five variables, and the shim follows.
  run shimmed env -i FIRST=1 sh -c "$GIVEN" sh LD_PRELOAD
  [ "$output" = "$LIBRARY" ]
}

@test "E6: that is so where each thread may have its own environment, and where it is only watched" {
  bare "$PROBES/environment_seen" >bare.out
  private_env "$PROBES/environment_seen" >private.out
  env_watched "$PROBES/environment_seen" >watched.out
  diff bare.out private.out
  diff bare.out watched.out
}

@test "H1: with env=off the calls are libc's own" {
  bare "$PROBES/environment_seen" >bare.out
  with_settings 'locks=off env=off' "$PROBES/environment_seen" >off.out
  diff bare.out off.out
}

# From 2.41 on glibc's own getenv stands writers.
old_libc() {
  local version
  version=$(ldd --version | sed -n '1s/.* //p')
  [ "$(printf '%s\n' "$version" 2.41 | sort -V | head -n 1)" != 2.41 ]
}

# stands WRITES READER: bare it crashes or misses soon, shimmed never
stands() {
  not_under_valgrind 'valgrind lets one thread run at a time'
  if old_libc && [ -z "${3-}" ]; then
    run bare "$PROBES/environment_beside_writers" "$1" "$2" 300 5000
    [ "$status" = 1 ]
  fi
  run shimmed "$PROBES/environment_beside_writers" "$1" "$2" 2 "$CHANGES"
  echo "$output"
  [ "$status" = 0 ]
  [ "$(fact attempts)" = 2 ]
}

@test "E5: getenv beside writers of new names" { stands new getenv; }
@test "E5: getenv beside removals" { stands unset getenv; }
@test "E5: getenv beside putenv of new strings" { stands put getenv; }
@test "E5: getenv beside clearenv" { stands clear getenv; }
@test "E5: readers of environ beside writers of new names" { stands new walk; }
@test "E5: readers of environ beside removals" { stands unset walk; }
@test "E5: readers of environ beside putenv of new strings" { stands put walk; }
@test "E5: localtime and tzset beside writers of new names" { stands new time; }

# libc reads these seldom, or overwriting moves nothing: bare it takes long until something happens.
@test "E5: getenv, environ and localtime beside overwriting" {
  stands overwrite getenv rarely
  stands overwrite walk rarely
  stands overwrite time rarely
}
@test "E5: getaddrinfo beside all writers" { stands all resolver rarely; }
@test "E5: setlocale beside all writers" { stands all locale rarely; }

@test "E5: all readers beside all writers" {
  stands all all
  if [ -n "${RACESHIM_LONG-}" ]; then
    run shimmed "$PROBES/environment_beside_writers" all all 1 1000 60
    [ "$status" = 0 ]
  fi
}

@test "E5: all readers beside all writers, where each thread has its own environment or is watched" {
  not_under_valgrind 'valgrind lets one thread run at a time'
  run private_env "$PROBES/environment_beside_writers" all all 1 "$CHANGES"
  [ "$status" = 0 ]
  run env_watched "$PROBES/environment_beside_writers" all all 1 "$CHANGES"
  [ "$status" = 0 ]
}

@test "E5: a signal handler reads while the main line changes" {
  run shimmed "$PROBES/environment_in_handlers" reads "$SIGNALS"
  [ "$output" = $'missed=0\nmissed_in_handler=0\ntwice=0' ]
}

# Without the shim such a handler waits for ever for the lock that its own thread holds.
@test "E4: a signal handler that changes the environment in the midst of a change ends" {
  run shimmed timeout -s KILL 100 "$PROBES/environment_in_handlers" writes "$SIGNALS"
  [ "$output" = $'missed=0\nmissed_in_handler=0\ntwice=0' ]
}

# Without the shim the lock may stay taken, and then the next change waits for ever.
@test "E4: a signal handler that jumps out of a change leaves an environment that can be changed" {
  run shimmed timeout -s KILL 100 "$PROBES/environment_in_handlers" jumps "$SIGNALS"
  [ "$output" = $'missed=0\nmissed_in_handler=0\ntwice=0' ]
}

@test "E5: memory stays flat under many changes of a thousand names" {
  run shimmed "$PROBES/environment_stays_small" "$MANY"
  [ "$(fact grown)" -lt 1024 ]
}

@test "E5: memory stays flat beside another thread" {
  run shimmed "$PROBES/environment_stays_small" "$MANY" threads
  [ "$(fact grown)" -lt 32768 ]
}

# Programs that have the environment in hand themselves

@test "E6: perl's %ENV, local and children" {
  need perl
  cat >env.pl <<'EOF'
$ENV{SET} = "set"; print `printenv SET`;
{ local $ENV{SET} = "local"; print `printenv SET`; system "printenv SET"; }
print `printenv SET`;
delete $ENV{SET}; print "deleted: ", `printenv SET` // "", "\n";
{ local %ENV = (ONLY => "this", PATH => $ENV{PATH}); print `printenv ONLY`; }
$ENV{"N$_"} = $_ for 1 .. 200; print `printenv | grep -c '^N[0-9]'`;
delete $ENV{"N$_"} for 1 .. 200; print `printenv | grep -c '^N[0-9]'`;
my %copy = %ENV; %ENV = (); %ENV = %copy; print `printenv PATH`;
$0 = "another title"; print `tr '\\0' ' ' </proc/$$/cmdline`, "\n";
if (my $pid = fork) { waitpid $pid, 0 } else { $ENV{CHILD} = 1; exec "printenv CHILD" }
print exists $ENV{CHILD} ? "leaked\n" : "not here\n";
EOF
  same perl env.pl
  [ "$(wc -l <shimmed.out)" -gt 10 ]
}

@test "E6: bash, which has a getenv of its own" {
  # shellcheck disable=SC2016
  same bash -c 'export SET=1; SET=2 printenv SET; printenv SET; unset SET; printenv SET; echo "status $?"
    export TZ=XXX-5; date -d @0; printf "%(%H)T\n" 0; LC_ALL=C locale | head -n 1
    for i in {1..150}; do export "N$i=$i"; done; printenv | grep -c "^N[0-9]"
    (unset N7; printenv N7; printenv N8); exec -c /usr/bin/env'
}

@test "E6: dash, env and make" {
  need dash make
  # shellcheck disable=SC2016
  same dash -c 'export A=1; B=2 env -u A printenv A B; env -i C=3 /usr/bin/env; env D=4 printenv A D'
  printf 'export X := 1\nall: export Y = 2\nall:\n\t@printenv X Y MAKELEVEL; $(MAKE) -s other\nother:\n\t@printenv X MAKELEVEL\n' >makefile
  same make -s
}

@test "E6: python's os.environ, putenv and children" {
  need python3
  cat >env.py <<'EOF'
import ctypes, os, subprocess, sys, time
os.environ["SET"] = "set"; print(subprocess.check_output(["printenv", "SET"]))
del os.environ["SET"]; print(subprocess.run(["printenv", "SET"]).returncode)
os.putenv("PUT", "put"); print(subprocess.check_output(["printenv", "PUT"])); os.unsetenv("PUT")
for i in range(200): os.environ["N%d" % i] = str(i)
libc = ctypes.CDLL(None); libc.getenv.restype = ctypes.c_char_p
print([libc.getenv(b"N%d" % i) for i in range(200)])
os.environ["TZ"] = "XXX-5"; time.tzset(); print(time.localtime(0).tm_hour, time.tzname)
os.environ.clear(); print(subprocess.check_output(["/usr/bin/env"]), os.popen("echo $HOME").read())
try: os.environ["A=B"] = "1"
except (OSError, ValueError) as error: print(error)
pid = os.fork()
if pid == 0:
    os.environ["CHILD"] = "1"
    os.execv("/usr/bin/env", ["env"])
os.waitpid(pid, 0); sys.stdout.flush()
EOF
  same python3 -u env.py
}

# title_of HOW: the titles of nginx's workers
title_of() {
  local pid workers=
  SET=1 "$1" nginx -p "$WORK" -c nginx.conf &
  pid=$!
  until workers=$(pgrep -f -P "$(cat nginx.pid 2>/dev/null)" 'nginx: worker process' 2>/dev/null) && [ -n "$workers" ]; do
    kill -0 "$pid" || return
    sleep 0.05
  done
  # shellcheck disable=SC2086
  ps -o args= $workers
  kill "$(cat nginx.pid)"
  wait "$pid"
}

@test "E6: nginx, which moves its environment and writes its title over it" {
  need nginx pgrep
  printf '%s\n' 'daemon off; master_process on; worker_processes 1;' "pid $WORK/nginx.pid; error_log $WORK/error.log;" \
    'env SET; events {}' "http { access_log off; server { listen unix:$WORK/socket; return 200; } }" >nginx.conf
  title_of bare >bare.out
  title_of shimmed >shimmed.out
  diff bare.out shimmed.out
  grep 'nginx: worker process' shimmed.out
}
