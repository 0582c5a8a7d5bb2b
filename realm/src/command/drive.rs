//! An intent on its way: hands it over, follows the reports, and ends when the rollout says so.

use super::tell;
use crate::exit::Failure;
use crate::output::{Terminal, Tone, clean};
use crate::rollout::{Progress, Rollout, Step, Until, Verdict, Wanted, may_have};
use crate::session::{Event, Session, WatchId};
use shared::{Artifact, NodeId, Receipt, WatchReply, WatchRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A node that does not have all of it yet is asked again after this: it tells nobody when it has, unless the push is for
/// it, too.
const ASK_PAUSE: Duration = Duration::from_millis(250);

/// The entry node is gone, and no other is connected: for how long the others that it told of are looked for. They have
/// to notice, too, when the network is to blame.
const SEEK_TIMEOUT: Duration = Duration::from_secs(15);

/// How a push ended.
pub(super) struct Ended {
    pub(super) rollout: Rollout,
    pub(super) verdict: Verdict,
    /// Nodes that had no owner and accepted it.
    pub(super) claimed: Vec<NodeId>,
    /// Nodes that can be asked for more.
    pub(super) entries: Vec<NodeId>,
}

pub(super) struct Drive<'a, 'w> {
    session: &'a mut Session,
    terminal: &'a mut Terminal<'w>,
    told: tell::Told,
    rollout: Rollout,
    /// What this end offers with it; none where the nodes have what they need.
    artifact: Option<Artifact>,
    sealed: Arc<[u8]>,
    begun: Instant,
    deadline: Instant,
    /// Through whom the realm is seen: the entry nodes, and each node that was claimed, which may know nobody yet.
    watches: BTreeMap<WatchId, NodeId>,
    /// Nodes that were handed the intent, and whose answer is awaited.
    asked: BTreeSet<NodeId>,
    /// Nodes that were ever handed it.
    tried: BTreeSet<NodeId>,
    accepted: BTreeSet<NodeId>,
    unclaimed: BTreeSet<NodeId>,
    refusals: Vec<(NodeId, String)>,
    /// The code of the last refusal, on which the next step depends.
    last_refusal: Option<String>,
    /// Agents that have the whole artifact, as far as they did not say so by a report.
    holders: BTreeSet<NodeId>,
    /// A node that is being asked whether it has it.
    asking: Option<NodeId>,
    /// When it is asked again.
    ask_at: Option<Instant>,
    /// Nobody is connected: until when others are looked for.
    seeking: Option<Instant>,
}

impl<'a, 'w> Drive<'a, 'w> {
    pub(super) fn new(
        session: &'a mut Session,
        terminal: &'a mut Terminal<'w>,
        rollout: Rollout,
        artifact: Option<Artifact>,
        sealed: Vec<u8>,
        deadline: Instant,
        begun: Instant,
    ) -> Drive<'a, 'w> {
        Drive {
            session,
            terminal,
            told: tell::Told::default(),
            rollout,
            artifact,
            sealed: sealed.into(),
            begun,
            deadline,
            watches: BTreeMap::new(),
            asked: BTreeSet::new(),
            tried: BTreeSet::new(),
            accepted: BTreeSet::new(),
            unclaimed: BTreeSet::new(),
            refusals: Vec::new(),
            last_refusal: None,
            holders: BTreeSet::new(),
            asking: None,
            ask_at: None,
            seeking: None,
        }
    }

    /// Goes on to the end. `watching` are the watches that the survey began, and at which node each one is: these nodes
    /// and the unclaimed ones are handed the intent.
    ///
    /// # Errors
    /// When every node that was asked refuses, when the file has changed, when the network ends.
    pub(super) async fn run(mut self, watching: &[(WatchId, NodeId)], unclaimed: &[NodeId]) -> Result<Ended, Failure> {
        self.unclaimed.extend(unclaimed);
        self.watches.extend(watching.iter().copied());
        for node in watching.iter().map(|(_, member)| member).chain(unclaimed) {
            self.hand_over(*node);
        }
        self.show(&[]);
        loop {
            let now = Instant::now();
            let settled = self.rollout.tick(now - self.begun);
            if !settled.is_empty() {
                self.show(&settled);
            }
            let until = match self.step(now) {
                Step::Done(verdict) => return Ok(self.ended(verdict)),
                Step::Wait(None) => self.deadline,
                Step::Wait(Some(at)) => self.deadline.min(self.begun + at),
            };
            let until = self.seeking.into_iter().chain(self.ask_at).fold(until, Instant::min);
            if let Some(event) = self.session.next(Some(until)).await {
                self.take(event)?;
            }
            if self.ask_at.take_if(|at| *at <= Instant::now()).is_some() {
                self.ask_who_holds();
            }
        }
    }

    fn step(&mut self, now: Instant) -> Step {
        let has_bytes = self.artifact.is_none() || !self.holders.is_empty() || self.rollout.is_past_fetching();
        let held = !self.accepted.is_empty() && has_bytes;
        let replicated = self.rollout.is_replicated(&self.holders);
        let step = self.rollout.step(Progress { held, replicated, timed_out: now >= self.deadline });
        match step {
            Step::Wait(_) if self.seeking.is_some_and(|seeking| seeking <= now) => Step::Done(Verdict::CutOff),
            step => step,
        }
    }

    fn ended(self, verdict: Verdict) -> Ended {
        let claimed = self.unclaimed.intersection(&self.accepted).copied().collect();
        let entries = self.watches.values().copied().collect();
        Ended { rollout: self.rollout, verdict, claimed, entries }
    }

    fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Met(node) => self.met(node),
            Event::Gone | Event::Unreached { .. } | Event::Found(_) => {}
            Event::Receipt { node, receipt } => self.answered(node, receipt)?,
            Event::Watched { watch, reply: WatchReply::Node(view) } if self.watches.contains_key(&watch) => {
                // What its own node has not signed does not count.
                if let Ok(report) = view.report.open(self.session.realm()) {
                    self.reported(&report, view.alive);
                }
            }
            Event::Watched { .. } | Event::Pulled { .. } => {}
            Event::WatchEnded { watch, fault } => self.unwatched(watch, fault),
            Event::Holds { complete } => {
                let asked = self.asking.take();
                self.holders.extend(asked.filter(|_| complete));
                self.ask_at = self.holders.is_empty().then(|| Instant::now() + ASK_PAUSE);
            }
            // Sent is not arrived: what is in buffers when we leave is lost.
            Event::AllServed => self.ask_who_holds(),
            Event::FileChanged => {
                return Err(Failure::new("the file was changed while it was being pushed")
                    .hint("push it again: nodes refuse bytes that differ from what was signed"));
            }
            Event::Stopped => return Err(Failure::new("the network has ended")),
        }
        Ok(())
    }

    /// A node that has accepted its claim becomes a member, and speaks for itself until others know it.
    fn met(&mut self, node: NodeId) {
        let is_member = self.session.peers().get(&node).is_some_and(|peer| peer.admitted);
        let is_watched = self.watches.values().any(|watched| *watched == node);
        if is_member && self.unclaimed.contains(&node) && !is_watched {
            self.watch(node);
        }
        if is_member && self.seeking.take().is_some() {
            self.terminal.say(Tone::Warning, &format!("going on through {}", node.short()));
            self.enter(node);
        }
    }

    fn reported(&mut self, report: &shared::NodeReport, alive: bool) {
        let is_target = self.rollout.targets().contains_key(&report.node);
        if !is_target && !self.is_meant(report) {
            return;
        }
        if self.rollout.observe(self.begun.elapsed(), report, alive) {
            self.show(&[report.node]);
        }
        self.ask_who_holds();
    }

    /// A node that was not known before counts when it says itself that it is to run this push, or has what is to be removed.
    fn is_meant(&self, report: &shared::NodeReport) -> bool {
        let goal = self.rollout.goal();
        goal.wanted == Wanted::Gone && may_have(report, &goal.name)
            || report.components.iter().any(|component| component.intent == goal.intent)
    }

    fn answered(&mut self, node: NodeId, receipt: Result<Receipt, String>) -> Result<(), Failure> {
        self.asked.remove(&node);
        let refusal = match receipt {
            Ok(Receipt { verdict: shared::Verdict::Accepted | shared::Verdict::AlreadyHeld, .. }) => {
                self.accepted(node);
                return Ok(());
            }
            Ok(Receipt { verdict: shared::Verdict::Refused { code, reason }, .. }) => {
                self.rollout.refused(node, &reason);
                self.last_refusal = Some(code);
                format!("refused: {}", clean(&reason))
            }
            // It may get it from others, so that nothing is said about its part in the rollout.
            Err(why) => format!("could not be asked: {why}"),
        };
        self.terminal.say(Tone::Warning, &format!("{} {refusal}", node.short()));
        self.refusals.push((node, refusal));
        if !self.asked.is_empty() || !self.accepted.is_empty() {
            return Ok(());
        }
        match self.untried() {
            Some(next) => self.enter(next),
            None => return Err(self.refused_by_all()),
        }
        Ok(())
    }

    fn accepted(&mut self, node: NodeId) {
        self.accepted.insert(node);
        if self.unclaimed.contains(&node) {
            self.terminal.say(Tone::Warning, &format!("claimed {}: it obeys your key from here on", node.short()));
            self.met(node);
        }
        self.ask_who_holds();
    }

    fn refused_by_all(&self) -> Failure {
        let lines: String = self.refusals.iter().map(|(node, why)| format!("\n  {node} {why}")).collect();
        let next = tell::after_refusal(self.last_refusal.as_deref());
        Failure::new(format!("no node accepted it:{lines}")).hint(next)
    }

    /// One view of the realm is over: go on through another node, if there is one.
    fn unwatched(&mut self, watch: WatchId, fault: Option<String>) {
        let Some(node) = self.watches.remove(&watch) else { return };
        if !self.watches.is_empty() {
            return;
        }
        let why = fault.map(|fault| format!(" ({fault})")).unwrap_or_default();
        match self.session.entry_but(Some(node)) {
            Some(next) => {
                self.terminal
                    .say(Tone::Warning, &format!("lost {}{why}; going on through {}", node.short(), next.short()));
                self.enter(next);
            }
            None => {
                self.terminal.say(Tone::Warning, &format!("lost {}{why}; looking for another node", node.short()));
                self.session.reach_others();
                self.seeking = Some(Instant::now() + SEEK_TIMEOUT);
            }
        }
    }

    fn untried(&self) -> Option<NodeId> {
        let peers = self.session.peers().iter();
        peers.filter(|(node, peer)| peer.admitted && !self.tried.contains(node)).map(|(node, _)| *node).next()
    }

    /// Takes a node as entry: the one before may have gone before it told others.
    fn enter(&mut self, node: NodeId) {
        if !self.watches.values().any(|watched| *watched == node) {
            self.watch(node);
        }
        if !self.tried.contains(&node) {
            self.hand_over(node);
        }
    }

    fn watch(&mut self, node: NodeId) {
        let watch = self.session.watch(node, WatchRequest::Status { follow: true });
        self.watches.insert(watch, node);
    }

    fn hand_over(&mut self, node: NodeId) {
        self.tried.insert(node);
        self.asked.insert(node);
        self.session.hand_over(node, Arc::clone(&self.sealed));
    }

    /// Where the end hangs on an agent having everything, a node that accepted the push is asked: it may have had the
    /// artifact all along, or have it from another node.
    fn ask_who_holds(&mut self) {
        let Some(artifact) = self.artifact else { return };
        let nobody_live = self.rollout.targets().values().all(|target| !target.is_alive());
        let matters = self.rollout.goal().until != Until::Running || nobody_live;
        if !self.holders.is_empty() || self.asking.is_some() || !matters {
            return;
        }
        let is_member = |node: &&NodeId| self.session.peers().get(node).is_some_and(|peer| peer.admitted);
        if let Some(node) = self.accepted.iter().find(is_member).copied() {
            self.asking = Some(node);
            self.session.ask_for(node, artifact);
        }
    }

    fn show(&mut self, changed: &[NodeId]) {
        let size = self.artifact.map_or(0, |artifact| artifact.size);
        tell::progress(self.terminal, &mut self.told, &self.rollout, size, changed);
    }
}
