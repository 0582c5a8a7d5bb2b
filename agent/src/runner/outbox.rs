//! What waits to be written to control. Output is bounded, and holds nobody who has not asked to wait; starts and exits
//! always find room, because the runner takes no further command while too many of them wait.

use crate::ipc::{FromRunner, OutputStream, Usage};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Output that waits, in bytes: sixteen guests' bursts. Control reads it all in a few milliseconds; when it does not,
/// more memory would only put off the loss.
const MAX_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// Guests that wait for room go on below this: each of them writes once or twice before it asks again, and half of the
/// room is enough for that.
const QUIET_BYTES: usize = MAX_OUTPUT_BYTES / 2;

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
    /// Whether an answer about usage waits. It is the one frame whose number nothing else bounds, and a long one.
    usages_wait: bool,
    /// Bytes that each instance has lost since its last `Dropped`. An entry lives no longer than its instance.
    dropped: BTreeMap<u64, u64>,
    report_dropped_at: Option<Instant>,
    /// Guests that wait for room, one entry each.
    waiting: Vec<Waker>,
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

    /// Queues an answer about usage. While an earlier one waits, that answers this request as well.
    pub(super) fn usages(&self, of: Vec<(u64, Usage)>) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.usages_wait, true) {
            state.push(FromRunner::Usages { of });
            self.changed.notify_all();
        }
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

    /// Whether guests that wait for room may write.
    pub(super) fn is_quiet(&self) -> bool {
        self.lock().is_quiet()
    }

    /// Waits until guests that wait for room may write.
    pub(super) fn poll_quiet(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.is_quiet() {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
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
                let waiting = state.released();
                drop(state);
                self.changed.notify_all();
                waiting.into_iter().for_each(Waker::wake);
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
        self.end(|state| state.closed = true);
    }

    /// Nobody reads any more.
    pub(super) fn abandon(&self) {
        self.end(|state| {
            let waiting = std::mem::take(&mut state.waiting);
            *state = State { closed: true, waiting, ..State::default() };
        });
    }

    fn end(&self, how: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        how(&mut state);
        let waiting = state.released();
        drop(state);
        self.changed.notify_all();
        waiting.into_iter().for_each(Waker::wake);
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
        if matches!(frame, FromRunner::Usages { .. }) {
            self.usages_wait = false;
        }
        Some(frame)
    }

    fn is_quiet(&self) -> bool {
        self.closed || self.output_bytes <= QUIET_BYTES
    }

    /// Those who may go on. To be woken outside the lock: waking leads into the executor, which has one of its own.
    fn released(&mut self) -> Vec<Waker> {
        if self.is_quiet() { std::mem::take(&mut self.waiting) } else { Vec::new() }
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
    use crate::ipc;
    use shared::Outcome;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

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
    fn who_waits_for_room_is_woken_when_half_of_it_is_free() {
        struct Woken(AtomicBool);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let context = Context::from_waker(&waker);
        let outbox = Outbox::new();
        assert_eq!(outbox.poll_quiet(&context), Poll::Ready(()));
        while outbox.output(1, OutputStream::Stdout, &[b'x'; 16 * 1024]) {}
        assert!(outbox.poll_quiet(&context).is_pending() && outbox.poll_quiet(&context).is_pending());
        assert_eq!(outbox.lock().waiting.len(), 1, "one entry, however often it asks");
        while !woken.0.load(Ordering::Relaxed) {
            assert!(!outbox.is_quiet() && outbox.next().is_some());
        }
        assert!(outbox.is_quiet() && outbox.lock().output_bytes > 0);
        assert_eq!(outbox.poll_quiet(&context), Poll::Ready(()));
    }

    #[test]
    fn answers_about_usage_do_not_pile_up() {
        let outbox = Outbox::new();
        let of = |instance: u64| vec![(instance, Usage::default())];
        (1..=3).for_each(|instance| outbox.usages(of(instance)));
        assert_eq!(outbox.next(), Some(FromRunner::Usages { of: of(1) }));
        outbox.usages(of(4));
        outbox.close();
        assert_eq!(outbox.next(), Some(FromRunner::Usages { of: of(4) }));
        assert_eq!(outbox.next(), None);
    }

    #[test]
    fn the_usage_of_all_instances_fits_into_a_frame() {
        let most = Usage { memory_bytes: u64::MAX, memory_peak_bytes: u64::MAX, fuel_used: u64::MAX, cpu_ms: u64::MAX };
        // Twice as many as there may be.
        let of = (0..2 * super::super::MAX_INSTANCES as u64).map(|at| (u64::MAX - at, most)).collect();
        let mut frame = Vec::new();
        assert!(ipc::write_frame(&mut frame, &FromRunner::Usages { of }).is_ok());
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
        let outbox = Arc::new(Outbox::new());
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
