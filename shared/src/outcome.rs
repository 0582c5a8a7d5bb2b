//! How a run of a component ended, and where a component stands: words that are the same on the wire and on screen.

use crate::text::{ParseError, clip, excerpt, serde_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ended by itself, without an error.
    Completed,
    /// It ended with this exit code, which is not 0.
    Exit(i32),
    /// It trapped; the text says how.
    Trap(String),
    /// It ended in error after a growth of memory was refused.
    OutOfMemory,
    /// Its fuel was used up.
    OutOfFuel,
    /// It ran past its wall-clock limit.
    DeadlineExceeded,
    /// It was stopped on purpose.
    Stopped,
}

impl Outcome {
    /// Whether a restart policy of `on-failure` starts it again.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !matches!(self, Outcome::Completed | Outcome::Stopped)
    }

    /// A stable word for its kind, without numbers and texts: a label of metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Exit(_) => "exit",
            Outcome::Trap(_) => "trap",
            Outcome::OutOfMemory => "out_of_memory",
            Outcome::OutOfFuel => "out_of_fuel",
            Outcome::DeadlineExceeded => "deadline_exceeded",
            Outcome::Stopped => "stopped",
        }
    }

    /// Cuts the text of a trap to at most so many bytes.
    pub fn cut(&mut self, most: usize) {
        if let Outcome::Trap(text) = self {
            text.truncate(clip(text, most).len());
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Completed => f.write_str("completed"),
            Outcome::Exit(code) => write!(f, "exit {code}"),
            Outcome::Trap(why) => write!(f, "trap: {why}"),
            Outcome::OutOfMemory => f.write_str("out of memory"),
            Outcome::OutOfFuel => f.write_str("out of fuel"),
            Outcome::DeadlineExceeded => f.write_str("deadline exceeded"),
            Outcome::Stopped => f.write_str("stopped"),
        }
    }
}

impl FromStr for Outcome {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Outcome, ParseError> {
        let fault = || ParseError::new("an outcome such as `exit 3`", format!("`{}` is none", excerpt(text)));
        Ok(match text {
            "completed" => Outcome::Completed,
            "out of memory" => Outcome::OutOfMemory,
            "out of fuel" => Outcome::OutOfFuel,
            "deadline exceeded" => Outcome::DeadlineExceeded,
            "stopped" => Outcome::Stopped,
            other => match (other.strip_prefix("exit "), other.strip_prefix("trap: ")) {
                (Some(code), _) => Outcome::Exit(code.parse().map_err(|_| fault())?),
                (_, Some(why)) => Outcome::Trap(why.to_owned()),
                _ => return Err(fault()),
            },
        })
    }
}

serde_text!(Outcome);

/// Where a component stands on one node. Where its instances differ, the worst is shown; the order is that of
/// the variants, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Stopped on purpose.
    Stopped,
    /// Every instance ended without an error.
    Completed,
    /// Running.
    Running,
    /// Ready to start, and told not to.
    Staged,
    /// Its bytes are on their way.
    Fetching,
    /// Being compiled.
    Compiling,
    /// Failed, and will be started again.
    Backoff,
    /// Failed, and will not be started again.
    Failed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Stopped => "stopped",
            Phase::Completed => "completed",
            Phase::Running => "running",
            Phase::Staged => "staged",
            Phase::Fetching => "fetching",
            Phase::Compiling => "compiling",
            Phase::Backoff => "backoff",
            Phase::Failed => "failed",
        })
    }
}
