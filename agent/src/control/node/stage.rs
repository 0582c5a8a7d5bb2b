//! How far a component has come on the way from its digest to code that can be started.

use shared::Phase;

/// How far the way to a first instance has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Its bytes are on their way; the reason says why nothing more of them comes.
    Fetching { bytes: u64, reason: Option<String> },
    /// They could not be had or kept; again at this time.
    Refetching { at_ms: u64, reason: String },
    /// It is being compiled.
    Preparing,
    /// Preparing could not be done this time; again at this time.
    Retrying { at_ms: u64, reason: String },
    /// It can be started.
    Ready,
    /// It is not to be started: the operator has stopped it.
    Stopped,
    /// The node has no memory for it by now.
    NoRoom { reason: String },
    /// The node has no room on its disk by now: for its bytes, or, when those are `here`, for its code.
    NoSpace { reason: String, here: bool },
    /// It never will be.
    Broken { reason: String },
}

impl Stage {
    /// The phase that follows from it; none once its instances are what counts.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Stage::Fetching { .. } => Some(Phase::Fetching),
            Stage::Refetching { .. } => Some(Phase::Backoff),
            Stage::Preparing | Stage::Retrying { .. } => Some(Phase::Compiling),
            Stage::Stopped => Some(Phase::Stopped),
            Stage::NoRoom { .. } | Stage::NoSpace { .. } | Stage::Broken { .. } => Some(Phase::Failed),
            Stage::Ready => None,
        }
    }

    /// Why it does not go on.
    pub fn reason(&self) -> Option<&String> {
        match self {
            Stage::Fetching { reason, .. } => reason.as_ref(),
            Stage::NoRoom { reason }
            | Stage::NoSpace { reason, .. }
            | Stage::Broken { reason }
            | Stage::Retrying { reason, .. }
            | Stage::Refetching { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// How many bytes are here, while it is fetched.
    pub fn fetched(&self) -> Option<u64> {
        match self {
            Stage::Fetching { bytes, .. } => Some(*bytes),
            _ => None,
        }
    }

    /// When what failed is tried again.
    pub fn next_attempt(&self) -> Option<u64> {
        match self {
            Stage::Retrying { at_ms, .. } | Stage::Refetching { at_ms, .. } => Some(*at_ms),
            _ => None,
        }
    }
}
