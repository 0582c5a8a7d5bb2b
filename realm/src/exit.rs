//! Exit codes, and the one form of an error: what failed, what to do next, with which code the program ends.

use std::fmt;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: it was done; after a push, it runs on every live node where it should.
    Done,
    /// 1: an error; nothing is said about any rollout.
    Error,
    /// 2: the command line cannot be used.
    Usage,
    /// 2 as well, where that was asked for: something would change.
    Changes,
    /// 3: it failed on every live node where it should run.
    Failed,
    /// 4: it failed, and every node has what it had before.
    RolledBack,
    /// 5: out of time, or only part of the nodes.
    Partial,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Usage | Exit::Changes => 2,
            Exit::Failed => 3,
            Exit::RolledBack => 4,
            Exit::Partial => 5,
        }
    }
}

/// An error as the user sees it: `error: MESSAGE`, then `hint: HINT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What failed: lower case, no full stop, may have several lines.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Failure {
    /// An error that ends with code 1.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { exit: Exit::Error, message: message.into(), hint: None }
    }

    /// A command line that cannot be used: code 2.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { exit: Exit::Usage, message: message.into(), hint: None }
    }

    /// The same, with the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with another code.
    #[must_use]
    pub fn ending(mut self, exit: Exit) -> Failure {
        self.exit = exit;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
