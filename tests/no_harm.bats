# A program that works without the shim works with it: early and late, in handlers, threads and children,
# with the numbers, limits and errors that it would have had.

load lib
load harm

# same_with BEFORE AFTER CMD...: same, where a library of the program's own is preloaded before the shim's
# or after it ('' for none).
same_with() {
  local before=$1 after=$2 first=0 second=0
  shift 2
  bare_with "$before$after" "$@" >bare.out 2>bare.err || first=$?
  timeout -s KILL "$MOST_SECONDS" env \
    LD_PRELOAD="${before:+$before:}$LIBRARY${after:+:$after}" \
    RACESHIM="locks=repair env=off out=$SESSION" "$@" >shimmed.out 2>shimmed.err || second=$?
  same_as_bare "$first" "$second"
}

# The lock of KEY was repaired: that nothing changed is not for want of the shim.
repaired() { [ "$(fact "kernel_$1")" = OFDLCK ]; }

# A probe closes a copy of a locked descriptor: POSIX would have dropped the lock.
only_kept() {
  [ -z "$(cat "$SESSION"/*.jsonl 2>/dev/null | jq -c 'select(.kind != "lock-lost" or .action != "kept")')" ]
}

library() { echo "$PROBES/.libs/$1.so"; }

@test "H2: locks taken before any constructor, in them and after all destructors work" {
  same "$PROBES/lock_before_main"
  [ "$(fact resolved)" = 42 ]
  for when in ifunc preinit constructor key_destructor exit_handler destructor; do
    [ "$(fact $when)" = ok ]
    [ "$(fact ${when}_held)" = write ]
  done
  only_kept
}

locks_in_library() {
  [ "$(fact library_constructor)" = ok ]
  [ "$(fact library_kept)" = write ]
  repaired constructor_held
  [ "$(fact library_released)" = free ]
  [ "$(fact library_destructor_held)" = write ]
  only_kept
}

@test "H2: another library locks in its constructor before ours and in its destructor after ours" {
  same_with '' "$(library locking_library)" "$PROBES/lock_before_main"
  locks_in_library
}

@test "H2: another library locks in its constructor after ours and in its destructor before ours" {
  same_with "$(library locking_library)" '' "$PROBES/lock_before_main"
  locks_in_library
}

@test "H2: a library that must be initialised first locks in its constructor" {
  same_with '' "$(library locking_library_first)" "$PROBES/lock_before_main"
  locks_in_library
  same_with "$(library locking_library_first)" '' "$PROBES/lock_before_main"
  locks_in_library
}

works_in_malloc() {
  same_with "$1" "$2" "$PROBES/allocates_and_locks" file
  [ "$(fact failures)" = 0 ]
  [ "$(fact locked)" = write ]
  repaired locked
  [ -z "$(fact malloc_failures)" ]
  # shellcheck disable=SC2016 # for the inner shell
  same_with "$1" "$2" bash -c 'x=$(seq 1000 | sort -n | tail -n 1); echo "$x"'
  [ "$(cat shimmed.out)" = 1000 ]
}

@test "H2: a malloc before ours which opens, locks and closes at each allocation works" {
  works_in_malloc "$(library locking_malloc)" ''
}

@test "H2: a malloc after ours which opens, locks and closes at each allocation works" {
  works_in_malloc '' "$(library locking_malloc)"
}

handler_works() {
  same "$PROBES/lock_in_handler" "$@"
  [ "$(fact main_failures)" = 0 ]
  [ "$(fact handler_failures)" = 0 ]
  [ "$(fact left)" = free ]
  [ "$(fact locked)" = write ]
  repaired locked
}

@test "H2: a signal handler locks through the description that the main line locks through" {
  handler_works same
}

@test "H2: a signal handler opens, locks and closes while the main line locks" { handler_works other; }

@test "H2: a signal handler replaces the description that the main line locks through" {
  handler_works closing
}

@test "H2: a signal handler on an alternate stack locks and closes" {
  handler_works same altstack
  handler_works other altstack
}

@test "H2: a signal handler locks and closes when another thread signals" {
  handler_works same threads
  handler_works other threads
  handler_works closing threads
}

@test "H2: a signal handler jumps out of lock, copy and close calls" {
  same "$PROBES/jump_out_of_calls" file
  [ "$(fact unlocked)" = free ]
  [ "$(fact locked)" = write ]
  repaired locked
  [ "$(fact child)" = ok ]
}

@test "H2: a wait that a signal handler jumped out of is in no cycle" {
  same "$PROBES/jump_out_of_wait" file other
  [ "$(fact jumped)" = yes ]
  [ "$(fact child)" = ok ]
  [ -z "$(events deadlock)" ]
}

# Ten thousand, since a window is hit rarely.
@test "H2: children forked while other threads lock and close can lock and close" {
  run bare "$PROBES/fork_while_locking" 300
  [ "$(fact failures)" = 0 ]
  run shimmed "$PROBES/fork_while_locking" 10000
  [ "$status" = 0 ]
  [ "$(fact failures)" = 0 ]
  [ "$(fact thread_failures)" = 0 ]
  [ "$(fact kept)" = write ]
  repaired kept
  only_kept
}

@test "H2: fork handlers of the program lock and close" {
  same "$PROBES/fork_handlers_lock"
  [ "$(fact failures)" = 0 ]
  [ "$(fact handled)" = 400 ]
  [ "$(fact kept)" = write ]
  repaired kept
}

@test "H2: threads that are cancelled or exit round lock calls leave a process that works" {
  same "$PROBES/threads_die_locking" file
  [ "$(fact left_by_exit)" = write ]
  [ "$(fact locked)" = write ]
  repaired locked
  [ "$(fact closed)" = free ]
}

@test "H2: lock calls and findings fit into the smallest stacks" {
  same "$PROBES/small_stacks" file
  [ "$(fact on_thread_stack)" = 0 ]
}

@test "H2: Python's subprocess, by vfork, leaves the parent's locks alone" {
  need python3
  cat >spawn.py <<'END'
import fcntl, subprocess, sys
f = open("file", "w")
fcntl.lockf(f, fcntl.LOCK_EX)
for close_fds in (True, False):
    for i in range(50):
        subprocess.run(["true"], close_fds=close_fds, check=True)
def held():
    answer = subprocess.run([sys.argv[1], "file", "0", "10", "write"], check=True, capture_output=True)
    print(answer.stdout.decode().splitlines()[0])
held()
fcntl.lockf(f, fcntl.LOCK_UN)
held()
END
  same python3 spawn.py "$PROBES/witness"
  [ "$(cat shimmed.out)" = $'held=write\nheld=free' ]
}

closes_all() { same "$PROBES/close_every_number" "$1" "$2" "${3-1000}" file; }

@test "H2: a program that closes 3 to 1,000,000 in a loop loses its lock as it should" {
  closes_all loop self 1000000
  [ "$(fact closed)" = 1 ]
  [ "$(fact next)" = 3 ]
  [ "$(fact held)" = free ]
  no_events
}

@test "H2: a program that closes 3 to 1,000,000 in a loop keeps the lock of its standard input" {
  closes_all loop stdin 1000000
  [ "$(fact held)" = write ]
  repaired held
  [ "$(fact unlocked)" = free ]
  no_events
}

@test "H2: close_range and closefrom close a locked descriptor and nothing hidden is seen" {
  closes_all range self
  [ "$(fact held)" = free ]
  closes_all from self
  [ "$(fact held)" = free ]
  no_events
}

@test "H2: close_range and closefrom from 3 on leave the lock of standard input" {
  for how in range from cloexec; do
    closes_all $how stdin
    [ "$(fact held)" = write ]
    repaired held
    [ "$(fact unlocked)" = free ]
  done
  no_events
}

@test "H2: close_range that only marks descriptors leaves their locks" {
  closes_all cloexec self
  [ "$(fact held)" = write ]
}

@test "H2: a vfork child that closes every number leaves the parent's lock" {
  for how in loop range from cloexec; do
    closes_all $how vfork 100000
    [ "$(fact held)" = write ]
    repaired held
    [ "$(fact unlocked)" = free ]
  done
  no_events
}

@test "H2: a forked child that closes every number leaves the parent's lock" {
  for how in loop range from cloexec; do
    closes_all $how fork 100000
    [ "$(fact held)" = write ]
    repaired held
  done
  no_events
}

@test "H1: a program gets the numbers for its descriptors that it would get without the shim" {
  bare "$PROBES/numbers_seen" bare.facts
  shimmed "$PROBES/numbers_seen" shimmed.facts
  diff <(compared bare.facts) <(compared shimmed.facts)
  grep -x open=3 shimmed.facts
  grep -x held=write shimmed.facts
  grep -x kernel_held=OFDLCK shimmed.facts
  no_events
}

@test "H1: a program started without standard descriptors gets their numbers" {
  # shellcheck disable=SC2016 # for the inner shell
  local closed='exec "$0" "$@" <&- >&- 2>&-'
  bare bash -c "$closed" "$PROBES/numbers_seen" bare.facts
  shimmed bash -c "$closed" "$PROBES/numbers_seen" shimmed.facts
  diff <(compared bare.facts) <(compared shimmed.facts)
  grep -x open=0 shimmed.facts
  grep -x held=write shimmed.facts
  no_events
}

@test "H1: a program reads and sets the limits that it would without the shim" {
  same "$PROBES/limits_seen"
  [ -n "$(fact program)" ]
}

@test "H1: a lower limit at the start is seen by the program and its children" {
  same bash -c 'ulimit -Sn 300 && exec "$0"' "$PROBES/limits_seen"
  [ "$(fact before | cut -d ' ' -f 1)" = 300 ]
}

@test "H1: limits stay what they are while other threads lock for the first time" {
  same "$PROBES/limits_while_locking" 300
  [ "$(fact differs_here)" = 0 ]
  [ "$(fact differs_in_children)" = 0 ]
}

takes_all() {
  same "$PROBES/every_number_taken" "$1" root "$2"
  [ "$(fact held)" = 5 ]
  same "$PROBES/every_number_taken" "$1" user "$2"
  [ "$(fact held)" = 5 ]
  [ "$(fact held_of_rest)" = 3 ]
}

@test "H2: raising the limit with locks held leaves every number for dup2" { takes_all dup2 5000; }
@test "H2: raising the limit with locks held leaves every number for F_DUPFD" { takes_all dupfd 5000; }
@test "H4: raising the limit with locks held leaves every number for open" { takes_all open 300; }
@test "H2: raising the limit with locks held shows no number in use that is not the program's" {
  takes_all look 5000
}

# Many programs raise their soft limit at the start, and then there is no room above it.
@test "H4: a program whose soft limit is the hard one finds every number and its locks" {
  ulimit -Sn "$(ulimit -Hn)"
  bare "$PROBES/numbers_seen" bare.facts
  shimmed "$PROBES/numbers_seen" shimmed.facts
  diff <(compared bare.facts) <(compared shimmed.facts)
  closes_all loop stdin 20000
  [ "$(fact held)" = write ]
  closes_all range stdin
  [ "$(fact held)" = write ]
  closes_all loop vfork 20000
  [ "$(fact held)" = write ]
}

@test "H4: handlers, threads and children work where the soft limit is the hard one" {
  ulimit -Sn "$(ulimit -Hn)"
  for mode in same other; do
    for way in timer altstack threads; do
      same "$PROBES/lock_in_handler" $mode $way
      [ "$(fact main_failures)" = 0 ]
      [ "$(fact handler_failures)" = 0 ]
    done
  done
  same "$PROBES/fork_while_locking" 100
  [ "$(fact failures)" = 0 ]
  same "$PROBES/threads_die_locking" file
  [ "$(fact closed)" = free ]
  same "$PROBES/jump_out_of_calls" file
  [ "$(fact closed)" = free ]
}

@test "H1: calls that succeed leave errno as it was" {
  same "$PROBES/errno_kept" file
  [ "$(fact F_SETLK)" = 'succeeded kept' ]
}

@test "H1: the cancellation points are those of libc" {
  same "$PROBES/cancellation_points" file
  [ "$(fact F_SETLKW)" = 'cancelled open free' ]
  [ "$(fact F_SETLK)" = 'returned open write' ]
}

@test "H1: a finding prints nothing and leaves no thread and no child" {
  run shimmed "$PROBES/asks_against_own_lock" file
  [ "$output" = $'first=ok\ngranted=0\nrefused=1\nthreads=1\nchild=none' ]
  [ "$(count_events self-lock)" = 1 ]
}

@test "H4: a lease is refused only on a file that is repaired" {
  run bare "$PROBES/lease_beside_lock" file
  [ "$(fact locked)" = ok ]
  run shimmed "$PROBES/lease_beside_lock" file
  [ "$(fact never_locked)" = ok ]
  [ "$(fact reopened)" = ok ]
  [ "$(fact locked)" = EAGAIN ]
}

@test "H4: a child made by an inline fork keeps the lock until it closes something" {
  same "$PROBES/raw_fork_keeps_lock" close file
  [ "$(fact after_call)" = free ]
}

@test "H4: a child made by an inline fork keeps the lock until it executes a program" {
  same "$PROBES/raw_fork_keeps_lock" exec file
  [ "$(fact after_call)" = free ]
}

# The library itself.

SOURCE=$BATS_TEST_DIRNAME/../src

declared() {
  printf '%s\n' '#include <features.h>' '#define CALL(name) declared name' '#define ALIAS(name, target) declared name' \
    '#define OFFER(name) declared name' \
    '#include "base/calls.h"' | cc -E -P -xc -I "$SOURCE" - | sed -n 's/^ *declared *//p' | sort -u
}

# Lines ADDRESS NAME VERSION of the functions that libc exports, to programs or to its own parts.
libc_functions() {
  local libc
  libc=$(ldd "$LIBRARY" | sed -n 's/.*libc\.so[^>]*=> *\([^ ]*\).*/\1/p')
  nm -D --defined-only "$libc" | sed -n 's/^\([^ ]*\) [TWi] \([^@]*\)@*\(.*\)/\1 \2 \3/p'
}

# Functions of libc that bear on descriptors, locks, processes or limits, and are no calls of ours.
not_hooked() {
  cat <<'END'
__mmap                    a name for glibc's own libraries
__libc_secure_getenv      a name for glibc's own libraries
__mprotect                a name for glibc's own libraries
__munmap                  a name for glibc's own libraries
__mq_open_2               a rare maker: where numbers were lent it may find them all taken
mq_open                   a rare maker: where numbers were lent it may find them all taken
sem_open                  keeps no descriptor
shm_open                  a rare maker: where numbers were lent it may find them all taken
fanotify_init             a rare maker: where numbers were lent it may find them all taken
open_by_handle_at         a rare maker: where numbers were lent it may find them all taken
pidfd_open                a rare maker: where numbers were lent it may find them all taken
__close_nocancel          private to libc's own libraries, which close only descriptors of theirs with it
__libc_fcntl64            private to libc's own libraries
__libc_fork               private to libc's own libraries; runs the handlers of pthread_atfork
__libc_longjmp            private to libc's own libraries
__libc_siglongjmp         private to libc's own libraries
__libc_system             private to libc's own libraries
_IO_file_close            a method of streams: reached through fclose and freopen
_IO_file_close_it         a method of streams: reached through fclose and freopen
_IO_proc_close            a method of streams: reached through pclose
_IO_proc_open             a method of streams: reached through popen
__open_nocancel           private to libc's own libraries
__open64_nocancel         private to libc's own libraries
pthread_atfork            for programs linked with an old libpthread: registers handlers
posix_spawn_file_actions_.*  say what the child will do; in the child no lock is held
posix_spawnattr_.*        say how the child will start
login_tty                 for a forked child, which owns no lock; numbers are looked at before a lock
openpty                   opens descriptors of its own
fcloseall                 closes no descriptor: it flushes, and leaves the streams unbuffered
_*mkd?temp                opens nothing
fdopen                    makes a stream of a descriptor that is there
fdopendir                 makes a stream of a descriptor that is there
svc(unix)?fd_create       makes a handle of a descriptor that is there
catclose                  closes a message catalogue, which is a mapping
closelog                  closes a descriptor of libc's own, a socket
dlclose                   closes no descriptor
(__)?endmntent            closes a stream of setmntent, on which nobody locks but through fileno
fts_close                 closes descriptors of its own, of directories
fts64_close               closes descriptors of its own, of directories
iconv_close               closes no descriptor
mq_close                  closes a message queue, on which nobody locks
sem_close                 removes a mapping
svc_exit                  closes descriptors of its own, sockets
__res_iclose              closes descriptors of its own, sockets
__res_nclose              closes descriptors of its own, sockets
pidfd_getfd               brings a descriptor that is looked at before its first lock
unshare                   a table of descriptors of one thread's own: described as not covered
setns                     does not change the table of descriptors
rexec                     connects a socket
rexec_af                  connects a socket
lckpwdf                   locks a file of libc's own through a descriptor of its own
ulckpwdf                  closes a descriptor of libc's own
re_exec                   a regular expression
regexec                   a regular expression
strdup                    a string
.*(str|str?n|wcs)dup      a string
duplocale                 a locale
__duplocale               a locale
__libc_scratch_buffer_dupfree  memory
END
}

@test "H1: the library exports the declared calls and nothing else" {
  need cc nm
  diff <(declared) <(nm -D --defined-only "$LIBRARY" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u)
}

@test "H1: no variant of a declared call in this machine's libc was forgotten" {
  need cc nm
  local names reasons
  declared >declared
  [ -s declared ]
  libc_functions >libc
  names=$(paste -sd '|' declared)
  {
    # Another name for the same code.
    awk 'NR == FNR { declared[$1]; next }
      { line[FNR] = $0; if ($2 in declared) same[$1] }
      END { for (i in line) { split(line[i], part, " "); if (part[1] in same) print part[2] } }' \
      declared libc
    # The same name with what libc puts before and after one.
    cut -d ' ' -f 2 libc |
      grep -E "^(_|__|__libc_|_IO_|_IO_(new|old)_|__(old|new)_)?($names)(64|2|3|_2|at|all|_chk|_it|_nocancel|_time64|_unlocked)?$"
    # What speaks of the same things: closing, copying, processes, limits, and making descriptors.
    cut -d ' ' -f 2 libc | grep -E \
      'close|^_*(f|fd|p)?open(dir)?(at)?(64)?(_2)?$|tmpfile|mk[a-z]*temp|creat(64)?$|^_*accept|^_*socket|^_*pipe|epoll_create|eventfd$|signalfd|fd_create|notify_init|pidfd_open|(shm|mq|sem)_open|getpt|openpt$|open_by_handle|setmntent|dup[23]?$|fork|^_*f?exec|spawn|popen|system$|wordexp|fcntl|lockf$|lckpwdf|freopen|clone|rlimit|daemon|login_tty|openpty|unshare|setns|pidfd_getfd|recvm|endmntent|env$'
  } | sort -u >candidates
  grep -qx close candidates
  grep -vxFf declared candidates >undeclared || true
  reasons=$(not_hooked | awk 'NF > 1 { print $1 }' | paste -sd '|')
  run grep -vxE "$reasons" undeclared
  [ "$output" = '' ]
  # No reason is given for what is hooked.
  run grep -xE "$reasons" declared
  [ "$output" = '' ]
}

@test "H1: a declared call with several versions in this machine's libc is known to have them" {
  need cc nm
  declared >declared
  run bash -c "$(declare -f libc_functions); libc_functions | awk 'NR == FNR { declared[\$1]; next }
    (\$2 in declared) && !seen[\$1, \$2]++ { versions[\$2]++ } END { for (name in versions) if (versions[name] > 1) print name }' declared - | sort"
  # The older versions, up to 2.14, give a file without a format that the kernel knows to the shell.
  [ "$output" = $'posix_spawn\nposix_spawnp' ]
}

@test "H2: no inner room calls a function that the library itself exports" {
  need cc nm
  declared >declared
  find "$BUILD"/src/{base,env,lock,report} -name '*.o' >objects
  [ -s objects ]
  xargs nm -u <objects | sed -n 's/^ *U //p' | sed 's/@.*//' | sort -u >wanted
  [ -s wanted ]
  run grep -xFf declared wanted
  [ "$output" = '' ]
}

# Neither is async-signal-safe, and a program may replace either.
@test "H2: no inner room allocates by malloc or writes by stdio" {
  need nm
  find "$BUILD"/src/{base,env,lock,report} -name '*.o' >objects
  [ -s objects ]
  run bash -c "xargs nm -u <objects | sed -n 's/^ *U //p' |
    grep -xE '(m|c|re)alloc|free|posix_memalign|aligned_alloc|str(n)?dup|v?(f|s|sn|d)?printf|__.*printf_chk|fopen|fwrite|fputs|puts|abort|exit|_exit|__assert_fail'"
  [ "$output" = '' ]
}

@test "H1: the library needs nothing but libc" {
  need readelf
  run bash -c "readelf -d '$LIBRARY' | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libdl|ld-linux.*)\.so\.[0-9]+$'"
  [ "$output" = '' ]
  run bash -c "readelf -d '$LIBRARY' | grep -E 'TEXTREL|RPATH|RUNPATH'"
  [ "$output" = '' ]
}

@test "H1: a process that neither locks, nor contends, nor starts a program has none of the code for it in memory" {
  local program late
  # shellcheck disable=SC2016 # of Perl
  printf '%s\n' '$ENV{A} = 1; open(F, "/proc/self/smaps"); print <F>' >changes.pl
  for program in 'cat /proc/self/smaps' 'perl changes.pl'; do
    # shellcheck disable=SC2086 # a list of words
    run with_settings 'locks=repair env=scoped' $program
    [ "$status" = 0 ]
    late=$(awk '
      /^[0-9a-f]+-/ { code = /libraceshim.so$/ && $2 ~ /x/; segments += code }
      code && segments == 2 && /^Rss:/ { print $2 }' <<<"$output")
    [ -n "$late" ] || skip "the linker did not take src/layout.ld"
    [ "$late" = 0 ]
  done
}
