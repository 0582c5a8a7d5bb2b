//! The pace of one run: when it must give way, and when its time is over. Written by the thread that polls the run and
//! by the one that takes commands, read from inside the guest at every tick.

use super::executor::Queue;
use super::meter::Meter;
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
        queue.someone_waits()
            || self.is_due()
            || self.now().saturating_sub(self.stretch_began.load(Ordering::Relaxed)) >= self.stretch
    }

    /// Whether the run ends as soon as it is polled.
    pub(super) fn is_due(&self) -> bool {
        self.is_stopped() || self.now() >= self.deadline.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A run that is measured while it is polled, and under whose polls the clock ticks.
pub(super) struct Paced<F> {
    run: Pin<Box<F>>,
    pace: Arc<Pace>,
    meter: Arc<Meter>,
    computing: Computing,
}

impl<F> Paced<F> {
    pub(super) fn new(run: F, pace: Arc<Pace>, meter: Arc<Meter>, computing: Computing) -> Paced<F> {
        Paced { run: Box::pin(run), pace, meter, computing }
    }
}

impl<F: Future> Future for Paced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _ticking = this.computing.enter();
        this.pace.stretch_began.store(this.pace.now(), Ordering::Relaxed);
        this.meter.poll_begins();
        let polled = this.run.as_mut().poll(context);
        this.meter.count_cpu();
        polled
    }
}
