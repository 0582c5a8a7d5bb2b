//! The last node through which the realm was seen is gone: it and the others that are known of are dialled until one answers. An
//! agent that is started anew is back within a second or two; one whose machine is, within a minute.

use std::time::{Duration, Instant};

/// The first pause before all are dialled again, and the longest; each is twice the one before. Dials that are under way are
/// not begun once more, see [`shared::mesh::Mesh::dial`].
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MOST: Duration = Duration::from_secs(4);

/// See the module.
pub(super) struct Seek {
    again_at: Instant,
    pause: Duration,
}

impl Seek {
    /// They were just dialled.
    pub(super) fn begin(now: Instant) -> Seek {
        Seek { again_at: now + PAUSE_FIRST, pause: PAUSE_FIRST }
    }

    /// When they are dialled again.
    pub(super) fn again_at(&self) -> Instant {
        self.again_at
    }

    /// Whether they are to be dialled now.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.again_at <= now;
        if is_due {
            self.pause = (self.pause * 2).min(PAUSE_MOST);
            self.again_at = now + self.pause;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_and_have_an_end() {
        let begun = Instant::now();
        let mut seek = Seek::begin(begun);
        assert!(!seek.is_due(begun));
        let mut at = begun;
        let pauses: Vec<u128> = (0..7)
            .map(|_| {
                let last = std::mem::replace(&mut at, seek.again_at());
                assert!(seek.is_due(at) && !seek.is_due(at));
                (at - last).as_millis()
            })
            .collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
    }
}
