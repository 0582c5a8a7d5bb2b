//! One whom a node dials: the pauses between attempts.

use super::random::Random;

/// The pause after the first attempt: an agent that is being restarted is back by then.
pub const RETRY_FIRST_MS: u64 = 500;

/// The pause while somebody has not been away for long, or while nobody else is connected either. Attempts overlap: a
/// packet that is lost is sent again only after 1, 3 and 7 seconds, and a link that is back shall be used within two.
const RETRY_FAST_MS: u64 = 1_500;

/// For so long somebody counts as not having been away for long: a restart of the machine, a cable, a lift.
const FAST_FOR_MS: u64 = 120_000;

/// After that the pause is this part of the time that has passed: a board that has been off for a week is not looked
/// for every second, and dials us when it is back.
const PAUSE_PART: u64 = 16;

/// The longest pause between two dials of one address: two halves of a realm find one another in half a minute.
const RETRY_MOST_MS: u64 = 30_000;

/// An attempt that nothing was heard of is over after this time: the transports give up after five seconds.
const ATTEMPT_MS: u64 = 6_000;

/// When somebody is dialled, and how that went before.
#[derive(Default)]
pub struct Target {
    /// Not before this.
    pub next_at: u64,
    /// When the first attempt of this row was made; each row ends with a connection.
    since: Option<u64>,
    attempts: u32,
    /// When the latest attempt is over, whatever is heard of it.
    over_at: u64,
    told: bool,
}

impl Target {
    /// It is dialled. While nobody is connected, `alone`, the pauses stay short.
    pub fn begin(&mut self, alone: bool, now_ms: u64, random: &mut Random) {
        let since = *self.since.get_or_insert(now_ms);
        self.attempts = self.attempts.saturating_add(1);
        self.over_at = now_ms + ATTEMPT_MS;
        let away_ms = now_ms - since;
        let pause_ms = match self.attempts {
            1 => RETRY_FIRST_MS,
            _ if alone || away_ms < FAST_FOR_MS => RETRY_FAST_MS,
            _ => (away_ms / PAUSE_PART).min(RETRY_MOST_MS),
        };
        self.next_at = now_ms + random.jitter(pause_ms, 25);
    }

    /// An attempt came to nothing. Gives whether that is news: the first time in a row.
    pub fn failed(&mut self, now_ms: u64) -> bool {
        self.over_at = now_ms;
        !std::mem::replace(&mut self.told, true)
    }

    /// Somebody is there.
    pub fn reached(&mut self) {
        *self = Target::default();
    }

    /// Begins a new row: dialled again then.
    pub fn retry_at(&mut self, at_ms: u64) {
        *self = Target { next_at: at_ms, over_at: self.over_at, ..Target::default() };
    }

    /// Left alone until then.
    pub fn pause_until(&mut self, at_ms: u64) {
        self.retry_at(at_ms);
    }

    /// Whether it is being dialled.
    pub fn is_under_way(&self, now_ms: u64) -> bool {
        self.over_at > now_ms
    }

    /// When the attempt that is under way is over.
    pub fn over_at(&self) -> u64 {
        self.over_at
    }
}
