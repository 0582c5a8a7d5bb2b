//! What a push, or another change, came to, node by node. Pure: views of nodes and the time since it began go in, states and a
//! verdict come out.
//!
//! What a node should come to is an [`Aim`]: [`Goal`] is that of one component, [`Applied`] that of a manifest.

mod component;
mod declared;
mod matching;
mod target;
#[cfg(test)]
pub(crate) mod tests;

pub use component::{Goal, OnNode, SETTLE, State, Wanted};
pub use declared::{Applied, Standing};
pub use matching::{Known, Matched, NoMatch, match_nodes};
pub use target::{Result, Target};

use crate::exit::Exit;
use shared::{NodeId, NodeReport, Tag};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

/// What a change should come to on each node that it is for.
pub trait Aim {
    /// How far a node is.
    type Stand: Stand;

    /// Whether an absent node spoils it.
    fn require_all(&self) -> bool;

    /// When to leave.
    fn until(&self) -> Until;

    /// Whether a node that was not known before is one of those that it is for.
    fn is_meant(&self, report: &NodeReport) -> bool;

    /// Whether it is not over before an agent has accepted it and has everything, however well the nodes are.
    fn must_be_held(&self) -> bool;

    /// Whether nodes go back to what they had where it fails.
    fn goes_back(&self) -> bool {
        false
    }

    /// Whether it is over as a whole where it fails on some nodes: the others do not come to it either.
    fn is_one(&self) -> bool {
        false
    }

    /// Takes a node's word at time `at`. Gives whether something changed that is worth a line.
    fn hear(&self, stand: &mut Self::Stand, at: Duration, report: &NodeReport) -> bool;
}

/// How far one node is.
pub trait Stand: Default {
    /// What that comes to.
    fn progress(&self) -> Progress;

    /// Whether the node has not spoken of this change yet.
    fn is_unheard(&self) -> bool;

    /// The node was handed the intent itself, and refused it.
    fn refuse(&mut self, why: &str);

    /// Lets time pass; gives whether that made it good.
    fn settle(&mut self, _at: Duration) -> bool {
        false
    }

    /// When time alone can make it good.
    fn settles_at(&self) -> Option<Duration> {
        None
    }

    /// Whether the node has what it had before, since it failed.
    fn is_rolled_back(&self) -> bool {
        false
    }

    /// Whether the node's own word shows that it has everything that was handed over.
    fn is_past_fetching(&self) -> bool {
        false
    }
}

/// What a node's stand comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Neither of the others yet.
    Waiting,
    /// As wanted.
    Good,
    /// Not as wanted, and it will not become so by waiting.
    Failed,
}

/// How far a push has to be before the operator leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Until {
    /// An agent has accepted it and has the whole artifact.
    Accepted,
    /// Three nodes have the whole artifact, or all that it is for: no single one can lose it.
    Replicated,
    /// It runs where it should.
    #[default]
    Running,
}

/// So many copies of an artifact outlive a node that fails while another is being restarted.
const ENOUGH_COPIES: usize = 3;

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Until, String> {
        match text {
            "accepted" => Ok(Until::Accepted),
            "replicated" => Ok(Until::Replicated),
            "running" => Ok(Until::Running),
            _ => Err("expected accepted, replicated or running".into()),
        }
    }
}

/// What is known of the hand-over, beside the reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct HandOver {
    /// An agent has accepted the intent and has everything that it names: from there on it goes its way without us.
    pub held: bool,
    /// Enough agents have the whole artifact, see [`Rollout::is_replicated`].
    pub replicated: bool,
    /// The operator's patience is over.
    pub timed_out: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Wait for something to happen, or until this time since the beginning.
    Wait(Option<Duration>),
    /// It is over.
    Done(Verdict),
}

/// What it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As wanted on every live node.
    Good,
    /// Failed on every live node.
    Failed,
    /// Failed, and every live node has what it had before.
    RolledBack,
    /// Good on some live nodes, failed or lost on others; or `require_all`, and one is away.
    Part,
    /// No matching node is there.
    NoneLive,
    /// Out of time.
    TimedOut,
    /// Left behind as asked, on its way.
    Detached,
    /// No node of the realm can be reached any more.
    CutOff,
}

impl Verdict {
    /// The exit code that says so.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Verdict::Good | Verdict::Detached => Exit::Done,
            Verdict::Failed => Exit::Failed,
            Verdict::RolledBack => Exit::RolledBack,
            Verdict::Part | Verdict::NoneLive | Verdict::TimedOut | Verdict::CutOff => Exit::Partial,
        }
    }

    /// A stable word for machines.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Failed => "failed",
            Verdict::RolledBack => "rolled-back",
            Verdict::Part => "part",
            Verdict::NoneLive => "none-live",
            Verdict::TimedOut => "timed-out",
            Verdict::Detached => "detached",
            Verdict::CutOff => "cut-off",
        }
    }
}

/// A change on its way.
#[derive(Debug)]
pub struct Rollout<A: Aim = Goal> {
    goal: A,
    targets: BTreeMap<NodeId, Target<A::Stand>>,
}

impl<A: Aim> Rollout<A> {
    /// Begins with the nodes that matched.
    #[must_use]
    pub fn new(goal: A, matched: impl IntoIterator<Item = (NodeId, Vec<Tag>, bool)>) -> Rollout<A> {
        let target = |(node, tags, alive)| (node, Target::new(tags, alive));
        Rollout { goal, targets: matched.into_iter().map(target).collect() }
    }

    /// What it should come to.
    #[must_use]
    pub fn goal(&self) -> &A {
        &self.goal
    }

    /// The nodes that it is for.
    #[must_use]
    pub fn targets(&self) -> &BTreeMap<NodeId, Target<A::Stand>> {
        &self.targets
    }

    /// Takes a node's word at time `at`; a node that matches and was not known becomes a target. Gives the node when
    /// something changed that is worth a line.
    pub fn observe(&mut self, at: Duration, report: &NodeReport, alive: bool) -> bool {
        let is_there = alive && !report.leaving;
        let is_new = !self.targets.contains_key(&report.node);
        let target = self.targets.entry(report.node).or_insert_with(|| Target::new(report.tags.clone(), is_there));
        target.observe(&self.goal, at, report, is_there) || is_new
    }

    /// What a node has said of its disk before the change was made.
    pub fn foresee(&mut self, report: &NodeReport) {
        if let Some(target) = self.targets.get_mut(&report.node) {
            target.foresee(report);
        }
    }

    /// Marks a node that was handed the intent itself and refused it.
    pub fn refused(&mut self, node: NodeId, why: &str) {
        if let Some(target) = self.targets.get_mut(&node) {
            target.stand_mut().refuse(why);
        }
    }

    /// Lets time pass; gives the nodes that settled.
    pub fn tick(&mut self, at: Duration) -> Vec<NodeId> {
        let settles = |(node, target): (&NodeId, &mut Target<A::Stand>)| target.stand_mut().settle(at).then_some(*node);
        self.targets.iter_mut().filter_map(settles).collect()
    }

    /// Whether any report shows that an agent has the whole artifact.
    #[must_use]
    pub fn is_past_fetching(&self) -> bool {
        self.targets.values().any(|target| target.stand().is_past_fetching())
    }

    /// Whether enough nodes have the whole artifact; `holders` are those that were seen to have it otherwise than by a
    /// report.
    #[must_use]
    pub fn is_replicated(&self, holders: &BTreeSet<NodeId>) -> bool {
        let has =
            |(node, target): &(&NodeId, &Target<A::Stand>)| target.stand().is_past_fetching() || holders.contains(node);
        let elsewhere = holders.iter().filter(|node| !self.targets.contains_key(node)).count();
        let copies = self.targets.iter().filter(has).count() + elsewhere;
        let mut live = self.targets.iter().filter(|(_, target)| target.is_alive()).peekable();
        copies >= ENOUGH_COPIES || live.peek().is_some() && live.all(|target| has(&target))
    }

    /// Whether it is over.
    #[must_use]
    pub fn step(&self, progress: HandOver) -> Step {
        let results = || self.targets.values().map(Target::result);
        let count = |wanted: Result| results().filter(|result| *result == wanted).count();
        let (good, failed, waiting) = (count(Result::Good), count(Result::Failed), count(Result::Waiting));
        let (away, lost) = (count(Result::Away), count(Result::Lost));
        let was_live = good + failed + waiting + lost > 0;
        let is_told = progress.held || !self.goal.must_be_held();
        if was_live && waiting == 0 && is_told {
            let spoilt = failed + lost > 0 || (away > 0 && self.goal.require_all());
            let is_back = |target: &Target<A::Stand>| !target.is_alive() || target.stand().is_rolled_back();
            return Step::Done(match good {
                _ if !spoilt => Verdict::Good,
                0 if self.goal.goes_back() && failed > 0 && self.targets.values().all(is_back) => Verdict::RolledBack,
                _ if self.goal.is_one() && failed > 0 => Verdict::Failed,
                0 if lost == 0 && failed > 0 => Verdict::Failed,
                _ => Verdict::Part,
            });
        }
        if !was_live && progress.held {
            return Step::Done(Verdict::NoneLive);
        }
        let is_left = match self.goal.until() {
            Until::Accepted => progress.held,
            Until::Replicated => progress.held && progress.replicated,
            Until::Running => false,
        };
        if is_left {
            return Step::Done(Verdict::Detached);
        }
        if progress.timed_out {
            return Step::Done(Verdict::TimedOut);
        }
        Step::Wait(self.targets.values().filter_map(|target| target.stand().settles_at()).min())
    }
}
