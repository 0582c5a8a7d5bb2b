//! This node's own reports, on change and as a heartbeat, and those that are heard of others.

use super::Node;
use super::effect::{Effect, Level, Verdict};
use super::input::{Now, Ticket};
use super::roster::Heard;
use shared::{Alarm, ComponentReport, ManifestReport, NodeReport, RealmId, SignedReport, Summary};

/// Heartbeats are this far apart in a small realm.
const HEARTBEAT_LEAST_MS: u64 = 10_000;

/// And this much further for each node, so that the load on a node stays the same however many there are.
const HEARTBEAT_PER_NODE_MS: u64 = 50;

/// In a realm of so many nodes, all can tell all of everything at once.
pub const FEW_NODES: u64 = 50;

/// So many changes are reported at once; a push makes about four.
const BURST: u64 = 12;

/// After a burst, one change in this many milliseconds for each node, within bounds: what changes in between is told
/// together. A node of three that is pushed to again and again tells of each change; in a realm of fifty, a node that
/// changes all the time costs the others four reports per second.
const REFILL_PER_NODE_MS: u64 = 5;
const REFILL_LEAST_MS: u64 = 25;
const REFILL_MOST_MS: u64 = 250;

/// In a realm of more than [`FEW_NODES`], a change waits so long for each further node, so that those that follow from it
/// are told with it: a push changes four things within a second or two, and a thousand nodes that told of each would be
/// four thousand reports for everybody.
const SETTLE_PER_NODE_MS: u64 = 2;

/// Members are written this long after the first change, and then so long after the last time: when a realm of a
/// hundred forms, an SD card sees a few writes and not a hundred. What a crash loses, any neighbour tells again.
const SAVE_MEMBERS_FIRST_MS: u64 = 5_000;
const SAVE_MEMBERS_MS: u64 = 60_000;

/// How far a fetch has come is told this often, and less often in a large realm: it changes all the time, on every
/// node that fetches.
const PROGRESS_LEAST_MS: u64 = 1_000;

/// After this node has outdone a report of its own that others had, it does not do so again for that long: where two agents have
/// the same key, each of them does.
const OUTDO_MS: u64 = 30_000;

/// See the module.
#[derive(Default)]
pub struct Reporting {
    newest: Option<(SignedReport, Contents)>,
    count: u64,
    /// The least count of starts that others take for a newer one than what they know.
    least_boot: u64,
    outdone_at: Option<u64>,
    heartbeat_at: u64,
    sent_at: u64,
    /// Reports that may still be sent at once, and when that was last topped up.
    tokens: u64,
    topped_up_at: u64,
    /// Set when a change waits for its turn.
    waiting_until: Option<u64>,
    /// When something has changed that is not told yet.
    changed_at: Option<u64>,
    /// Reports that did not count.
    pub refused: u64,
}

/// What makes a report worth sending when it changes.
#[derive(PartialEq, Eq)]
struct Contents {
    summary: Summary,
    addrs: Vec<String>,
    /// Without the progress of fetches, which is apart.
    components: Vec<ComponentReport>,
    progress: Vec<Option<u64>>,
    manifest: Option<ManifestReport>,
    alarms: Vec<Alarm>,
    fault: Option<String>,
    clock_behind: bool,
    leaving: bool,
}

impl Contents {
    fn is_the_same_but_for_progress(&self, other: &Contents) -> bool {
        self.summary == other.summary
            && self.addrs == other.addrs
            && self.components == other.components
            && self.manifest == other.manifest
            && self.alarms == other.alarms
            && self.fault == other.fault
            && self.clock_behind == other.clock_behind
            && self.leaving == other.leaving
    }

    fn components(&self) -> Vec<ComponentReport> {
        let with_progress = |(component, fetched): (&ComponentReport, &Option<u64>)| ComponentReport {
            fetched: *fetched,
            ..component.clone()
        };
        self.components.iter().zip(&self.progress).map(with_progress).collect()
    }
}

impl Reporting {
    pub fn newest(&self) -> Option<&SignedReport> {
        self.newest.as_ref().map(|(report, _)| report)
    }

    pub fn next_wake(&self) -> Option<u64> {
        Some(self.waiting_until.map_or(self.heartbeat_at, |at| at.min(self.heartbeat_at)))
    }

    /// Something is told by then, be it the same.
    pub fn tell_by(&mut self, at_ms: u64) {
        self.heartbeat_at = self.heartbeat_at.min(at_ms);
    }

    /// Whether `contents` are to be sent; otherwise notes when they may be.
    fn is_due(&mut self, contents: &Contents, alive: u64, now_ms: u64) -> bool {
        self.waiting_until = None;
        let Some((_, before)) = &self.newest else {
            (self.tokens, self.topped_up_at) = (BURST, now_ms);
            return true;
        };
        if self.heartbeat_at <= now_ms || contents.leaving != before.leaving {
            return true;
        }
        if contents.is_the_same_but_for_progress(before) {
            self.changed_at = None;
            let next = self.sent_at + PROGRESS_LEAST_MS.max(alive * HEARTBEAT_PER_NODE_MS);
            let waits = contents.progress != before.progress && next > now_ms;
            self.waiting_until = waits.then_some(next);
            return contents.progress != before.progress && !waits;
        }
        let settled = *self.changed_at.get_or_insert(now_ms) + alive.saturating_sub(FEW_NODES) * SETTLE_PER_NODE_MS;
        if settled > now_ms {
            self.waiting_until = Some(settled);
            return false;
        }
        self.take_token(alive, now_ms)
    }

    fn take_token(&mut self, alive: u64, now_ms: u64) -> bool {
        let refill_ms = (alive * REFILL_PER_NODE_MS).clamp(REFILL_LEAST_MS, REFILL_MOST_MS);
        let refilled = (now_ms - self.topped_up_at) / refill_ms;
        if refilled > 0 {
            self.tokens = (self.tokens + refilled).min(BURST);
            self.topped_up_at += refilled * refill_ms;
        }
        let taken = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        self.waiting_until = (!taken).then_some(self.topped_up_at + refill_ms);
        taken
    }
}

impl Node {
    /// Reports when something has changed, or when a heartbeat is due.
    pub(super) fn maybe_report(&mut self, now: Now) {
        // Before the boot it is not known what runs here.
        let Some(realm) = self.realm().filter(|_| self.booted) else { return };
        let mut components = self.components();
        let contents = Contents {
            summary: self.ledger.summary(),
            addrs: self.dialer.report_addrs(),
            progress: components.iter_mut().map(|component| component.fetched.take()).collect(),
            manifest: self.manifest_report(&components),
            components,
            alarms: self.ledger.alarms.told(),
            fault: self.fault(),
            clock_behind: self.ledger.clock_behind(now),
            leaving: self.leaving,
        };
        let alive = self.roster.alive() as u64;
        if !self.reporting.is_due(&contents, alive, now.mono_ms) {
            return;
        }
        let heartbeat_ms = HEARTBEAT_LEAST_MS.max(alive * HEARTBEAT_PER_NODE_MS);
        // Never later than what is promised; earlier by chance, for after a push all nodes would beat at once.
        self.reporting.heartbeat_at = now.mono_ms + heartbeat_ms - self.random.below(heartbeat_ms / 4);
        (self.reporting.sent_at, self.reporting.changed_at) = (now.mono_ms, None);
        self.reporting.count += 1;
        let report = NodeReport {
            node: self.me,
            realm,
            boot: self.boot(),
            count: self.reporting.count,
            at: now.unix_ms,
            heartbeat_ms: u32::try_from(heartbeat_ms).unwrap_or(u32::MAX),
            tags: self.config.tags.clone(),
            version: self.config.version.clone(),
            platform: self.config.platform.clone(),
            addrs: contents.addrs.clone(),
            clock_behind: contents.clock_behind,
            leaving: contents.leaving,
            summary: contents.summary,
            manifest: contents.manifest.clone(),
            components: contents.components(),
            omitted: 0,
            alarms: contents.alarms.clone(),
            fault: contents.fault.clone(),
        };
        let signed = (self.sign_report)(&self.config.seed, &report);
        if let Heard::News { view, .. } = self.roster.told(signed.clone(), report, now.mono_ms) {
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
            self.outdo(&realm, &report, now);
            return Verdict::Ignore;
        }
        match self.roster.heard(&realm, report, alive, now.mono_ms) {
            Heard::Old => Verdict::Ignore,
            Heard::Refused(refused) => {
                self.reporting.refused += 1;
                self.say(Level::Warn, format!("a report about {node} does not count: {refused}"), now);
                Verdict::Reject
            }
            Heard::News { view, to_be_saved } => {
                self.out.push(Effect::NodeChanged(*view));
                if to_be_saved {
                    self.members_changed(now);
                }
                if let Some(report) = self.roster.report(&node) {
                    let (told, theirs) = (report.manifest.as_ref().map(|told| told.state), report.summary);
                    self.dialer.reported(&node, &report.addrs, now.mono_ms);
                    self.manifest_heard(told);
                    self.call_who_needs(&node, now);
                    // One that is no neighbour is left to those between: what it holds comes hop by hop.
                    self.holds(node, &theirs, now);
                }
                Verdict::Forward
            }
        }
    }

    /// The count of starts in this node's reports.
    fn boot(&self) -> u64 {
        self.config.boot.max(self.reporting.least_boot)
    }

    /// Others have a report of this node that they take for a newer one than any since it was started: its data was put back from a
    /// copy. For them it would be away until it had been started often enough, so it counts on from there.
    fn outdo(&mut self, realm: &RealmId, report: &SignedReport, now: Now) {
        let rank = (self.boot(), self.reporting.count);
        let may = self.reporting.outdone_at.is_none_or(|at| at + OUTDO_MS <= now.mono_ms);
        let Some(boot) = self.roster.later_start(realm, report, rank).filter(|_| may) else { return };
        self.reporting.least_boot = boot.saturating_add(1);
        (self.reporting.outdone_at, self.reporting.heartbeat_at) = (Some(now.mono_ms), now.mono_ms);
        let text = "others have heard newer reports of this node than its own: was its data directory put back from a copy, or \
                    does another agent have its key? It counts on from there";
        self.say(Level::Warn, text.into(), now);
    }

    /// A neighbour has itself said how it is.
    pub(super) fn report_handed(&mut self, report: SignedReport, now: Now) {
        if let Some(view) = self.roster.lives(&report, now.mono_ms) {
            self.out.push(Effect::NodeChanged(view));
        }
        // It may have had nobody to tell when it told: two nodes that came at once, and only this one between them.
        if self.report_heard(report.clone(), true, now) == Verdict::Forward {
            self.out.push(Effect::PublishReport(report));
        }
    }

    /// What the disk holds about others is out of date.
    pub(super) fn members_changed(&mut self, now: Now) {
        let again = self.saved_members_at.map_or(0, |at| at + SAVE_MEMBERS_MS);
        self.save_members_at.get_or_insert(again.max(now.mono_ms + SAVE_MEMBERS_FIRST_MS));
    }

    /// Writes whom this node knows, when that has waited long enough or the agent is about to end.
    pub(super) fn save_members_due(&mut self, now: Now) {
        if self.save_members_at.is_some_and(|at| at <= now.mono_ms || self.leaving) {
            (self.save_members_at, self.saved_members_at) = (None, Some(now.mono_ms));
            let members = self.roster.members(&self.me, |node| self.dialer.addrs_of(node));
            self.out.push(Effect::SaveMembers(members));
        }
    }

    pub(super) fn expire_nodes(&mut self, now: Now) {
        let away = self.roster.expire(&self.me, now.mono_ms);
        self.declared.look |= !away.is_empty();
        self.out.extend(away.into_iter().map(Effect::NodeChanged));
    }
}
