#!/usr/bin/env bats
# The environment beside a glibc that reads it without a lock itself, 2.41 or later: Debian 13's, fetched by apt into a
# directory of its own and run by its own loader. Without apt, or without the network, these tests are skipped.

load lib
load harm

setup_file() {
  local root=$BATS_FILE_TMPDIR/apt mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  export NEWER=$BATS_FILE_TMPDIR/root WHY_NOT=
  command -v apt-get dpkg-deb >/dev/null && [ -e "$keyring" ] || {
    WHY_NOT='no apt-get, or no keys of Debian'
    return
  }
  mkdir -p "$root"/{lists,archives}/partial "$NEWER"
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*\).*/\2/p' | head -n 1)
  [ -n "$mirror" ] || {
    WHY_NOT="apt's sources name no archive of Debian"
    return
  }
  echo "deb [signed-by=$keyring] $mirror trixie main" >"$root/sources"
  cat >"$root/apt.conf" <<EOF
Dir::Etc::sourcelist "$root/sources";
Dir::Etc::sourceparts "-";
Dir::State::lists "$root/lists";
Dir::Cache::archives "$root/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
Acquire::Retries "0";
Acquire::http::Timeout "10";
EOF
  (cd "$root" && export APT_CONFIG=$root/apt.conf && timeout 120 apt-get -q update &&
    timeout 60 apt-get -q download libc6 && dpkg-deb -x libc6_*.deb "$NEWER") >"$root/log" 2>&1 ||
    WHY_NOT="Debian 13's libc6 cannot be fetched: $(tail -n 1 "$root/log")"
}

prepare() {
  [ -z "$WHY_NOT" ] || skip "$WHY_NOT"
  LOADER=$(echo "$NEWER"/usr/lib/*/ld-linux-*.so.*)
  [ -x "$LOADER" ] || skip 'no loader in the package'
}

# newer [--preload LIBRARY] CMD...
newer() {
  "$LOADER" --library-path "${LOADER%/*}" "$@"
}

# The program starts itself anew by /proc/self/exe, which is the loader here: it is given what it would give itself.
five_variables() {
  env -i FIRST=1 SECOND=2 TZ=UTC PATH=/bin:/usr/bin LAST=last "$@"
}

@test "E6: all that a program sees of its environment is the same beside a newer libc" {
  five_variables "$LOADER" --library-path "${LOADER%/*}" "$PROBES/environment_seen" >bare.out
  five_variables "$LOADER" --library-path "${LOADER%/*}" --preload "$LIBRARY" "$PROBES/environment_seen" >shimmed.out
  diff bare.out shimmed.out
  [ "$(grep -c . shimmed.out)" -gt 100 ]
}

@test "E5: readers of environ, whom a newer libc lets miss and crash, do neither" {
  not_under_valgrind 'valgrind lets one thread run at a time'
  run newer "$PROBES/environment_beside_writers" unset walk 300 5000
  [ "$status" = 1 ]
  run newer --preload "$LIBRARY" "$PROBES/environment_beside_writers" unset walk 2 6000
  [ "$status" = 0 ]
}

@test "E5: all readers beside all writers and a newer libc" {
  not_under_valgrind 'valgrind lets one thread run at a time'
  run newer --preload "$LIBRARY" "$PROBES/environment_beside_writers" all all 2 6000
  echo "$output"
  [ "$status" = 0 ]
  run newer --preload "$LIBRARY" "$PROBES/environment_beside_writers" clear all 2 6000
  [ "$status" = 0 ]
}

@test "E5: signal handlers beside a newer libc" {
  run newer --preload "$LIBRARY" "$PROBES/environment_in_handlers" reads 1000
  [ "$output" = $'missed=0\nmissed_in_handler=0\ntwice=0' ]
  run newer --preload "$LIBRARY" "$PROBES/environment_in_handlers" writes 1000
  [ "$output" = $'missed=0\nmissed_in_handler=0\ntwice=0' ]
}
