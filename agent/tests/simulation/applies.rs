//! What an operator applies in the simulator: manifests by chance, with something of the one that is held.

use crate::pushes::{Document, Pushes, body};
use crate::rng::{fingerprint, head};
use crate::script::{NAMES, name};
use crate::world::World;
use shared::{
    Apply, Artifact, Audience, Body, ComponentSpec, Hasher, IntentId, IntentKey, MAX_PAST, Manifest, Past, Payload,
    RealmId, Replicas, Rollout, Takeover,
};
use std::sync::Arc;

/// What has run for so long replaces what ran before it.
const MIN_HEALTHY_S: u16 = 2;

/// Names that a manifest may declare; the last of them is never pushed.
const DECLARED: [&str; 5] = [NAMES[0], NAMES[1], NAMES[2], NAMES[3], "gate"];

/// Nodes for which one wave is as large as the manifest says: one after the other takes a large realm longer than there is time.
const WAVE_OF: usize = 20;

impl World {
    /// The apply that a machine holds for good.
    fn held_apply(&self, at: usize) -> Option<(u64, &Apply)> {
        let (_, id) = self.machines[at].durable(&IntentKey::Manifest)?;
        let body = self.pushes.signed[&id].0.body();
        match &body.payload {
            Payload::Apply(apply) => Some((body.issued_at, apply)),
            Payload::Push(_) | Payload::Remove(_) => None,
        }
    }

    /// An operator applies a manifest at a machine, after a look at what is held there. Some look at one and go to another,
    /// and sometimes there are two with the same number.
    pub fn apply(&mut self) {
        let Some(entry) = self.up() else { return };
        let twice = if self.rng.chance(15) { 2 } else { 1 };
        for _ in 0..twice {
            let body = self.next_apply(entry);
            let id = self.sign_apply(&body);
            if self.rng.chance(20) {
                self.visit(id);
            } else {
                self.apply_at(entry, id);
            }
        }
    }

    pub fn sign_apply(&mut self, body: &Body<Apply>) -> IntentId {
        self.figures.applies += 1;
        self.pushes.sign(body)
    }

    pub fn apply_at(&mut self, at: usize, id: IntentId) {
        let (opened, bytes) = self.pushes.signed[&id].clone();
        self.enter(at, id, self.pushes.brought(&opened), &bytes);
    }

    fn next_apply(&mut self, entry: usize) -> Body<Apply> {
        let (issued_at, held) = self.held_apply(entry).map(|(at, apply)| (at, apply.clone())).unzip();
        let manifest = match held.as_ref().and_then(|held| self.rng.pick(&held.past)).filter(|_| self.rng.chance(20)) {
            // Back to what was before.
            Some(past) => past.manifest,
            None => self.some_document(held.as_ref()),
        };
        self.apply_of(entry, manifest, issued_at.zip(held))
    }

    pub fn apply_of(&mut self, entry: usize, manifest: Artifact, held: Option<(u64, Apply)>) -> Body<Apply> {
        let seq = self.next_seq(entry);
        let past = held.iter().flat_map(|(issued_at, held)| {
            let last =
                Past { version: held.version, manifest: held.manifest, issued_at: *issued_at, note: String::new() };
            std::iter::once(last).chain(held.past.iter().cloned())
        });
        // Sometimes one whose number is taken.
        let version = held.as_ref().map_or(1, |(_, held)| held.version + u32::from(!self.rng.chance(4)));
        let past = past.filter(|past| past.version < version);
        Body {
            realm: RealmId::of_owner(&self.pushes.owner.id()),
            seq,
            issued_at: seq,
            not_after: None,
            audience: Audience::default(),
            note: String::new(),
            payload: Apply { version, manifest, past: past.take(MAX_PAST).collect() },
        }
    }

    /// A manifest, or what is none.
    fn some_document(&mut self, held: Option<&Apply>) -> Artifact {
        if self.rng.chance(4) {
            return self.pushes.document(format!("no manifest {}", self.rng.below(9)).as_bytes());
        }
        self.some_manifest(held)
    }

    /// A manifest that has something of the one that is held, something new, and lacks something.
    pub fn some_manifest(&mut self, held: Option<&Apply>) -> Artifact {
        let last = held.and_then(|held| self.pushes.documents[&held.manifest.digest].manifest.clone());
        let mut components = Vec::new();
        for text in DECLARED {
            let before = last.as_ref().and_then(|last| last.components().get(&name(text)));
            match (before, self.rng.below(10)) {
                (Some(before), 0..5) => {
                    components.push(((*before.spec).clone(), before.audience.clone(), before.strategy))
                }
                (Some(before), 5) => {
                    let (spec, strategy) = ((*before.spec).clone(), before.strategy);
                    components.push((spec, self.some_audience(), strategy));
                }
                (Some(before), 6) => {
                    let replicas = Replicas::try_from(self.rng.between(1, 3)).unwrap_or_default();
                    let spec = ComponentSpec { replicas, ..(*before.spec).clone() };
                    components.push((spec, before.audience.clone(), before.strategy));
                }
                (_, 6..9) => {
                    let spec = self.some_spec(text);
                    let strategy = strategy(&spec);
                    components.push((spec, self.some_audience(), strategy));
                }
                _ => {}
            }
        }
        let rollout = self.some_rollout();
        let manifest = Manifest::new(rollout, components).unwrap_or_else(|why| panic!("{why}"));
        self.pushes.document(manifest.bytes())
    }

    /// Mostly it goes on whatever happens.
    fn some_rollout(&mut self) -> Rollout {
        let max_failures = if self.rng.chance(60) { u16::MAX } else { self.rng.between(1, 3) as u16 };
        let waves = self.machines.len().div_ceil(WAVE_OF) as u16;
        let parallel = self.rng.pick(&[None, None, Some(1), Some(2), Some(4), Some(99)]).flatten();
        Rollout {
            max_parallel: parallel.map(|parallel: u16| parallel * waves),
            min_healthy_s: MIN_HEALTHY_S,
            max_failures,
            auto_rollback: max_failures < u16::MAX && self.rng.chance(50),
        }
    }

    fn some_spec(&mut self, text: &str) -> ComponentSpec {
        let artifact = self.some_artifact();
        let mut spec = body(&self.pushes.owner, &name(text), artifact, 0, Audience::default()).payload.component;
        self.vary(&mut spec);
        spec
    }
}

impl Pushes {
    /// Keeps what may be a manifest, and gives what pins it.
    pub fn document(&mut self, bytes: &[u8]) -> Artifact {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        let artifact = hasher.finish().0;
        let manifest = Manifest::decode(bytes).ok().map(Arc::new);
        self.documents.insert(artifact.digest, Document { bytes: bytes.into(), manifest });
        artifact
    }
}

/// Follows from what runs, so that the same declaration always gives way in the same manner.
fn strategy(spec: &ComponentSpec) -> Takeover {
    let by = fingerprint(spec.name.to_string().as_bytes()) ^ head(spec.artifact.digest.as_bytes());
    if by.is_multiple_of(4) { Takeover::StopFirst } else { Takeover::StartFirst }
}
