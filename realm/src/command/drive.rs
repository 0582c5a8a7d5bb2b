//! An intent on its way: hands it over, follows the reports, and ends when the rollout says so.

use super::seek::Seek;
use super::tell;
use crate::exit::Failure;
use crate::output::{Shown, Terminal, Tone, clean};
use crate::rollout::{HandOver, Rollout, Step, Until, Verdict};
use crate::session::{Event, Session, WatchId};
use shared::{Artifact, NodeId, Receipt, WatchReply, WatchRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A node that does not have everything yet is asked again after this: it tells nobody when it has, unless it is for it, too.
const ASK_PAUSE: Duration = Duration::from_millis(250);

/// A connection that breaks is noticed by what goes through it in no order: when nobody could be asked, it is waited so long for
/// the word that this is why.
const BROKEN_WITHIN: Duration = Duration::from_secs(1);

/// How it ended.
pub(super) struct Ended<A: Shown> {
    pub(super) rollout: Rollout<A>,
    pub(super) verdict: Verdict,
    /// Nodes that had no owner and accepted it.
    pub(super) claimed: Vec<NodeId>,
    /// Nodes that can be asked for more.
    pub(super) entries: Vec<NodeId>,
}

pub(super) struct Drive<'a, 'w, A: Shown> {
    session: &'a mut Session,
    terminal: &'a mut Terminal<'w>,
    told: tell::Told,
    rollout: Rollout<A>,
    /// What this end offers with it, or what nodes have to have for it; none where they have what they need.
    artifacts: Vec<Artifact>,
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
    /// Agents that have everything, as far as they did not say so by a report.
    holders: BTreeSet<NodeId>,
    /// Whether a node is being asked what it has of it.
    asking: bool,
    /// Which one was asked last, and what it was not seen to have.
    lacks: Option<(NodeId, Vec<Artifact>)>,
    /// When it is asked again.
    ask_at: Option<Instant>,
    /// Nobody is connected: all that are known of are dialled.
    seeking: Option<Seek>,
    /// Nobody has accepted it, or can be asked: when that is the end, unless nobody is connected.
    fails_at: Option<Instant>,
}

impl<'a, 'w, A: Shown> Drive<'a, 'w, A> {
    pub(super) fn new(
        session: &'a mut Session,
        terminal: &'a mut Terminal<'w>,
        rollout: Rollout<A>,
        artifacts: Vec<Artifact>,
        sealed: Vec<u8>,
        deadline: Instant,
        begun: Instant,
    ) -> Drive<'a, 'w, A> {
        Drive {
            session,
            terminal,
            told: tell::Told::default(),
            rollout,
            artifacts,
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
            asking: false,
            lacks: None,
            ask_at: None,
            seeking: None,
            fails_at: None,
        }
    }

    /// Goes on to the end. `watching` are the watches that the survey began, and at which node each one is: these nodes
    /// and the unclaimed ones are handed the intent.
    ///
    /// # Errors
    /// When every node that was asked refuses, when the file has changed, when the network ends.
    pub(super) async fn run(
        mut self,
        watching: &[(WatchId, NodeId)],
        unclaimed: &[NodeId],
    ) -> Result<Ended<A>, Failure> {
        self.unclaimed.extend(unclaimed);
        self.watches.extend(watching.iter().copied());
        for node in watching.iter().map(|(_, member)| member).chain(unclaimed) {
            self.hand_over(*node);
        }
        // What is in the way already is said at once.
        let targets = self.rollout.targets().iter();
        let held_up: Vec<NodeId> = targets.filter(|(_, it)| it.fault().is_some()).map(|(node, _)| *node).collect();
        self.show(&held_up);
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
            let again_at = self.seeking.as_ref().map(Seek::again_at);
            let until = [again_at, self.ask_at, self.fails_at].into_iter().flatten().fold(until, Instant::min);
            if let Some(event) = self.session.next(Some(until)).await {
                self.take(event)?;
            }
            if self.seeking.as_mut().is_some_and(|seek| seek.is_due(Instant::now())) {
                self.session.reach_others();
            }
            if self.fails_at.take_if(|at| *at <= Instant::now()).is_some() {
                return Err(self.refused_by_all());
            }
            if self.ask_at.take_if(|at| *at <= Instant::now()).is_some() {
                self.ask_who_holds();
            }
        }
    }

    fn step(&mut self, now: Instant) -> Step {
        let has_bytes = self.artifacts.is_empty() || !self.holders.is_empty() || self.rollout.is_past_fetching();
        let held = !self.accepted.is_empty() && has_bytes;
        let replicated = self.rollout.is_replicated(&self.holders);
        let step = self.rollout.step(HandOver { held, replicated, timed_out: now >= self.deadline });
        match step {
            Step::Done(Verdict::TimedOut) if self.seeking.is_some() => Step::Done(Verdict::CutOff),
            step => step,
        }
    }

    fn ended(self, verdict: Verdict) -> Ended<A> {
        let claimed = self.unclaimed.intersection(&self.accepted).copied().collect();
        let entries = self.watches.values().copied().collect();
        Ended { rollout: self.rollout, verdict, claimed, entries }
    }

    fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Met(node) => self.met(node),
            // Until now it was no use to dial it.
            Event::Gone if self.seeking.is_some() => self.session.reach_others(),
            Event::Gone | Event::Unreached { .. } | Event::Found(..) => {}
            Event::Receipt { node, receipt } => self.answered(node, receipt)?,
            Event::Watched { watch, reply: WatchReply::Node(view) } if self.watches.contains_key(&watch) => {
                // What its own node has not signed does not count.
                if let Ok(report) = view.report.open(self.session.realm()) {
                    self.reported(&report, view.alive);
                }
            }
            Event::Watched { .. } | Event::Pulled { .. } | Event::Indexed { .. } | Event::Fetched { .. } => {}
            Event::WatchEnded { watch, fault } => self.unwatched(watch, fault),
            Event::Lacks { node, artifacts } => {
                self.asking = false;
                self.holders.extend(artifacts.is_empty().then_some(node));
                self.lacks = Some((node, artifacts));
                self.ask_at = self.holders.is_empty().then(|| Instant::now() + ASK_PAUSE);
            }
            // Sent is not arrived: what is in buffers when we leave is lost.
            Event::AllServed => self.ask_who_holds(),
            Event::FileChanged => {
                return Err(Failure::new("a file was changed while it was being sent")
                    .hint("do it again: nodes refuse bytes that differ from what was signed"));
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
            // One that was started anew knows neither that it was asked nor who has what it is to fetch.
            self.tried.remove(&node);
            self.enter(node);
        }
    }

    fn reported(&mut self, report: &shared::NodeReport, alive: bool) {
        let is_target = self.rollout.targets().contains_key(&report.node);
        if !is_target && !self.rollout.goal().is_meant(report) {
            return;
        }
        if self.rollout.observe(self.begun.elapsed(), report, alive) {
            self.show(&[report.node]);
        }
        self.ask_who_holds();
    }

    fn answered(&mut self, node: NodeId, receipt: Result<Receipt, String>) -> Result<(), Failure> {
        self.asked.remove(&node);
        let is_broken = receipt.is_err();
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
            None if self.seeking.is_some() => {}
            None if is_broken => self.fails_at = Some(Instant::now() + BROKEN_WITHIN),
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
                self.terminal
                    .say(Tone::Warning, &format!("lost {}{why}; looking for it and for another node", node.short()));
                self.session.reach_others();
                (self.seeking, self.fails_at) = (Some(Seek::begin(Instant::now())), None);
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

    /// Where the end hangs on an agent having everything, a node that accepted it is asked: it may have had it all along, or
    /// have it from another node.
    fn ask_who_holds(&mut self) {
        if self.artifacts.is_empty() || self.asking || !self.holders.is_empty() {
            return;
        }
        let goal = self.rollout.goal();
        let nobody_live = self.rollout.targets().values().all(|target| !target.is_alive());
        if goal.until() == Until::Running && !goal.must_be_held() && !nobody_live {
            return;
        }
        let is_member = |node: &&NodeId| self.session.peers().get(node).is_some_and(|peer| peer.admitted);
        if let Some(node) = self.accepted.iter().find(is_member).copied() {
            // What it was seen to have is not asked for again.
            let lacks = self.lacks.take().filter(|(asked, _)| *asked == node).map(|(_, lacks)| lacks);
            self.asking = true;
            self.session.ask_for(node, lacks.unwrap_or_else(|| self.artifacts.clone()));
        }
    }

    fn show(&mut self, changed: &[NodeId]) {
        tell::progress(self.terminal, &mut self.told, &self.rollout, changed);
    }
}
