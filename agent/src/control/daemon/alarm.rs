//! A timer for a deadline that moves with every event, mostly to later.

use smol::Timer;
use std::time::Instant;

/// Is set anew only when it has to ring sooner than it is set to, or has rung: each setting wakes the thread that keeps the
/// timers, and an idle node would do little else.
pub(super) struct Alarm {
    timer: Timer,
    set_to: Option<Instant>,
}

impl Alarm {
    pub(super) fn new() -> Alarm {
        Alarm { timer: Timer::never(), set_to: None }
    }

    /// Waits until `due`, for ever without one. Dropped on the way, it stays set.
    pub(super) async fn wait(&mut self, due: Option<Instant>) {
        let Some(due) = due else { return std::future::pending().await };
        loop {
            if self.set_to.is_none_or(|set_to| due < set_to) {
                self.timer.set_at(due);
                self.set_to = Some(due);
            }
            let rang = (&mut self.timer).await;
            self.set_to = None;
            if due <= rang.max(Instant::now()) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::{FutureExt, block_on, poll_once};
    use std::time::Duration;

    #[test]
    fn it_rings_when_it_is_due_and_not_for_a_deadline_that_has_moved() {
        block_on(async {
            let mut alarm = Alarm::new();
            let now = Instant::now();
            let (sooner, later) = (now + Duration::from_millis(20), now + Duration::from_millis(60));
            assert!(poll_once(alarm.wait(Some(sooner))).await.is_none());
            // Set to the sooner one still, it rings in between and waits on.
            alarm.wait(Some(later)).await;
            assert!(Instant::now() >= later);
            // What it was set to does not hold it up when there is less time.
            assert!(poll_once(alarm.wait(Some(now + Duration::from_secs(3600)))).await.is_none());
            let soon = Instant::now() + Duration::from_millis(5);
            let late = async { Timer::after(Duration::from_secs(60)).await };
            let rang = async {
                alarm.wait(Some(soon)).await;
                Instant::now()
            };
            assert!(rang.or(late).await >= soon);
            assert!(Instant::now() < now + Duration::from_secs(50));
            assert!(poll_once(alarm.wait(None)).await.is_none());
        });
    }
}
