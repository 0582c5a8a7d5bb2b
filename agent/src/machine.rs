//! What the machine has, as far as defaults depend on it. Apart from control and adhoc, which give a guest the same.

use std::path::Path;

/// A machine with less memory than this is a board.
const BOARD_BYTES: u64 = 1 << 30;

/// When the machine does not tell its memory, it is taken for a small board.
const UNKNOWN_MEMORY: u64 = 512 << 20;

/// All of its memory, in bytes.
pub(crate) fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|total| total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or(UNKNOWN_MEMORY, |kib| kib << 10)
}

/// The cap of an instance that was given none, on a machine with `memory_bytes`.
pub(crate) fn default_memory_mb(memory_bytes: u64) -> u32 {
    if memory_bytes < BOARD_BYTES { shared::BOARD_MEMORY_MB } else { shared::DEFAULT_MEMORY_MB }
}

/// Of the file system that the data directory is on, artifacts and compiled code may take this part: a card of 8 GB has room for
/// its system and for logs beside it, and is worn by no more. It depends on nothing that others write, so it is the same with each start.
const STORE_PART: u64 = 4;

/// And no less than this: the largest components in use, with their code, in two versions. Where the file system is smaller, what
/// is kept ends with it, as that of every program.
const STORE_LEAST: u64 = 256 << 20;

/// What artifacts and compiled code may take in `dir` when nothing says otherwise, in bytes.
pub(crate) fn store_bytes(dir: &Path) -> u64 {
    let all = rustix::fs::statvfs(dir).map_or(0, |found| found.f_frsize.saturating_mul(found.f_blocks));
    (all / STORE_PART).max(STORE_LEAST)
}
