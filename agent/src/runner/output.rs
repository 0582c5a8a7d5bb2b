//! What a guest writes to its standard output and error. It never holds an executor thread and never takes memory without
//! end: what comes too fast is left out and counted, or the guest waits like in any other call, as its spec says.

use super::outbox::Outbox;
use crate::ipc::{Flood, OutputStream};
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{OutputStream as WasiOutputStream, Pollable, StreamResult};

/// The most bytes of one write, and so of one frame.
pub(super) const MAX_WRITE: usize = 16 * 1024;

/// What an instance may write at once: a long start-up banner or a panic with its backtrace, several times over.
const BURST_BYTES: u64 = 256 * 1024;

/// What it may write in the long run: 500 lines a second. The default log holds 16 s of that, and 100 such guests
/// together stay far below what control can read.
const BYTES_PER_SECOND: u64 = 64 * 1024;

/// What a write costs besides its bytes, so that a guest that writes byte by byte is limited to a thousand frames a
/// second and not to 64 thousand.
const WRITE_COST: u64 = 64;

/// Once output was dropped, it stays off until this much may be written again: the log then has whole passages and a
/// note between them about once a second, instead of torn lines.
const RESUME_BYTES: u64 = BYTES_PER_SECOND;

/// The output of one instance, both streams together.
pub(super) struct GuestOutput {
    instance: u64,
    outbox: Arc<Outbox>,
    /// None for a guest that waits: it is as fast as its reader.
    bucket: Option<Mutex<Bucket>>,
}

impl GuestOutput {
    pub(super) fn new(instance: u64, flood: Flood, outbox: Arc<Outbox>) -> GuestOutput {
        let bucket = match flood {
            Flood::Drop => Some(Mutex::new(Bucket::new(Instant::now()))),
            Flood::Wait => None,
        };
        GuestOutput { instance, outbox, bucket }
    }

    /// Waits until a write finds room.
    async fn ready(&self) {
        if self.bucket.is_none() {
            poll_fn(|context| self.outbox.poll_quiet(context)).await;
        }
    }

    /// How much may be written.
    fn permit(&self) -> usize {
        if self.bucket.is_some() || self.outbox.is_quiet() { MAX_WRITE } else { 0 }
    }

    fn write(&self, stream: OutputStream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // Held until the bytes are queued: two streams that are written at once keep their order.
        let mut bucket = self.bucket.as_ref().map(|bucket| bucket.lock().unwrap_or_else(PoisonError::into_inner));
        let cost = bytes.len() as u64 + WRITE_COST;
        let allowed = bucket.as_mut().is_none_or(|bucket| bucket.take(cost, Instant::now()));
        if !(allowed && self.outbox.output(self.instance, stream, bytes)) {
            self.outbox.dropped(self.instance, bytes.len() as u64);
        }
    }
}

/// One handle of a guest on one of its streams.
pub(super) struct GuestStream {
    output: Arc<GuestOutput>,
    stream: OutputStream,
}

impl GuestStream {
    pub(super) fn new(output: Arc<GuestOutput>, stream: OutputStream) -> GuestStream {
        GuestStream { output, stream }
    }
}

#[async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {
        self.output.ready().await;
    }
}

impl WasiOutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for part in bytes.chunks(MAX_WRITE) {
            self.output.write(self.stream, part);
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.output.permit())
    }
}

/// A token bucket with a rest after it ran dry.
#[derive(Debug)]
struct Bucket {
    tokens: u64,
    filled_at: Instant,
    dry: bool,
}

impl Bucket {
    fn new(now: Instant) -> Bucket {
        Bucket { tokens: BURST_BYTES, filled_at: now, dry: false }
    }

    fn take(&mut self, cost: u64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled_at);
        let gained =
            u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).saturating_mul(BYTES_PER_SECOND) / 1_000_000;
        // Not for a byte at a time, where the fraction that is cut off would halve the rate.
        if gained >= WRITE_COST {
            self.tokens = self.tokens.saturating_add(gained).min(BURST_BYTES);
            self.filled_at = now;
        }
        self.dry = if self.dry { self.tokens < RESUME_BYTES } else { self.tokens < cost };
        if !self.dry {
            self.tokens = self.tokens.saturating_sub(cost);
        }
        !self.dry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_a_flood_is_cut_to_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        let burst = (0..).take_while(|_| bucket.take(1024, start)).count() as u64;
        assert_eq!(burst * 1024, BURST_BYTES);
        // Ten seconds of a write every millisecond.
        let passed = (1..=10_000).filter(|ms| bucket.take(1024, start + Duration::from_millis(*ms))).count() as u64;
        let rate = passed * 1024 / 10;
        assert!((BYTES_PER_SECOND * 9 / 10..=BYTES_PER_SECOND).contains(&rate), "{rate} bytes a second");
    }

    #[test]
    fn after_it_ran_dry_it_rests() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        while bucket.take(1000, start) {}
        assert!(!bucket.take(1, start + Duration::from_millis(900)));
        assert!(bucket.take(1, start + Duration::from_millis(1001)));
        assert!(bucket.take(1000, start + Duration::from_millis(1002)));
    }
}
