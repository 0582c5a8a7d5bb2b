//! This node's own reports, on change and as a heartbeat, and those that are heard of others.

use super::Node;
use super::effect::{Effect, Level, Verdict};
use super::input::{Now, Ticket};
use super::roster::Heard;
use super::workload::Workload;
use shared::{ComponentReport, NodeId, NodeReport, SignedReport, Summary};

/// Heartbeats are this far apart in a small realm.
const HEARTBEAT_LEAST_MS: u64 = 10_000;

/// And this much further for each node, so that the load on a node stays the same however many there are.
const HEARTBEAT_PER_NODE_MS: u64 = 50;

/// So many changes are reported at once; a push makes about four.
const BURST: u64 = 12;

/// After a burst, one change in this many milliseconds: what changes in between is told together.
const REFILL_MS: u64 = 250;

/// See the module.
#[derive(Default)]
pub struct Reporting {
    newest: Option<(SignedReport, Contents)>,
    count: u64,
    heartbeat_at: u64,
    /// Reports that may still be sent at once, and when that was last topped up.
    tokens: u64,
    topped_up_at: u64,
    /// Set when a change waits for the next token.
    waiting_until: Option<u64>,
    /// Reports that did not count.
    pub refused: u64,
}

/// What makes a report worth sending when it changes.
#[derive(PartialEq, Eq)]
struct Contents {
    summary: Summary,
    components: Vec<ComponentReport>,
    clock_behind: bool,
    leaving: bool,
}

impl Reporting {
    pub fn newest(&self) -> Option<&SignedReport> {
        self.newest.as_ref().map(|(report, _)| report)
    }

    pub fn next_wake(&self) -> Option<u64> {
        self.waiting_until.or(Some(self.heartbeat_at))
    }

    fn take_token(&mut self, now_ms: u64) -> bool {
        let refilled = (now_ms - self.topped_up_at) / REFILL_MS;
        if refilled > 0 || self.newest.is_none() {
            self.tokens = if self.newest.is_none() { BURST } else { (self.tokens + refilled).min(BURST) };
            self.topped_up_at = now_ms;
        }
        if self.tokens == 0 {
            self.waiting_until = Some(self.topped_up_at + REFILL_MS);
            return false;
        }
        self.tokens -= 1;
        self.waiting_until = None;
        true
    }
}

impl Node {
    /// Reports when something has changed, or when a heartbeat is due.
    pub(super) fn maybe_report(&mut self, now: Now) {
        let Some(realm) = self.realm() else { return };
        let contents = Contents {
            summary: self.ledger.summary(),
            components: self.works.values().map(Workload::report).collect(),
            clock_behind: self.ledger.clock_behind(now),
            leaving: self.leaving,
        };
        let changed = self.reporting.newest.as_ref().is_none_or(|(_, before)| *before != contents);
        let due = self.reporting.heartbeat_at <= now.mono_ms;
        if !(due || changed && self.reporting.take_token(now.mono_ms)) {
            return;
        }
        let heartbeat_ms = HEARTBEAT_LEAST_MS.max(self.roster.alive() as u64 * HEARTBEAT_PER_NODE_MS);
        self.reporting.heartbeat_at = now.mono_ms + heartbeat_ms;
        self.reporting.waiting_until = None;
        self.reporting.count += 1;
        let report = NodeReport {
            node: self.me,
            realm,
            boot: self.config.boot,
            count: self.reporting.count,
            at: now.unix_ms,
            heartbeat_ms: u32::try_from(heartbeat_ms).unwrap_or(u32::MAX),
            tags: self.config.tags.clone(),
            version: self.config.version.clone(),
            platform: self.config.platform.clone(),
            clock_behind: contents.clock_behind,
            leaving: contents.leaving,
            summary: contents.summary,
            components: contents.components.clone(),
            omitted: 0,
        };
        let signed = SignedReport::sign(&self.config.seed, &report);
        if let Heard::News { view, .. } = self.roster.heard(&realm, signed.clone(), true, now.mono_ms) {
            self.out.push(Effect::NodeChanged(*view));
        }
        self.out.push(Effect::PublishReport(signed.clone()));
        self.reporting.newest = Some((signed, contents));
    }

    pub(super) fn reported(&mut self, ticket: Option<Ticket>, report: SignedReport, now: Now) {
        let verdict = self.report_heard(report, true, now);
        if let Some(ticket) = ticket {
            self.out.push(Effect::Judge { ticket, verdict });
        }
    }

    /// Takes note of a report; one whose summary differs is a reason to compare.
    pub(super) fn report_heard(&mut self, report: SignedReport, alive: bool, now: Now) -> Verdict {
        let Some(realm) = self.realm() else { return Verdict::Ignore };
        let node = report.node;
        if node == self.me {
            return Verdict::Ignore;
        }
        match self.roster.heard(&realm, report, alive, now.mono_ms) {
            Heard::Old => Verdict::Ignore,
            Heard::Refused(refused) => {
                self.reporting.refused += 1;
                self.out.push(Effect::Log(Level::Warn, format!("a report about {node} does not count: {refused}")));
                Verdict::Reject
            }
            Heard::News { view, to_be_saved } => {
                self.out.push(Effect::NodeChanged(*view));
                if to_be_saved {
                    self.save_members();
                }
                if self.roster.report(&node).is_some_and(|report| report.summary != self.ledger.summary()) {
                    self.compare_about(node);
                }
                Verdict::Forward
            }
        }
    }

    /// Somebody holds something else: ask it when it is a neighbour, otherwise it reaches this node hop by hop.
    fn compare_about(&mut self, node: NodeId) {
        self.ask_summary(node);
    }

    pub(super) fn save_members(&mut self) {
        let members = self.roster.members(&self.me, |node| self.dialer.addrs_of(node));
        self.out.push(Effect::SaveMembers(members));
    }

    pub(super) fn expire_nodes(&mut self, now: Now) {
        let away = self.roster.expire(&self.me, now.mono_ms);
        self.out.extend(away.into_iter().map(Effect::NodeChanged));
    }
}
