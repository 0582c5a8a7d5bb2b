//! What waits to be written to control. Output is bounded and never waited for; starts and exits always find room,
//! because the runner takes no further command while too many of them wait.

use crate::ipc::{FromRunner, OutputStream};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Output that waits, in bytes: sixteen guests' bursts. Control reads it all in a few milliseconds; when it does not,
/// more memory would only put off the loss.
const MAX_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// What a frame takes besides its bytes, about.
const FRAME_BYTES: usize = 128;

/// Frames other than output that may wait before commands do: twice what a full runner has to say when all of its
/// instances end at once.
const MAX_EVENTS: usize = 4 * super::MAX_INSTANCES;

/// How long a guest's loss may go unreported when it writes nothing more.
const DROPPED_AFTER: Duration = Duration::from_secs(1);

/// A queue from the guests' threads to the one that writes.
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<FromRunner>,
    output_bytes: usize,
    events: usize,
    /// Bytes that each instance has lost since its last `Dropped`. An entry lives no longer than its instance.
    dropped: BTreeMap<u64, u64>,
    report_dropped_at: Option<Instant>,
    closed: bool,
}

impl Outbox {
    pub(super) fn new() -> Outbox {
        Outbox { state: Mutex::default(), changed: Condvar::new() }
    }

    /// Queues a frame about an instance's life, or `Ready`. A loss that was not reported yet goes before an `Exited`.
    pub(super) fn event(&self, frame: FromRunner) {
        let mut state = self.lock();
        if let FromRunner::Exited { instance, .. } = &frame {
            state.report_dropped(*instance);
        }
        state.push(frame);
        self.changed.notify_all();
    }

    /// Queues output; `false` when there is no room for it.
    pub(super) fn output(&self, instance: u64, stream: OutputStream, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        if state.closed || state.output_bytes + bytes.len() + FRAME_BYTES > MAX_OUTPUT_BYTES {
            return false;
        }
        state.report_dropped(instance);
        state.push(FromRunner::Output { instance, stream, bytes: bytes.to_vec() });
        self.changed.notify_all();
        true
    }

    /// Counts output that was left out.
    pub(super) fn dropped(&self, instance: u64, bytes: u64) {
        let mut state = self.lock();
        let count = state.dropped.entry(instance).or_default();
        *count = count.saturating_add(bytes);
        if state.report_dropped_at.is_none() {
            state.report_dropped_at = Some(Instant::now() + DROPPED_AFTER);
            self.changed.notify_all();
        }
    }

    /// Waits until commands may be taken; `false` when nothing can be said any more.
    pub(super) fn wait_for_room(&self) -> bool {
        let mut state = self.lock();
        while state.events > MAX_EVENTS && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.closed
    }

    /// The next frame to write. Waits for one; `None` once the outbox is closed and empty.
    pub(super) fn next(&self) -> Option<FromRunner> {
        let mut state = self.lock();
        loop {
            let wait = state.report_dropped_at.map(|at| at.saturating_duration_since(Instant::now()));
            if wait == Some(Duration::ZERO) {
                state.report_all_dropped();
            }
            if let Some(frame) = state.pop() {
                self.changed.notify_all();
                return Some(frame);
            }
            if state.closed {
                return None;
            }
            state = match wait {
                Some(wait) => self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Nothing more is queued after this; what is there is still handed out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Nobody reads any more.
    pub(super) fn abandon(&self) {
        *self.lock() = State { closed: true, ..State::default() };
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, frame: FromRunner) {
        if self.closed {
            return;
        }
        match &frame {
            FromRunner::Output { bytes, .. } => self.output_bytes += bytes.len() + FRAME_BYTES,
            _ => self.events += 1,
        }
        self.queue.push_back(frame);
    }

    fn pop(&mut self) -> Option<FromRunner> {
        let frame = self.queue.pop_front()?;
        match &frame {
            FromRunner::Output { bytes, .. } => self.output_bytes -= bytes.len() + FRAME_BYTES,
            _ => self.events -= 1,
        }
        Some(frame)
    }

    fn report_dropped(&mut self, instance: u64) {
        if let Some(bytes) = self.dropped.remove(&instance) {
            self.push(FromRunner::Dropped { instance, bytes });
        }
    }

    fn report_all_dropped(&mut self) {
        self.report_dropped_at = None;
        for (instance, bytes) in std::mem::take(&mut self.dropped) {
            self.push(FromRunner::Dropped { instance, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::Usage;
    use shared::Outcome;

    fn exited(instance: u64) -> FromRunner {
        FromRunner::Exited { instance, outcome: Outcome::Completed, detail: Vec::new(), usage: Usage::default() }
    }

    #[test]
    fn a_full_outbox_drops_output_and_keeps_events() {
        let outbox = Outbox::new();
        let block = vec![b'x'; 64 * 1024];
        let mut queued = 0;
        while outbox.output(1, OutputStream::Stdout, &block) {
            queued += 1;
        }
        assert!(queued > 0);
        outbox.dropped(1, 64 * 1024);
        outbox.dropped(1, 6);
        outbox.event(exited(1));
        outbox.close();
        for _ in 0..queued {
            assert!(matches!(outbox.next(), Some(FromRunner::Output { .. })));
        }
        assert_eq!(outbox.next(), Some(FromRunner::Dropped { instance: 1, bytes: 64 * 1024 + 6 }));
        assert_eq!(outbox.next(), Some(exited(1)));
        assert_eq!(outbox.next(), None);
    }

    #[test]
    fn a_loss_stands_where_it_happened() {
        let outbox = Outbox::new();
        outbox.dropped(1, 5);
        assert!(outbox.output(2, OutputStream::Stdout, b"other"));
        assert!(outbox.output(1, OutputStream::Stdout, b"after"));
        outbox.close();
        assert!(matches!(outbox.next(), Some(FromRunner::Output { instance: 2, .. })));
        assert_eq!(outbox.next(), Some(FromRunner::Dropped { instance: 1, bytes: 5 }));
        assert!(matches!(outbox.next(), Some(FromRunner::Output { instance: 1, .. })));
    }

    #[test]
    fn a_loss_is_reported_even_when_nothing_follows() {
        let outbox = Outbox::new();
        outbox.dropped(3, 9);
        assert_eq!(outbox.next(), Some(FromRunner::Dropped { instance: 3, bytes: 9 }));
    }

    #[test]
    fn commands_wait_while_events_pile_up() {
        let outbox = std::sync::Arc::new(Outbox::new());
        for instance in 0..=MAX_EVENTS as u64 {
            outbox.event(exited(instance));
        }
        let waiter = std::thread::spawn({
            let outbox = outbox.clone();
            move || outbox.wait_for_room()
        });
        assert!(outbox.next().is_some());
        assert!(waiter.join().is_ok_and(|room| room), "one frame less lets the next command in");
        outbox.abandon();
        assert!(!outbox.wait_for_room());
        assert_eq!(outbox.next(), None);
    }
}
