//! What the machine has, as far as defaults depend on it. Apart from control and adhoc, which give a guest the same.

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
