//! Components that are loaded and linked, ready to be instantiated, and the few of them that are kept for the next run.

use super::compile::MAX_CWASM_BYTES;
use super::engine::{Flavour, Flavours};
use super::guest::Guest;
use super::{linking, load};
use shared::Digest;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

/// Components that stay loaded while none of their instances runs, to restart at once.
const CACHED: usize = 16;

/// And their size together: an idle runner must not hold a board's memory.
const CACHED_BYTES: usize = 64 * 1024 * 1024;

/// What a run calls.
pub(super) enum Entry {
    /// `run` of `wasi:cli/run`.
    Command(ComponentExportIndex),
    /// A function `run` of the component itself.
    Bare(ComponentExportIndex),
    /// There is neither.
    Nothing,
}

/// A component to instantiate.
pub(super) struct Prepared {
    pub(super) instance: InstancePre<Guest>,
    pub(super) entry: Entry,
}

/// Why there is no component to instantiate.
#[derive(Debug)]
pub(super) enum NotLoaded {
    /// The file is not what was compiled: it has to be compiled anew.
    Unloadable(String),
    /// The machine was not able to, this time: for want of memory or descriptors, say. What was compiled may be as good as
    /// ever.
    Fault(String),
}

/// Loaded components, the one that was used last at the end.
pub(super) struct Cache {
    flavours: Arc<Flavours>,
    kept: Vec<Kept>,
}

struct Kept {
    sha256: [u8; 32],
    fuel: bool,
    bytes: usize,
    prepared: Arc<Prepared>,
}

impl Cache {
    pub(super) fn new(flavours: Arc<Flavours>) -> Cache {
        Cache { flavours, kept: Vec::new() }
    }

    /// The component in the file at `path`, whose SHA-256 must be `sha256`.
    ///
    /// # Errors
    /// What is wrong with the file or the machine, in one line.
    pub(super) fn get(&mut self, path: &Path, sha256: [u8; 32], fuel: bool) -> Result<Arc<Prepared>, NotLoaded> {
        if let Some(at) = self.kept.iter().position(|kept| kept.sha256 == sha256 && kept.fuel == fuel) {
            let kept = self.kept.remove(at);
            let prepared = kept.prepared.clone();
            self.kept.push(kept);
            return Ok(prepared);
        }
        let cwasm = read(path).map_err(|error| unread(&error))?;
        if *Digest::of(&cwasm).as_bytes() != sha256 {
            return Err(NotLoaded::Unloadable("the compiled component is not the one that was compiled".to_owned()));
        }
        let prepared = prepare(self.flavours.of(fuel), &cwasm).map_err(|error| unprepared(&error))?;
        let prepared = Arc::new(prepared);
        self.keep(Kept { sha256, fuel, bytes: cwasm.len(), prepared: prepared.clone() });
        Ok(prepared)
    }

    fn keep(&mut self, kept: Kept) {
        self.kept.push(kept);
        let mut bytes: usize = self.kept.iter().map(|kept| kept.bytes).sum();
        while self.kept.len() > CACHED || bytes > CACHED_BYTES && self.kept.len() > 1 {
            bytes -= self.kept.remove(0).bytes;
        }
    }
}

/// As much as compiled code can have, and a byte more: what is larger has another digest.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_CWASM_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Only of a file that is not there it is certain that nothing is lost when it is compiled anew.
fn unread(error: &io::Error) -> NotLoaded {
    let why = format!("the compiled component cannot be read: {error}");
    match error.kind() {
        io::ErrorKind::NotFound => NotLoaded::Unloadable(why),
        _ => NotLoaded::Fault(why),
    }
}

/// The system refuses memory now and then; whatever else Wasmtime says is about the code.
fn unprepared(error: &wasmtime::Error) -> NotLoaded {
    let why = format!("the compiled component does not load: {error:#}");
    let cause = error.root_cause();
    if cause.is::<rustix::io::Errno>() || cause.is::<io::Error>() {
        NotLoaded::Fault(why)
    } else {
        NotLoaded::Unloadable(why)
    }
}

fn prepare(flavour: &Flavour, cwasm: &[u8]) -> wasmtime::Result<Prepared> {
    let component = load::deserialize(&flavour.engine, cwasm)?;
    let instance = linking::with_stubs(&flavour.linker, &component)?.instantiate_pre(&component)?;
    Ok(Prepared { instance, entry: entry(&component) })
}

/// The lookup is by semver: any release of 0.2 is found.
fn entry(component: &Component) -> Entry {
    let command = component
        .get_export_index(None, "wasi:cli/run@0.2.0")
        .and_then(|interface| component.get_export_index(Some(&interface), "run"));
    if let Some(index) = command {
        return Entry::Command(index);
    }
    match component.get_export(None, "run") {
        Some((ComponentItem::ComponentFunc(ty), index)) if ty.params().len() == 0 => Entry::Bare(index),
        _ => Entry::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_memory_is_no_fault_of_the_code() {
        let refused = wasmtime::Error::from(rustix::io::Errno::NOMEM).context("mmap failed");
        assert!(matches!(unprepared(&refused), NotLoaded::Fault(_)));
        assert!(matches!(unprepared(&wasmtime::Error::msg("another version")), NotLoaded::Unloadable(_)));
        for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NOMEM, rustix::io::Errno::IO] {
            assert!(matches!(unread(&errno.into()), NotLoaded::Fault(_)), "{errno}");
        }
        assert!(matches!(unread(&rustix::io::Errno::NOENT.into()), NotLoaded::Unloadable(_)));
    }
}
