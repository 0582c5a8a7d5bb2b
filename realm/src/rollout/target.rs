//! One node that a change is for: whether it is there, and how far it is by its own word.

use super::{Aim, Progress, Stand};
use shared::{NodeReport, Tag};
use std::time::Duration;

/// What counts for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// As wanted.
    Good,
    /// Failed.
    Failed,
    /// To be waited for.
    Waiting,
    /// Not there since before the change: gets it when it is back.
    Away,
    /// Was there, and went before it was good.
    Lost,
}

impl Result {
    /// A stable word for machines.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Result::Good => "good",
            Result::Failed => "failed",
            Result::Waiting => "waiting",
            Result::Away => "away",
            Result::Lost => "lost",
        }
    }
}

/// A node that a change is for.
#[derive(Debug, Clone)]
pub struct Target<S> {
    tags: Vec<Tag>,
    alive: bool,
    was_alive: bool,
    rank: (u64, u64),
    stand: S,
    /// Why its disk does not keep what arrives, as it last said.
    fault: Option<String>,
}

impl<S: Stand> Target<S> {
    pub(super) fn new(tags: Vec<Tag>, alive: bool) -> Target<S> {
        Target { tags, alive, was_alive: alive, rank: (0, 0), stand: S::default(), fault: None }
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether it is there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    /// How far it is.
    #[must_use]
    pub fn stand(&self) -> &S {
        &self.stand
    }

    /// Why a node that is there has not taken the change, by its own word: its disk does not keep what arrives. That may pass.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        let is_awaited = self.result() == Result::Waiting && self.stand.is_unheard();
        self.fault.as_deref().filter(|_| is_awaited)
    }

    pub(super) fn stand_mut(&mut self) -> &mut S {
        &mut self.stand
    }

    /// What counts for the verdict.
    #[must_use]
    pub fn result(&self) -> Result {
        match self.stand.progress() {
            Progress::Good => Result::Good,
            Progress::Failed => Result::Failed,
            Progress::Waiting if self.alive => Result::Waiting,
            Progress::Waiting if self.was_alive => Result::Lost,
            Progress::Waiting => Result::Away,
        }
    }

    /// Takes note of what the node said of its disk before the change was made.
    pub(super) fn foresee(&mut self, report: &NodeReport) {
        self.fault.clone_from(&report.fault);
    }

    /// Takes the node's word. Gives whether something changed that is worth a line.
    pub(super) fn observe(
        &mut self,
        aim: &impl Aim<Stand = S>,
        at: Duration,
        report: &NodeReport,
        alive: bool,
    ) -> bool {
        // Another entry node may tell an older report.
        if report.rank() < self.rank {
            return false;
        }
        self.rank = report.rank();
        let was_alive = std::mem::replace(&mut self.alive, alive);
        self.was_alive |= alive;
        let had_fault = self.fault().map(str::to_owned);
        let is_news = aim.hear(&mut self.stand, at, report);
        self.fault.clone_from(&report.fault);
        is_news || was_alive != alive || had_fault.as_deref() != self.fault()
    }
}
