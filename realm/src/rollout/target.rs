//! One node of a push.

use super::{Goal, SETTLE, Wanted};
use shared::{ComponentReport, Outcome, Phase, Tag};
use std::time::Duration;

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The node has not spoken of this push.
    Waiting,
    /// On its way.
    Moving {
        /// How far.
        phase: Phase,
        /// Bytes that have arrived, while fetching.
        fetched: Option<u64>,
        /// Bytes in a second, between the last two reports of it; 0 as long as there is only one.
        rate: u64,
    },
    /// Seen running since this time; not yet for long enough.
    Settling(Duration),
    /// As wanted.
    Good(Phase),
    /// As wanted: the node does not have it any more.
    Gone,
    /// Not as wanted, and it will not become so by waiting.
    Failed {
        /// Its phase; `None` when the node refused the push.
        phase: Option<Phase>,
        /// How the last run ended.
        outcome: Option<Outcome>,
        /// Why, when that is not plain.
        reason: Option<String>,
    },
}

/// What counts for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// As wanted.
    Good,
    /// Failed.
    Failed,
    /// To be waited for.
    Waiting,
    /// Not there since before the push: gets it when it is back.
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

/// A node that a push is for.
#[derive(Debug, Clone)]
pub struct Target {
    tags: Vec<Tag>,
    alive: bool,
    was_alive: bool,
    rank: (u64, u64),
    /// The last report about this push.
    last: Option<ComponentReport>,
    /// When that came.
    last_at: Duration,
    state: State,
}

impl Target {
    pub(super) fn new(tags: Vec<Tag>, alive: bool) -> Target {
        Target {
            tags,
            alive,
            was_alive: alive,
            rank: (0, 0),
            last: None,
            last_at: Duration::ZERO,
            state: State::Waiting,
        }
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

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What it last said about this push.
    #[must_use]
    pub fn last(&self) -> Option<&ComponentReport> {
        self.last.as_ref()
    }

    /// What counts for the verdict.
    #[must_use]
    pub fn result(&self) -> Result {
        match &self.state {
            State::Good(_) | State::Gone => Result::Good,
            State::Failed { .. } => Result::Failed,
            _ if self.alive => Result::Waiting,
            _ if self.was_alive => Result::Lost,
            _ => Result::Away,
        }
    }

    pub(super) fn set_alive(&mut self, alive: bool) {
        self.alive = alive;
        self.was_alive |= alive;
    }

    pub(super) fn refuse(&mut self, why: &str) {
        self.state = State::Failed { phase: None, outcome: None, reason: Some(format!("refused: {why}")) };
    }

    /// Takes the node's word. `names` is whether the node speaks of the component's name at all.
    pub(super) fn observe(
        &mut self,
        goal: &Goal,
        at: Duration,
        rank: (u64, u64),
        alive: bool,
        ours: Option<&ComponentReport>,
        names: bool,
    ) -> bool {
        // Another entry node may tell an older report.
        if rank < self.rank {
            return false;
        }
        self.rank = rank;
        let before = (self.alive, self.state.clone());
        self.set_alive(alive);
        match ours {
            Some(report) => {
                self.state = self.next(goal, at, report);
                self.last = Some(report.clone());
                self.last_at = at;
            }
            // What a report has no room for may still be there.
            None if goal.wanted == Wanted::Gone && !names => self.state = State::Gone,
            None if goal.wanted == Wanted::Gone => self.state = State::Waiting,
            // It spoke of this push before, and speaks of another one under the same name.
            None if self.last.is_some() && names => {
                let reason = Some("another push took its place".to_owned());
                self.state = State::Failed { phase: None, outcome: None, reason };
            }
            None => {}
        }
        before != (self.alive, self.state.clone())
    }

    fn next(&self, goal: &Goal, at: Duration, report: &ComponentReport) -> State {
        let failed = |reason: Option<&str>| State::Failed {
            phase: Some(report.phase),
            outcome: report.last_outcome.clone(),
            reason: report.reason.clone().or_else(|| reason.map(str::to_owned)),
        };
        match report.phase {
            Phase::Completed => State::Good(Phase::Completed),
            Phase::Stopped if goal.wanted == Wanted::Stopped => State::Good(Phase::Stopped),
            // On its way there, from what it was before.
            phase if goal.wanted == Wanted::Stopped => State::Moving { phase, fetched: None, rate: 0 },
            Phase::Running => match &self.state {
                State::Good(phase) => State::Good(*phase),
                State::Settling(since) if !self.restarted_since(report) => State::Settling(*since),
                _ => State::Settling(at),
            },
            Phase::Staged if goal.wanted == Wanted::Staged => State::Good(Phase::Staged),
            Phase::Staged | Phase::Fetching | Phase::Compiling => {
                State::Moving { phase: report.phase, fetched: report.fetched, rate: self.rate(at, report) }
            }
            // `restart = always`: a run that completed is followed by a pause and the next one.
            Phase::Backoff if report.last_outcome == Some(Outcome::Completed) => State::Good(Phase::Backoff),
            Phase::Backoff | Phase::Failed => failed(None),
            Phase::Stopped => failed(Some("it was stopped")),
        }
    }

    fn rate(&self, at: Duration, report: &ComponentReport) -> u64 {
        let before = self.last.as_ref().and_then(|last| last.fetched);
        let (Some(before), Some(fetched)) = (before, report.fetched) else { return 0 };
        let millis = u64::try_from(at.saturating_sub(self.last_at).as_millis()).unwrap_or(u64::MAX);
        fetched.saturating_sub(before).saturating_mul(1000).checked_div(millis).unwrap_or(0)
    }

    fn restarted_since(&self, report: &ComponentReport) -> bool {
        self.last.as_ref().is_some_and(|last| report.restarts > last.restarts)
    }

    /// Whether it has been seen running for long enough just now.
    pub(super) fn settle(&mut self, at: Duration) -> bool {
        match self.state {
            State::Settling(since) if at >= since + SETTLE => {
                self.state = State::Good(Phase::Running);
                true
            }
            _ => false,
        }
    }

    pub(super) fn settles_at(&self) -> Option<Duration> {
        match self.state {
            State::Settling(since) => Some(since + SETTLE),
            _ => None,
        }
    }

    /// Whether the node's own word shows that it has the whole artifact.
    pub(super) fn is_past_fetching(&self) -> bool {
        self.last.as_ref().is_some_and(|last| match last.phase {
            Phase::Fetching | Phase::Stopped => false,
            // A node fails before it has fetched, too: no room, no budget.
            Phase::Failed => last.last_outcome.is_some(),
            Phase::Completed | Phase::Running | Phase::Staged | Phase::Compiling | Phase::Backoff => true,
        })
    }
}
