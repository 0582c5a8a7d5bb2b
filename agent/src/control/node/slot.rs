//! One replica of a component.

use super::input::Instance;
use shared::{Outcome, Phase};

/// One of its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// Is to start as soon as it may; until it runs it shows the phase from `before`.
    Due { before: Phase },
    /// Was ordered to start; until it runs it shows the phase from `before`.
    Starting { instance: Instance, before: Phase },
    /// Runs.
    Running { instance: Instance, since_ms: u64 },
    /// Starts again at `at_ms`; `failed` when its last run ended in error.
    Waiting { at_ms: u64, failed: bool },
    /// Ended for good.
    Ended(Outcome),
}

impl Slot {
    /// The instance that lives in it.
    pub fn instance(&self) -> Option<Instance> {
        match self {
            Slot::Starting { instance, .. } | Slot::Running { instance, .. } => Some(*instance),
            Slot::Due { .. } | Slot::Waiting { .. } | Slot::Ended(_) => None,
        }
    }

    /// Since when it runs, in milliseconds since the agent was started.
    pub fn since(&self) -> Option<u64> {
        match self {
            Slot::Running { since_ms, .. } => Some(*since_ms),
            _ => None,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match self {
            Slot::Due { before } | Slot::Starting { before, .. } => *before,
            Slot::Running { .. } => Phase::Running,
            Slot::Waiting { failed: true, .. } => Phase::Backoff,
            Slot::Waiting { failed: false, .. } => Phase::Completed,
            Slot::Ended(Outcome::Stopped) => Phase::Stopped,
            Slot::Ended(outcome) if outcome.is_failure() => Phase::Failed,
            Slot::Ended(_) => Phase::Completed,
        }
    }
}
