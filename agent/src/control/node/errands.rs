//! Artifacts that no component here waits for, and that are fetched all the same: those of a push that an operator
//! handed to this node, who may leave while the targets know nobody else; those of a push that the manifest hides; and those
//! that the disk has lost.

use super::effect::Effect;
use super::input::{Now, Source};
use super::random::backoff_ms;
use super::{Node, Workload, workload};
use shared::{Artifact, Digest, IntentKey, NodeId, Payload, Push};

/// One of them. There is at most one for each key of the state map.
pub struct Errand {
    artifact: Artifact,
    /// Who probably has it.
    hints: Vec<NodeId>,
    failures: u32,
    /// When it is tried again, after it has failed.
    retry_at: Option<u64>,
}

impl Node {
    /// Fetches what an operator has just handed over, unless the component of that name does that here.
    pub(super) fn fetch_from_operator(&mut self, key: &IntentKey, waiting: &[Source]) {
        let operator =
            |source: &&Source| matches!(source, Source::Stream { .. }) && self.neighbours.is_operator(&source.peer());
        let Some(hint) = waiting.iter().find(operator).map(Source::peer) else { return };
        let Some(held) = self.ledger.held().get(key) else { return };
        let artifact = match &held.opened.body().payload {
            // The operator offers no bytes with a verb: whoever is to run it has them, or knows who has. What a manifest
            // declares is fetched when it is in force.
            Payload::Push(Push { verb: Some(_), .. }) | Payload::Remove(_) | Payload::Apply(_) => return,
            Payload::Push(push) => push.component.artifact,
        };
        self.fetch_for_others(key, artifact, vec![hint]);
    }

    /// Whoever hands over what is held has the artifact, or knows who has: an operator whose entry node is gone comes here.
    pub(super) fn fetch_here_too(&mut self, key: &IntentKey, source: Source) {
        if let (IntentKey::Manifest, Source::Stream { peer, .. }) = (key, source) {
            return self.manifest_from(peer);
        }
        let fetching = key.component().and_then(|name| self.works.get(name)).filter(|work| work.is_fetching());
        if let (Some(work), Source::Stream { peer, .. }) = (fetching, source) {
            self.out.push(Effect::Fetch { artifact: work.spec.artifact, hints: vec![peer] });
        }
    }

    /// What the disk had of an artifact was something else. Components that run do not notice, but a start of the
    /// agent without a network would, and so would a node that fetches it here.
    pub(super) fn torn(&mut self, digest: &Digest) {
        self.blobs.remove(digest);
        for work in self.works.values_mut().filter(|work| work.spec.artifact.digest == *digest) {
            work.fetch_anew(&mut self.out);
        }
        self.manifest_torn(digest);
        let mut artifacts = self.works.values().map(|work| work.spec.artifact);
        // Whoever waits for it anyway fetches it itself.
        if let Some(artifact) = artifacts.find(|artifact| artifact.digest == *digest)
            && !self.works.values().any(|work| work.spec.artifact.digest == *digest && work.is_fetching())
        {
            self.run_errand(artifact, Vec::new());
        }
    }

    /// Fetches the artifact of a push unless it is here, or the component of that name fetches it here. One without room here is
    /// kept for the others and for later, and so is a push of what the manifest declares. Another component that fetches the
    /// same may end before it is here.
    fn fetch_for_others(&mut self, key: &IntentKey, artifact: Artifact, hints: Vec<NodeId>) {
        let awaits = |work: &Workload| work.spec.artifact == artifact && work.is_fetching();
        let is_awaited = key.component().and_then(|name| self.works.get(name)).is_some_and(awaits);
        if !self.blobs.contains(&artifact.digest) && !is_awaited {
            self.run_errand(artifact, hints);
        }
    }

    /// The manifest declares by now what an operator has pushed by hand, whose bytes are on their way: they are fetched on, for
    /// the push counts again when the name is not declared any more, and whoever has them may be gone by then.
    pub(super) fn fetch_pushed_on(&mut self, digest: &Digest) {
        let mut hidden = self.ledger.held().iter().filter(|(key, _)| {
            let name = key.component();
            name.is_some_and(|name| self.declared.get(name).is_some())
        });
        let hidden = hidden.find_map(|(key, held)| {
            let artifact = held.opened.component()?.artifact;
            (artifact.digest == *digest).then(|| (key.clone(), artifact))
        });
        if let Some((key, artifact)) = hidden.filter(|_| !self.errands.contains_key(digest)) {
            self.fetch_for_others(&key, artifact, Vec::new());
        }
    }

    pub(super) fn run_errand(&mut self, artifact: Artifact, hints: Vec<NodeId>) {
        self.out.push(Effect::Fetch { artifact, hints: hints.clone() });
        self.errands.insert(artifact.digest, Errand { artifact, hints, failures: 0, retry_at: None });
    }

    /// A fetch came to nothing: when it was an errand, it is tried again after a pause.
    pub(super) fn errand_failed(&mut self, digest: &Digest, now: Now) {
        if let Some(errand) = self.errands.get_mut(digest) {
            errand.failures = errand.failures.saturating_add(1);
            let (first, most) = (workload::BACKOFF_FIRST_MS, workload::BACKOFF_MOST_MS);
            errand.retry_at = Some(now.mono_ms + backoff_ms(&mut self.random, errand.failures, first, most));
        }
    }

    pub(super) fn errands_due(&mut self, now: Now) {
        for errand in self.errands.values_mut().filter(|errand| errand.retry_at.is_some_and(|at| at <= now.mono_ms)) {
            errand.retry_at = None;
            self.out.push(Effect::Fetch { artifact: errand.artifact, hints: errand.hints.clone() });
        }
    }

    pub(super) fn next_errand(&self) -> Option<u64> {
        self.errands.values().filter_map(|errand| errand.retry_at).min()
    }
}
