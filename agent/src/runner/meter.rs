//! What one run uses, while it runs: written by its memory account and by the thread that polls it, from inside the guest
//! at every tick; read at any time by whoever asks, without waiting for the guest.

use crate::ipc::Usage;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};

/// The meter of one run. One thread at a time writes it, the one that polls the run.
#[derive(Debug, Default)]
pub(super) struct Meter {
    memory: AtomicU64,
    memory_peak: AtomicU64,
    fuel_used: AtomicU64,
    /// In nanoseconds, as all of processor time here: polls of a few microseconds add up.
    cpu: AtomicU64,
    /// Processor time of the polling thread up to which `cpu` has counted.
    counted_to: AtomicU64,
}

impl Meter {
    /// Memories and tables take so many bytes by now.
    pub(super) fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
        self.memory_peak.fetch_max(bytes, Ordering::Relaxed);
    }

    /// What memories and tables take, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// So much fuel has been used by now.
    pub(super) fn set_fuel_used(&self, fuel: u64) {
        self.fuel_used.store(fuel, Ordering::Relaxed);
    }

    /// A poll begins on this thread: from here on its processor time is that of the run.
    pub(super) fn poll_begins(&self) {
        self.counted_to.store(thread_cpu(), Ordering::Relaxed);
    }

    /// Counts what this thread has computed since the poll began or was counted last.
    pub(super) fn count_cpu(&self) {
        let now = thread_cpu();
        let before = self.counted_to.swap(now, Ordering::Relaxed);
        self.cpu.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
    }

    /// What was used so far. A guest that computes is behind by one tick at most.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            memory_bytes: self.memory(),
            memory_peak_bytes: self.memory_peak.load(Ordering::Relaxed),
            fuel_used: self.fuel_used.load(Ordering::Relaxed),
            cpu_ms: self.cpu.load(Ordering::Relaxed) / 1_000_000,
        }
    }
}

/// Not the wall clock: on a busy machine a guest waits for a core for longer than it has one.
fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default().saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In nanoseconds: many times what a clock of a virtual machine is coarse by.
    const COMPUTED: u64 = 50_000_000;

    /// Two clocks of one kind are compared: the wall clock of a virtual machine and its processor time do not agree to the
    /// millisecond.
    #[test]
    fn time_that_the_thread_waits_is_not_counted() {
        let meter = Meter::default();
        meter.poll_begins();
        let other = std::thread::spawn(|| {
            let began = thread_cpu();
            while thread_cpu() - began < COMPUTED {}
        });
        other.join().expect("the other thread ends");
        meter.count_cpu();
        let waited = meter.cpu.load(Ordering::Relaxed);
        assert!(waited < COMPUTED / 2, "{waited} ns while another thread computed {COMPUTED} ns");
    }

    #[test]
    fn time_that_the_thread_computes_is_counted() {
        let meter = Meter::default();
        meter.poll_begins();
        let began = thread_cpu();
        while thread_cpu() - began < COMPUTED {}
        meter.count_cpu();
        assert!(meter.usage().cpu_ms >= COMPUTED / 1_000_000);
    }

    #[test]
    fn what_passes_between_two_polls_is_somebody_elses() {
        let meter = Meter::default();
        meter.poll_begins();
        meter.count_cpu();
        let began = thread_cpu();
        while thread_cpu() - began < COMPUTED {}
        meter.poll_begins();
        meter.count_cpu();
        let counted = meter.cpu.load(Ordering::Relaxed);
        assert!(counted < COMPUTED / 2, "{counted} ns while {COMPUTED} ns passed between two polls");
    }

    #[test]
    fn memory_that_is_given_back_stays_in_the_peak() {
        let meter = Meter::default();
        meter.set_memory(700);
        meter.set_memory(300);
        assert_eq!((meter.usage().memory_bytes, meter.usage().memory_peak_bytes), (300, 700));
    }
}
