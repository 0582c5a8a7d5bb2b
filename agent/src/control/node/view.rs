//! What can be seen of a node from outside: for operators, `/status` and `/metrics`.

use super::history::Total;
use super::{Node, Workload};
use shared::{ComponentName, NodeId, NodeRuns, NodeView, SignedReport};
use std::collections::BTreeMap;

/// Counters and sizes for `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Connected and admitted nodes.
    pub peers: usize,
    /// Nodes of the realm that are alive, this one included.
    pub nodes_alive: usize,
    /// Intents accepted since start.
    pub intents_accepted: u64,
    /// Intents refused since start, by code.
    pub intents_refused: BTreeMap<&'static str, u64>,
    /// Reports that did not count.
    pub reports_refused: u64,
    /// How often an intent was offered that has the sequence of another one under its key.
    pub alarms: u64,
    /// Bytes that artifacts and compiled code take; what is being fetched or compiled counts with what it may take.
    pub store_bytes: u64,
    /// Bytes that they may take.
    pub store_max_bytes: u64,
}

impl Node {
    /// Every node it knows of, itself included once it belongs to a realm.
    #[must_use]
    pub fn views(&self) -> Vec<NodeView> {
        self.roster.views().collect()
    }

    /// Its own newest report; none while it is unclaimed.
    #[must_use]
    pub fn own_report(&self) -> Option<&SignedReport> {
        self.reporting.newest()
    }

    /// Under which addresses it can be reached.
    #[must_use]
    pub fn own_addrs(&self) -> &[String] {
        self.dialer.own_addrs()
    }

    /// Connected and admitted nodes.
    #[must_use]
    pub fn neighbours(&self) -> Vec<NodeId> {
        self.neighbours.nodes().collect()
    }

    /// Every component that is meant for this node.
    #[must_use]
    pub fn components(&self) -> Vec<shared::ComponentReport> {
        let report = |work: &Workload| {
            let mut report = work.report();
            // Also of one that is not to be fetched by now: others look for whoever has it.
            if !self.blobs.contains(&report.digest) {
                report.fetched.get_or_insert(0);
            }
            report
        };
        self.works.values().map(report).collect()
    }

    /// The runs of a component here; none when nothing of it is meant for this node, nor was, by a manifest that was taken back.
    #[must_use]
    pub fn runs(&self, name: &ComponentName) -> Option<NodeRuns> {
        let is_here = self.works.contains_key(name) || self.declared.evidence.contains(name);
        is_here.then(|| self.history.runs(self.me, name))
    }

    /// All runs of a component since the agent was started, in sum.
    #[must_use]
    pub fn total_of(&self, name: &ComponentName) -> Total {
        self.history.total(name)
    }

    /// Why the disk did not keep what arrived lately; none where there is nothing of the kind.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.disk_fault.told(self.now_ms)
    }

    /// Counters and sizes.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            peers: self.neighbours.nodes().count(),
            nodes_alive: self.roster.alive(),
            intents_accepted: self.ledger.accepted,
            intents_refused: self.ledger.refused.clone(),
            reports_refused: self.reporting.refused,
            alarms: self.ledger.alarms.raised,
            store_bytes: self.quota.used(),
            store_max_bytes: self.quota.max(),
        }
    }
}
