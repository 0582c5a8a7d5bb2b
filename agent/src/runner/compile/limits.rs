//! What the compile child may take of the machine: address space and processor time, in proportion to what it compiles,
//! so that everything that can be pushed can be compiled and nothing takes more than its size explains.

use crate::runner::NICENESS;
use crate::runner::oom;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// The largest component, in bytes: whatever can be pushed must be something that can be run.
pub const MAX_WASM_BYTES: u64 = shared::MAX_ARTIFACT_BYTES;

/// The largest compiled component, in bytes. Machine code takes three to four times what its wasm took, and a little more
/// where it counts fuel; data is kept as it is.
pub const MAX_CWASM_BYTES: u64 = 6 * MAX_WASM_BYTES;

/// Address space that every compilation takes, in bytes: the program, the stacks and heaps of its threads, and a compiler
/// at work on one large function. Nothing of it is memory until it is touched.
const BASE_ADDRESS_SPACE: u64 = 1024 * 1024 * 1024;

/// Address space on top of that for each byte of the component. Wasm that is nothing but code takes 33 bytes a byte
/// while it is compiled, and 40 where it shall count fuel; half as much again covers code that is harder on the compiler.
const ADDRESS_SPACE_PER_BYTE: u64 = 60;

/// Processor time that every compilation may take, in seconds: a Python component takes 8 to 20 s on a PC, and a small ARM
/// core is ten times slower.
const BASE_CPU_SECONDS: u64 = 300;

/// Processor time on top of that for each MiB of the component, in seconds. Code takes one to two on a PC, and ten times
/// that on a small ARM core.
const CPU_SECONDS_PER_MIB: u64 = 20;

/// Limits this process for good, to what compiling a component of `size` bytes takes.
///
/// # Errors
/// When the system does not take a limit.
pub(super) fn confine(size: u64) -> io::Result<()> {
    limit(Resource::As, address_space(size))?;
    limit(Resource::Cpu, cpu_seconds(size))?;
    // Without these two it is still of use.
    let _ = rustix::process::nice(NICENESS);
    oom::volunteer(oom::COMPILE);
    Ok(())
}

fn address_space(size: u64) -> u64 {
    BASE_ADDRESS_SPACE + ADDRESS_SPACE_PER_BYTE * size.min(MAX_WASM_BYTES)
}

fn cpu_seconds(size: u64) -> u64 {
    BASE_CPU_SECONDS + CPU_SECONDS_PER_MIB * (size.min(MAX_WASM_BYTES) >> 20)
}

/// Lowers a limit for good; one that is lower already stays.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |set| set.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_file_and_end_with_the_largest() {
        assert_eq!((address_space(0), cpu_seconds(0)), (BASE_ADDRESS_SPACE, BASE_CPU_SECONDS));
        assert_eq!(address_space(u64::MAX), address_space(MAX_WASM_BYTES));
        assert_eq!(cpu_seconds(u64::MAX), BASE_CPU_SECONDS + 1024 * CPU_SECONDS_PER_MIB);
    }
}
