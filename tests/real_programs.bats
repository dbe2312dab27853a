# Programs which everybody has, doing what they do every day: the same output, files and status as without
# the shim, and nothing to record. tests/clean_work.bats has others, as whole jobs of shim-run.

load lib
load harm

# The mode of every day.
shimmed() { with_settings "locks=repair env=scoped ${EXTRA_SETTINGS-}" "$@"; }

@test "H1: make builds a tree of makefiles, in order, in parallel and with -O" {
  need make
  # shellcheck disable=SC2016 # for make and the inner shell
  unharmed '
    mkdir a b a/deep
    for d in a b a/deep; do
      printf "%s\n" "all: \$(addprefix out,1 2 3 4 5 6)" "out%:" "	@echo $d \$@; seq 500 >\$@; echo $d \$@ done" >"$d/Makefile"
    done
    printf "%s\n" "all: a b deep" "a b:" "	\$(MAKE) -C \$@" "deep: a" "	\$(MAKE) -C a/deep" \
      "clean:" "	rm -f */out* */*/out*" ".PHONY: all a b deep clean" >Makefile
    make
    make clean
    make -j2 | sort
    make clean
    make -j4 -O | sort
    make clean
    make -j4 -Otarget >out
    # The lines of one target stay together.
    grep -A 1 "out3$" out | grep -c "out3 done"
    make -j2 -O >/dev/null
    make -q; echo "up to date: $?"
    sha256sum */out* */*/out*'
  # A lock on a pipe or on /dev/null cannot be repaired, and that is all there is to be said.
  [ -z "$(cat "$SESSION"/*.jsonl 2>/dev/null |
    jq -c 'select(.kind != "degraded" or (.file.path | test("^(/dev/null|pipe:.*)$") | not))')" ]
}

@test "H1: gcc, ar and ld build a program, with and without -pipe and link-time optimisation" {
  need gcc ar
  # shellcheck disable=SC2016
  unharmed '
    for i in 1 2 3; do echo "int f$i(int x) { return x * $i; }" >"f$i.c"; done
    echo "#include <stdio.h>
      int f1(int), f2(int), f3(int);
      int main(void) { printf(\"%d\\n\", f1(1) + f2(2) + f3(3)); return 3; }" >main.c
    gcc -O2 -pipe -c f1.c f2.c f3.c
    ar rcD libf.a f1.o f2.o f3.o
    gcc -O2 main.c libf.a -o plain
    ./plain || echo "status $?"
    gcc -O2 -flto=2 -frandom-seed=1 main.c f1.c f2.c f3.c -o optimised
    ./optimised || echo "status $?"
    gcc -c broken.c 2>&1 || echo "status $?"
    sha256sum f1.o libf.a plain'
  no_events
}

# One that was not made by a version manager, whose start is a shell script.
python() { PATH=/usr/bin:/bin:$PATH command -v python3; }

@test "H1: Python locks files from two threads and a mail box" {
  need python3
  cat >program.py <<'END'
import errno, fcntl, mailbox, os, threading
counts = {}
def work(name):
    with open(name, "w+") as f:
        for i in range(300):
            fcntl.lockf(f, fcntl.LOCK_EX, 10, i)
            f.write("x")
            f.flush()
            fcntl.lockf(f, fcntl.LOCK_UN, 10, i)
        counts[name] = f.tell()
threads = [threading.Thread(target=work, args=("file%d" % i,)) for i in range(2)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(counts.items()))
shared = open("shared", "w+")
def share(first):
    for i in range(300):
        fcntl.lockf(shared, fcntl.LOCK_EX, 1, first + i)
        fcntl.lockf(shared, fcntl.LOCK_UN, 1, first + i)
threads = [threading.Thread(target=share, args=(i * 1000,)) for i in range(2)]
[t.start() for t in threads]
[t.join() for t in threads]
box = mailbox.mbox("box")
for i in range(3):
    box.lock()
    box.add("From: a@example.org\nSubject: %d\n\ntext\n" % i)
    box.flush()
    box.unlock()
print([m["subject"] for m in box])
f = open("file", "w")
fcntl.lockf(f, fcntl.LOCK_EX)
pid = os.fork()
if pid == 0:
    try:
        fcntl.lockf(open("file", "w"), fcntl.LOCK_EX | fcntl.LOCK_NB)
        os._exit(1)
    except OSError as error:
        os._exit(0 if error.errno in (errno.EAGAIN, errno.EACCES) else 2)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
try:
    fcntl.lockf(open("shared"), fcntl.LOCK_EX)
except OSError as error:
    print(error)
END
  cp program.py "$WORK/program"
  unharmed '"$1" ../program' "$(python)"
  no_events
}

@test "H1: perl locks files by flock and by fcntl" {
  need perl
  # shellcheck disable=SC2016
  unharmed '
    perl -MFcntl=:DEFAULT,:flock,:seek -MConfig -e "
      open(my \$f, \"+>\", \"file\") or die; \$| = 1;
      print flock(\$f, LOCK_EX) ? \"flock\n\" : \"no\n\";
      print flock(\$f, LOCK_UN) ? \"flock\n\" : \"no\n\";
      my \$lock = pack(\"s s x4 q q i x4\", F_WRLCK, SEEK_SET, 0, 10, 0);
      print fcntl(\$f, F_SETLK, \$lock) ? \"fcntl\n\" : \"\$!\n\";
      my \$pid = fork // die;
      if (!\$pid) {
        open(my \$g, \"+<\", \"file\") or die;
        print fcntl(\$g, F_SETLK, \$lock) ? \"granted\n\" : \"\$!\n\";
        exit 4;
      }
      waitpid(\$pid, 0); print \$? >> 8, \"\n\";
      for my \$i (1 .. 200) { open(my \$h, \">\", \"file\$i\") or die; fcntl(\$h, F_SETLK, \$lock) or die; close(\$h); }
      print system(\"exit 3;\") >> 8, \"\n\"; print \`echo out\`;
      close(\$f) or die; print \"closed\n\";"'
  no_events
}

@test "H1: tdbtool writes, reads and checks a database" {
  need tdbtool
  unharmed '
    printf "%s\n" "create file.tdb" "insert one 1" "insert two 22" "insert three 333" "keys" "show two" \
      "transaction_start" "insert four 4444" "transaction_commit" "transaction_start" "delete one" \
      "transaction_cancel" "delete two" "keys" "check" "quit" | tdbtool
    tdbtool file.tdb keys
    tdbtool file.tdb check
    tdbdump file.tdb | sort'
  no_events
}

# The JVM raises its soft limit of descriptors to the hard one, so there may be no room above it.
@test "H1: Java locks files through channels, in two threads and against another process" {
  need java javac
  cat >Locks.java <<'END'
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.concurrent.*;
public class Locks {
    static FileChannel open(String name) throws IOException {
        return FileChannel.open(Path.of(name), StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }
    static int work(String name) throws Exception {
        int count = 0;
        try (FileChannel channel = open(name)) {
            for (int i = 0; i < 200; i++)
                try (FileLock lock = channel.lock(i, 10, false)) {
                    channel.write(ByteBuffer.wrap(new byte[] {1}));
                    count += lock.isValid() ? 1 : 0;
                }
        }
        return count;
    }
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(2);
        Future<Integer> one = pool.submit(() -> work("one")), two = pool.submit(() -> work("two"));
        System.out.println(one.get() + " " + two.get());
        pool.shutdown();
        try (FileChannel channel = open("file"); FileChannel other = open("file")) {
            FileLock lock = channel.lock();
            System.out.println(lock.isShared() + " " + lock.isValid());
            try {
                other.tryLock();
            } catch (OverlappingFileLockException e) {
                System.out.println("overlapping");
            }
            Process witness = new ProcessBuilder(args[0], "file", "0", "10", "write").redirectErrorStream(true).start();
            String answer = new String(witness.getInputStream().readAllBytes());
            System.out.println(witness.waitFor() + " " + answer.lines().findFirst().get());
            lock.release();
            try (FileLock again = channel.tryLock(0, 10, false)) {
                System.out.println(again != null);
            }
        }
    }
}
END
  unharmed 'java -Xshare:auto -XX:TieredStopAtLevel=1 ../Locks.java "$1"' "$PROBES/witness"
  grep -x '0 held=write' shimmed.out
  [ -z "$(cat "$SESSION"/*.jsonl 2>/dev/null | jq -c 'select(.kind != "degraded")')" ]
}

# The descriptor of flock is inherited by the command, on purpose; and one command waits for the flock that runs it.
@test "H1: flock runs commands under a lock, refuses and gives up" {
  need flock
  # shellcheck disable=SC2016
  unharmed '
    flock file -c "echo locked"
    flock file flock -n -E 7 file -c "echo no" || echo "status $?"
    flock -s file flock -s -n file -c "echo shared"
    flock file flock -w 0.1 file true || echo "status $?"
    exec 9>file
    flock -n 9 && echo taken
    flock -n file true || echo "status $?"
    flock -u 9
    flock -n file echo released
    flock -o -n file -c "flock -n file true || echo held"
    for i in 1 2 3 4; do flock count -c "echo x >>log"; done
    wc -l <log'
  [ -z "$(cat "$SESSION"/*.jsonl 2>/dev/null | jq -c 'select(.kind | IN("leaked-lock", "ancestor-wait") | not)')" ]
}

@test "H1: bash redirects, pipes, forks, traps and exits as it does" {
  # shellcheck disable=SC2016
  unharmed '
    exec 3>out 4<&0 5>&3; echo three >&3; echo five >&5; exec 3>&- 5>&-; cat out
    for i in {10..60}; do eval "exec $i>file$i"; done
    for i in {10..60}; do eval "exec $i>&-"; done
    ls file* | wc -l
    seq 1000 | while read -r n; do echo $((n * 2)); done | tail -n 1
    diff <(seq 3) <(seq 4) || echo "status $?"
    cat <<<"here string"
    coproc { read -r line; echo "got $line"; }
    echo message >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "$answer"
    trap "echo trapped" USR1; kill -USR1 $$
    (exit 5) || echo "status $?"
    bash -c "kill -TERM \$\$" || echo "status $?"
    ( ulimit -n 30; echo "$(ulimit -n)" )
    env | grep -c "^HOME=" ; set -o pipefail; false | true || echo "status $?"
    x=$(printf "%s" {1..2000}); echo "${#x}"
    [ -t 0 ] || echo "no terminal"' </dev/null
  no_events
}

# bogo_ops FILE: the stressors of a run with the work that they did; a stressor that hangs still has status 0.
bogo_ops() { sed -n -e 's/^ *- stressor: *//p' -e 's/^ *bogo-ops: *//p' "$1" | paste - - | sort; }

stressed() {
  local stressor=$1 ops=$2
  local -a command=(stress-ng --temp-path . --verify --timeout 60 --oomable --"$stressor" 2 --"$stressor"-ops "$ops")
  bare "${command[@]}" --yaml bare.yaml --metrics >bare.out 2>&1
  shimmed "${command[@]}" --yaml shimmed.yaml --metrics >shimmed.out 2>&1 || {
    cat shimmed.out
    return 1
  }
  # Two instances count together: each may do a few more than asked for.
  for run in bare shimmed; do
    bogo_ops $run.yaml >$run.ops
    cat $run.ops
    [ "$(cut -f 1 $run.ops)" = "$stressor" ]
    [ "$(cut -f 2 $run.ops)" -ge "$ops" ]
    [ "$(cut -f 2 $run.ops)" -le $((ops + 20)) ]
  done
  diff <(grep -ciE 'fail|error' bare.out) <(grep -ciE 'fail|error' shimmed.out)
}

@test "H1: stress-ng --locka" { need stress-ng && stressed locka 4000; }
@test "H1: stress-ng --lockf" { need stress-ng && stressed lockf 4000; }
@test "H1: stress-ng --lockofd" { need stress-ng && stressed lockofd 4000; }
@test "H1: stress-ng --flock" { need stress-ng && stressed flock 4000; }
@test "H1: stress-ng --dup" { need stress-ng && stressed dup 100; }
@test "H1: stress-ng --close" { need stress-ng && stressed close 20000; }
