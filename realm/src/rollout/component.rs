//! One component: what a push, or another change of it, should come to on a node, and how far a node is.

use super::{Aim, Progress, Stand, Target, Until};
use shared::{ComponentName, ComponentReport, IntentId, NodeReport, Outcome, Phase};
use std::time::Duration;

/// For how long a component has to be seen running before it is called so. One that crashes does it in its first
/// milliseconds, and the report of that is on its way when the first one says `running`.
pub const SETTLE: Duration = Duration::from_millis(500);

/// What was pushed, and what would make the operator content.
#[derive(Debug, Clone)]
pub struct Goal {
    /// The component's name.
    pub name: ComponentName,
    /// Bytes of its artifact; 0 when none is to be fetched.
    pub size: u64,
    /// The intent that nodes should report.
    pub intent: IntentId,
    /// The sequence of that.
    pub seq: u64,
    /// What each node should come to.
    pub wanted: Wanted,
    /// Whether an absent node spoils it.
    pub require_all: bool,
    /// When to leave.
    pub until: Until,
}

/// What a node should come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It runs, or has completed.
    Running,
    /// It can be started.
    Staged,
    /// None of it runs.
    Stopped,
    /// The node does not have it any more.
    Gone,
}

impl Goal {
    /// What a node says about this very push.
    fn ours<'a>(&self, report: &'a NodeReport) -> Option<&'a ComponentReport> {
        report.components.iter().find(|component| component.name == self.name && component.intent == self.intent)
    }
}

impl Aim for Goal {
    type Stand = OnNode;

    fn require_all(&self) -> bool {
        self.require_all
    }

    fn until(&self) -> Until {
        self.until
    }

    fn is_meant(&self, report: &NodeReport) -> bool {
        self.wanted == Wanted::Gone && report.may_have(&self.name)
            || report.components.iter().any(|component| component.intent == self.intent)
    }

    /// A node that does not have it is no proof that anybody was told to remove it.
    fn must_be_held(&self) -> bool {
        self.wanted == Wanted::Gone
    }

    fn hear(&self, stand: &mut OnNode, at: Duration, report: &NodeReport) -> bool {
        let names = match report.components.iter().find(|component| component.name == self.name) {
            Some(component) if component.declared => Names::Declared,
            Some(_) => Names::Pushed,
            None if !report.may_have(&self.name) => Names::Not,
            // The last one that is listed is not better than those that there was no room for.
            None => Names::Unlisted {
                well: report.components.last().is_some_and(|last| last.phase <= Phase::Staged),
                held: report.summary.highest_seq == self.seq,
            },
        };
        stand.hear(self, at, self.ours(report), names)
    }
}

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

/// What a node says of the component's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// It has none of that name.
    Not,
    /// Somebody has pushed it.
    Pushed,
    /// The manifest declares it.
    Declared,
    /// It may be one of those that the report had no room for: whether these are well, and whether the node shows that it has
    /// taken this very push. It acts on one as soon as it holds it.
    Unlisted { well: bool, held: bool },
}

/// How far a component is on a node.
#[derive(Debug, Clone)]
pub struct OnNode {
    /// The last report about this push.
    last: Option<ComponentReport>,
    /// When that came.
    last_at: Duration,
    state: State,
}

impl Default for OnNode {
    fn default() -> OnNode {
        OnNode { last: None, last_at: Duration::ZERO, state: State::Waiting }
    }
}

impl Target<OnNode> {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.stand().state
    }

    /// What it last said about this push.
    #[must_use]
    pub fn last(&self) -> Option<&ComponentReport> {
        self.stand().last.as_ref()
    }
}

impl Stand for OnNode {
    fn progress(&self) -> Progress {
        match &self.state {
            State::Good(_) | State::Gone => Progress::Good,
            State::Failed { .. } => Progress::Failed,
            State::Waiting | State::Moving { .. } | State::Settling(_) => Progress::Waiting,
        }
    }

    fn is_unheard(&self) -> bool {
        self.state == State::Waiting
    }

    fn refuse(&mut self, why: &str) {
        self.state = State::Failed { phase: None, outcome: None, reason: Some(format!("refused: {why}")) };
    }

    /// Whether it has been seen running for long enough just now.
    fn settle(&mut self, at: Duration) -> bool {
        match self.state {
            State::Settling(since) if at >= since + SETTLE => {
                self.state = State::Good(Phase::Running);
                true
            }
            _ => false,
        }
    }

    fn settles_at(&self) -> Option<Duration> {
        match self.state {
            State::Settling(since) => Some(since + SETTLE),
            _ => None,
        }
    }

    /// Whether the node's own word shows that it has the whole artifact.
    fn is_past_fetching(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.fetched.is_none())
    }
}

impl OnNode {
    /// Takes the node's word.
    fn hear(&mut self, goal: &Goal, at: Duration, ours: Option<&ComponentReport>, names: Names) -> bool {
        let before = self.state.clone();
        match ours {
            Some(report) => {
                self.state = self.next(goal, at, report);
                self.last = Some(report.clone());
                self.last_at = at;
            }
            None if goal.wanted == Wanted::Gone => {
                // What a report has no room for may still be there. What is declared is another matter.
                let is_gone = matches!(names, Names::Not | Names::Declared | Names::Unlisted { held: true, .. });
                self.state = if is_gone { State::Gone } else { State::Waiting };
            }
            None if self.last.is_none() && !matches!(names, Names::Unlisted { held: true, .. }) => {}
            // It spoke of this push before, or shows that it holds it.
            None => self.unlisted(goal, at, names),
        }
        before != self.state
    }

    /// The node has this push, and does not speak of it.
    fn unlisted(&mut self, goal: &Goal, at: Duration, names: Names) {
        let failed = |reason: String| State::Failed { phase: None, outcome: None, reason: Some(reason) };
        self.state = match (names, &self.state) {
            (Names::Pushed, _) => failed("another push took its place".to_owned()),
            (Names::Declared, _) => failed(format!(
                "a manifest that declares `{name}` was applied meanwhile, and took its place (hint: change it there, or \
                 `realm apply` one without `{name}` and push it again)",
                name = goal.name
            )),
            // What is not well is listed before all that is.
            (Names::Unlisted { well: true, .. }, State::Waiting | State::Moving { .. } | State::Failed { .. }) => {
                match goal.wanted {
                    Wanted::Running => State::Settling(at),
                    Wanted::Staged => State::Good(Phase::Staged),
                    Wanted::Stopped | Wanted::Gone => return,
                }
            }
            (Names::Unlisted { .. } | Names::Not, _) => return,
        };
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
}
