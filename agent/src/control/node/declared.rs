//! The manifest: which one is in force on this node, and how the next one gets there. The intent that pins it is held and
//! passed on as any other. Its document is fetched as an artifact; it waits for its turn (see `rolling`); and from the moment
//! when both are on the disk as one file it is what this node runs, also after a start without any network. Until then that
//! is the one before it.

use super::Node;
use super::effect::{Effect, Level};
use super::fault::Written;
use super::force::{Forces, InForce};
use super::input::Now;
use super::ledger::Held;
use super::random::backoff_ms;
use super::workload;
use shared::{
    Apply, Artifact, ComponentName, ComponentReport, Declaration, Digest, Hasher, IntentId, IntentKey, Manifest,
    ManifestReport, NodeFacts, NodeId, Opened, Payload, Phase, Refused,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is not healthy after so long has failed: others wait for it. Ten minutes are enough for the artifacts of a component and
/// for compiling them, on a slow link and a slow board.
pub const PROGRESS_MS: u64 = 10 * 60 * 1_000;

/// So many of those who brought a manifest are remembered until its document is read: operators, and some neighbours.
const MAX_HINTS: usize = 8;

/// See the module.
#[derive(Default)]
pub struct Declared {
    /// As the disk has it.
    pub(super) forces: Forces,
    /// The one that is held, read and right; it waits for its turn.
    pub(super) next: Option<InForce>,
    /// On its way to the disk, for the sake of that intent.
    pub(super) saving: Option<(IntentId, Forces)>,
    /// Components that run otherwise here since the last change of what is in force.
    pub(super) changed: BTreeSet<ComponentName>,
    /// Whether all of them were healthy for long enough.
    pub(super) settled: bool,
    /// Whether one of them has failed before that, or it took too long.
    pub(super) failing: bool,
    /// Whether the rollout of what is in force has come to an end because too many have failed.
    pub(super) has_failed: bool,
    /// Components of one that failed and was taken back: their output and how their runs ended are kept until another one is in force.
    pub(super) evidence: BTreeSet<ComponentName>,
    /// When that change was, in milliseconds since the agent was started.
    pub(super) changed_at: u64,
    /// The intent of one that does not come into force here, because others have failed; on the disk soon.
    pub(super) halted: Option<IntentId>,
    /// Whether something has happened that may make it this node's turn.
    pub(super) look: bool,
    /// Whether the document of the one that is held is being read.
    reading: bool,
    /// Who brought it, and has what it names.
    hints: Vec<NodeId>,
    /// Why the one that is held does not come into force.
    fault: Option<String>,
    failures: u32,
    /// When the disk is tried again.
    pub(super) retry_at: Option<u64>,
}

impl Declared {
    /// Takes up what the disk held, for a node of these facts.
    pub fn restore(forces: Forces, facts: &NodeFacts<'_>) -> Declared {
        let manifest = |of: &Option<InForce>| of.as_ref().map(|of| Arc::clone(&of.manifest));
        let changed = changed(manifest(&forces.before).as_deref(), manifest(&forces.in_force).as_deref(), facts);
        Declared { halted: forces.halted, forces, changed, ..Declared::default() }
    }

    /// The one that this node runs.
    pub fn in_force(&self) -> Option<&InForce> {
        self.forces.in_force.as_ref()
    }

    /// What it says of a name.
    pub fn get(&self, name: &ComponentName) -> Option<&Declaration> {
        self.in_force()?.manifest.components().get(name)
    }

    /// Whether an operator may say this, where `held` is there: a name is pushed or declared, not both, and the numbers of
    /// manifests go up.
    ///
    /// # Errors
    /// Which of the two does not hold.
    pub fn fits(&self, opened: &Opened, held: Option<&Held>) -> Result<(), Refused> {
        let version = |opened: &Opened| match &opened.body().payload {
            Payload::Apply(apply) => Some(apply.version),
            Payload::Push(_) | Payload::Remove(_) => None,
        };
        let mut manifests = self.in_force().into_iter().chain(&self.next).map(|of| &of.manifest);
        match (opened.key(), version(opened), held.and_then(|held| version(&held.opened))) {
            (IntentKey::Component(name), ..) if manifests.any(|of| of.components().contains_key(&name)) => {
                Err(Refused::Declared(name))
            }
            (_, Some(offered), Some(held)) if held >= offered => Err(Refused::Version { held, offered }),
            _ => Ok(()),
        }
    }

    /// When something of it is due.
    pub fn next_wake(&self) -> Option<u64> {
        let slow = !self.settled && !self.failing && self.in_force().is_some();
        self.retry_at.into_iter().chain(slow.then_some(self.changed_at + PROGRESS_MS)).min()
    }

    /// Whether a manifest that is in force or is about to be names an artifact.
    pub(super) fn wants(&self, digest: &Digest) -> bool {
        let saving = self.saving.iter().filter_map(|(_, forces)| forces.in_force.as_ref());
        saving.chain(self.in_force()).chain(&self.next).any(|of| of.names(digest))
    }

    /// Whether a manifest that is in force, was before, or is about to be names an artifact.
    fn names(&self, digest: &Digest) -> bool {
        let saving = self.saving.iter().map(|(_, forces)| forces);
        saving.chain([&self.forces]).any(|forces| forces.artifacts().any(|artifact| artifact.digest == *digest))
            || self.next.as_ref().is_some_and(|next| next.names(digest))
    }
}

/// Names that mean something else on a node of these facts by one manifest than by the other.
fn changes<'a>(
    from: Option<&'a Manifest>,
    to: Option<&'a Manifest>,
    facts: &'a NodeFacts<'_>,
) -> impl Iterator<Item = &'a ComponentName> {
    let here = |manifest: Option<&Manifest>, name: &ComponentName| {
        let declared = manifest?.components().get(name)?;
        declared.audience.matches(facts).then_some(declared.id)
    };
    let names = from.into_iter().chain(to).flat_map(|manifest| manifest.components().keys());
    names.filter(move |name| here(from, name) != here(to, name))
}

pub(super) fn changed(
    from: Option<&Manifest>,
    to: Option<&Manifest>,
    facts: &NodeFacts<'_>,
) -> BTreeSet<ComponentName> {
    changes(from, to, facts).cloned().collect()
}

/// Whether there are any. It is asked of all nodes whenever one of them may have changed.
pub(super) fn is_changed(from: Option<&Manifest>, to: &Manifest, facts: &NodeFacts<'_>) -> bool {
    changes(from, Some(to), facts).next().is_some()
}

fn is_pinned(artifact: &Artifact, document: &[u8]) -> bool {
    let mut hasher = Hasher::default();
    hasher.update(document);
    hasher.finish().0 == *artifact
}

impl Node {
    /// The apply that is held.
    pub(super) fn held_apply(&self) -> Option<(&Opened, &Apply)> {
        let opened = &self.ledger.held().get(&IntentKey::Manifest)?.opened;
        match &opened.body().payload {
            Payload::Apply(apply) => Some((opened, apply)),
            Payload::Push(_) | Payload::Remove(_) => None,
        }
    }

    /// The document of the manifest that is held and not in force yet.
    fn awaited(&self) -> Option<Artifact> {
        let (opened, apply) = self.held_apply()?;
        let (id, declared) = (opened.id(), &self.declared);
        let known = declared.in_force().into_iter().chain(&declared.next).any(|of| of.id == id)
            || declared.saving.as_ref().is_some_and(|(saving, _)| *saving == id)
            || declared.forces.rejected == Some(id);
        (!known).then_some(apply.manifest)
    }

    /// Whether it is not known yet what the manifest that is held declares.
    pub(super) fn is_unread(&self) -> bool {
        let is_none = self.declared.fault.is_some() && self.declared.retry_at.is_none();
        !is_none && self.awaited().is_some()
    }

    /// Another apply is held: its document is fetched, or read where it is here.
    pub(super) fn manifest_held(&mut self, hints: &[NodeId], now: Now) {
        self.declared.hints = hints.to_vec();
        (self.declared.reading, self.declared.fault, self.declared.retry_at) = (false, None, None);
        // What waits may still be the one that is held, or it is the one before.
        let held = self.held_apply().map(|(opened, _)| opened.id());
        let superseded = self.declared.next.take_if(|next| Some(next.id) != held);
        self.declared.look = true;
        superseded.iter().for_each(|next| self.drop_components(&next.manifest));
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
        match self.awaited() {
            Some(document) => {
                // What it names is fetched from there once the document is read. Nodes hand it over too, and an operator must
                // not be forgotten for them.
                let first = self.neighbours.is_operator(&peer);
                let hints = &mut self.declared.hints;
                hints.retain(|hint| *hint != peer);
                hints.insert(if first { 0 } else { hints.len() }, peer);
                hints.truncate(MAX_HINTS);
                let hints = hints.clone();
                if !self.blobs.contains(&document.digest) {
                    self.run_errand(document, hints);
                }
            }
            None => {
                let saving = self.declared.saving.as_ref().and_then(|(_, forces)| forces.in_force.as_ref());
                let coming = self.declared.next.as_ref().or(saving).or(self.declared.in_force());
                if let Some(manifest) = coming.map(|of| Arc::clone(&of.manifest)) {
                    self.fetch_declared(&manifest, &[peer]);
                }
            }
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
        match result.map(|document| InForce::of(&held.opened, &held.bytes, &document)) {
            Ok(Ok(next)) => {
                let hints = self.declared.hints.clone();
                self.fetch_declared(&next.manifest, &hints);
                // What waits once more, since the disk did not take it, may be the one before.
                let superseded = self.declared.next.replace(next);
                superseded.iter().for_each(|last| self.drop_components(&last.manifest));
                self.declared.look = true;
                self.drop_strays();
            }
            // The owner signed it: no other attempt ends otherwise.
            Ok(Err(fault)) => {
                self.say(Level::Warn, format!("the manifest does not come into force: {fault}"), now);
                self.declared.fault = Some(fault);
                self.drop_strays();
            }
            Err(fault) => self.manifest_failed(fault, now),
        }
    }

    fn manifest_failed(&mut self, fault: String, now: Now) {
        self.say(Level::Warn, format!("the manifest does not come into force yet: {fault}; it is tried again"), now);
        self.try_again(fault, now);
    }

    fn try_again(&mut self, fault: String, now: Now) {
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
        let Some((_, forces)) = self.declared.saving.take_if(|(saving, _)| *saving == id) else { return };
        self.disk_fault.ended(Written::Manifest, result.as_ref().err().map(String::as_str), now.mono_ms);
        if forces.halted.is_some() {
            return self.halt_saved(forces, result, now);
        }
        if let Err(fault) = result {
            // It is read, and waits once more; where a newer one is held by then, what it names goes with it.
            self.declared.next = forces.in_force.filter(|_| forces.rejected.is_none());
            return self.manifest_failed(fault, now);
        }
        let last = std::mem::replace(&mut self.declared.forces, forces);
        let manifest = |of: &Option<InForce>| of.as_ref().map(|of| Arc::clone(&of.manifest));
        let (from, to) = (manifest(&last.in_force), manifest(&self.declared.forces.in_force));
        self.declared.changed = changed(from.as_deref(), to.as_deref(), &self.facts());
        (self.declared.failures, self.declared.settled, self.declared.failing) = (0, false, false);
        (self.declared.look, self.declared.changed_at, self.declared.has_failed) = (true, now.mono_ms, false);
        self.keep_evidence(from.as_deref());
        let hints = self.declared.hints.clone();
        self.reconcile(from.as_deref(), &hints, now);
        last.manifests().for_each(|of| self.drop_components(&of.manifest));
        // Another one may have come meanwhile.
        if self.awaited().is_some() {
            self.manifest_held(&hints, now);
        }
    }

    /// It is on the disk that the manifest that waits does not come into force here. What is in force is the same as before.
    fn halt_saved(&mut self, forces: Forces, result: Result<(), String>, now: Now) {
        match result {
            Ok(()) => (self.declared.forces, self.declared.failures) = (forces, 0),
            Err(fault) => {
                let text = format!("that the manifest has halted is not on the disk yet: {fault}; it is tried again");
                self.say(Level::Warn, text, now);
                self.try_again(fault, now);
            }
        }
        // Another one may have come meanwhile.
        if self.awaited().is_some() {
            let hints = self.declared.hints.clone();
            self.manifest_held(&hints, now);
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
            state: self.manifest_state()?,
            in_force: self.declared.in_force().map(|of| of.version),
            wanted: count(declared().count()),
            well: count(declared().filter(|work| work.is_well()).count()),
            failed: count(components.iter().filter(is_failed).count()),
            reason: self.declared.fault.clone().or_else(|| self.no_room_for(&apply.manifest.digest).cloned()),
            past_failed: self.past_failed(),
        })
    }
}
