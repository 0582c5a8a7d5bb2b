//! The manifest: which one is in force on this node, and how the next one gets there. The intent that pins it is held and
//! passed on as any other. Its document is fetched as an artifact, and from the moment when both are on the disk as one file
//! it is what this node runs, also after a start without any network; until then that is the one before it.

use super::Node;
use super::effect::{Effect, Level};
use super::input::Now;
use super::random::backoff_ms;
use super::workload;
use shared::{
    Apply, Artifact, ComponentName, ComponentReport, Digest, Hasher, IntentId, IntentKey, Manifest, ManifestReport, NodeId,
    Opened, Payload, Phase,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many are remembered who brought a manifest that is not in force yet: operators, and neighbours that passed it on.
const MAX_HINTS: usize = 64;

/// A manifest and the intent that pins it.
#[derive(Debug, Clone)]
pub struct InForce {
    /// That intent.
    pub id: IntentId,
    /// The operator's number.
    pub version: u32,
    /// Its place in the order.
    pub rank: (u64, IntentId),
    /// What it declares.
    pub manifest: Arc<Manifest>,
}

impl InForce {
    /// Puts together an intent and a document.
    ///
    /// # Errors
    /// When it is no apply, or pins another document, or that one is no manifest.
    pub fn new(opened: &Opened, document: &[u8]) -> Result<InForce, String> {
        let Payload::Apply(apply) = &opened.body().payload else { return Err("it is no apply".into()) };
        let manifest = Manifest::decode(document)?;
        if manifest.artifact() != apply.manifest {
            return Err("its document is not the one that it pins".into());
        }
        Ok(InForce { id: opened.id(), version: apply.version, rank: opened.rank(), manifest: Arc::new(manifest) })
    }
}

/// See the module.
#[derive(Default)]
pub struct Declared {
    in_force: Option<InForce>,
    /// The one that was in force before it, whose artifacts are kept: there may be a way back.
    before: Option<Arc<Manifest>>,
    /// On its way to the disk.
    saving: Option<InForce>,
    /// Whether the document of the one that is held is being read.
    reading: bool,
    /// Who brought it, and has what it names.
    hints: Vec<NodeId>,
    /// Why the one that is held does not come into force.
    fault: Option<String>,
    failures: u32,
    /// When the disk is tried again.
    retry_at: Option<u64>,
}

impl Declared {
    /// Takes up what the disk held.
    pub fn restore(in_force: Option<InForce>) -> Declared {
        Declared { in_force, ..Declared::default() }
    }

    /// The one that this node runs.
    pub fn in_force(&self) -> Option<&InForce> {
        self.in_force.as_ref()
    }

    /// What it says of a name.
    pub fn get(&self, name: &ComponentName) -> Option<&shared::Declaration> {
        self.in_force.as_ref()?.manifest.components().get(name)
    }

    /// When something of it is due.
    pub fn next_wake(&self) -> Option<u64> {
        self.retry_at
    }

    /// Whether a manifest that is in force, was before, or is about to be names an artifact.
    fn names(&self, digest: &Digest) -> bool {
        let coming = self.saving.iter().chain(&self.in_force).map(|of| &of.manifest);
        coming.chain(&self.before).any(|manifest| names(manifest, digest))
    }
}

fn is_pinned(artifact: &Artifact, document: &[u8]) -> bool {
    let mut hasher = Hasher::default();
    hasher.update(document);
    hasher.finish().0 == *artifact
}

fn names(manifest: &Manifest, digest: &Digest) -> bool {
    manifest.components().values().any(|declared| declared.spec.artifact.digest == *digest)
}

impl Node {
    /// The apply that is held.
    fn held_apply(&self) -> Option<(&Opened, &Apply)> {
        let opened = &self.ledger.held().get(&IntentKey::Manifest)?.opened;
        match &opened.body().payload {
            Payload::Apply(apply) => Some((opened, apply)),
            Payload::Push(_) | Payload::Remove(_) => None,
        }
    }

    /// The document of the manifest that is held and not in force yet.
    fn awaited(&self) -> Option<Artifact> {
        let (opened, apply) = self.held_apply()?;
        let known = self.declared.in_force.iter().chain(&self.declared.saving).any(|of| of.id == opened.id());
        (!known).then_some(apply.manifest)
    }

    /// Another apply is held: its document is fetched, or read where it is here.
    pub(super) fn manifest_held(&mut self, hints: &[NodeId], now: Now) {
        self.declared.hints = hints.to_vec();
        (self.declared.reading, self.declared.fault, self.declared.retry_at) = (false, None, None);
        let Some(document) = self.awaited() else { return };
        if self.blobs.contains(&document.digest) {
            self.read_manifest(document.digest);
        } else {
            self.run_errand(document, hints.to_vec());
            self.seek_soon(now);
        }
    }

    fn read_manifest(&mut self, document: Digest) {
        if self.declared.saving.is_none() && !std::mem::replace(&mut self.declared.reading, true) {
            self.out.push(Effect::ReadManifest(document));
        }
    }

    /// Somebody hands over what is held: an operator whose entry node is gone, and who has what that was to take.
    pub(super) fn manifest_from(&mut self, peer: NodeId) {
        let held = self.held_apply().map(|(opened, _)| opened.id());
        if self.declared.in_force.as_ref().map(|of| of.id) == held {
            return self.fetch_declared(&[peer]);
        }
        // Until it is in force, what it declares is not known. An operator is not forgotten for neighbours that pass it on.
        let hints = &mut self.declared.hints;
        hints.retain(|hint| *hint != peer);
        if hints.len() < MAX_HINTS || self.neighbours.is_operator(&peer) {
            hints.insert(0, peer);
            hints.truncate(MAX_HINTS);
        }
        let hints = hints.clone();
        if let Some(document) = self.awaited().filter(|document| !self.blobs.contains(&document.digest)) {
            self.run_errand(document, hints);
        }
    }

    /// What was here as a document was something else: it is fetched again, for this node or for the others.
    pub(super) fn manifest_torn(&mut self, digest: &Digest) {
        let held = self.held_apply().map(|(_, apply)| apply.manifest);
        if let Some(document) = held.filter(|document| document.digest == *digest) {
            self.declared.reading = false;
            self.run_errand(document, Vec::new());
        }
    }

    /// An artifact is here: it may be the document that is waited for.
    pub(super) fn manifest_stored(&mut self, digest: &Digest) {
        if self.awaited().is_some_and(|document| document.digest == *digest) {
            self.read_manifest(*digest);
        }
    }

    pub(super) fn manifest_read(&mut self, digest: &Digest, result: Result<Vec<u8>, String>, now: Now) {
        let Some(awaited) = self.awaited().filter(|document| document.digest == *digest) else { return };
        self.declared.reading = false;
        if result.as_ref().is_ok_and(|document| !is_pinned(&awaited, document)) {
            // Nobody has verified it since it was fetched. It is not there any more, and is fetched again.
            self.blobs.remove(digest);
            self.out.push(Effect::Drop(*digest));
            return self.manifest_failed("its document was damaged on the disk".into(), now);
        }
        let Some(held) = self.ledger.held().get(&IntentKey::Manifest) else { return };
        match result.map(|document| InForce::new(&held.opened, &document)) {
            Ok(Ok(next)) => {
                let (sealed, document) = (Arc::clone(&held.bytes), Arc::clone(next.manifest.bytes()));
                self.out.push(Effect::SaveManifest { id: next.id, sealed, document });
                self.declared.saving = Some(next);
            }
            // The owner signed it: no other attempt ends otherwise.
            Ok(Err(fault)) => {
                self.say(Level::Warn, format!("the manifest does not come into force: {fault}"), now);
                self.declared.fault = Some(fault);
            }
            Err(fault) => self.manifest_failed(fault, now),
        }
    }

    fn manifest_failed(&mut self, fault: String, now: Now) {
        self.say(Level::Warn, format!("the manifest does not come into force yet: {fault}; it is tried again"), now);
        self.declared.failures = self.declared.failures.saturating_add(1);
        let (first, most) = (workload::BACKOFF_FIRST_MS, workload::BACKOFF_MOST_MS);
        self.declared.retry_at = Some(now.mono_ms + backoff_ms(&mut self.random, self.declared.failures, first, most));
        self.declared.fault = Some(fault);
    }

    pub(super) fn manifest_due(&mut self, now: Now) {
        if self.declared.retry_at.is_some_and(|at| at <= now.mono_ms) {
            let hints = std::mem::take(&mut self.declared.hints);
            self.manifest_held(&hints, now);
        }
    }

    pub(super) fn manifest_saved(&mut self, id: IntentId, result: Result<(), String>, now: Now) {
        let Some(next) = self.declared.saving.take_if(|saving| saving.id == id) else { return };
        if let Err(fault) = result {
            return self.manifest_failed(fault, now);
        }
        self.declared.failures = 0;
        let hints = self.declared.hints.clone();
        let last = self.declared.in_force.replace(next).map(|of| of.manifest);
        let forgotten = std::mem::replace(&mut self.declared.before, last.clone());
        self.reconcile(last.as_deref(), &hints, now);
        self.fetch_declared(&hints);
        for declared in forgotten.iter().flat_map(|manifest| manifest.components().values()) {
            self.drop_if_unused(declared.spec.artifact.digest);
        }
        // Another one may have come meanwhile.
        if self.awaited().is_some() {
            self.manifest_held(&hints, now);
        }
    }

    /// Makes what runs here follow from the manifest that is in force, where the one before it said something else.
    fn reconcile(&mut self, last: Option<&Manifest>, hints: &[NodeId], now: Now) {
        let next = self.declared.in_force.as_ref().map(|of| Arc::clone(&of.manifest));
        let names: BTreeSet<&ComponentName> =
            last.into_iter().chain(next.as_deref()).flat_map(|manifest| manifest.components().keys()).collect();
        let awaited: BTreeSet<Digest> =
            self.works.values().filter(|work| work.is_fetching()).map(|work| work.spec.artifact.digest).collect();
        names.into_iter().for_each(|name| self.follow(name, hints, now));
        self.make_room(now);
        awaited.into_iter().for_each(|digest| self.stop_fetching(digest));
    }

    /// The node that an operator applies at takes all that is declared, for the others, whether or not it runs here.
    fn fetch_declared(&mut self, hints: &[NodeId]) {
        let operators: Vec<NodeId> = hints.iter().filter(|peer| self.neighbours.is_operator(peer)).copied().collect();
        let Some(manifest) = self.declared.in_force.as_ref().map(|of| Arc::clone(&of.manifest)) else { return };
        if operators.is_empty() {
            return;
        }
        let artifacts: BTreeSet<Artifact> =
            manifest.components().values().map(|declared| declared.spec.artifact).collect();
        for artifact in artifacts {
            self.fetch_for_others(artifact, operators.clone());
        }
    }

    /// Whether the manifest names an artifact, as its document, as an earlier one, or as a component.
    pub(super) fn manifest_names(&self, digest: &Digest) -> bool {
        let documents = self.held_apply().into_iter().flat_map(|(_, apply)| {
            std::iter::once(&apply.manifest).chain(apply.past.iter().map(|past| &past.manifest))
        });
        documents.into_iter().any(|document| document.digest == *digest) || self.declared.names(digest)
    }

    /// What this node says of the manifest.
    pub(super) fn manifest_report(&self, components: &[ComponentReport]) -> Option<ManifestReport> {
        let (opened, apply) = self.held_apply()?;
        let declared = || self.works.values().filter(|work| work.declared);
        let is_failed = |component: &&ComponentReport| {
            component.declared && matches!(component.phase, Phase::Failed | Phase::Backoff)
        };
        let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        Some(ManifestReport {
            version: apply.version,
            intent: opened.id(),
            in_force: self.declared.in_force.as_ref().map(|of| of.version),
            wanted: count(declared().count()),
            well: count(declared().filter(|work| work.is_well()).count()),
            failed: count(components.iter().filter(is_failed).count()),
            reason: self.declared.fault.clone(),
        })
    }
}
