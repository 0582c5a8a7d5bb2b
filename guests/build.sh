#!/bin/sh
# Builds every guest into out/ and says in out/TOOLCHAIN with what. `cargo xtask guests` runs it in a copy of this folder;
# by hand: needs cargo with the target wasm32-wasip2, zig (or `python3 -m ziglang`) and wasm-tools.
set -eu
cd "$(dirname "$0")"
zig=$(command -v zig || echo 'python3 -m ziglang')
mkdir -p out

# No path of the building machine may end up in a component: its digest would depend on it.
export RUSTFLAGS="--remap-path-prefix=$PWD=/guests --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
cargo build --locked --release --target wasm32-wasip2 --package guests
cp target/wasm32-wasip2/release/*.wasm out/

# C: a preview 1 module (zig's own stack would be 16 MiB), then made a component by Wasmtime's adapter.
cargo run --locked --quiet --release --package adapter -- target/adapter.wasm
$zig cc -target wasm32-wasi -Os -s -Wl,-z,stack-size=65536 c/hello.c -o target/hello-c.p1.wasm
wasm-tools component new target/hello-c.p1.wasm --adapt wasi_snapshot_preview1=target/adapter.wasm -o out/hello-c.wasm

{
    rustc --version
    wasm-component-ld --version 2>/dev/null || echo 'wasm-component-ld of the toolchain'
    echo "zig $($zig version)"
    wasm-tools --version
} > out/TOOLCHAIN
