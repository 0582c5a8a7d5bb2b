//! What this node knows of the others: their newest reports, and whether they have been heard of lately.

use super::effect::Member;
use super::signatures::CheckReport;
use serde::Deserialize;
use shared::{MAX_SYNC_BYTES, NodeId, NodeReport, NodeView, RealmId, ReportRefused, SignedReport, frame};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most nodes that are known: ten times the largest realm that is planned for.
const MAX_NODES: usize = 10_000;

/// A node is away when it has missed this many reports in a row; one or two get lost on a bad link.
const MISSED_REPORTS: u64 = 3;

/// A node whose connection broke counts as away after this: by then it has been dialled twice.
const BROKEN_MS: u64 = 2_500;

/// Allowed on top for the way, in milliseconds.
const GRACE_MS: u64 = 2_000;

struct Known {
    signed: SignedReport,
    report: Arc<NodeReport>,
    /// Until when it counts as alive; `None` when it does not.
    alive_until: Option<u64>,
}

/// The part of a report that says how new it is.
#[derive(Deserialize)]
struct Rank {
    boot: u64,
    count: u64,
}

impl Known {
    /// Whether `signed` would bring nothing, going by what it says without a look at who says it.
    fn is_as_new_as(&self, signed: &SignedReport) -> bool {
        let rank = || frame::decode::<Rank>(&signed.body);
        self.signed == *signed || rank().is_ok_and(|rank| (rank.boot, rank.count) <= self.report.rank())
    }

    /// Until when it counts as alive when it has given a sign of life.
    fn lives_until(&self, now_ms: u64) -> Option<u64> {
        let patience = u64::from(self.report.heartbeat_ms) * MISSED_REPORTS + GRACE_MS;
        (!self.report.leaving).then_some(now_ms + patience)
    }

    fn view(&self) -> NodeView {
        NodeView { report: self.signed.clone(), alive: self.alive_until.is_some() }
    }
}

/// What a report brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something else than was known.
    News {
        /// The node as it is seen from here.
        view: Box<NodeView>,
        /// Whether what the disk holds about it is out of date: a new node, other tags.
        to_be_saved: bool,
    },
    /// Older than what is known, or the same.
    Old,
    /// Does not count.
    Refused(ReportRefused),
}

/// See the module.
pub struct Roster {
    check: CheckReport,
    nodes: BTreeMap<NodeId, Known>,
    /// How many of them are alive, which is asked for with every report.
    alive: usize,
    /// Nobody has to count as away before this.
    expiry: Option<u64>,
}

impl Roster {
    /// Knows nobody.
    pub fn new(check: CheckReport) -> Roster {
        Roster { check, nodes: BTreeMap::new(), alive: 0, expiry: None }
    }

    /// Takes up what the disk holds; nobody has been heard of yet.
    pub fn restore(&mut self, realm: &RealmId, members: &[Member]) {
        for member in members.iter().take(MAX_NODES) {
            if let Ok(report) = (self.check)(&member.report, realm) {
                let known = Known { signed: member.report.clone(), report, alive_until: None };
                self.nodes.insert(known.report.node, known);
            }
        }
    }

    /// Takes a report; only the newest of each node counts. `alive` says whether whoever passes it on has heard of
    /// the node lately.
    pub fn heard(&mut self, realm: &RealmId, signed: SignedReport, alive: bool, now_ms: u64) -> Heard {
        // Most of what is pulled is known, and a signature is dear on a board.
        if self.nodes.get(&signed.node).is_some_and(|known| known.is_as_new_as(&signed)) {
            return Heard::Old;
        }
        if !self.nodes.contains_key(&signed.node) && self.nodes.len() >= MAX_NODES {
            return Heard::Old;
        }
        match (self.check)(&signed, realm) {
            Ok(report) => self.counts(signed, report, alive, now_ms),
            Err(refused) => Heard::Refused(refused),
        }
    }

    /// Of a report of this node that is newer than one of this (boot, count): the start that it tells of.
    pub fn later_start(&self, realm: &RealmId, signed: &SignedReport, newest: (u64, u64)) -> Option<u64> {
        let told = frame::decode::<Rank>(&signed.body).ok()?;
        let is_later = (told.boot, told.count) > newest;
        is_later.then(|| (self.check)(signed, realm).ok()).flatten().map(|report| report.boot)
    }

    /// Takes this node's own report, which nobody has to check.
    pub fn told(&mut self, signed: SignedReport, report: NodeReport, now_ms: u64) -> Heard {
        self.counts(signed, Arc::new(report), true, now_ms)
    }

    fn counts(&mut self, signed: SignedReport, report: Arc<NodeReport>, alive: bool, now_ms: u64) -> Heard {
        let before = self.nodes.get(&report.node);
        let to_be_saved =
            before.is_none_or(|before| before.report.tags != report.tags || before.report.addrs != report.addrs);
        let mut known = Known { signed, report, alive_until: None };
        known.alive_until = alive.then(|| known.lives_until(now_ms)).flatten();
        let view = Box::new(known.view());
        self.note(known.alive_until);
        let before = self.nodes.insert(known.report.node, known);
        self.alive -= usize::from(before.is_some_and(|before| before.alive_until.is_some()));
        Heard::News { view, to_be_saved }
    }

    /// Somebody is alive until then.
    fn note(&mut self, alive_until: Option<u64>) {
        if let Some(until) = alive_until {
            self.alive += 1;
            self.expiry = Some(self.expiry.map_or(until, |expiry| expiry.min(until)));
        }
    }

    /// A node has itself handed over the report that is known of it: after a short break it is there again, with
    /// nothing to tell. On anybody else's word that would not do, for two nodes could tell one another for ever that
    /// a third one lives.
    pub fn lives(&mut self, signed: &SignedReport, now_ms: u64) -> Option<NodeView> {
        let known = self.nodes.get_mut(&signed.node)?;
        if known.alive_until.is_some() || known.signed != *signed {
            return None;
        }
        let until = known.lives_until(now_ms)?;
        known.alive_until = Some(until);
        let view = known.view();
        self.note(Some(until));
        Some(view)
    }

    /// Whether nobody has heard of a node lately.
    pub fn is_unheard(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_none_or(|known| known.alive_until.is_none())
    }

    /// The connection to a node broke. It is away soon, unless somebody hears of it again: a link that comes and goes
    /// must not make it come and go for everybody who looks.
    pub fn gone(&mut self, node: &NodeId, now_ms: u64) {
        let Some(known) = self.nodes.get_mut(node) else { return };
        if let Some(until) = &mut known.alive_until {
            *until = (*until).min(now_ms + BROKEN_MS);
            self.expiry = Some(self.expiry.map_or(*until, |expiry| expiry.min(*until)));
        }
    }

    /// A connection to a node is up again: it counts as alive as long as any that has just reported.
    pub fn is_back(&mut self, node: &NodeId, now_ms: u64) {
        if let Some(known) = self.nodes.get_mut(node)
            && known.alive_until.is_some()
        {
            known.alive_until = known.lives_until(now_ms);
        }
    }

    /// Nodes that have not been heard of for too long, and count as away from here on.
    pub fn expire(&mut self, me: &NodeId, now_ms: u64) -> Vec<NodeView> {
        if self.expiry.is_none_or(|expiry| expiry > now_ms) {
            return Vec::new();
        }
        let mut away = Vec::new();
        self.expiry = None;
        for known in self.nodes.values_mut().filter(|known| known.report.node != *me) {
            match known.alive_until {
                Some(until) if until <= now_ms => {
                    known.alive_until = None;
                    self.alive -= 1;
                    away.push(known.view());
                }
                Some(until) => self.expiry = Some(self.expiry.map_or(until, |expiry| expiry.min(until))),
                None => {}
            }
        }
        away
    }

    /// When it has to be looked whether a node counts as away.
    pub fn next_wake(&self) -> Option<u64> {
        self.expiry
    }

    /// How many nodes are known.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// How many of them are alive.
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// Every node, as it is seen from here.
    pub fn views(&self) -> impl Iterator<Item = NodeView> + '_ {
        self.nodes.values().map(Known::view)
    }

    /// The newest reports of those who have been heard of lately.
    pub fn living(&self) -> impl Iterator<Item = &NodeReport> {
        self.nodes.values().filter(|known| known.alive_until.is_some()).map(|known| &*known.report)
    }

    /// The newest reports of all, whether or not they have been heard of lately.
    pub fn known(&self) -> impl Iterator<Item = &NodeReport> {
        self.nodes.values().map(|known| &*known.report)
    }

    /// The newest report of a node.
    pub fn report(&self, node: &NodeId) -> Option<&NodeReport> {
        self.nodes.get(node).map(|known| &*known.report)
    }

    /// The newest report of every node, as many as fit an answer. Each node begins with itself, so that in a realm that
    /// does not fit, several of them together tell of everybody.
    pub fn reports(&self, me: &NodeId) -> Vec<NodeView> {
        /// What a report takes beside its body: node, signature and heads.
        const AROUND: usize = 160;
        let mut room = MAX_SYNC_BYTES - 1024;
        let mut reports = Vec::new();
        for (_, known) in self.nodes.range(*me..).chain(self.nodes.range(..*me)) {
            let size = known.signed.body.len() + AROUND;
            if size > room {
                break;
            }
            room -= size;
            reports.push(known.view());
        }
        reports
    }

    /// All others, as the disk should hold them.
    pub fn members(&self, me: &NodeId, addrs_of: impl Fn(&NodeId) -> Vec<String>) -> Vec<Member> {
        let others = self.nodes.values().filter(|known| known.report.node != *me);
        others.map(|known| Member { report: known.signed.clone(), addrs: addrs_of(&known.report.node) }).collect()
    }
}
