# shellcheck shell=bash
# shellcheck disable=SC2034 # the lists of packages are for those who source this
# Shared by tools/quickstart, tools/selftest and .ci/run: install what is missing, build.
#
#   say TEXT...                      one line of progress
#   install_missing PACKAGE...       by apt-get, as root or with sudo, without a question
#   build DIRECTORY [OPTION]...      configure there with these options, and make
#
# $top is the source tree. What the commands print is kept in $logs and shown if they fail.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=${logs:-$(mktemp -d)}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() {
  printf '== %s\n' "$*"
}

# logged NAME CMD...
logged() {
  local name=$1
  shift
  "$@" >"$logs/$name.log" 2>&1 </dev/null && return
  local status=$?
  tail -n 40 "$logs/$name.log"
  say "failed with status $status: $*"
  return "$status"
}

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The packages that every build needs
build_packages=(build-essential autoconf automake libtool pkg-config libjansson-dev libdw-dev libiberty-dev)
# The runner of the tests, the programs that they run, and the package that one test builds
test_packages=(bats parallel jq man-db bsdextrautils procps strace valgrind libc6-dbg gcc-multilib dpkg-dev xz-utils gettext texinfo
  libxml2-utils python3-jsonschema python3-yaml chromium sqlite3 python3 perl git default-jdk-headless stress-ng tdb-tools
  ruby nodejs rustc cargo cmake ninja-build gdb libpython3.11-testsuite libpython3.13-testsuite)
# What .ci/run uses besides
check_packages=(clang clang-format cppcheck shellcheck)

# as_root CMD...
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo --preserve-env=DEBIAN_FRONTEND "$@"
  fi
}

apt() {
  as_root apt-get -o DPkg::Lock::Timeout=300 -q "$@"
}

install_missing() {
  local package
  local missing=() known=()
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here; going on with what is installed (Debian's names of what is used: $*)"
    return 0
  fi
  for package; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "not root, and no sudo; as root: apt-get install ${missing[*]}"
    return 1
  fi
  say "installing ${missing[*]}"
  logged apt-update apt update || return
  # Some exist on some architectures only, gcc-multilib for one: a test that wants one skips.
  for package in "${missing[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then
      known+=("$package")
    else
      say "there is no package $package here: going on without"
    fi
  done
  [ ${#known[@]} -eq 0 ] || logged apt-install apt install -y --no-install-recommends "${known[@]}"
}

build() {
  local directory=$1
  shift
  if [ ! -e "$top/configure" ] || [ "$top/configure.ac" -nt "$top/configure" ] ||
    [ "$top/Makefile.am" -nt "$top/Makefile.in" ]; then
    logged autoreconf autoreconf -fi "$top" || return
  fi
  mkdir -p "$directory" || return
  (cd "$directory" &&
    { [ -e config.status ] || logged configure "$top/configure" -q "$@"; } &&
    logged make make -j2)
}

# bats_jobs: what bats is told so that it runs as many files of tests at a time as there are processors; nothing where
# it cannot. There is another program of the name than GNU's.
bats_jobs() {
  if parallel --version 2>/dev/null | grep -q '^GNU parallel'; then
    echo "--jobs $(nproc) --no-parallelize-within-files"
  fi
}
