//! The clock that interrupts guests: it ticks while at least one of them computes, and sleeps when none does, so that
//! an idle node does not wake its processor.

use super::lock;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// From one tick to the next. A small guest beside eight that spin was measured to take 71 ms at this tick, 801 ms at
/// 100 ms and 9 ms at 1 ms, where the ticks themselves begin to cost.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// A handle on the clock. The thread ends when the handle that started it is dropped and nobody computes any more.
pub(super) struct Ticker {
    computing: Computing,
}

/// Counts who computes.
#[derive(Clone)]
pub(super) struct Computing {
    shared: Arc<Shared>,
}

/// One guest that computes, until this is dropped.
pub(super) struct Stretch<'a> {
    shared: &'a Shared,
}

struct Shared {
    computing: AtomicUsize,
    parked: AtomicBool,
    closed: Mutex<bool>,
    wake: Condvar,
}

impl Ticker {
    /// Calls `tick` from a thread of its own.
    pub(super) fn start(tick: impl Fn() + Send + 'static) -> io::Result<Ticker> {
        let shared = Arc::new(Shared {
            computing: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            closed: Mutex::new(false),
            wake: Condvar::new(),
        });
        let ticker = Ticker { computing: Computing { shared: shared.clone() } };
        thread::Builder::new().name("ticker".to_owned()).spawn(move || {
            while shared.park() {
                shared.run(&tick)
            }
        })?;
        Ok(ticker)
    }

    pub(super) fn computing(&self) -> Computing {
        self.computing.clone()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *lock(&self.computing.shared.closed) = true;
        self.computing.shared.wake.notify_all();
    }
}

impl Computing {
    /// Has the clock tick until what is returned is dropped.
    pub(super) fn enter(&self) -> Stretch<'_> {
        let shared = &*self.shared;
        // With the order of `park`: either this sees that the clock is parked, or the clock sees this guest.
        if shared.computing.fetch_add(1, Ordering::SeqCst) == 0 && shared.parked.load(Ordering::SeqCst) {
            let _closed = lock(&shared.closed);
            shared.wake.notify_all();
        }
        Stretch { shared }
    }
}

impl Drop for Stretch<'_> {
    fn drop(&mut self) {
        self.shared.computing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn idle(&self) -> bool {
        self.computing.load(Ordering::SeqCst) == 0
    }

    /// Sleeps until somebody computes; `false` when the clock is not needed any more.
    fn park(&self) -> bool {
        let mut closed = lock(&self.closed);
        self.parked.store(true, Ordering::SeqCst);
        while self.idle() {
            if *closed {
                return false;
            }
            closed = self.wake.wait(closed).unwrap_or_else(PoisonError::into_inner);
        }
        self.parked.store(false, Ordering::SeqCst);
        true
    }

    fn run(&self, tick: &impl Fn()) {
        while !self.idle() {
            thread::sleep(TICK);
            tick();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn it_ticks_while_somebody_computes_and_only_then() {
        let (ticks, ticked) = mpsc::channel();
        let ticker = Ticker::start(move || ticks.send(()).unwrap_or_default()).unwrap();
        for _ in 0..3 {
            assert!(ticked.recv_timeout(20 * TICK).is_err(), "parked");
            let computing = ticker.computing();
            let stretch = computing.enter();
            for _ in 0..3 {
                ticked.recv_timeout(LONG).unwrap();
            }
            drop(stretch);
            // The tick that was under way may still come.
            while ticked.recv_timeout(5 * TICK).is_ok() {}
        }
    }

    #[test]
    fn it_ends_only_when_nobody_computes() {
        let (ticks, ticked) = mpsc::channel();
        let ticker = Ticker::start(move || ticks.send(()).unwrap_or_default()).unwrap();
        let computing = ticker.computing();
        let stretch = computing.enter();
        drop(ticker);
        for _ in 0..3 {
            ticked.recv_timeout(LONG).unwrap();
        }
        drop(stretch);
        while ticked.recv_timeout(LONG).is_ok() {}
        assert_eq!(ticked.try_recv(), Err(mpsc::TryRecvError::Disconnected), "the thread has ended");
    }
}
