#!/usr/bin/env bats
# Clean work: whole jobs of everyday programs under shim-run, as the user runs it. Output, status and what is on standard
# error are as without it, so shim-run has nothing to say; and nothing is recorded. The one exception says why.
# shellcheck disable=SC2016 # the scripts are for a shell within

load lib
load harm
load programs

# The default modes: locks repaired, the environment scoped.
shimmed() { timeout -s KILL "$MOST_SECONDS" "$SHIM_RUN" "${options[@]}" -o "$SESSION" -- "$@"; }
options=()

@test "H1: configure and make build this package's own programs" {
  need make gcc
  [ -x "$BATS_TEST_DIRNAME/../configure" ] || skip "there is no configure: autoreconf -i makes it"
  [ ! -e "$BATS_TEST_DIRNAME/../config.status" ] || skip "a source tree that is built in itself cannot be configured elsewhere"
  unharmed '
    source=$(cd "$1" && pwd)
    "$source/configure" --disable-dependency-tracking
    # In which order they are made differs from run to run.
    make -s -j2 tests/probes/keeps_to_the_rules tests/probes/holds_until_told >made
    sort made
    sha256sum tests/probes/holds_until_told
    cd tests/probes && touch file && ./keeps_to_the_rules file' "$BATS_TEST_DIRNAME/.."
  no_events
}

@test "H1: git makes, commits, branches, merges, packs and checks a repository" {
  need git
  unharmed '
    export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
    export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
    export GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" GIT_COMMITTER_DATE="2020-01-01T00:00:00Z"
    git init -q -b main repository
    cd repository
    for i in $(seq 30); do seq "$i" 300 >"file$i"; done
    git add .
    git commit -q -m first
    git checkout -q -b side
    echo side >file1; git commit -q -a -m side
    git checkout -q main
    echo main >file2; git commit -q -a -m main
    git merge -q -m merge side
    git tag -a -m tag v1
    git gc -q
    git fsck --strict 2>&1
    git log --oneline --graph
    git rev-parse HEAD v1
    git count-objects -v | grep -E "^(count|packs|garbage)"
    git clone -q . ../clone
    git -C ../clone status --short --branch
    touch .git/index.lock
    git add . 2>&1 || echo "status $?"'
  no_events
}

# A package of no program, and the directories that dpkg wants.
PACKAGE='
  mkdir -p package/DEBIAN package/usr/share/probe root/var/lib/dpkg/info root/var/lib/dpkg/updates
  printf "%s\n" "Package: probe-package" "Version: 1.0" "Architecture: all" \
    "Maintainer: Nobody <nobody@example.org>" "Description: nothing" >package/DEBIAN/control
  seq 100 >package/usr/share/probe/numbers
  touch root/var/lib/dpkg/status root/var/lib/dpkg/available
  dpkg-deb --root-owner-group --build package probe.deb
  export PATH=$PATH:/usr/sbin:/sbin'

@test "H1: dpkg installs a package into a root of its own and removes it" {
  need dpkg dpkg-deb
  need_root
  unharmed "$PACKAGE"'
    into="--root=$PWD/root --log=$PWD/log --no-triggers --force-not-root"
    dpkg $into -i probe.deb
    dpkg $into -L probe-package
    dpkg $into -s probe-package
    dpkg $into --verify probe-package
    cat root/usr/share/probe/numbers | sha256sum
    dpkg $into -r probe-package
    dpkg $into -l
    dpkg $into -i missing.deb 2>&1 || echo "status $?"'
  no_events
}

@test "H1: apt-get updates its lists, simulates and downloads" {
  need apt-get dpkg-deb dpkg
  need_root
  unharmed "$PACKAGE"'
    {
      cat package/DEBIAN/control
      echo "Filename: ./probe.deb"
      echo "Size: $(stat -c %s probe.deb)"
      echo "SHA256: $(sha256sum probe.deb | cut -d " " -f 1)"
    } >Packages
    mkdir -p apt/etc/apt/apt.conf.d apt/etc/apt/preferences.d apt/state/lists/partial apt/cache/archives/partial
    echo "deb [trusted=yes] file:$PWD ./" >apt/etc/apt/sources.list
    cat >apt.conf <<END
Dir "$PWD/apt/";
Dir::State "$PWD/apt/state";
Dir::State::status "$PWD/root/var/lib/dpkg/status";
Dir::Cache "$PWD/apt/cache";
Dir::Etc "$PWD/apt/etc/apt";
Dir::Log "$PWD/apt";
APT::Sandbox::User "root";
END
    export APT_CONFIG=$PWD/apt.conf
    apt-get -qq update
    apt-cache policy probe-package
    apt-get -s install probe-package
    apt-get -qq -y --download-only install probe-package
    apt-get -s install no-such-package 2>&1 || echo "status $?"
    apt-get check
    apt-get clean
    ls apt/state/lists apt/cache/archives | grep lock'
  no_events
}

@test "H1: python compiles a package to byte code in parallel processes" {
  need python3
  unharmed '
    cp -r /usr/lib/python3*/json /usr/lib/python3*/email .
    python3 -m compileall -q -j 4 --invalidation-mode checked-hash json email
    find . -name "*.pyc" -print0 | sort -z | xargs -0 sha256sum
    echo "def :" >json/broken.py
    python3 -m compileall -j 2 -q json || echo "status $?"'
  no_events
}

@test "H1: sqlite3 reads and writes databases, with a rollback journal and with WAL" {
  need sqlite3
  unharmed '
    for mode in delete truncate persist wal; do
      sqlite3 "$mode.db" "PRAGMA journal_mode=$mode; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);"
      for i in $(seq 5); do
        sqlite3 "$mode.db" "BEGIN; INSERT INTO t(b) SELECT hex(zeroblob(50)) FROM
          (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x < 200) SELECT x FROM n); COMMIT;"
      done
      sqlite3 "$mode.db" "ATTACH \"copy.$mode.db\" AS copy; CREATE TABLE copy.t AS SELECT * FROM t;
        SELECT count(*) FROM copy.t; UPDATE t SET b = \"\" WHERE a % 2; VACUUM; PRAGMA integrity_check;
        SELECT count(*), sum(length(b)) FROM t;"
    done
    # Two programs at one database.
    sqlite3 delete.db "BEGIN IMMEDIATE; INSERT INTO t(b) VALUES(1);" ".shell sqlite3 delete.db \"INSERT INTO t(b) VALUES(2)\" 2>&1" "COMMIT;"
    sqlite3 delete.db "SELECT count(*) FROM t"' 
  no_events
}

@test "H1: xz -T2 compresses and decompresses" {
  need xz
  unharmed '
    seq 300000 >numbers
    xz -T2 --block-size=200KiB -1 -k numbers
    sha256sum numbers.xz
    XZ_OPT=-T2 xz -dc numbers.xz | sha256sum
    XZ_DEFAULTS=--check=sha256 xz -T2 -1c numbers | xz -l -v - 2>&1 | grep -c SHA || true
    xz -T2 -t numbers.xz && echo whole'
  no_events
}

@test "H1: sort --parallel sorts" {
  need sort
  unharmed '
    seq 300000 | tac >numbers
    sort --parallel=4 -S 2M -T . -n numbers | sha256sum
    sort --parallel=2 -S 1M -T . --compress-program=gzip numbers | sha256sum
    LC_ALL=C sort --parallel=4 -c numbers || echo "status $?"'
  no_events
}

# Its initial thread sets variables while node's own threads run, which is a finding wherever it happens.
@test "H1: npm makes, lists and runs a package in an empty project, and is told of its unsafe writes only" {
  need node npm
  options=(-q)
  unharmed '
    export HOME=$PWD npm_config_cache=$PWD/cache npm_config_update_notifier=false npm_config_offline=true npm_config_logs_max=0
    mkdir project && cd project
    npm init -y >/dev/null
    npm pkg set scripts.seen="printenv npm_lifecycle_event npm_package_name JOB_NAME" scripts.fails="exit 3"
    npm install --silent; ls
    npm ls
    JOB_NAME=outer npm run --silent seen
    npm run --silent fails || echo "status $?"
    npm pack --silent && ls'
  [ "$(cat "$SESSION"/*.jsonl | jq -r .kind | sort -u)" = env-unsafe-write ]
}

@test "H1: Python's own tests run in parallel processes" {
  need python3
  python3 -c 'import test.test_bisect' 2>/dev/null || skip "Python's test suite is not installed"
  unharmed '
    python3 -m test -j 4 test_bisect test_heapq test_textwrap test_shlex test_fnmatch test_struct >out 2>&1
    grep -E "^(All|Total tests|Result|Tests result)" out'
  no_events
}
