#!/usr/bin/env bash
# Builds the filter into target/gateway: app_auth.wasm and app_auth.meta.json, ready to be Kong's wasm_filters_path.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
out=target/gateway
flags=(build --locked -p app-auth-filter --target wasm32-wasip1 --profile wasm)

if rustc --print target-libdir --target wasm32-wasip1 2>/dev/null | xargs -r test -d; then
  cargo "${flags[@]}"
else
  # Without rustup's standard library for the target: Debian's compiler builds its own.
  libdir=/usr/lib/wasm32-wasi
  [ -e $libdir/libc.a ] || { echo "missing: wasi-libc (apt-get install wasi-libc)" >&2; exit 1; }
  RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld-22 \
    CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -Clink-arg=-L$libdir" \
    RUSTC=/usr/bin/rustc /usr/bin/cargo "${flags[@]}" -Zbuild-std=std,panic_abort
fi

mkdir -p "$out"
install -m 0644 "$target/wasm32-wasip1/wasm/app_auth.wasm" "$out/app_auth.wasm"
install -m 0644 kong/app_auth.meta.json "$out/app_auth.meta.json"
printf '%s  %s bytes\n' "$out/app_auth.wasm" "$(stat -c %s "$out/app_auth.wasm")"
