//! One account for all linear memories and tables of a guest. Wasmtime's own `StoreLimits` looks at each of them
//! alone, so that eight memories pass it eightfold.

use super::meter::Meter;
use std::io;
use std::sync::Arc;
use wasmtime::{Error, OutOfMemory, ResourceLimiter, Result};

/// What one element of a table takes, in bytes.
const ELEMENT_BYTES: usize = 8;

/// Core instances of one component. Those of a Python component with its libraries are about forty; each costs the host
/// a few KiB that the account does not see.
const MAX_INSTANCES: usize = 512;

/// Memories of one component. Each reserves 4 GiB of address space, and small ARM kernels have 512 GiB in all.
const MAX_MEMORIES: usize = 32;

/// Tables of one component: each instance may have one or two.
const MAX_TABLES: usize = 1024;

/// Counts what a guest has, and refuses growth beyond its cap.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    cap: u64,
    /// What is in use.
    meter: Arc<Meter>,
    /// What the growth that was allowed last has added, until it is known to have failed.
    last: u64,
    refused: bool,
}

impl MemoryLimiter {
    pub(super) fn new(cap: u64, meter: Arc<Meter>) -> MemoryLimiter {
        MemoryLimiter { cap, meter, last: 0, refused: false }
    }

    /// Whether a growth was refused, by the cap or by the system.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>, unit: usize) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // Beyond what the guest itself declared: Wasmtime refuses it, and it has nothing to do with the cap.
            self.last = 0;
            return true;
        }
        let more = desired.saturating_sub(current).saturating_mul(unit) as u64;
        match self.meter.memory().checked_add(more) {
            Some(used) if used <= self.cap => {
                self.meter.set_memory(used);
                self.last = more;
                true
            }
            _ => {
                self.refused = true;
                false
            }
        }
    }

    /// Undoes the last growth, only where the error shows that the system refused it: Wasmtime also comes here for sizes
    /// that overflow, without having asked before, and a guest that provokes this would grow for free.
    fn failed(&mut self, error: &Error) {
        if error.is::<OutOfMemory>() || error.chain().any(|cause| cause.is::<io::Error>()) {
            self.meter.set_memory(self.meter.memory() - std::mem::take(&mut self.last));
            self.refused = true;
        }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(self.grow(current, desired, maximum, 1))
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.failed(&error);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(self.grow(current, desired, maximum, ELEMENT_BYTES))
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.failed(&error);
        Ok(())
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn limiter(cap: u64) -> MemoryLimiter {
        MemoryLimiter::new(cap, Arc::default())
    }

    fn peak(limiter: &MemoryLimiter) -> u64 {
        limiter.meter.usage().memory_peak_bytes
    }

    #[test]
    fn memories_and_tables_share_one_account() {
        let mut limiter = limiter(1000);
        assert!(limiter.memory_growing(0, 400, None).unwrap());
        assert!(limiter.table_growing(0, 50, None).unwrap());
        assert!(!limiter.refused());
        assert!(!limiter.memory_growing(400, 601, None).unwrap());
        assert!(limiter.refused());
        assert!(limiter.memory_growing(400, 600, None).unwrap(), "up to the cap, after a refusal");
        assert!(!limiter.table_growing(50, 51, None).unwrap());
        assert_eq!(peak(&limiter), 1000);
    }

    #[test]
    fn what_the_guest_ruled_out_itself_is_not_a_refusal() {
        let mut limiter = limiter(1000);
        assert!(limiter.memory_growing(0, 2000, Some(500)).unwrap());
        limiter.memory_grow_failed(Error::msg("Memory maximum size exceeded")).unwrap();
        assert!(!limiter.refused());
        assert_eq!(peak(&limiter), 0);
    }

    #[test]
    fn a_growth_that_the_system_refused_is_given_back() {
        let mut limiter = limiter(1000);
        assert!(limiter.memory_growing(0, 900, None).unwrap());
        limiter.memory_grow_failed(Error::from(io::Error::from(io::ErrorKind::OutOfMemory))).unwrap();
        assert!(limiter.refused());
        assert!(limiter.memory_growing(0, 900, None).unwrap());
    }

    #[test]
    fn an_overflowing_request_gives_nothing_back() {
        let mut limiter = limiter(1000);
        assert!(limiter.table_growing(0, 100, None).unwrap());
        limiter.table_grow_failed(Error::msg("overflow calculating new table size")).unwrap();
        assert!(!limiter.table_growing(100, 200, None).unwrap());
    }

    #[test]
    fn sizes_near_the_end_of_numbers_are_refused() {
        let mut limiter = limiter(u64::MAX);
        assert!(limiter.memory_growing(0, 1, None).unwrap());
        assert!(!limiter.table_growing(0, usize::MAX, None).unwrap());
    }
}
