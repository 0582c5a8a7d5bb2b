//! How much of what others cause is written to the agent's log. They must not be able to fill a disk with it; the
//! counters tell how often it was.

use super::effect::{Effect, Level};

/// So many lines at once.
const BURST: u64 = 32;

/// After that, a line in this many milliseconds.
const REFILL_MS: u64 = 1_000;

/// See the module.
#[derive(Default)]
pub struct Chatter {
    /// Lines that were written of those that may be at once, and when that was last reduced.
    written: u64,
    reduced_at: u64,
    swallowed: u64,
}

impl Chatter {
    /// The order to write `text`, after how many were left out before it; or none, and it is counted.
    pub fn say(&mut self, level: Level, text: String, now_ms: u64) -> Vec<Effect> {
        let reduced = (now_ms - self.reduced_at) / REFILL_MS;
        self.reduced_at += reduced * REFILL_MS;
        self.written = self.written.saturating_sub(reduced);
        if self.written >= BURST {
            self.swallowed += 1;
            return Vec::new();
        }
        self.written += 1;
        let swallowed = std::mem::take(&mut self.swallowed);
        let before =
            (swallowed > 0).then(|| Effect::Log(Level::Warn, format!("{swallowed} further lines were left out")));
        before.into_iter().chain([Effect::Log(level, text)]).collect()
    }
}
