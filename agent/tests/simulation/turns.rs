//! How a manifest spreads: no more nodes change at a time than it allows, as far as they know of one another, and none once it
//! knows that too many have failed.

use crate::remembered;
use crate::world::World;
use shared::{IntentId, Manifest, ManifestState, NodeFacts, NodeId, NodeReport, Payload, SignedReport};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a node went by when it let a manifest come into force.
pub struct Went {
    /// The others that it took for alive and able to go, and on which the manifest changes something.
    knew: BTreeSet<NodeId>,
    /// How many may change at a time, of so many.
    parallel: usize,
}

/// What means something else on a node by one manifest than by the other.
fn is_changed(last: Option<&Manifest>, next: &Manifest, facts: &NodeFacts<'_>) -> bool {
    let meant = |manifest: &Manifest| -> BTreeSet<IntentId> {
        let here = manifest.components().values().filter(|declared| declared.audience.matches(facts));
        here.map(|declared| declared.id).collect()
    };
    last.map(meant).unwrap_or_default() != meant(next)
}

impl World {
    /// What a node has heard of the others of its realm, and whether it takes them for alive.
    fn heard(&self, at: usize) -> Vec<(Arc<NodeReport>, bool)> {
        let machine = &self.machines[at];
        let Some((node, realm)) = machine.node.as_ref().and_then(|node| Some((node, node.realm()?))) else {
            return Vec::new();
        };
        let views = node.views().into_iter().filter(|view| view.report.node != machine.id);
        let open = |report: &SignedReport| remembered::check(report, &realm).unwrap_or_else(|why| panic!("{why}"));
        views.map(|view| (open(&view.report), view.alive)).collect()
    }

    /// A node lets a manifest come into force: it may, by all that it knows.
    pub fn check_turn(&mut self, at: usize, id: IntentId) {
        let Payload::Apply(apply) = &self.pushes.signed[&id].0.body().payload else {
            panic!("{at} saves what is no apply")
        };
        let next = self.pushes.documents[&apply.manifest.digest].manifest.clone();
        let next = next.unwrap_or_else(|| panic!("{at} saves what is no manifest"));
        let heard = self.heard(at);
        let machine = &self.machines[at];
        let told = heard.iter().filter_map(|(report, _)| report.manifest.as_ref()).filter(|told| told.intent == id);
        let states: Vec<ManifestState> = told.map(|told| told.state).collect();
        let halts = |state: &ManifestState| matches!(state, ManifestState::Halted | ManifestState::RolledBack);
        let failing = states.iter().filter(|state| **state == ManifestState::Failing).count();
        let rollout = next.rollout();
        assert!(failing < usize::from(rollout.max_failures), "{at} goes on, and {failing} have failed");
        assert!(!states.iter().any(halts), "{at} goes on, and others have halted");
        assert!(!machine.past.halted.contains(&id), "{at} goes on with what it had halted");
        let last = machine.in_force().map(|of| &*of.manifest);
        if !is_changed(last, &next, &machine.facts()) {
            self.machines[at].past.went.remove(&id);
            return;
        }
        let living = heard.iter().filter(|(report, alive)| {
            let facts = NodeFacts { node: report.node, tags: &report.tags, platform: &report.platform };
            *alive && is_changed(last, &next, &facts)
        });
        let living: Vec<&NodeReport> = living.map(|(report, _)| &**report).collect();
        let parallel = rollout.parallel(living.len() + 1, last.is_none());
        // Who cannot take it by now is not waited for.
        let is_stuck = |report: &NodeReport| {
            let told = report.manifest.as_ref().filter(|told| told.intent == id);
            report.fault.is_some() || told.is_some_and(|told| told.reason.is_some())
        };
        let knew: BTreeSet<NodeId> =
            living.into_iter().filter(|report| !is_stuck(report)).map(|report| report.node).collect();
        self.machines[at].past.went.insert(id, Went { knew, parallel });
        self.check_parallel(id);
    }

    /// Whether a manifest comes into force on a machine, or has, and changes what is not known to be healthy or to have failed.
    fn is_changing(&self, at: usize, id: IntentId) -> bool {
        let machine = &self.machines[at];
        let saves = machine
            .saving
            .as_ref()
            .is_some_and(|(saving, file)| *saving == id && file.halted.is_none() && file.rejected.is_none());
        let has_it = saves || machine.in_force().is_some_and(|of| of.id == id);
        has_it && machine.node.is_some() && !machine.past.over.contains(&id)
    }

    /// Nobody leads, so that all a node can go by is what it has heard. What holds nevertheless, however late reports come: of the
    /// nodes that change at the same time, each has fewer before it, in the order of the manifest, than may change at a time, of
    /// those that it took for alive when it went. For it counts those that come first until they have said that they are done, and
    /// who hears late counts longer. Nodes that take one another for dead, or have just begun to hear, may change beside one another.
    fn check_parallel(&mut self, id: IntentId) {
        let place = |node: &NodeId| -> [u8; 32] { std::array::from_fn(|at| node.as_bytes()[at] ^ id.as_bytes()[at]) };
        let changing = (0..self.machines.len()).filter(|at| self.is_changing(*at, id)).map(|at| &self.machines[at]);
        let mut changing: Vec<_> = changing
            .filter_map(|machine| Some((place(&machine.id), machine.id, machine.past.went.get(&id)?)))
            .collect();
        changing.sort_by_key(|(place, ..)| *place);
        for (nth, (_, node, went)) in changing.iter().enumerate() {
            let first = changing[..nth].iter().filter(|(_, other, _)| went.knew.contains(other)).count();
            assert!(
                first < went.parallel,
                "{first} change before {node} that it knew of, and {} may at a time",
                went.parallel
            );
        }
        self.figures.beside = self.figures.beside.max(changing.len() as u64);
    }

    /// A node has told where it stands: with what is healthy, or has failed, it changes no further.
    pub fn check_told(&mut self, at: usize, report: &SignedReport) {
        let realm = self.machines[at].node.as_ref().and_then(|node| node.realm());
        let report = realm.and_then(|realm| remembered::check(report, &realm).ok());
        let Some(told) = report.and_then(|report| report.manifest.clone()) else { return };
        if matches!(told.state, ManifestState::Healthy | ManifestState::Failing) {
            self.machines[at].past.over.insert(told.intent);
        }
    }
}
