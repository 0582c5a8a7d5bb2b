//! One whom a node dials: the pauses between attempts.

use super::random::{Random, backoff_ms};

/// The first pause after a dial that failed.
pub const RETRY_FIRST_MS: u64 = 500;

/// The longest pause between two dials of one address: a neighbour that was off is back in the mesh in half a minute.
const RETRY_MOST_MS: u64 = 30_000;

/// A dial that nothing was heard of is over after this time: the transports give up after ten seconds.
const DIAL_PATIENCE_MS: u64 = 15_000;

/// When somebody is dialled, and how that went before.
#[derive(Default)]
pub struct Target {
    /// Not before this.
    pub next_at: u64,
    failures: u32,
    /// Addresses that are being dialled; an answer that never comes is over at `next_at`.
    pub under_way: usize,
}

impl Target {
    /// Its addresses are dialled.
    pub fn begin(&mut self, addrs: usize, now_ms: u64) {
        self.under_way = addrs;
        self.next_at = now_ms + DIAL_PATIENCE_MS;
    }

    /// One address came to nothing. Only with the last one has the attempt failed: many members have an address that
    /// is never reached from here.
    pub fn failed(&mut self, now_ms: u64, random: &mut Random) {
        let Some(left) = self.under_way.checked_sub(1) else { return };
        self.under_way = left;
        if left == 0 {
            self.failures = self.failures.saturating_add(1);
            self.next_at = now_ms + backoff_ms(random, self.failures, RETRY_FIRST_MS, RETRY_MOST_MS);
        }
    }

    /// Somebody is there.
    pub fn reached(&mut self) {
        (self.failures, self.under_way) = (0, 0);
    }

    /// Dialled again then, unless it is being dialled.
    pub fn retry_at(&mut self, at_ms: u64) {
        if self.under_way == 0 {
            self.next_at = at_ms;
        }
    }

    /// Whether it is being dialled.
    pub fn is_under_way(&self, now_ms: u64) -> bool {
        self.under_way > 0 && self.next_at > now_ms
    }
}
