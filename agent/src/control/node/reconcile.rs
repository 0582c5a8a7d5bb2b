//! What runs here, and what is fetched and dropped, made to follow from the manifest that is in force.

use super::Node;
use super::input::Now;
use super::wish::Wish;
use shared::{Artifact, ComponentName, Digest, Manifest, NodeId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Node {
    /// Removes artifacts of a manifest that nothing names any more.
    pub(super) fn drop_components(&mut self, manifest: &Manifest) {
        for declared in manifest.components().values() {
            self.drop_if_unused(declared.spec.artifact.digest);
        }
    }

    /// Whether more instances of a name are wanted here than there are.
    fn grows(&self, name: &ComponentName) -> bool {
        let Wish::Here(wanted) = self.wish(name) else { return false };
        self.works.get(name).is_none_or(|work| wanted.spec.replicas > work.spec.replicas)
    }

    /// Makes what runs here follow from the manifest that is in force, where the one before it said something else.
    pub(super) fn reconcile(&mut self, last: Option<&Manifest>, hints: &[NodeId], now: Now) {
        let next = self.declared.in_force().map(|of| Arc::clone(&of.manifest));
        let names: BTreeSet<&ComponentName> =
            last.into_iter().chain(next.as_deref()).flat_map(|manifest| manifest.components().keys()).collect();
        // What others leave is there for those that grow.
        let (grow, others): (Vec<&ComponentName>, Vec<_>) = names.into_iter().partition(|name| self.grows(name));
        let awaited: BTreeSet<Digest> =
            self.works.values().filter(|work| work.is_fetching()).map(|work| work.spec.artifact.digest).collect();
        others.into_iter().chain(grow).for_each(|name| self.follow(name, hints, now));
        self.make_room(now);
        for digest in awaited {
            self.fetch_pushed_on(&digest);
            self.stop_fetching(digest);
            // On the way back, what only the rejected one named.
            self.drop_unused(digest);
        }
    }

    /// The node that an operator applies at takes all that is declared, for the others, whether or not it runs here.
    pub(super) fn fetch_declared(&mut self, manifest: &Manifest, hints: &[NodeId]) {
        let operators: Vec<NodeId> = hints.iter().filter(|peer| self.neighbours.is_operator(peer)).copied().collect();
        if operators.is_empty() {
            return;
        }
        let artifacts = manifest.components().values().map(|declared| declared.spec.artifact);
        let lacking: BTreeSet<Artifact> = artifacts.filter(|artifact| !self.blobs.contains(&artifact.digest)).collect();
        // Also where a component waits for it here: by this very manifest it may be meant for others alone.
        for artifact in lacking {
            self.run_errand(artifact, operators.clone());
        }
    }
}
