//! The two engines, with and without fuel, and how their compiled code is named. The compile child and the runner make
//! them from this one place: code that was compiled under another configuration does not load.

use super::guest::Guest;
use super::linking;
use shared::Digest;
use std::hash::{Hash as _, Hasher};
use wasmtime::component::Linker;
use wasmtime::{Config, Engine, Result};

/// Stack of a guest's own calls, in bytes. It is Wasmtime's default, which real guests were built against; deeper
/// recursion is a trap.
const WASM_STACK_BYTES: usize = 512 * 1024;

/// Stack of one run: the guest's own part and 1.5 MiB for the host functions that it calls. Address space, touched only
/// as far as it is used; a host function that overran it would end the process.
const RUN_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Hexadecimal digits of a compatibility hash: 64 bits keep the few configurations of one machine apart, and the hash
/// is the name of a folder.
const COMPAT_DIGITS: usize = 16;

/// An engine, what its guests may import, and the name of the code that it loads.
pub(super) struct Flavour {
    pub(super) engine: Engine,
    pub(super) linker: Linker<Guest>,
    pub(super) compat: String,
}

impl Flavour {
    /// With `fuel`, guests count what they compute, which costs them about half of their speed.
    pub(super) fn new(fuel: bool) -> Result<Flavour> {
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .consume_fuel(fuel)
            .max_wasm_stack(WASM_STACK_BYTES)
            .async_stack_size(RUN_STACK_BYTES);
        let engine = Engine::new(&config)?;
        let linker = linking::host(&engine)?;
        let compat = compat(&engine);
        Ok(Flavour { engine, linker, compat })
    }
}

/// Both flavours of one runner.
pub(super) struct Flavours {
    plain: Flavour,
    fuelled: Flavour,
}

impl Flavours {
    /// Both at once: they take 2 ms together, and each start needs one of them ready.
    pub(super) fn new() -> Result<Flavours> {
        Ok(Flavours { plain: Flavour::new(false)?, fuelled: Flavour::new(true)? })
    }

    pub(super) fn of(&self, fuel: bool) -> &Flavour {
        if fuel { &self.fuelled } else { &self.plain }
    }

    /// Ends the current tick of every guest.
    pub(super) fn tick(&self) {
        self.plain.engine.increment_epoch();
        self.fuelled.engine.increment_epoch();
    }
}

/// The hash covers target, processor features, configuration and the full version of Wasmtime: a release that repairs
/// the compiler must not load what the faulty one made.
fn compat(engine: &Engine) -> String {
    let mut fields = Fields(Vec::new());
    engine.precompile_compatibility_hash().hash(&mut fields);
    let mut digits = Digest::of(&fields.0).hex();
    digits.truncate(COMPAT_DIGITS);
    digits
}

/// Collects what is hashed, because the standard library's hashers may differ from one release to the next.
struct Fields(Vec<u8>);

impl Hasher for Fields {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_flavour_has_a_lasting_name_of_its_own() {
        let first = Flavours::new().unwrap();
        let again = Flavours::new().unwrap();
        assert_eq!(first.of(false).compat, again.of(false).compat);
        assert_eq!(first.of(true).compat, again.of(true).compat);
        assert_ne!(first.of(false).compat, first.of(true).compat);
        assert_eq!(first.of(true).compat.len(), COMPAT_DIGITS);
    }
}
