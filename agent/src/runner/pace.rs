//! The pace of one run: when it must give way, when its time is over, and how long it has computed. Written by the
//! thread that polls the run and by the one that takes commands, read from inside the guest at every tick.

use super::executor::Queue;
use super::ticker::Computing;
use smol::channel::{Receiver, Sender, bounded};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Shared by the run, its guest and whoever may stop it.
pub(super) struct Pace {
    origin: Instant,
    /// Ceiling of one stretch, in microseconds as everything here.
    stretch: u64,
    stretch_began: AtomicU64,
    computed: AtomicU64,
    deadline: AtomicU64,
    stopped: AtomicBool,
    stop: Sender<()>,
    stop_signal: Receiver<()>,
}

impl Pace {
    pub(super) fn new(epoch_ms: u32) -> Pace {
        let (stop, stop_signal) = bounded(1);
        Pace {
            origin: Instant::now(),
            stretch: u64::from(epoch_ms) * 1000,
            stretch_began: AtomicU64::new(0),
            computed: AtomicU64::new(0),
            deadline: AtomicU64::new(u64::MAX),
            stopped: AtomicBool::new(false),
            stop,
            stop_signal,
        }
    }

    /// Starts the clock of the deadline.
    pub(super) fn set_deadline(&self, deadline_ms: Option<u64>) {
        let deadline = deadline_ms.map_or(u64::MAX, |ms| self.now().saturating_add(ms.saturating_mul(1000)));
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Waits until the deadline; for ever when there is none.
    pub(super) async fn deadline_passed(&self) {
        match self.origin.checked_add(Duration::from_micros(self.deadline.load(Ordering::Relaxed))) {
            Some(at) => drop(smol::Timer::at(at).await),
            None => std::future::pending().await,
        }
    }

    /// Asks the run to end, also when it does not run yet.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Full: it was asked before.
        let _ = self.stop.try_send(());
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits until somebody asks the run to end.
    pub(super) async fn stop_asked(&self) {
        // The sender lives in `self`: this returns only on a message.
        let _ = self.stop_signal.recv().await;
    }

    /// Whether the guest, at a tick, hands its thread back. It is asked at each tick, so that a deadline and a stop take
    /// effect at the next one, however long a stretch may be.
    pub(super) fn gives_way(&self, queue: &Queue) -> bool {
        let now = self.now();
        queue.someone_waits()
            || self.is_stopped()
            || now >= self.deadline.load(Ordering::Relaxed)
            || now.saturating_sub(self.stretch_began.load(Ordering::Relaxed)) >= self.stretch
    }

    /// Time on a thread so far, in milliseconds.
    pub(super) fn computed_ms(&self) -> u64 {
        self.computed.load(Ordering::Relaxed) / 1000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A run that is measured while it is polled, and under whose polls the clock ticks.
pub(super) struct Paced<F> {
    run: Pin<Box<F>>,
    pace: Arc<Pace>,
    computing: Computing,
}

impl<F> Paced<F> {
    pub(super) fn new(run: F, pace: Arc<Pace>, computing: Computing) -> Paced<F> {
        Paced { run: Box::pin(run), pace, computing }
    }
}

impl<F: Future> Future for Paced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _ticking = this.computing.enter();
        let began = this.pace.now();
        this.pace.stretch_began.store(began, Ordering::Relaxed);
        let polled = this.run.as_mut().poll(context);
        this.pace.computed.fetch_add(this.pace.now().saturating_sub(began), Ordering::Relaxed);
        polled
    }
}
