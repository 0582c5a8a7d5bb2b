//! Writes Wasmtime's preview 1 adapter for commands to the path it is given.
//! A program of its own, because the adapter comes inside a crate and `wasm-tools` wants a file.

use std::process::ExitCode;

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: adapter FILE");
        return ExitCode::from(2);
    };
    match std::fs::write(&path, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write `{}`: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
