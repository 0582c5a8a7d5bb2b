//! What is in force on a node, as the disk has it: a manifest, those before it that there may be a way back to, and what was
//! rejected.

use super::effect::{ManifestFile, PinnedFile};
use shared::{Artifact, Digest, IntentId, MAX_PAST, Manifest, Opened, Payload, Trust, open};
use std::collections::BTreeSet;
use std::sync::Arc;

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
    /// The intent's bytes.
    sealed: Arc<[u8]>,
}

impl InForce {
    /// Puts together an intent and a document.
    ///
    /// # Errors
    /// When the owner did not sign it, it is no apply, or pins another document, or that one is no manifest.
    pub fn new(sealed: &[u8], document: &[u8], trust: &Trust) -> Result<InForce, String> {
        InForce::of(&open(sealed, trust).map_err(|refused| refused.to_string())?, sealed, document)
    }

    /// Puts together an intent that is open, with its bytes, and a document.
    ///
    /// # Errors
    /// When it is no apply, or pins another document, or that one is no manifest.
    pub fn of(opened: &Opened, sealed: &[u8], document: &[u8]) -> Result<InForce, String> {
        let Payload::Apply(apply) = &opened.body().payload else { return Err("it is no apply".into()) };
        let manifest = Manifest::decode(document)?;
        if manifest.artifact() != apply.manifest {
            return Err("its document is not the one that it pins".into());
        }
        Ok(InForce {
            id: opened.id(),
            version: apply.version,
            rank: opened.rank(),
            manifest: Arc::new(manifest),
            sealed: sealed.into(),
        })
    }

    fn to_file(&self) -> PinnedFile {
        PinnedFile { sealed: self.sealed.to_vec(), document: self.manifest.bytes().to_vec() }
    }

    /// Artifacts of the components that it declares.
    pub fn artifacts(&self) -> impl Iterator<Item = Digest> + '_ {
        self.manifest.components().values().map(|declared| declared.spec.artifact.digest)
    }

    /// Whether it names an artifact.
    pub fn names(&self, digest: &Digest) -> bool {
        self.manifest.components().values().any(|declared| declared.spec.artifact.digest == *digest)
    }
}

/// What a manifest has come to, as far as a node knows when the next one comes into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All that it declares here was well.
    Well,
    /// Nothing has failed, and not all was well yet.
    Open,
    /// It has failed, here or on others.
    Failed,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Forces {
    /// What the node runs.
    pub in_force: Option<InForce>,
    /// What was in force before: there may be a way back.
    pub before: Option<InForce>,
    /// What was in force, failed, and does not come into force again.
    pub rejected: Option<IntentId>,
    /// What does not come into force here, because it has failed on others.
    pub halted: Option<IntentId>,
    /// Versions that were in force here and failed, the newest of them: no way back leads there.
    pub failed: BTreeSet<u32>,
    /// Where the one before was not seen well, the last that was; where none was, the first that has not failed.
    pub good: Option<InForce>,
}

impl Forces {
    /// Takes up what the disk has.
    ///
    /// # Errors
    /// When a part of it is not what it should be.
    pub fn open(file: &ManifestFile, trust: &Trust) -> Result<Forces, String> {
        let pinned = |file: &Option<PinnedFile>| {
            file.as_ref().map(|file| InForce::new(&file.sealed, &file.document, trust)).transpose()
        };
        Ok(Forces {
            in_force: pinned(&file.in_force)?,
            before: pinned(&file.before)?,
            rejected: file.rejected,
            halted: file.halted,
            failed: file.failed.iter().copied().collect(),
            good: pinned(&file.good)?,
        })
    }

    /// What the disk should have.
    #[must_use]
    pub fn to_file(&self) -> ManifestFile {
        let pinned = |of: &Option<InForce>| of.as_ref().map(InForce::to_file);
        ManifestFile {
            in_force: pinned(&self.in_force),
            before: pinned(&self.before),
            rejected: self.rejected,
            halted: self.halted,
            failed: self.failed.iter().copied().collect(),
            good: pinned(&self.good),
        }
    }

    /// All manifests that it has: the one in force, and those that there may be a way back to, the newest first.
    pub fn manifests(&self) -> impl Iterator<Item = &InForce> {
        self.in_force.iter().chain(self.ways_back())
    }

    /// Manifests that there may be a way back to, the newest first.
    pub fn ways_back(&self) -> impl Iterator<Item = &InForce> {
        self.before.iter().chain(&self.good)
    }

    /// All artifacts of components that it names.
    pub fn artifacts(&self) -> impl Iterator<Item = Artifact> + '_ {
        self.manifests().flat_map(|of| of.manifest.components().values().map(|declared| declared.spec.artifact))
    }

    /// What is in force once `next` is, after what is in force now has come to that.
    #[must_use]
    pub fn and(&self, next: InForce, fate: Fate) -> Forces {
        let next = Forces { in_force: Some(next), before: self.in_force.clone(), ..Forces::default() };
        let failed = if fate == Fate::Failed { self.failed_too() } else { self.failed.clone() };
        // Where it was well, the way back leads to it, and to nothing else.
        let older = self.good.as_ref().or(self.before.as_ref()).filter(|_| fate != Fate::Well);
        let good = older.filter(|of| !failed.contains(&of.version)).cloned();
        Forces { failed, good, ..next }
    }

    /// Whether the one in force has failed before, and is in force again.
    #[must_use]
    pub fn is_known_to_fail(&self) -> bool {
        self.in_force.as_ref().is_some_and(|of| self.failed.contains(&of.version))
    }

    /// What is in force once this has failed and gone back to the one before.
    #[must_use]
    pub fn back(&self) -> Forces {
        let (rejected, failed) = (self.in_force.as_ref().map(|of| of.id), self.failed_too());
        let good = self.good.clone().filter(|of| !failed.contains(&of.version));
        Forces { in_force: self.before.clone(), rejected, failed, good, ..Forces::default() }
    }

    /// The versions that have failed, where the one in force is one of them. Of two manifests that were given one number at the same
    /// time, both count as failed then.
    fn failed_too(&self) -> BTreeSet<u32> {
        let mut failed = self.failed.clone();
        failed.extend(self.in_force.as_ref().map(|of| of.version));
        while failed.len() > MAX_PAST {
            failed.pop_first();
        }
        failed
    }

    /// The same, once it is known for good that what `id` pins does not come into force here.
    #[must_use]
    pub fn without(&self, id: IntentId) -> Forces {
        Forces { halted: Some(id), ..self.clone() }
    }
}
