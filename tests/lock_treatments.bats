#!/usr/bin/env bats
# L6: programs that manage process-owned locks themselves, pid files, and the rules file.
# shellcheck disable=SC2030,SC2031,SC2154 # $reply is set by say, $output by run

load lib
load actors

# The distribution's own before a version manager's, which is a script that starts others.
python() {
  local found=/usr/bin/python3
  [ -x "$found" ] || found=$(command -v python3) || skip "python3 is not installed"
  "$found" -c 'import sqlite3' || skip "python3 has no sqlite3"
  echo "$found"
}

# Connections of this process, and another process that does what it is told by SQL. Prints what came of it.
prepare() {
  cat >"$WORK/databases.py" <<'END'
import os
import sqlite3

def connect(path, **options):
    return sqlite3.connect(path, timeout=0, isolation_level=None, **options)

def execute(connection, sql):
    try:
        rows = connection.execute(sql).fetchall()
        return " ".join(str(row[0]) for row in rows) or "ok"
    except sqlite3.Error as error:
        return str(error)

class Other:
    """Another process with one connection, opened at its first statement."""

    def __init__(self, path):
        told, self.tell = os.pipe()
        self.answers, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.tell)
            connection = None
            with os.fdopen(told) as lines, os.fdopen(answer, "w") as answers:
                for line in lines:
                    connection = connection or connect(path)
                    print(execute(connection, line), file=answers, flush=True)
            os._exit(0)
        os.close(told)
        os.close(answer)
        self.tell = os.fdopen(self.tell, "w")
        self.answers = os.fdopen(self.answers)

    def execute(self, sql):
        print(sql, file=self.tell, flush=True)
        return self.answers.readline().strip()

    def end(self):
        self.tell.close()
        os.waitpid(self.pid, 0)

def say(name, party, sql):
    answer = party.execute(sql) if isinstance(party, Other) else execute(party, sql)
    print(f"{name} {sql}: {answer}", flush=True)
END
}

# two_connections JOURNAL: the names one and two are connections of one process.
two_connections() {
  cat >two_connections.py <<'END'
import sys
from databases import *

path, journal = sys.argv[1:]
other = Other(path)
one = connect(path)
say("one", one, f"PRAGMA journal_mode = {journal}")
say("one", one, "CREATE TABLE t (i INTEGER)")
two = connect(path)

print("# two readers, then the one that did not lock first writes")
say("one", one, "BEGIN")
say("one", one, "SELECT count(*) FROM t")
say("two", two, "BEGIN")
say("two", two, "SELECT count(*) FROM t")
say("one", one, "COMMIT")
say("two", two, "INSERT INTO t VALUES (1)")
say("two", two, "COMMIT")

print("# a writer excludes other writers, in its process and out of it")
say("one", one, "BEGIN IMMEDIATE")
say("one", one, "INSERT INTO t VALUES (2)")
say("two", two, "BEGIN IMMEDIATE")
say("other", other, "BEGIN IMMEDIATE")
say("two", two, "SELECT count(*) FROM t")
say("other", other, "SELECT count(*) FROM t")
say("one", one, "COMMIT")
say("other", other, "SELECT count(*) FROM t")

print("# a reader in another process")
say("other", other, "BEGIN")
say("other", other, "SELECT count(*) FROM t")
say("two", two, "BEGIN")
say("two", two, "INSERT INTO t VALUES (3)")
say("two", two, "COMMIT")
say("other", other, "COMMIT")
say("two", two, "COMMIT")

print("# a connection that is closed while the other writes")
say("one", one, "BEGIN IMMEDIATE")
say("one", one, "INSERT INTO t VALUES (4)")
two.close()
say("other", other, "BEGIN IMMEDIATE")
say("one", one, "COMMIT")

print("# no lock stays behind")
say("other", other, "BEGIN EXCLUSIVE")
say("other", other, "INSERT INTO t VALUES (5)")
say("other", other, "COMMIT")
say("one", one, "BEGIN EXCLUSIVE")
say("other", other, "BEGIN IMMEDIATE")
say("one", one, "COMMIT")
one.close()
say("other", other, "PRAGMA integrity_check")
say("other", other, "SELECT group_concat(i) FROM (SELECT i FROM t ORDER BY i)")
other.end()
END
  local bare_output python
  python=$(python)
  run bare "$python" two_connections.py bare.db "$1"
  [ "$status" -eq 0 ]
  without_prefix
  bare_output=$output
  grep -qx 'two INSERT INTO t VALUES (1): ok' <<<"$output"
  grep -qx 'other BEGIN IMMEDIATE: database is locked' <<<"$output"
  run shimmed "$python" two_connections.py shimmed.db "$1"
  [ "$status" -eq 0 ]
  answers "$bare_output"
  # Nothing was repaired, so there is nothing to say.
  cat "$SESSION"/*.jsonl 2>/dev/null || true
  no_events
}

@test "L6: two connections of one process to a database agree, with a rollback journal" {
  two_connections delete
}

@test "L6: two connections of one process to a database agree, with a write-ahead log" {
  two_connections wal
}

@test "L6: a read-only and a read-write connection of one process agree" {
  cat >two_modes.py <<'END'
import sys
from databases import *

path = sys.argv[1]
other = Other(path)
say("other", other, "CREATE TABLE t (i INTEGER)")
reader = connect(f"file:{path}?mode=ro", uri=True)
say("reader", reader, "BEGIN")
say("reader", reader, "SELECT count(*) FROM t")
writer = connect(path)
say("writer", writer, "BEGIN")
say("writer", writer, "SELECT count(*) FROM t")
say("reader", reader, "COMMIT")
say("writer", writer, "INSERT INTO t VALUES (1)")
say("other", other, "BEGIN IMMEDIATE")
say("reader", reader, "BEGIN")
say("reader", reader, "SELECT count(*) FROM t")
say("writer", writer, "COMMIT")
say("reader", reader, "COMMIT")
say("writer", writer, "COMMIT")
say("reader", reader, "INSERT INTO t VALUES (2)")
say("other", other, "BEGIN IMMEDIATE")
say("reader", reader, "SELECT count(*) FROM t")
say("other", other, "INSERT INTO t VALUES (3)")
say("other", other, "COMMIT")
reader.close()
say("writer", writer, "BEGIN EXCLUSIVE")
say("other", other, "BEGIN IMMEDIATE")
say("writer", writer, "COMMIT")
writer.close()
say("other", other, "PRAGMA integrity_check")
other.end()
END
  local bare_output python
  python=$(python)
  run bare "$python" two_modes.py bare.db
  [ "$status" -eq 0 ]
  without_prefix
  bare_output=$output
  run shimmed "$python" two_modes.py shimmed.db
  [ "$status" -eq 0 ]
  answers "$bare_output"
  grep -qx 'writer INSERT INTO t VALUES (1): ok' <<<"$output"
}

# stray_close JOURNAL SUFFIX: opens and closes the file while a transaction writes. $output: what another writer gets.
stray_close() {
  cat >stray_close.py <<'END'
import sys
from databases import *

path, journal, suffix = sys.argv[1:]
other = Other(path)
one = connect(path)
execute(one, f"PRAGMA journal_mode = {journal}")
execute(one, "CREATE TABLE t (i INTEGER)")
say("one", one, "BEGIN IMMEDIATE")
say("one", one, "INSERT INTO t VALUES (1)")
with open(path + suffix, "rb") as stray:
    stray.read(16)
say("other", other, "BEGIN IMMEDIATE")
say("one", one, "ROLLBACK")
other.end()
END
  run "$3" "$(python)" stray_close.py "$3.db" "$1" "$2"
  [ "$status" -eq 0 ]
}

@test "L6: a stray open and close of the database leaves a transaction its locks" {
  stray_close delete "" bare
  grep -qx 'other BEGIN IMMEDIATE: ok' <<<"$output"
  stray_close delete "" shimmed
  grep -qx 'other BEGIN IMMEDIATE: database is locked' <<<"$output"
  [ "$(events lock-lost | jq -r .action)" = kept ]
}

@test "L6: a stray open and close of the write-ahead log's index leaves a transaction its locks" {
  stray_close wal "-shm" bare
  grep -qx 'other BEGIN IMMEDIATE: ok' <<<"$output"
  stray_close wal "-shm" shimmed
  grep -qx 'other BEGIN IMMEDIATE: database is locked' <<<"$output"
  [ "$(events lock-lost | jq -r .action)" = kept ]
}

@test "L6: watched, a stray close of the database loses the locks as bare, and is recorded" {
  stray_close delete "" watched
  grep -qx 'other BEGIN IMMEDIATE: ok' <<<"$output"
  [ "$(events lock-lost | jq -r .action)" = lost ]
}

# Four writers, two threads in each of two processes, 500 transactions each; all the while a third thread of each
# process opens and closes the database.
four_writers() {
  cat >four_writers.py <<'END'
import os
import sqlite3
import sys
import threading

path, journal, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

def connect():
    connection = sqlite3.connect(path, timeout=120, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    return connection

def write(who):
    connection = connect()
    for i in range(count):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (?, ?)", (who, i))
        connection.execute("UPDATE total SET n = n + 1")
        connection.execute("COMMIT")
        with open(path, "rb") as stray:
            stray.read(1)
    connection.close()

def two_writers(first):
    threads = [threading.Thread(target=write, args=(first + i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

connection = connect()
connection.execute(f"PRAGMA journal_mode = {journal}")
connection.execute("CREATE TABLE t (who INTEGER, i INTEGER, UNIQUE (who, i))")
connection.execute("CREATE TABLE total AS SELECT 0 AS n")
connection.close()
child = os.fork()
two_writers(2 if child else 0)
if child == 0:
    os._exit(0)
_, status = os.waitpid(child, 0)
connection = connect()
print(f"child={status}")
print("integrity=" + connection.execute("PRAGMA integrity_check").fetchone()[0])
print("rows=%d" % connection.execute("SELECT count(*) FROM t").fetchone())
print("total=%d" % connection.execute("SELECT n FROM total").fetchone())
END
  local count=500
  if [ -n "${RACESHIM_TEST_PREFIX-}" ]; then count=20; fi
  run shimmed timeout 300 "$(python)" four_writers.py "$1.db" "$1" "$count"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(fact child)" -eq 0 ]
  [ "$(fact integrity)" = ok ]
  [ "$(fact rows)" -eq $((4 * count)) ]
  [ "$(fact total)" -eq $((4 * count)) ]
}

@test "L6: 2,000 transactions of four writers in two processes all arrive, with a rollback journal" {
  four_writers delete
}

@test "L6: 2,000 transactions of four writers in two processes all arrive, with a write-ahead log" {
  four_writers wal
}

@test "L6: the sqlite3 program works as bare, with one database attached twice too" {
  need sqlite3
  local how
  cat >script.sql <<'END'
CREATE TABLE t (i INTEGER PRIMARY KEY, s TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT i, hex(i) FROM n;
ATTACH 'data.db' AS again;
BEGIN;
SELECT count(*) FROM main.t;
SELECT count(*) FROM again.t;
INSERT INTO main.t VALUES (2000, 'x');
SELECT count(*) FROM again.t;
COMMIT;
ROLLBACK;
BEGIN;
INSERT INTO again.t VALUES (2001, 'y');
INSERT INTO main.t VALUES (2002, 'z');
COMMIT;
DETACH again;
INSERT INTO t VALUES (2003, 'a');
.backup copy.db
VACUUM;
PRAGMA journal_mode = wal;
DELETE FROM t WHERE i % 2;
PRAGMA integrity_check;
SELECT count(*), sum(i), max(s) FROM t;
.open copy.db
SELECT count(*), sum(i), max(s) FROM t;
PRAGMA integrity_check;
END
  for how in bare shimmed; do
    mkdir "$how"
    cd "$how" || return 1
    # Some of the statements fail, in both.
    run "$how" sqlite3 data.db <../script.sql
    without_prefix
    echo "$output" >../"$how.out"
    "$how" sqlite3 data.db .dump >../"$how.dump"
    cd ..
  done
  diff bare.out shimmed.out
  diff bare.dump shimmed.dump
  grep -qx ok bare.out
  no_events
}

@test "L6: two sqlite3 programs exclude each other while one has closed a stray descriptor" {
  # readfile opens the database that is being written, and closes it.
  need sqlite3
  excluded() {
    local how=$1 to from line
    mkfifo "$how.to" "$how.from"
    ("$how" sqlite3 "$how.db" <"$how.to" >"$how.from" 2>&1 3>&-) &
    local job=$!
    exec {to}>"$how.to" {from}<"$how.from"
    echo "CREATE TABLE t (i INTEGER); BEGIN IMMEDIATE; INSERT INTO t VALUES (1);
      SELECT length(readfile('$how.db')) >= 0;" >&"$to"
    read -r -t 60 line <&"$from"
    [ "$line" = 1 ]
    run bare sqlite3 "$how.db" 'BEGIN IMMEDIATE'
    exec {to}>&- {from}<&-
    # Not for all jobs: the clock of BATS_TEST_TIMEOUT is one.
    wait "$job" || true
  }
  excluded bare
  [ "$status" -eq 0 ]
  excluded shimmed
  [ "$status" -ne 0 ]
  [[ $output == *"database is locked"* ]]
}

@test "L6: locks in SQLite's bytes belong to the process, and no close drops them" {
  start outside bare a1
  start inside shimmed b1
  say outside "a1 open A data"
  local line
  # Pending, reserved, shared.
  for line in "open A data" "open B data" "lock A 1073741826 510 read" "lock A 1073741825" "try B 1073741824" \
    "try B 1073741825" "try B 1073741826 510" "close B"; do
    say inside "b1 $line"
    echo "$line: $reply"
    [ "$reply" = ok ]
  done
  say outside "a1 get A 1073741824"
  [ "${reply% by *}" = "write 1073741824 512" ]
}

# ---- pid files ----

@test "L6: an outsider that asks for the holder of a pid file gets its pid" {
  start outside bare a1
  start inside shimmed b1
  local name
  for name in daemon.pid daemon.lock; do
    say outside "a1 open A $name"
    say inside "b1 open A $name"
    say inside "b1 lock A 0 0"
    [ "$reply" = ok ]
    say inside "b1 pid"
    local pid=$reply
    say outside "a1 get A 0 0"
    # Any other file's holder has no pid for an outsider.
    if [ "$name" = daemon.pid ]; then
      [ "$reply" = "write 0 0 by $pid" ]
    else
      [ "$reply" = "write 0 0 by -1" ]
    fi
  done
}

@test "L6: a stray close of a pid file drops the lock as bare, and is recorded" {
  local told='a1 open A daemon.pid: ok
b1 open A daemon.pid: ok
a1 lock A 0: ok
b1 try A 0: EAGAIN
a1 open B daemon.pid: ok
a1 close B: ok
b1 try A 0: ok'
  plays_alike "bare shimmed" "$told"
  [ "$(events lock-lost | jq -r .action)" = lost ]
}

@test "L6: the record of a lock that a close would have dropped, or has, names the file" {
  shimmed "$PROBES/lock_actors" a1 <<'END'
a1 open A daemon.pid
a1 open B daemon.pid
a1 lock A 0
a1 close B
a1 open C data
a1 open D data
a1 lock C 0
a1 close D
END
  recorded lock-lost '.action == "lost" and (.file.path // "" | endswith("/daemon.pid"))'
  recorded lock-lost '.action == "kept" and (.file.path // "" | endswith("/data"))'
}

# plays_alike "HOW..." TRANSCRIPT: the lines up to ": " get the answers behind it. a is under the shim, or not.
plays_alike() {
  local how line
  for how in $1; do
    # shellcheck disable=SC2001 # there are many lines
    run "$how" "$PROBES/lock_actors" a1 b1 <<<"$(sed 's/: .*//' <<<"$2")"
    echo "$how:"
    answers "$2"
  done
}

# recorded KIND FILTER: is there an event of the kind for which jq's filter is true?
recorded() {
  events "$1" | jq -s -e "any(.[]; $2)" >/dev/null || {
    echo "no $1 with $2:"
    events "$1"
    return 1
  }
}

# ---- the rules file ----

# What becomes of a lock and of a second descriptor, and whether an outsider is excluded at the end.
as_description='try B 0: EAGAIN
close B: ok
outside: EAGAIN'
as_process='try B 0: ok
close B: ok
outside: EAGAIN'
as_bare='try B 0: ok
close B: ok
outside: ok'

# treated HOW FILE [PROGRAM]: puts that into $treatment.
treated() {
  local how=$1 file=$2
  rm -f "$WORK"/inside.* "$WORK"/outside.*
  PROBES=${3:-$PROBES} start inside "$how" a1
  start outside bare b1
  say outside "b1 open A $file"
  say inside "a1 open A $file"
  say inside "a1 open B $file"
  say inside "a1 lock A 0"
  [ "$reply" = ok ]
  say inside "a1 try B 0"
  treatment="try B 0: $reply"
  say inside "a1 close B"
  treatment+=$'\n'"close B: $reply"
  say outside "b1 try A 0"
  treatment+=$'\n'"outside: $reply"
  stop inside
  stop outside
  echo "$file: $treatment"
}

@test "L6: a rules file sets a path to each treatment" {
  cat >rules <<'END'
# One of each.
lock *.description description
lock *.process process   # with a comment
lock *.watch   watch
lock *.off     off
END
  treated bare bare
  [ "$treatment" = "$as_bare" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed a.description
  [ "$treatment" = "$as_description" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed a.process
  [ "$treatment" = "$as_process" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed a.watch
  [ "$treatment" = "$as_bare" ]
  recorded lock-lost ".action == \"lost\" and .file.ino == $(stat -c %i a.watch)"
  recorded self-lock ".action == \"granted\" and .file.ino == $(stat -c %i a.watch)"
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed a.off
  [ "$treatment" = "$as_bare" ]
  run recorded lock-lost ".file.ino == $(stat -c %i a.off)"
  [ "$status" -ne 0 ]
  run recorded self-lock ".file.ino == $(stat -c %i a.off)"
  [ "$status" -ne 0 ]
  # No rule: the mode's.
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed a.other
  [ "$treatment" = "$as_description" ]
}

@test "L6: process-owned by rule, all descriptors share what is locked" {
  echo 'lock *.process process' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" plays_alike "bare shimmed" 'a1 open A x.process: ok
b1 open A x.process: ok
a1 open B x.process: ok
a1 lock A 0 10: ok
a1 lock B 20: ok
a1 unlock B 3 2: ok
b1 try A 3 2: ok
b1 try A 0: EAGAIN
a1 lock B 5 5 read: ok
b1 try A 5 1 read: ok
b1 unlock A 0 0: ok
a1 unlock B 0 0: ok
b1 try A 0 10: ok'
}

@test "L6: process-owned by rule, a descriptor that has locked nothing unlocks what another locked" {
  echo 'lock *.process process' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" plays_alike "bare shimmed" 'a1 open A x.process: ok
b1 open A x.process: ok
a1 open B x.process: ok
a1 lock A 0 10: ok
a1 unlock B 3 2: ok
b1 try A 3 2: ok
b1 try A 0: EAGAIN'
}

@test "L6: process-owned by rule, a process does not meet its own locks through another descriptor" {
  echo 'lock *.process process' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" plays_alike "bare shimmed" 'a1 open A x.process: ok
a1 open B x.process: ok
b1 open A x.process: ok
a1 lock A 0: ok
a1 get B 0: free
a1 test B 1: ok
b1 test A 1: EACCES
b1 get A 0: write 0 1 by a
a1 lock B 0: ok'
}

@test "L6: the first rule that matches wins" {
  printf '%s\n' 'lock keep.data description' 'lock *.data off' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed keep.data
  [ "$treatment" = "$as_description" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed lose.data
  [ "$treatment" = "$as_bare" ]
}

@test "L6: a rule can name a whole path, and a path with a blank" {
  printf '%s\n' "lock $WORK/one/data off" "lock $WORK/two\\ words/data off" >rules
  mkdir one two "two words"
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed one/data
  [ "$treatment" = "$as_bare" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed two/data
  [ "$treatment" = "$as_description" ]
  # The scripts' own lines are cut at blanks.
  ln -s "two words" linked
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed linked/data
  [ "$treatment" = "$as_bare" ]
}

@test "L6: a rule for one program leaves the others alone" {
  cp "$PROBES/lock_actors" special_program
  mkdir special
  mv special_program special/lock_actors
  printf '%s\n' "lock * program=*/special/lock_actors off" >rules
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed data "$WORK/special"
  [ "$treatment" = "$as_bare" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed data
  [ "$treatment" = "$as_description" ]
  printf '%s\n' "lock * program=special_name off" >rules
  mkdir named
  mv special/lock_actors named/special_name
  ln -s special_name named/lock_actors
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed data "$WORK/named"
  [ "$treatment" = "$as_bare" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed data
  [ "$treatment" = "$as_description" ]
}

@test "L6: a rule can put a pid file under the description" {
  echo 'lock *.pid description' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed daemon.pid
  [ "$treatment" = "$as_description" ]
}

@test "L6: a rule can put SQLite's bytes under the description" {
  echo 'lock *.db description' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" plays_alike shimmed 'a1 open A x.db: ok
a1 open B x.db: ok
a1 lock A 1073741825: ok
a1 try B 1073741825: EAGAIN'
}

@test "L8: watched, no rule changes what a lock does" {
  printf '%s\n' 'lock *.description description' 'lock *.process process' >rules
  EXTRA_SETTINGS="rules=$WORK/rules" treated watched a.description
  [ "$treatment" = "$as_bare" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated watched a.process
  [ "$treatment" = "$as_bare" ]
}

@test "L6: wrong lines of a rules file are left out and recorded, the others hold" {
  cat >rules <<'END'
lock
lock *.x nonsense
frobnicate *.x off
wait program=*
lock *.good off
lock *.y description trailing
END
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed a.good
  [ "$treatment" = "$as_bare" ]
  EXTRA_SETTINGS="rules=$WORK/rules" treated shimmed a.x
  [ "$treatment" = "$as_description" ]
  local line
  for line in 1 2 3 4 6; do
    recorded degraded "(.detail | test(\"line $line:\"))"
  done
  run recorded degraded '(.detail | test("line 5:"))'
  [ "$status" -ne 0 ]
}

@test "L6: a rules file that is not there is recorded, and the rules that are built in hold" {
  EXTRA_SETTINGS="rules=$WORK/absent" treated shimmed a.data
  [ "$treatment" = "$as_description" ]
  EXTRA_SETTINGS="rules=$WORK/absent" treated shimmed a.pid
  [ "$treatment" = "$as_bare" ]
  recorded degraded '(.detail | test("absent"))'
}
