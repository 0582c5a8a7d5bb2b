//! Loads compiled code from bytes: the one place of the workspace with `unsafe`.

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// The component whose compiled form is `cwasm`.
///
/// # Errors
/// When it was made by another version or configuration of Wasmtime.
#[allow(unsafe_code)]
pub(super) fn deserialize(engine: &Engine, cwasm: &[u8]) -> Result<Component> {
    // SAFETY: `deserialize` runs what it is given, so these must be bytes that Wasmtime's compiler wrote. The caller has
    // compared them, as they lie in memory and cannot change any more, with the SHA-256 that control got from the
    // compile child that made them and keeps under the node's own key. Nothing that came over the network gets here:
    // components travel as wasm.
    unsafe { Component::deserialize(engine, cwasm) }
}
