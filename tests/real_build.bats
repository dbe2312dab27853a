#!/usr/bin/env bats
# A real C project, as Debian distributes it, built by a recursive make.
load lib

PACKAGE=hello

# The mode of every day.
shimmed() { with_settings "locks=repair env=scoped ${EXTRA_SETTINGS-}" "$@"; }

# private_apt CMD ARG...: apt-get with lists, cache and sources in $WORK, so that the system's stay as they are
private_apt() {
  apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$WORK/apt/sources" \
    -o Dir::State::Lists="$WORK/apt/lists" -o Dir::Cache="$WORK/apt/cache" -o Acquire::Retries=2 \
    -o Acquire::http::Timeout=20 -o APT::Sandbox::User= "$@"
}

# The machine's own mirrors, asked for sources instead of packages
fetch_source() {
  local file
  need apt-get dpkg-source make gcc
  mkdir -p apt/sources apt/lists/partial apt/cache/archives/partial
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$file" ] || sed -n 's/^deb[[:space:]]/deb-src /p' "$file" >"apt/sources/$(basename "$file" .list).list"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"apt/sources/$(basename "$file")"
  done
  private_apt update >apt/log 2>&1 || true
  private_apt source "$PACKAGE" >>apt/log 2>&1 ||
    skip "the source of $PACKAGE cannot be had: $(grep '^E:' apt/log | head -n 1)"
  mv "$PACKAGE"-*/ source
}

# build_as NAME RUN: always in the same directory, whose name is in the debug information
build_as() {
  local name=$1 run=$2
  rm -rf "$WORK/tree"
  cp -a source tree
  export SOURCE_DATE_EPOCH=1700000000 LC_ALL=C.UTF-8
  # shellcheck disable=SC2016 # the inner shell expands it
  "$run" sh -c 'cd "$1" && ./configure -q && make -j2 -O && make -j2 -O DESTDIR="$1/installed" install' \
    sh "$WORK/tree" >"$name.out" 2>&1 </dev/null
  # config.log has times and process numbers in it
  (cd tree && find . -type f ! -name config.log -print0 | sort -z | xargs -0 sha256sum) >"$name.sums"
}

@test "L3: a recursive make -j2 -O build of a Debian source package has the same result under the shim" {
  fetch_source
  build_as bare bare
  build_as shimmed shimmed
  [ "$(grep -c 'make\[[0-9]\]: Entering directory' shimmed.out)" -gt 0 ]
  diff bare.sums shimmed.sums
  # -O prints the targets' output in the order in which they end
  diff <(sort bare.out) <(sort shimmed.out)
  tree/installed/usr/local/bin/hello
  # Nobody writes the environment beside another thread.
  [ -z "$(cat "$SESSION"/*.jsonl 2>/dev/null | jq -c 'select(.kind | startswith("env-"))')" ]
}
