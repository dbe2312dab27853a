#!/usr/bin/env bats
# E1, E2, E4, E7: who sees which value, by scripts of threads that act one step at a time, and by random programs.
# shellcheck disable=SC2034 # without_records is read by in_mode

load lib
load environment

# ---- E1: contention ----

@test "E1: two threads that write different values each see and pass on their own" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    b get AA: AA=1 <> AA=2
    b get-secure AA: AA=1 <> AA=2
    b get-in-handler AA: AA=1 <> AA=2
    b fork AA: AA=1 | AA=1 <> AA=2 | AA=2
    b spawn AA: AA=1 <> AA=2
    b popen AA: AA=1 <> AA=2
    b system AA: AA=1 <> AA=2
    b fork-exec AA: AA=1 <> AA=2
    b vfork-exec AA: AA=1 <> AA=2
    c get AA: AA=2
    c fork AA: AA=2 | AA=2
    c spawn AA: AA=2
    c popen AA: AA=2
    c system AA: AA=2
EOS
}

@test "E1: the process environment has the last write, whoever looks" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    a get AA: AA=2
    a spawn AA: AA=2
    a direct AA: AA=2
    b direct AA: AA=2
    c direct AA: AA=2
    b put AA 3
    a get AA: AA=3
    b get AA: AA=3
    c direct AA: AA=3
    c get AA: AA=2 <> AA=3
EOS
}

@test "E1: the initial thread contends as any other" {
  differs scoped <<'EOS'
    a start b
    b set AA 1
    a set AA 2
    b get AA: AA=1 <> AA=2
    a get AA: AA=2
    b set AA 3
    a get AA: AA=2 <> AA=3
    a spawn AA: AA=2 <> AA=3
    b spawn AA: AA=3
EOS
}

@test "E1: putenv, and setenv with a default, contend as setenv does" {
  differs scoped <<'EOS'
    a start b
    a start c
    b put AA 1
    c put AA 2
    b get AA: AA=1 <> AA=2
    c get AA: AA=2
    b default BB 1
    c unset BB
    c default BB 2
    b get BB: BB=1 <> BB=2
    c get BB: BB=2
EOS
}

@test "E1: removal is a value" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c unset AA
    b get AA: AA=1 <> AA-
    c get AA: AA-
    b set AA 2
    c get AA: AA- <> AA=2
    c spawn AA: AA- <> AA=2
    c direct AA: AA=2
EOS
  differs scoped <<'EOS'
    a set AA 0
    a start b
    a start c
    b unset AA
    c set AA 2
    b get AA: AA- <> AA=2
    b spawn AA: AA- <> AA=2
    b fork AA: AA- | AA- <> AA=2 | AA=2
    c get AA: AA=2
EOS
}

@test "E1: clearenv removes what the thread sees, and contends about it" {
  differs scoped <<'EOS'
    a set AA 0
    a start b
    a start c
    b set AA 1
    b set BB 1
    c clear
    c get AA BB: AA- BB-
    b get AA BB: AA=1 BB=1 <> AA- BB-
    b spawn AA BB: AA=1 BB=1 <> AA- BB-
    b direct AA BB: AA- BB-
    b set AA 2
    c get AA: AA- <> AA=2
    c spawn AA BB: AA- BB- <> AA=2 BB-
    b clear
    b get AA BB: AA- BB-
EOS
}

@test "E1: names that only the other wrote are as they were before it wrote them" {
  differs scoped <<'EOS'
    a set BB 0
    a start b
    a start c
    b set AA 1
    c set AA 2
    c set BB 2
    c set CC 2
    b get BB CC: BB=0 CC- <> BB=2 CC=2
    b spawn BB CC: BB=0 CC- <> BB=2 CC=2
    c get BB CC: BB=2 CC=2
    a get BB CC: BB=2 CC=2
EOS
}

@test "E1: with contention the other's earlier writes are hidden as well" {
  differs scoped <<'EOS'
    a start b
    a start c
    c set BB 2
    b get BB: BB=2
    b set AA 1
    c set AA 2
    b get BB: BB- <> BB=2
    c get BB: BB=2
EOS
}

@test "E1: a default is decided by what the thread sees" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    c set BB 2
    b default AA 5
    b default BB 1
    b get AA BB: AA=1 BB=1 <> AA=2 BB=2
    c get AA BB: AA=2 BB=2
    a get AA BB: AA=2 BB=1 <> AA=2 BB=2
EOS
}

# ---- E1: peace ----

@test "E1: what one thread alone writes everybody sees" {
  agrees scoped <<'EOS'
    a set AA 0
    a start b
    a start c
    b set AA 1
    a get AA: AA=1
    c get AA: AA=1
    b unset AA
    c get AA: AA-
    b put AA 2
    c spawn AA: AA=2
    c fork AA: AA=2 | AA=2
    b clear
    c get AA: AA-
    c direct AA: AA-
EOS
}

@test "E1: equal values never contend" {
  agrees scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 1
    b set BB 2
    c get BB: BB=2
    b unset CC
    c unset CC
    c set DD 3
    b get DD: DD=3
EOS
}

@test "E1: writes before the second thread never contend" {
  agrees scoped <<'EOS'
    a set AA 0
    a start b
    b set AA 1
    a get AA: AA=1
    a start c
    c get AA: AA=1
    b set AA 2
    a get AA: AA=2
EOS
}

@test "E1: a thread that publishes and ends leaves its values to those that started it" {
  agrees scoped <<'EOS'
    a start b
    b set AA 1
    b return
    a get AA: AA=1
    a set AA 2
    a join b
    a get AA: AA=2
    a start-detached c
    c set AA 3
    c set BB 3
    c exit
    a get AA BB: AA=3 BB=3
    a start-c11 d
    d set AA 4
    d return
    a join d
    a get AA: AA=4
EOS
}

@test "E1: a task that moves between pool threads finds its values" {
  agrees scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c get AA: AA=1
    c set BB 2
    b get BB: BB=2
    b spawn AA BB: AA=1 BB=2
EOS
}

@test "E1: the last writes of two siblings contend, though one was made before the other was started" {
  differs scoped <<'EOS'
    a start b
    b set AA 1
    a start c
    c get AA: AA=1
    c set AA 2
    b get AA: AA=1 <> AA=2
    c get AA: AA=2
EOS
}

@test "E1: what a thread is given at its start contends with nothing" {
  agrees scoped <<'EOS'
    a set AA 0
    a start b
    b set AA 1
    b start c
    c set AA 2
    b get AA: AA=2
    a get AA: AA=2
    c start d
    d set AA 3
    c get AA: AA=3
    b get AA: AA=3
    a get AA: AA=3
EOS
}

@test "E1: a starter that writes on after the start contends" {
  differs scoped <<'EOS'
    a set AA 0
    a start b
    b set AA 1
    a set AA 2
    b get AA: AA=1 <> AA=2
    a get AA: AA=2
EOS
}

# ---- E1: pairs and scopes ----

# Who is there: b and c are the initial thread's, c is detached; d is b's and e is d's, started at peace. Then b and c
# contend about CC. f is b's and h is f's, g is c's, started after that. One of them writes AA; everybody reads.
@test "E1: who contends, and who was started by whom when, decides who sees a write" {
  local writer readers reader started lines
  while read -r writer readers; do
    lines=$'a set AA 0\na start b\na start-detached c\nb start d\nd start e\nb set CC 1\nc set CC 2\n'
    lines+=$'b start f\nf start-detached h\nc start-c11 g\n'
    lines+="$writer set AA 1"$'\n'
    for reader in a b c d e f g h; do
      if [[ $readers = *$reader* ]]; then
        lines+="$reader get AA: AA=1"$'\n'"$reader spawn AA: AA=1"$'\n'
      else
        lines+="$reader get AA: AA=0 <> AA=1"$'\n'"$reader spawn AA: AA=0 <> AA=1"$'\n'
      fi
    done
    # Whoever is started after the write sees what its starter sees.
    for reader in a b c d e f g h; do
      started=$(tr a-h i-p <<<"$reader")
      lines+="$reader start $started"$'\n'
      lines+=$(grep "^$reader get" <<<"$lines" | sed "s/^./$started/")$'\n'
    done
    plays "$lines" scoped
  done <<'TABLE'
a abcdefgh
b ab_def_h
c a_cde_g_
d abcdefgh
e abcdefgh
f ab_def_h
g a_cde_g_
h ab_def_h
TABLE
}

@test "E1: contention is kept per pair: a third thread shares with both" {
  differs scoped <<'EOS'
    a start b
    a start c
    a start d
    b set AA 1
    c set AA 2
    d get AA: AA=2
    d set BB 3
    b get AA BB: AA=1 BB=3 <> AA=2 BB=3
    c get AA BB: AA=2 BB=3
    b set DD 1
    d get DD: DD=1
    c get DD: DD- <> DD=1
EOS
}

@test "E1: three threads contend pair by pair" {
  differs scoped <<'EOS'
    a start b
    a start c
    a start d
    b set AA 1
    c set AA 2
    d set BB 3
    c set BB 4
    d get AA BB: AA=1 BB=3 <> AA=2 BB=4
    b get AA BB: AA=1 BB=3 <> AA=2 BB=4
    c get AA BB: AA=2 BB=4
    d set AA 5
    b get AA: AA=1 <> AA=5
    c get AA: AA=2 <> AA=5
    d get AA: AA=5
    a get AA BB: AA=5 BB=4
EOS
}

@test "E1: threads that a contender starts are on its side, three deep" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    b start d
    d start-detached e
    e start-c11 f
    f get AA: AA=1 <> AA=2
    f set AA 3
    b get AA: AA=3
    d get AA: AA=3
    e spawn AA: AA=3
    c get AA: AA=2 <> AA=3
    c set BB 2
    f get BB: BB- <> BB=2
    d set BB 1
    f get BB: BB=1
    c get BB: BB=2 <> BB=1
EOS
}

@test "E1: two builds that a contender starts are kept apart, from each other and from what it contends with" {
  differs scoped <<'EOS'
    a start b
    b set AA 1
    a set AA 2
    a set BB 2
    a start c
    a start d
    c get AA BB: AA=2 BB=2
    c set BB 3
    d set BB 4
    c get AA BB: AA=2 BB=3 <> AA=2 BB=4
    d get AA BB: AA=2 BB=4
    c spawn AA BB: AA=2 BB=3 <> AA=2 BB=4
    b get AA BB: AA=1 BB- <> AA=2 BB=4
    b set AA 5
    c get AA: AA=2 <> AA=5
    d get AA: AA=2 <> AA=5
    d set CC 1
    a get CC: CC=1
    c get CC: CC- <> CC=1
EOS
}

@test "E1: who is started by a contender contends with whom its starter comes to contend with" {
  differs scoped <<'EOS'
    a start b
    a start c
    a start d
    b set AA 1
    c set AA 2
    b start e
    d set BB 1
    e get BB: BB=1
    b set BB 2
    e get AA BB: AA=1 BB=2 <> AA=2 BB=2
    d set BB 3
    d set DD 3
    e get BB DD: BB=2 DD- <> BB=3 DD=3
    b get BB DD: BB=2 DD- <> BB=3 DD=3
    e set DD 4
    d get DD: DD=3 <> DD=4
    b get DD: DD=4
EOS
}

@test "E1: what a contender has started goes on seeing its values when it has ended" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    b start d
    b return
    c set BB 2
    d get AA BB: AA=1 BB- <> AA=2 BB=2
    d set AA 3
    c get AA: AA=2 <> AA=3
    a join b
    d get AA: AA=3
    c get AA: AA=2 <> AA=3
EOS
}

# ---- E1: ends and joins ----

@test "E1: who writes after the other has ended contends with nobody" {
  agrees scoped <<'EOS'
    a start b
    a start c
    a start d
    c set AA 2
    c return
    b set AA 3
    a get AA: AA=3
    d get AA: AA=3
    a join c
    a get AA: AA=3
EOS
}

@test "E1: contention is over when one of the two has ended: what only that one wrote is seen, and new values are" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    c set BB 2
    b get AA BB: AA=1 BB- <> AA=2 BB=2
    c return
    b get AA BB: AA=1 BB=2 <> AA=2 BB=2
    b set AA 3
    b start d
    d set AA 4
    b get AA: AA=4
    a get AA: AA=4
    d get AA: AA=4
EOS
}

@test "E1: threads that write nothing see what they always saw, whoever ends" {
  differs scoped <<'EOS'
    a start b
    a start c
    a start d
    b set AA 1
    c set AA 2
    a get AA: AA=2
    b return
    a get AA: AA=2
    d get AA: AA=2
    c get AA: AA=2
    a join b
    a get AA: AA=2
    a start e
    a start f
    e set BB 1
    f set BB 2
    e get AA BB: AA=2 BB=1 <> AA=2 BB=2
    f get AA BB: AA=2 BB=2
    a get AA BB: AA=2 BB=2
EOS
}

@test "E1: a build goes on seeing its own values when its sibling has ended" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    c return
    b get AA: AA=1 <> AA=2
    b spawn AA: AA=1 <> AA=2
    a get AA: AA=2
    a join c
    b get AA: AA=1 <> AA=2
    a get AA: AA=2
    b return
    a get AA: AA=2
    a join b
    a get AA: AA=2
EOS
}

@test "E1: detached, joined, or never joined, an ended thread's last writes stay" {
  local how
  for how in start-detached start start-c11; do
    differs scoped <<EOS
    a $how b
    a start c
    b set AA 1
    c set AA 2
    b set AA 3
    b set BB 1
    b return
    a get AA BB: AA=3 BB=1
    c get AA: AA=2 <> AA=3
    c return
    a join c
    a get AA BB: AA=3 BB=1
EOS
  done
}

@test "E1: a join by a third thread hands it the ended thread's writes, in the order in which they happened" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    b set BB 1
    b set DD 1
    c set AA 2
    c get AA BB: AA=2 BB- <> AA=2 BB=1
    c tryjoin b: EBUSY
    c timedjoin b: ETIMEDOUT
    b set DD 3
    c get AA BB DD: AA=2 BB- DD- <> AA=2 BB=1 DD=3
    b set AA 4
    b return
    c get AA BB DD: AA=2 BB=1 DD=3 <> AA=4 BB=1 DD=3
    c tryjoin b: ok
    c get AA BB DD: AA=4 BB=1 DD=3
    a get AA BB DD: AA=4 BB=1 DD=3
EOS
  differs scoped <<'EOS'
    a start-c11 b
    a start c
    c set AA 2
    b set AA 1
    b return
    c get AA: AA=2 <> AA=1
    c join b
    c get AA: AA=1
    c set AA 3
    a get AA: AA=3
EOS
}

@test "E1: the writes of the ended go to whoever of its starters is left" {
  differs scoped <<'EOS'
    a start b
    b start c
    a start d
    c set AA 1
    d set AA 2
    b return
    c set BB 1
    c return
    a get AA BB: AA=2 BB=1
    d get AA BB: AA=2 BB=1
    a set AA 3
    d get AA: AA=2 <> AA=3
    a join b
    a get AA: AA=3
EOS
}

@test "E1: where no starter is left, an ended thread's writes are everybody's, and who contended keeps its own" {
  differs scoped <<'EOS'
    a start b
    a start c
    a start d
    a exit
    b set AA 1
    c set AA 2
    b set BB 1
    c get BB: BB- <> BB=1
    b set AA 4
    b return
    c get AA BB: AA=2 BB=1 <> AA=4 BB=1
    d get AA BB: AA=4 BB=1
    c spawn AA: AA=2 <> AA=4
    c set AA 3
    d get AA: AA=3
    c set BB 3
    d get BB: BB=3
EOS
}

@test "E1: a forked child of a contender is an ordinary process with that thread's environment" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    c set BB 2
    c unset DD
    b set DD 1
    b fork AA BB: AA=1 BB- | AA=1 BB- <> AA=2 BB=2 | AA=2 BB=2
    b fork-set BB 7: BB=7 | BB=7
    c fork-set AA 7: AA=7 | AA=7
    c fork DD: DD- | DD- <> DD=1 | DD=1
    b get AA BB DD: AA=1 BB- DD=1 <> AA=2 BB=2 DD=1
EOS
}

# ---- E2: private ----

# b is the initial thread's, c is b's, d is c's; all started before the write.
@test "E2: who writes decides who sees it: the initial thread's write all, another's that one and those it starts" {
  local writer readers reader lines
  while read -r writer readers; do
    lines=$'a set AA 0\na start b\nb start-detached c\nc start-c11 d\n'"$writer set AA 1"$'\n'
    for reader in a b c d; do
      if [[ $readers = *$reader* ]]; then
        lines+="$reader get AA: AA=1"$'\n'"$reader spawn AA: AA=1"$'\n'"$reader fork AA: AA=1 | AA=1"$'\n'
      else
        lines+="$reader get AA: AA=0 <> AA=1"$'\n'"$reader popen AA: AA=0 <> AA=1"$'\n'
      fi
      if [ "$writer" = a ]; then
        lines+="$reader direct AA: AA=1"$'\n'
      else
        lines+="$reader direct AA: AA=0 <> AA=1"$'\n'
      fi
    done
    lines+="$writer start e"$'\ne start f\nf start g\n'
    for reader in e f g; do lines+="$reader get AA: AA=1"$'\n'"$reader spawn AA: AA=1"$'\n'; done
    plays "$lines" private
  done <<'TABLE'
a abcd
b _b__
c __c_
d ___d
TABLE
}

@test "E2: what a thread has not written it reads through, live" {
  differs private <<'EOS'
    a start b
    b set AA 1
    a set BB 0
    b get AA BB: AA=1 BB=0
    a set BB 2
    a set AA 2
    b get AA BB: AA=1 BB=2 <> AA=2 BB=2
    b spawn AA BB: AA=1 BB=2 <> AA=2 BB=2
    a unset BB
    b get BB: BB-
EOS
}

@test "E2: private views lie within each other, three deep" {
  differs private <<'EOS'
    a start b
    b set AA 1
    b set BB 1
    b set CC 1
    b start c
    c set BB 2
    c set CC 2
    c start d
    d set CC 3
    d get AA BB CC: AA=1 BB=2 CC=3
    d spawn AA BB CC: AA=1 BB=2 CC=3
    d fork AA BB CC: AA=1 BB=2 CC=3 | AA=1 BB=2 CC=3
    c get AA BB CC: AA=1 BB=2 CC=2 <> AA=1 BB=2 CC=3
    b get AA BB CC: AA=1 BB=1 CC=1 <> AA=1 BB=2 CC=3
    a get AA BB CC: AA- BB- CC- <> AA=1 BB=2 CC=3
    d unset AA
    d get AA: AA-
    c get AA: AA=1 <> AA-
    d direct AA BB CC: AA- BB- CC- <> AA- BB=2 CC=3
    c return
    b return
    d get AA BB CC: AA- BB=2 CC=3
EOS
}

@test "E2: a private view ends with its thread: no join hands it on" {
  differs private <<'EOS'
    a start b
    a start-detached c
    b set AA 1
    c set BB 1
    b return
    c exit
    a get AA BB: AA- BB- <> AA=1 BB=1
    a join b
    a get AA BB: AA- BB- <> AA=1 BB=1
    a spawn AA BB: AA- BB- <> AA=1 BB=1
EOS
}

@test "E2: removal, clearenv and defaults are a thread's own" {
  differs private <<'EOS'
    a set AA 0
    a set BB 0
    a start b
    b unset AA
    b get AA BB: AA- BB=0
    a get AA: AA=0 <> AA-
    b default BB 1
    b default AA 1
    b get AA BB: AA=1 BB=0
    b clear
    b get AA BB: AA- BB-
    b spawn AA BB: AA- BB-
    b fork AA BB: AA- BB- | AA- BB-
    a get AA BB: AA=0 BB=0 <> AA- BB-
    a direct AA BB: AA=0 BB=0 <> AA- BB-
    a set CC 1
    b get CC: CC=1
EOS
}

# ---- E7, and names by rule ----

@test "E7: what libc reads for itself is shared in every mode" {
  unset LC_ALL # it would hide LANG
  agrees scoped private <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 1
    b set TZ UTC-3
    a get TZ: TZ=UTC-3
    a clock: 3
    b clock: 3
    c set TZ UTC-5
    b get TZ: TZ=UTC-5
    b clock: 5
    b direct TZ: TZ=UTC-5
    b spawn TZ: TZ=UTC-5
    b set LANG C.UTF-8
    b locale: C.UTF-8
    c set LANG C
    c locale: C
    b locale: C
    b fork TZ LANG: TZ=UTC-5 LANG=C | TZ=UTC-5 LANG=C
    b unset TZ
    c get TZ: TZ-
    c clock: 0
EOS
}

@test "E7: contenders and private threads set TZ and the locale for all, and keep the rest to themselves" {
  unset LC_ALL
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    c set TZ UTC-5
    b get AA TZ: AA=1 TZ=UTC-5 <> AA=2 TZ=UTC-5
    b clock: 5
    b set LANG C.UTF-8
    c locale: C.UTF-8
EOS
  differs private <<'EOS'
    a start b
    b set AA 1
    b set TZ UTC-5
    a get AA TZ: AA- TZ=UTC-5 <> AA=1 TZ=UTC-5
    a clock: 5
    b clock: 5
EOS
}

@test "E7: a rule shares a variable, or only watches it" {
  agrees scoped+rules private+rules <<'EOS'
    a start b
    a start c
    b set SHARED_V 1
    c set SHARED_V 2
    b get SHARED_V: SHARED_V=2
    a get SHARED_V: SHARED_V=2
    b set WATCHED_V 1
    c set WATCHED_V 2
    b get WATCHED_V: WATCHED_V=2
    b spawn SHARED_V WATCHED_V: SHARED_V=2 WATCHED_V=2
EOS
}

@test "E7: a rule makes one variable private, and leaves the others as they are" {
  differs scoped+rules <<'EOS'
    a start b
    b set PRIVATE_V 1
    b set AA 1
    a get PRIVATE_V AA: PRIVATE_V- AA=1 <> PRIVATE_V=1 AA=1
    b start c
    c get PRIVATE_V AA: PRIVATE_V=1 AA=1
    c set BB 1
    c set PRIVATE_V 2
    a get BB: BB=1
    b get PRIVATE_V BB: PRIVATE_V=1 BB=1 <> PRIVATE_V=2 BB=1
    c spawn PRIVATE_V BB: PRIVATE_V=2 BB=1
EOS
}

@test "E7: a rule scopes one variable where the others are private" {
  differs private+rules <<'EOS'
    a start b
    a start c
    b set SCOPED_V 1
    a get SCOPED_V: SCOPED_V=1
    b set AA 1
    a get AA: AA- <> AA=1
    b set SCOPED_V 2
    c get SCOPED_V: SCOPED_V=2
    c set SCOPED_V 3
    b get SCOPED_V AA: SCOPED_V=2 AA=1 <> SCOPED_V=3 AA=1
    a direct SCOPED_V: SCOPED_V=3
EOS
}

# ---- E4: scopes of raceshim.h ----

@test "E4: scopes nest three deep, and leaving restores what was there" {
  differs scoped private <<'EOS'
    a set AA 0
    a set BB 0
    a start b
    a enter 1
    a set AA 1
    a set BB 1
    a enter 2
    a unset BB
    a enter 3
    a put AA 3
    a get AA BB: AA=3 BB-
    a get-in-handler AA BB: AA=3 BB-
    a spawn AA BB: AA=3 BB-
    a fork AA BB: AA=3 BB- | AA=3 BB-
    b get AA BB: AA=0 BB=0 <> AA=3 BB-
    a direct AA BB: AA=0 BB=0 <> AA=3 BB-
    a leave 3
    a get AA BB: AA=1 BB- <> AA=3 BB-
    a leave 2
    a get AA BB: AA=1 BB=1 <> AA=3 BB-
    a popen AA BB: AA=1 BB=1 <> AA=3 BB-
    a leave 1
    a get AA BB: AA=0 BB=0 <> AA=3 BB-
    a set AA 4
    b get AA: AA=4
EOS
}

@test "E4: threads started inside a scope see it, write for themselves, and keep it when their starter leaves" {
  differs scoped private <<'EOS'
    a start b
    b enter 1
    b set AA 1
    b start c
    c start-detached d
    d get AA: AA=1
    d set AA 2
    d set BB 2
    c get AA BB: AA=1 BB- <> AA=2 BB=2
    b get AA BB: AA=1 BB- <> AA=2 BB=2
    a get AA BB: AA- BB- <> AA=2 BB=2
    b set CC 1
    d get CC: CC=1
    b leave 1
    b get AA CC: AA- CC- <> AA=2 CC=1
    c get AA CC: AA=1 CC=1 <> AA=2 CC=1
    d spawn AA BB CC: AA=2 BB=2 CC=1
    b return
    d get AA BB CC: AA=2 BB=2 CC=1
EOS
}

@test "E4: the wrong order, the wrong thread and a scope that is not entered are errors that change nothing" {
  differs scoped private <<'EOS'
    a start b
    a enter 1
    a set AA 1
    a enter 2
    a set AA 2
    a leave 1: EINVAL <> ok
    b leave a2: EPERM <> ok
    b leave a1: EPERM <> ok
    a leave 3: EINVAL <> ok
    b leave 1: EINVAL <> ok
    a get AA: AA=2
    a leave 2
    a leave 2: EINVAL <> ok
    a get AA: AA=1 <> AA=2
    a leave 1
    a get AA: AA- <> AA=2
EOS
}

@test "E4: a scope that was jumped out of is left with the one around it, and a thread that ends leaves its own" {
  differs scoped private <<'EOS'
    a start b
    a set AA 0
    b enter 1
    b set AA 1
    b jump 2
    b get AA: AA=1
    b leave 1
    b get AA: AA=0 <> AA=1
    b enter 3
    b set AA 3
    b set BB 3
    b return
    a get AA BB: AA=0 BB- <> AA=3 BB=3
    a join b
    a get AA BB: AA=0 BB- <> AA=3 BB=3
EOS
}

@test "E4: in a forked child the scope is what getenv and environ say, and leaving restores what was outside" {
  differs scoped private <<'EOS'
    a set AA 0
    a start b
    b enter 1
    b set AA 1
    b set BB 1
    b enter 2
    b unset AA
    b fork AA BB: AA- BB=1 | AA- BB=1
    b fork-leave 2 AA BB: AA=1 BB=1 | AA=1 BB=1 <> AA- BB=1 | AA- BB=1
    b get AA BB: AA- BB=1
    b leave 2
    b fork-leave 1 AA BB: AA=0 BB- | AA=0 BB- <> AA- BB=1 | AA- BB=1
    b get AA BB: AA=1 BB=1 <> AA- BB=1
EOS
}

@test "E4: within a scope a contender's view lies under it" {
  differs scoped <<'EOS'
    a start b
    a start c
    b set AA 1
    c set AA 2
    b enter 1
    b get AA: AA=1 <> AA=2
    b set AA 3
    c get AA: AA=2 <> AA=3
    a get AA: AA=2 <> AA=3
    b spawn AA: AA=3
    b leave 1
    b get AA: AA=1 <> AA=3
EOS
}

# ---- random programs ----

# The number of random programs; RACESHIM_RANDOM_PROGRAMS=10000 asks for more. A prefix like valgrind makes each some
# hundred times dearer.
programs() {
  if [ -n "${RACESHIM_TEST_PREFIX-}" ]; then echo $(($1 / 200)); else echo "${RACESHIM_RANDOM_PROGRAMS-$1}"; fi
}

# random_programs MODE COUNT: without records, so that 10,000 take less than a minute
random_programs() {
  local mode=$1 count=$2
  # shellcheck disable=SC2046 # a list of words
  run in_mode "$mode" "$PROBES/random_environments" $(expectation "$mode") --count="$count"
  # What explains a failure, with the seed that repeats it.
  echo "$output" | tail -n 100
  [ "$status" -eq 0 ] && [ "$(fact differences)" -eq 0 ]
}

@test "E1: random programs see what the definition says, scoped" {
  local mode without_records=1
  for mode in scoped scoped+rules; do
    random_programs $mode "$(programs 400)"
    # They are about something.
    [ "$(fact contentions)" -gt "$(($(fact programs) / 2))" ]
  done
}

@test "E2: random programs see what the definition says, private" {
  local mode without_records=1
  for mode in private private+rules; do random_programs $mode "$(programs 400)"; done
}

@test "E1: random programs see under watch and off what they see bare" {
  local mode without_records=1
  for mode in bare watch watch+rules off; do random_programs $mode "$(programs 200)"; done
}

@test "E1: random programs see the same when it is recorded" {
  local mode
  for mode in scoped+rules private+rules watch+rules; do
    random_programs $mode "$(programs 100)"
    [ -n "$(events env-unsafe-write)" ]
  done
}

@test "E1: bare, random programs differ from the definition of scopes, and of private views" {
  local expect
  for expect in scoped private; do
    run bare "$PROBES/random_environments" --expect=$expect --count=100 --seed=1
    [ "$status" -eq 1 ]
    [ "$(fact differences)" -gt 40 ]
  done
}

@test "E1: one command repeats one random program" {
  local first
  one() { bare "$PROBES/random_environments" --seed="$1" --count=1 --verbose; }
  first=$(one 4711)
  grep -q '^[a-h] start' <<<"$first"
  [ "$(one 4711)" = "$first" ]
  [ "$(one 4712)" != "$first" ]
}
