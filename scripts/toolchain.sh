#!/usr/bin/env bash
# Brings every tool that a build needs onto this machine, and nothing twice.
#
# Each step looks first and is silent when there is nothing to do, so every other script may call this one.
# Not here: npm packages (scripts/ensure.mjs) and building (scripts/build.mjs).
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/toolchain.sh [--native] [--browser] [--browsers] [--databases] [--operations] [--print] [--quiet]

Installs what is missing of: compiler, CMake, Ninja, ccache and test libraries (Debian packages), Emscripten >= 3.1.69
and the four C files of lz4 1.9.4 (pinned, checked by sha256, never committed).

  --native     leave Emscripten out: enough for the native, asan and fuzz presets
  --browser    also Chromium, for the browser tests and the demo check
  --browsers   that, and Firefox, WebKitGTK and Xvfb, for the claim that compares them (500 MB to load)
  --databases  also PostgreSQL and Redis, for the server tests
  --operations also nginx and promtool, for two claims; unpacked into the toolchain folder, so that no service starts
  --print      print NAME=value lines for eval
  --quiet      report errors only
  --help       this text

Emscripten is taken from, in this order: $EMSDK, $EMSCRIPTEN_ROOT, the PATH, the Debian package where it is new enough,
and on Debian 12 the newer Debian packages unpacked into the toolchain folder beside the system (246 MB to load).

environment
  OAS_TOOLCHAIN_DIR  where unpacked tools live (default: <checkout>/.toolchain); share one between checkouts
  OAS_LZ4_DIR        a folder that holds lz4.c, lz4.h, lz4hc.c, lz4hc.h: nothing is fetched
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${OAS_TOOLCHAIN_DIR:-$root/.toolchain}
want_wasm=1 want_browser=0 want_browsers=0 want_databases=0 want_operations=0 print=0 quiet=0
for argument in "$@"; do
  case $argument in
    --native) want_wasm=0 ;;
    --browser) want_browser=1 ;;
    --browsers) want_browser=1 want_browsers=1 ;;
    --databases) want_databases=1 ;;
    --operations) want_operations=1 ;;
    --print) print=1 ;;
    --quiet) quiet=1 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "toolchain: unknown argument '$argument' (see --help)" >&2; exit 2 ;;
  esac
done

say() { [ "$quiet" = 1 ] || echo "toolchain: $*" >&2; }
die() { echo "toolchain: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command silently; shows its output only when it fails.
run() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    die "failed: $*"
  fi
  rm -f "$log"
}

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
scratch_root=$(mktemp -d)
trap 'rm -rf "$scratch_root"' EXIT
# Two builds may start at once; the second one waits and then finds everything done.
exec 9>"$dir/.lock"
if have flock; then flock 9; fi

# --- 1. system packages ------------------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else die "not root and no sudo; run as root: $*"; fi
}

packages_updated=0
update_packages() {
  [ "$packages_updated" = 1 ] && return
  say "updating the package lists"
  run as_root apt-get -o DPkg::Lock::Timeout=300 update -q
  packages_updated=1
}

install_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  update_packages
  say "installing ${missing[*]}"
  run as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "${missing[@]}"
}

# Without apt nothing is installed; the commands that a build calls must then be there already.
require_commands() {
  local missing=() name
  for name in "$@"; do have "$name" || missing+=("$name"); done
  [ ${#missing[@]} = 0 ] || die "this system has no apt-get; please install: ${missing[*]}"
}

if have apt-get && have dpkg-query; then
  wanted=(cmake ninja-build ccache g++ clang-19 lld-19 llvm-19 libclang-rt-19-dev clang-format-19 clang-tidy-19
    nlohmann-json3-dev libboost-test-dev ca-certificates git python3 patchelf)
  [ "$want_browser" = 1 ] && wanted+=(chromium fonts-dejavu-core)
  [ "$want_browsers" = 1 ] && wanted+=(firefox-esr libwebkit2gtk-4.1-0 xvfb xauth)
  # The distribution's service scripts would start a database at boot; the tests start their own and leave that one alone.
  [ "$want_databases" = 1 ] && wanted+=(postgresql redis-server procps)
  install_packages "${wanted[@]}"
else
  require_commands cmake ninja clang++-19 clang-format-19 python3 git
fi

# --- 2. Emscripten -----------------------------------------------------------------------------------------------------

emscripten_min=3.1.69
emscripten_version=3.1.69+dfsg-3
emscripten_sha256=d2ac788b952c56ab6736b4db2ac0825aa63cfb4c08b8abaefe19e324779d1b2d
binaryen_version=120-4
binaryen_sha256=47be56009e56170f4338a0154fbff2028bd607bc3c8b6a5414658a985bef6470

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# Prints the version of the Emscripten in a folder, or nothing. Reading the file avoids a second of start-up.
version_in() {
  local file
  for file in "$1/emscripten-version.txt" "$1/../share/emscripten/emscripten-version.txt"; do
    if [ -f "$file" ]; then tr -d '"\n' <"$file"; return; fi
  done
}

accept_emscripten() {
  local version
  [ -x "$1/em++" ] || return 1
  version=$(version_in "$1")
  [ -n "$version" ] && at_least "$emscripten_min" "${version%%[-+]*}"
}

# The real folder behind an em++ found on the PATH; Debian's /usr/bin/em++ is a wrapper around /usr/share/emscripten.
emscripten_on_path() {
  local found
  found=$(command -v em++ || true)
  [ -n "$found" ] || return 1
  found=$(dirname "$(readlink -f "$found")")
  if accept_emscripten "$found"; then echo "$found"; return; fi
  if [ "$found" = /usr/bin ] && accept_emscripten /usr/share/emscripten; then echo /usr/share/emscripten; return; fi
  return 1
}

check_sha256() { echo "$2  $1" | sha256sum --check --status || die "wrong checksum: $(basename "$1")"; }

# An apt of its own lists: the system's lists, sources and package database stay as they are.
# usage: open_isolated_apt <scratch> <source line after the signature>
open_isolated_apt() {
  local scratch=$1 kind=$2 suite=$3 mirror
  have apt-get || die "this system has no apt-get; set EMSDK or EMSCRIPTEN_ROOT, and OAS_LZ4_DIR"
  mirror=$(debian_mirror)
  if [ -z "$mirror" ]; then update_packages; mirror=$(debian_mirror); fi
  [ -n "$mirror" ] || die "no Debian package source is configured; set EMSDK or EMSCRIPTEN_ROOT, and OAS_LZ4_DIR"
  mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
  : >"$scratch/status"
  echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$scratch/src.list"
  isolated=(-q -o "Dir::Etc::SourceList=$scratch/src.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$scratch/lists" -o "Dir::State::status=$scratch/status" -o "Dir::Cache=$scratch/cache"
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3)
  run apt-get "${isolated[@]}" update
}

debian_mirror() { apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' 2>/dev/null | head -n 1; }

# Debian 13's Emscripten over Debian 12's LLVM 19. Its binaryen needs a newer libc, which is unpacked beside it.
unpack_emscripten() {
  local target=$1 scratch archive libs file
  [ "$(dpkg --print-architecture)" = amd64 ] || die "no Emscripten >= $emscripten_min found; set EMSDK or EMSCRIPTEN_ROOT"
  say "unpacking Emscripten $emscripten_version into $target (246 MB to load)"
  scratch=$scratch_root/$$.$RANDOM
  mkdir -p "$scratch"
  open_isolated_apt "$scratch" deb trixie
  (cd "$scratch" && run apt-get "${isolated[@]}" download "emscripten=$emscripten_version" "binaryen=$binaryen_version" \
    node-acorn libc6 libstdc++6 libgcc-s1)
  check_sha256 "$scratch"/emscripten_*.deb "$emscripten_sha256"
  check_sha256 "$scratch"/binaryen_*.deb "$binaryen_sha256"

  rm -rf "$target"
  mkdir -p "$target/rt"
  # 1.7 GB unpacked; GL, threads, wasm workers, sanitizers, PIC and wasmfs are never linked here.
  dpkg-deb --fsys-tarfile "$scratch"/emscripten_*.deb | tar x -C "$target" --exclude=./usr/share/emscripten/test \
    --exclude='*/wasm32-emscripten/pic' --exclude='*/wasm32-emscripten/lto-pic' --exclude='*/libGL-*' --exclude='*-mt[-.]*' \
    --exclude='*-ww[-.]*' --exclude='*/lib*-asan*' --exclude='*/libwasmfs*' --exclude=./usr/share/doc --exclude=./usr/share/man
  dpkg-deb -x "$scratch"/binaryen_*.deb "$target"
  dpkg-deb -x "$scratch"/node-acorn_*.deb "$target"
  for archive in libc6 libstdc++6 libgcc-s1; do dpkg-deb -x "$scratch/$archive"_*.deb "$target/rt"; done
  ln -sfn ../nodejs "$target/usr/share/emscripten/node_modules"

  libs=$target/rt/usr/lib/x86_64-linux-gnu
  for file in "$target"/usr/bin/wasm-*; do
    if [ "$(head -c 4 "$file" | tail -c 3)" = ELF ]; then
      run patchelf --set-interpreter "$libs/ld-linux-x86-64.so.2" --set-rpath "$target/usr/lib/x86_64-linux-gnu:$libs" "$file"
    fi
  done
  run patchelf --set-rpath "$libs" "$target/usr/lib/x86_64-linux-gnu/libbinaryen.so"
  cat >"$target/usr/share/emscripten/.emscripten" <<CONFIG
LLVM_ROOT = '/usr/lib/llvm-19/bin'
BINARYEN_ROOT = '$target/usr'
NODE_JS = '$(command -v node || command -v nodejs)'
CACHE = '$target/usr/share/emscripten/cache'
CONFIG
  run "$target/usr/share/emscripten/em++" --version
  # The stamp holds the place: the patched paths are absolute, so a moved folder must be made anew.
  echo "$emscripten_version $target" >"$target/stamp"
}

emscripten=
find_emscripten() {
  if [ -n "${EMSDK:-}" ] && accept_emscripten "$EMSDK/upstream/emscripten"; then emscripten=$EMSDK/upstream/emscripten; return; fi
  if [ -n "${EMSCRIPTEN_ROOT:-}" ]; then
    accept_emscripten "$EMSCRIPTEN_ROOT" || die "EMSCRIPTEN_ROOT=$EMSCRIPTEN_ROOT holds no Emscripten >= $emscripten_min"
    emscripten=$EMSCRIPTEN_ROOT
    return
  fi
  if emscripten=$(emscripten_on_path); then return; fi
  local target=$dir/emscripten candidate
  if [ "$(cat "$target/stamp" 2>/dev/null)" != "$emscripten_version $target" ]; then
    candidate=$(apt-cache policy emscripten 2>/dev/null | awk '/Candidate:/ {print $2}')
    if [ -n "$candidate" ] && at_least "$emscripten_min" "${candidate%%[-+]*}"; then
      install_packages emscripten
      emscripten=/usr/share/emscripten
      return
    fi
    unpack_emscripten "$target"
  fi
  emscripten=$target/usr/share/emscripten
}
[ "$want_wasm" = 0 ] || find_emscripten

# --- 3. lz4 ------------------------------------------------------------------------------------------------------------

lz4_version=1.9.4
lz4_tar_sha256=0b0e3aa07c8c063ddf40b082bdf7e37a1562bda40a0ff5272957f3e987e0e54b
lz4_files="b6a85fd8f9be0fedb568abd1338719b23b999583ccda6f3404d5ae11e4ce7b8e  lz4.c
c1614ecf7ada7b0be1acb560d4239595f96fbb7aa6a79a7c40cb358753830be6  lz4.h
bca2cf3a014b21919da4fa92db5adbfbfc9aee2f0938107885a3a8f49a750aa8  lz4hc.c
6bc1efeb79571807da2ca084809de1760e0cd87064e40eccf9624d95088dce7d  lz4hc.h"

fetch_lz4() {
  local target=$1 scratch
  say "fetching lz4 $lz4_version"
  scratch=$scratch_root/$$.$RANDOM
  mkdir -p "$scratch"
  open_isolated_apt "$scratch" deb-src bookworm
  (cd "$scratch" && run apt-get "${isolated[@]}" --download-only source "lz4=$lz4_version-1")
  check_sha256 "$scratch/lz4_$lz4_version.orig.tar.gz" "$lz4_tar_sha256"
  tar xzf "$scratch/lz4_$lz4_version.orig.tar.gz" -C "$scratch"
  mkdir -p "$target"
  cp "$scratch/lz4-$lz4_version/lib/"{lz4.c,lz4.h,lz4hc.c,lz4hc.h,LICENSE} "$target/"
}

lz4=${OAS_LZ4_DIR:-$dir/lz4-$lz4_version}
lz4_matches() { (cd "$lz4" 2>/dev/null && echo "$lz4_files" | sha256sum --check --status 2>/dev/null); }
if [ -n "${OAS_LZ4_DIR:-}" ]; then
  [ -f "$lz4/lz4.c" ] && [ -f "$lz4/lz4hc.c" ] || die "OAS_LZ4_DIR=$lz4 does not hold lz4.c and lz4hc.c"
  lz4_matches || say "OAS_LZ4_DIR holds other files than lz4 $lz4_version; the golden vectors decide whether they will do"
elif ! lz4_matches; then
  fetch_lz4 "$lz4"
  lz4_matches || die "the four files of lz4 do not have the expected checksums"
fi

# --- 4. nginx and promtool ---------------------------------------------------------------------------------------------

# Installed, they would listen on ports of this machine from now on.
unpack_operations() {
  local target=$1 scratch=$scratch_root/$$.$RANDOM
  have apt-get || die "this system has no apt-get; please install: nginx promtool"
  update_packages
  say "unpacking nginx and promtool into $target"
  mkdir -p "$scratch" "$target"
  (cd "$scratch" && run apt-get download nginx prometheus)
  dpkg-deb --fsys-tarfile "$scratch"/nginx_*.deb | tar x -C "$target" ./usr/sbin/nginx
  dpkg-deb --fsys-tarfile "$scratch"/prometheus_*.deb | tar x -C "$target" ./usr/bin/promtool
}

if [ "$want_operations" = 1 ] && ! { have nginx && have promtool; }; then
  [ -x "$dir/operations/usr/sbin/nginx" ] && [ -x "$dir/operations/usr/bin/promtool" ] || unpack_operations "$dir/operations"
fi

# --- 5. where everything is --------------------------------------------------------------------------------------------

# Emscripten's own .js files are CommonJS; without this they would inherit "type": "module" from the checkout around them.
[ -f "$dir/package.json" ] || echo '{ "type": "commonjs" }' >"$dir/package.json"

# CMake and the Node scripts read these two, so that nobody has to set a variable by hand.
write_if_changed() {
  local content
  content=$(cat)
  [ "$(cat "$1" 2>/dev/null)" = "$content" ] || echo "$content" >"$1"
}
# A native-only run must not forget an Emscripten found earlier.
if [ -z "$emscripten" ] && [ -f "$dir/env.sh" ]; then emscripten=$(sed -n 's/^export EMSCRIPTEN_ROOT="\(.*\)"$/\1/p' "$dir/env.sh"); fi
write_if_changed "$dir/env.sh" <<ENV
export OAS_TOOLCHAIN_DIR="$dir"
export OAS_LZ4_DIR="$lz4"
export EMSCRIPTEN_ROOT="$emscripten"
ENV
write_if_changed "$dir/paths.cmake" <<ENV
set(OAS_PATH_LZ4 "$lz4")
set(OAS_PATH_EMSCRIPTEN "$emscripten")
ENV
if [ "$print" = 1 ]; then
  echo "OAS_TOOLCHAIN_DIR=$dir"
  echo "OAS_LZ4_DIR=$lz4"
  echo "EMSCRIPTEN_ROOT=$emscripten"
fi
