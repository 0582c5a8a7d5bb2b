//! What is left of a component that was removed or replaced, and of artifacts that nothing names any more: it goes at once,
//! or at the next start.

use super::Node;
use super::effect::Effect;
use super::force::InForce;
use super::wish::Wish;
use shared::{ComponentName, Digest, IntentKey, Manifest};
use std::collections::BTreeSet;

impl Node {
    /// Drops what nothing names any more: what was replaced or removed when the agent was killed or an edge was busy, and
    /// what belonged to another owner.
    pub(super) fn tidy_up(&mut self) {
        self.parts = std::mem::take(&mut self.strays);
        self.strays = self.blobs.union(&self.parts).copied().collect();
        self.drop_strays();
        for name in std::mem::take(&mut self.kept) {
            let is_pushed = self.ledger.held().contains_key(&IntentKey::Component(name.clone()));
            if !is_pushed && self.declared.get(&name).is_none() {
                self.forget_if_removed(&name);
            }
        }
    }

    /// Before anything is tidied up: what is left of names that nothing wants may be what the manifest declared that was taken back.
    /// It is not known here any more.
    pub(super) fn restore_evidence(&mut self) {
        if self.declared.forces.rejected.is_some() {
            let kept = self.kept.iter().filter(|name| matches!(self.wish(name), Wish::Gone));
            self.keep_as_evidence(kept.cloned().collect());
        }
    }

    /// These stay as they are, but that the same, declared once more, runs once more.
    fn keep_as_evidence(&mut self, names: BTreeSet<ComponentName>) {
        for name in &names {
            if let Some(record) = self.runs.get_mut(name).filter(|record| !record.outcomes.is_empty()) {
                record.outcomes.clear();
                self.out.push(Effect::SaveRun { name: name.clone(), record: record.clone() });
            }
        }
        self.declared.evidence = names;
    }

    /// What is in force has changed, from `last`. Where this is the way back, what only that one declared can still be looked at,
    /// until the next one is in force.
    pub(super) fn keep_evidence(&mut self, last: Option<&Manifest>) {
        let bygone = std::mem::take(&mut self.declared.evidence);
        if self.declared.forces.rejected.is_some() {
            let names = last.into_iter().flat_map(|last| last.components().keys());
            let names = names.filter(|name| matches!(self.wish(name), Wish::Gone)).cloned().collect();
            self.keep_as_evidence(names);
        }
        bygone.iter().for_each(|name| self.forget_if_removed(name));
    }

    /// Drops what was left until it was known what names it.
    pub(super) fn drop_strays(&mut self) {
        if !self.is_unread() {
            std::mem::take(&mut self.strays).into_iter().for_each(|digest| self.drop_unused(digest));
        }
    }

    /// Removes what is kept of a component that was removed, once no instance can add to it any more.
    pub(super) fn forget_if_removed(&mut self, name: &ComponentName) {
        let is_left = self.orphans.contains_key(name) || self.declared.evidence.contains(name);
        if matches!(self.wish(name), Wish::Gone) && !is_left {
            self.forget(name);
        }
    }

    /// Removes what is kept of a component.
    fn forget(&mut self, name: &ComponentName) {
        self.history.forget(name);
        let ran = self.runs.remove(name).is_some();
        self.out.push(Effect::Forget { name: name.clone(), ran });
    }

    /// A component waits no longer for its artifact: it was stopped, removed, moved or replaced. When nobody else does, it is
    /// fetched no further.
    pub(super) fn stop_fetching(&mut self, digest: Digest) {
        // What nothing names is dropped with all that has come.
        if !self.is_awaited(&digest) && !self.errands.contains_key(&digest) && self.is_named(&digest) {
            self.parts.insert(digest);
            self.out.push(Effect::Cancel(digest));
        }
    }

    fn is_awaited(&self, digest: &Digest) -> bool {
        self.works.values().any(|work| work.spec.artifact.digest == *digest && work.is_fetching())
    }

    /// Whether an intent that is held names an artifact.
    pub(super) fn is_named(&self, digest: &Digest) -> bool {
        let mut components = self.ledger.held().values().filter_map(|held| held.opened.component());
        components.any(|component| component.artifact.digest == *digest) || self.manifest_names(digest)
    }

    /// Artifacts that are kept for the way back alone, the least needed first: documents of earlier manifests, the oldest first,
    /// and what those before the one in force declare. As long as it is not known what the manifest that is held declares, it may be any.
    pub(super) fn kept_for_the_way_back(&self) -> Vec<Digest> {
        let Some((_, apply)) = self.held_apply().filter(|_| !self.is_unread()) else { return Vec::new() };
        let pushed: BTreeSet<Digest> = self
            .ledger
            .held()
            .values()
            .filter_map(|held| held.opened.component())
            .map(|spec| spec.artifact.digest)
            .collect();
        let is_wanted = |digest: &Digest| {
            pushed.contains(digest) || apply.manifest.digest == *digest || self.declared.wants(digest)
        };
        let mut seen = BTreeSet::new();
        // Where there are two, the newer one was not well.
        let last = self.declared.forces.ways_back().last().map(|of| of.manifest.artifact().digest);
        let documents = apply.past.iter().rev().map(|past| past.manifest.digest);
        let old = documents.filter(|document| Some(*document) != last);
        let old = old.chain(self.declared.forces.ways_back().flat_map(InForce::artifacts)).chain(last);
        old.filter(|digest| !is_wanted(digest) && seen.insert(*digest)).collect()
    }

    /// Removes an artifact that is here, or on its way, and that no held intent names.
    pub(super) fn drop_if_unused(&mut self, digest: Digest) {
        if [&self.blobs, &self.parts].iter().any(|here| here.contains(&digest)) || self.errands.contains_key(&digest) {
            self.drop_unused(digest);
        }
    }

    /// Removes an artifact that no held intent names.
    pub(super) fn drop_unused(&mut self, digest: Digest) {
        if self.is_named(&digest) {
            return;
        }
        if self.is_unread() {
            // The manifest that is held may name it, and whoever brought that may be gone: this may be all there is. What has
            // come of it is kept with the others then, and not fetched on.
            self.strays.insert(digest);
            if !self.is_awaited(&digest) && !self.blobs.contains(&digest) && !self.errands.contains_key(&digest) {
                self.parts.insert(digest);
                self.out.push(Effect::Cancel(digest));
            }
        } else {
            self.blobs.remove(&digest);
            self.parts.remove(&digest);
            self.errands.remove(&digest);
            self.out.push(Effect::Drop(digest));
        }
    }
}
