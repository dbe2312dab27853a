# Programs that are started: what they find in their environment, and that the library follows into them.

load lib
load harm

# The program that is started, in a directory of PATH, with a name that the shell need not quote.
prepare() {
  ulimit -Sn 1024 2>/dev/null || true
  mkdir bin
  ln -s "$PROBES/prints_environment" bin/shows
  # shellcheck disable=SC2016 # for the inner shell
  printf '%s\n' '#!/bin/sh' 'echo "covered=$(grep -c libraceshim.so /proc/$$/maps)"' >bin/covered
  chmod +x bin/covered
  export PATH=$WORK/bin:$PATH
}

shimmed() { with_settings "locks=repair env=scoped ${EXTRA_SETTINGS-}" "$@"; }

# inside CMD...: what a program which CMD starts says of the library: covered or bare
inside() {
  shimmed "$@" >inside.out 2>inside.err || true
  if grep -q '^covered=[1-9]' inside.out; then
    echo covered
  elif grep -q '^covered=0' inside.out; then
    echo bare
  else
    cat inside.out inside.err
  fi
}


# ---- Every way to start a program

# same_ways LEAST WAY...: at least so many programs were started
same_ways() {
  local least=$1
  shift
  export A=1 X=0 GONE=here
  same "$PROBES/starts_programs" "$WORK/bin/shows" "$@"
  [ "$(grep -c '^argv0=' <<<"$output")" -ge "$least" ]
}

@test "E3: nobody contends: programs started by the exec family find what they would have found, in every environment" {
  same_ways 100 execve execvpe execle fexecve execveat syscall syscall_at execv execvp execl execlp
}

@test "E3: nobody contends: programs started by posix_spawn find what they would have found, in every environment" {
  same_ways 20 posix_spawn posix_spawnp
}

@test "E3: nobody contends: programs started by system, popen and wordexp find what they would have found" {
  same_ways 6 system popen wordexp
}

@test "E8: the library follows into what is started in every way, with every environment" {
  same "$PROBES/starts_programs" "$WORK/bin/covered" || true
  # Each way printed that it was covered; bare none was.
  run grep -c '^covered=[1-9]' shimmed.out
  [ "$output" -gt 150 ]
  run grep -c '^covered=0' shimmed.out
  [ "$output" -eq 0 ]
  run grep -c '^covered=[1-9]' bare.out
  [ "$output" -eq 0 ]
  [ "$(grep -c '^covered=' bare.out)" = "$(grep -c '^covered=' shimmed.out)" ]
}

@test "E3: a file that is nowhere, not allowed, a directory or no program is refused as by libc" {
  mkdir none forbidden plain odd forbidden/it
  printf 'no program\n' >plain/unreadable
  printf 'echo by the shell "$0" "$@"\nexit 9\n' >odd/by-shell
  chmod +x odd/by-shell
  printf '\177ELF but no more' >odd/broken
  chmod +x odd/broken
  for file in no-such-file it unreadable by-shell broken '' ./odd/by-shell ./none/x; do
    for path in "$WORK/none:$WORK/odd" "$WORK/forbidden:$WORK/plain:$WORK/odd" "$WORK/none::$WORK/plain" '' -; do
      same "$PROBES/searches_path" "$file" "$path"
      [ "$(grep -c '^initial .* status=' <<<"$output")" -eq 4 ]
    done
  done
}

@test "H1: an environment that cannot be read is refused as by the kernel" {
  cat >efault.c <<'END'
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    char *bad[] = {(char *)16, NULL};
    int result = execve("/bin/true", (char *[]){"true", NULL}, (char **)16);
    printf("array=%d %d\n", result, errno == EFAULT);
    result = execve("/bin/true", (char *[]){"true", NULL}, bad);
    printf("entry=%d %d\n", result, errno == EFAULT);
    return 0;
}
END
  need cc
  cc -w -o efault efault.c
  same ./efault
  [ "$(fact array)" = '-1 1' ]
  [ "$(fact entry)" = '-1 1' ]
}

@test "E3: environments of thousands of entries, and of the most that the kernel takes, go over whole" {
  for ((i = 0; i < 5000; i++)); do export "V$i=$i"; done
  same "$PROBES/starts_programs" "$WORK/bin/shows" execve execvp posix_spawn system
  [ "$(grep -c '^  V4999=' <<<"$output")" -gt 10 ]
}

@test "E3: a program started while another thread removes variables finds all that nobody touched" {
  run bare "$PROBES/starts_beside_removals" 3000 until-bad
  [ "$(fact bad)" = 1 ]
  run shimmed "$PROBES/starts_beside_removals" 200
  [ "$(fact bad)" = 0 ]
}

# ---- system, popen, wordexp

@test "H1: system and popen return, block, close, count and are cancelled as libc's" {
  same "$PROBES/streams_of_commands" "$WORK/fifo" || {
    rm -f fifo
    false
  }
  [ "$(fact sum)" = 900 ]
  [ "$(fact cancelled)" = 1 ]
}

@test "H1: wordexp returns the same words, errors and assignments with each flag" {
  same "$PROBES/expands_words"
  [ "$(grep -c '' <<<"$output")" -gt 150 ]
}

@test "H1: wordexp returns the same for random words" {
  local words i c
  RANDOM=7
  local pieces=(a ' ' '  ' "'" '"' '\' '$' '`' '$(echo b)' '$(echo "c  d")' '$(printf "e\n\n f\n")' '*' '~' '${HOME}'
    '${N:-x}' '${N:=y z}' '$N' '{' '|' '&' ';' '<' '(' ')' $'\n' $'\t' '`echo g`' '$((1+1))')
  for ((i = 0; i < 100; i++)); do
    words=
    for ((c = RANDOM % 6; c >= 0; c--)); do words+=${pieces[RANDOM % ${#pieces[@]}]}; done
    words=${words//\$\$/\$} # a process number
    same "$PROBES/expands_words" "$words" || {
      printf 'words: %q\n' "$words"
      return 1
    }
    [[ $output == *error=*count=* ]]
  done
}

# ---- The settings are hidden

@test "E6: env, printenv, export, os.environ and %ENV print what they print without the shim" {
  local perl="print \"\$_=\$ENV{\$_}\n\" for sort keys %ENV"
  same env
  same printenv LD_PRELOAD
  same printenv RACESHIM
  same bash -c 'export; set | grep -a -E "RACESHIM|PRELOAD"; env'
  same sh -c 'export; set | grep -a RACESHIM; env -0 | tr "\0" "\n"'
  if command -v python3 >/dev/null; then
    same python3 -c 'import os; print(list(os.environ.items())); os.system("env"); print(os.popen("env").read())'
  fi
  if command -v perl >/dev/null; then same perl -e "$perl; system 'env'; print \`env\`; exec 'env'"; fi
}

@test "E6: of an LD_PRELOAD with other libraries the others are seen, in their order" {
  local other=/no/first.so value
  for value in "$other" "$other:/no/other.so" "/no/other.so $other"; do
    run env LD_PRELOAD="$value" sh -c 'echo "$LD_PRELOAD"'
    [ "${lines[-1]}" = "$value" ]
    run env LD_PRELOAD="$value:$LIBRARY" RACESHIM="locks=off env=off" sh -c 'echo "$LD_PRELOAD"'
    [ "${lines[-1]}" = "$value" ]
    run env LD_PRELOAD="$LIBRARY:$value" RACESHIM="locks=off env=off" sh -c 'echo "$LD_PRELOAD"'
    [ "${lines[-1]}" = "$value" ]
    run env LD_PRELOAD="$LIBRARY:$value" RACESHIM="locks=off env=off" sh -c 'sh -c "$GIVEN" sh LD_PRELOAD'
    [ "${lines[-1]}" = "$value:$LIBRARY" ]
  done
  run env LD_PRELOAD="$other:$LIBRARY:/no/other.so" sh -c 'echo "$LD_PRELOAD"'
  [ "${lines[-1]}" = "$other:/no/other.so" ]
  run env LD_PRELOAD=":$LIBRARY" sh -c 'echo "${LD_PRELOAD-unset}."'
  [ "$output" = . ]
  run env LD_PRELOAD="$LIBRARY" sh -c 'echo "${LD_PRELOAD-unset}."'
  [ "$output" = unset. ]
}

@test "E6: the element in LD_PRELOAD goes on as it was written" {
  local written=${LIBRARY%/*}/./libraceshim.so
  run env LD_PRELOAD="$written" RACESHIM=locks=off sh -c 'env -i sh -c "$0" sh LD_PRELOAD' "$GIVEN"
  [ "$output" = "$written" ]
}

@test "E6: the auxiliary vector is found behind the environment" {
  same "$PROBES/looks_behind_environment"
  [ "$(fact found)" = some ]
}

@test "E6: a lock that is handed over leaves no trace in the environment" {
  need python3
  local take='import fcntl, os; f = open("lock", "w"); os.set_inheritable(f.fileno(), True); fcntl.lockf(f, fcntl.LOCK_EX)'
  same python3 -c "$take; os.execvp('env', ['env'])"
  same python3 -c "$take; os.execve('/usr/bin/env', ['env'], {})"
  run shimmed python3 -c "$take; os.execvp('sh', ['sh', '-c', os.environ['GIVEN'], 'sh', 'RACESHIM_HANDOVER'])"
  [[ $output =~ ^[0-9]+$ ]]
}

# ---- and put back

@test "E8: the library follows into a cleared or rebuilt environment" {
  [ "$(inside env -i "$WORK/bin/covered")" = covered ]
  [ "$(inside env -u LD_PRELOAD "$WORK/bin/covered")" = covered ]
  [ "$(inside env -i PATH="$PATH" bash -c 'unset LD_PRELOAD; env -i sh -c "$0"' "$WORK/bin/covered")" = covered ]
  [ "$(inside env LD_PRELOAD= "$WORK/bin/covered")" = covered ]
  [ "$(inside env LD_PRELOAD=/no/other.so "$WORK/bin/covered")" = covered ]
  if command -v python3 >/dev/null; then
    [ "$(inside python3 -c "import subprocess; subprocess.run(['$WORK/bin/covered'], env={})")" = covered ]
    [ "$(inside python3 -c "import subprocess; subprocess.run(['$WORK/bin/covered'], env={}, preexec_fn=lambda: None)")" = covered ]
    [ "$(inside python3 -c "import os; os.environ.clear(); os.system('$WORK/bin/covered')")" = covered ]
  fi
  if command -v perl >/dev/null; then
    [ "$(inside perl -e "%ENV = (); system '$WORK/bin/covered'")" = covered ]
    [ "$(inside perl -e "%ENV = (); print \`$WORK/bin/covered\`")" = covered ]
  fi
  if command -v make >/dev/null; then
    printf 'all:\n\t@env -i $(COVERED)\n' >Makefile
    [ "$(inside make -s COVERED="$WORK/bin/covered")" = covered ]
  fi
}

@test "E8: the settings come through a chain of programs once, behind other libraries" {
  local other=/no/first.so
  # shellcheck disable=SC2016 # for the inner shells
  run shimmed env LD_PRELOAD="$other" sh -c 'sh -c "env sh -c \"\$GIVEN\" sh LD_PRELOAD"'
  [ "${lines[-1]}" = "$other:$LIBRARY" ]
  # shellcheck disable=SC2016
  run shimmed env -i GIVEN="$GIVEN" sh -c 'env -i sh -c "$0" sh RACESHIM' "$GIVEN"
  [[ $output == *"out=$SESSION"* ]]
  [ "${#lines[@]}" -eq 1 ]
}

@test "E8: with no-follow a cleared or rebuilt environment is left alone, an inherited one is followed" {
  EXTRA_SETTINGS=no-follow
  export SOME=1 MORE=2 VARIABLES=3
  [ "$(inside "$WORK/bin/covered")" = covered ]
  [ "$(inside env "$WORK/bin/covered")" = covered ]
  [ "$(inside env -u SOME ADDED=1 "$WORK/bin/covered")" = covered ]
  [ "$(inside sh -c "sh -c '$WORK/bin/covered'")" = covered ]
  [ "$(inside env -i "$WORK/bin/covered")" = bare ]
  [ "$(inside env -i PATH="$PATH" HOME=/ "$WORK/bin/covered")" = bare ]
  if command -v python3 >/dev/null; then
    [ "$(inside python3 -c "import subprocess; subprocess.run(['$WORK/bin/covered'], env={'PATH': '/bin'})")" = bare ]
    [ "$(inside python3 -c "import os, subprocess; subprocess.run(['$WORK/bin/covered'], env=dict(os.environ, N='1'))")" = covered ]
  fi
}

@test "E8: a RACESHIM that the program sets for another counts there" {
  run shimmed env RACESHIM="locks=off out=/elsewhere" sh -c "$GIVEN" sh RACESHIM
  [ "$output" = "locks=off out=/elsewhere" ]
  run shimmed env RACESHIM="locks=off out=/elsewhere" sh -c "$GIVEN" sh LD_PRELOAD
  [ "$output" = "$LIBRARY" ]
}

@test "E8: a shim-run within a shim-run has its own settings" {
  run "$SHIM_RUN" -o outer "$SHIM_RUN" -o inner --locks=watch sh -c "$GIVEN" sh RACESHIM
  [ "$status" -eq 0 ]
  [[ $output == *"locks=watch"*"out=$WORK/inner"* ]]
  run "$SHIM_RUN" -o outer2 "$SHIM_RUN" -o inner2 env
  run grep -E '^(RACESHIM|LD_PRELOAD|RACESHIM_GIVEN|RACESHIM_HANDOVER)=' <<<"$output"
  [ "$output" = '' ]
}

@test "E8: static and set-user-ID programs start, and what they start is as without the shim" {
  need cc
  printf '%s\n' '#include <unistd.h>' 'extern char **environ;' '#include <stdio.h>' \
    'int main(void) { for (char **e = environ; *e; e++) puts(*e); return 7; }' >prints.c
  cc -static -o static prints.c 2>/dev/null || skip 'no static libc here'
  bare ./static >bare.out || [ $? -eq 7 ]
  shimmed ./static >shimmed.out || [ $? -eq 7 ]
  # A static program finds the settings: nobody is there to hide them.
  diff <(grep -vE '^(LD_PRELOAD|RACESHIM)=' bare.out) <(grep -vE '^(LD_PRELOAD|RACESHIM)=' shimmed.out)
  cc -o raised prints.c
  chmod 4755 raised
  same ./raised || true
  [ "$(grep -c . shimmed.out)" -gt 0 ]
}

# ---- Programs that everybody has

@test "E3: Python starts programs in each of its ways with the same environment and output" {
  need python3
  cat >starts.py <<'END'
import os, subprocess, sys, threading
print(os.environ.get("LD_PRELOAD"), os.environ.get("RACESHIM"))
def start():
    for args in (dict(), dict(env=dict(os.environ, B="2")), dict(env={"ONLY": "1"}), dict(env={}), dict(close_fds=False),
                 dict(preexec_fn=lambda: None), dict(start_new_session=True), dict(cwd="/")):
        for command in (["env"], ["sh", "-c", "echo $0 $B $ONLY; env"]):
            print(args.get("env") and sorted(args["env"]) == 0, flush=True)
            run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **args)
            print(run.returncode, run.stdout)
    print(subprocess.getoutput("env"))
    print(os.system("exit 3"), os.popen("env").read(), os.popen("exit 4").close())
    for missing in ("no-such-program", "/etc/passwd"):
        try:
            subprocess.run([missing])
        except OSError as e:
            print(e)
    pid = os.posix_spawn("/usr/bin/env", ["env"], os.environ)
    print(os.waitpid(pid, 0)[1])
    pid = os.posix_spawnp("env", ["env"], {"C": "3"})
    print(os.waitpid(pid, 0)[1])
    print(os.spawnvp(os.P_WAIT, "env", ["env"]), os.spawnlpe(os.P_WAIT, "env", "env", {"D": "4"}), flush=True)
start()
thread = threading.Thread(target=start)
thread.start()
thread.join()
os.environ["E"] = "5"
print(subprocess.check_output(["env"]), flush=True)
os.execvpe("env", ["env"], dict(os.environ, F="6"))
END
  same python3 -u starts.py
  grep -q '^F=6$' shimmed.out
}

@test "E3: Perl starts programs in each of its ways with the same environment and output" {
  need perl
  # shellcheck disable=SC2016 # Perl's
  same perl -e '$| = 1; system "env"; system "env", "-0"; print `env`; system {"env"} "named";
    open my $f, "-|", "env" or die; print <$f>; close $f; print "$?\n";
    open $f, "|-", "cat; exit 3" or die; print $f "piped\n"; close $f; print "$?\n";
    { local $ENV{X} = "local"; system "env" } { local %ENV = (ONLY => 1); system "/usr/bin/env" }
    system "/no/such/program"; print "$? $!\n"; delete $ENV{HOME}; %ENV = (LAST => 1); exec "/usr/bin/env"'
  grep -q '^LAST=1$' shimmed.out
}

@test "E3: shells start programs in each of their ways with the same environment and output" {
  # shellcheck disable=SC2016 # for the inner shells
  local script='env; A=1 env; export B=2; (unset B; env); env -i C=3 sh -c "env"; echo $(env | sort | head -n 3)
    command env; no-such-program; echo $?; /etc/passwd; echo $?; env | cat; env & wait; exec env D=4 env'
  same bash -c "$script"
  same sh -c "$script"
}

@test "E3: Ruby starts programs in each of its ways with the same environment and output" {
  need ruby
  # shellcheck disable=SC2016 # Ruby's
  same ruby -e '$stdout.sync = true; p ENV["LD_PRELOAD"], ENV["RACESHIM"]; system "env"; puts `env`
    system({"A" => "1", "HOME" => nil}, "env"); system({"B" => "2"}, "/usr/bin/env", unsetenv_others: true)
    IO.popen("env") { |f| print f.read }; IO.popen({"C" => "3"}, ["env"]) { |f| print f.read }
    Process.wait spawn("exit 3"); p $?.exitstatus; Thread.new { system "env" }.join
    pid = fork { exec "env" }; Process.wait pid; p system("no-such-program"); ENV.clear; exec "/usr/bin/env"'
}

@test "E3: Java starts programs with the same environment and output" {
  need java
  cat >Starts.java <<'END'
import java.util.*;
public class Starts {
    static void run(ProcessBuilder b) throws Exception {
        System.out.flush();
        System.out.println(b.inheritIO().start().waitFor());
    }
    public static void main(String[] args) throws Exception {
        System.out.println(System.getenv("LD_PRELOAD") + " " + System.getenv("RACESHIM"));
        run(new ProcessBuilder("env"));
        ProcessBuilder b = new ProcessBuilder("env");
        b.environment().put("A", "1");
        b.environment().remove("HOME");
        run(b);
        b = new ProcessBuilder("/usr/bin/env");
        b.environment().clear();
        run(b);
        Thread t = new Thread(() -> { try { run(new ProcessBuilder("sh", "-c", "exit 3")); } catch (Exception e) { } });
        t.start();
        t.join();
        try { run(new ProcessBuilder("no-such-program")); } catch (Exception e) { System.out.println(e.getMessage()); }
    }
}
END
  same java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC Starts.java
}

@test "E3: Node starts programs with the same environment and output" {
  need node
  same node -e 'const c = require("child_process"); const o = {stdio: "inherit"};
    console.log(process.env.LD_PRELOAD, process.env.RACESHIM);
    c.spawnSync("env", [], o); c.spawnSync("env", [], {...o, env: {...process.env, A: "1"}});
    c.spawnSync("/usr/bin/env", [], {...o, env: {}}); console.log(c.execSync("env").toString());
    console.log(c.spawnSync("no-such-program").error.code, c.spawnSync("sh", ["-c", "exit 3"]).status)'
}

@test "E3: make and gcc start programs with the same environment and output" {
  need make gcc
  # shellcheck disable=SC2016 # make's
  printf '%s\n' 'export A = 1' 'unexport HOME' 'all: sub; @env; sh -c "env | sort"; B=2 env' 'sub: prog; @./prog' \
    '	+@$(MAKE) -s -f Makefile last' 'last:; @env' 'prog: prog.c; $(CC) -v -o $@ $< 2>/dev/null' 'X := $(shell env | sort)' \
    'show:; @echo "$(X)"' >Makefile
  printf '%s\n' '#include <stdio.h>' '#include <stdlib.h>' 'int main(void) { return system("env"); }' >prog.c
  same make -s
  rm -f prog
  same make -s show
}
