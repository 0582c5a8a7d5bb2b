//! Manifests on the bench: declared, signed, read, and in force.

use crate::bench::*;
use agent::control::node::{Effect, Fate, Forces, InForce, Input, Instance, ManifestFile};
use shared::{
    Apply, Artifact, Audience, Body, ComponentSpec, Digest, IntentId, Isolation, Limits, Manifest, ManifestReport,
    RealmId, Replicas, Restart, Rollout, SignedReport, Takeover, Trust, seal,
};

/// For so long something has to run before it counts as healthy.
pub const HEALTHY_MS: u64 = 5_000;

pub type Declared = (ComponentSpec, Audience, Takeover);

pub fn spec(text: &str, number: u8) -> ComponentSpec {
    ComponentSpec {
        name: name(text),
        artifact: artifact(number),
        limits: Limits::default(),
        replicas: Replicas::default(),
        restart: Restart::OnFailure,
        start: true,
        args: Vec::new(),
        env: Vec::new(),
        isolation: Isolation::default(),
    }
}

/// A component for everybody, with one of the artifacts of the bench.
pub fn declare(text: &str, number: u8) -> Declared {
    (spec(text, number), Audience::default(), Takeover::StartFirst)
}

pub fn elsewhere(text: &str, number: u8) -> Declared {
    let audience = Audience { tags: vec!["arm".parse().unwrap()], ..Audience::default() };
    (spec(text, number), audience, Takeover::StartFirst)
}

/// A manifest and the intent that pins it.
pub struct Pinned {
    pub manifest: Manifest,
    pub sealed: Vec<u8>,
}

impl Pinned {
    pub fn new(version: u32, declared: &[Declared]) -> Pinned {
        Pinned::signed(version, u64::from(version), Rollout::default(), declared)
    }

    pub fn signed(version: u32, seq: u64, rollout: Rollout, declared: &[Declared]) -> Pinned {
        let manifest = Manifest::new(rollout, declared.to_vec()).unwrap();
        let body = Body {
            realm: RealmId::of_owner(&owner().id()),
            seq: EPOCH + seq,
            issued_at: EPOCH,
            not_after: None,
            audience: Audience::default(),
            note: String::new(),
            payload: Apply { version, manifest: manifest.artifact(), past: Vec::new() },
        };
        Pinned { manifest, sealed: seal(&owner(), &body).unwrap() }
    }

    pub fn document(&self) -> Artifact {
        self.manifest.artifact()
    }

    pub fn id(&self) -> IntentId {
        held(&self.sealed).opened.id()
    }

    pub fn read(&self) -> Input {
        Input::ManifestRead { digest: self.document().digest, result: Ok(self.manifest.bytes().to_vec()) }
    }

    pub fn saved(&self) -> Input {
        Input::ManifestSaved { id: self.id(), result: Ok(()) }
    }

    pub fn in_force(&self) -> Forces {
        let trust = Trust::Owner(owner().id());
        Forces::default().and(InForce::new(&self.sealed, self.manifest.bytes(), &trust).unwrap(), Fate::Open)
    }
}

pub fn reads(effects: &[Effect]) -> Vec<Digest> {
    let pick = |effect: &Effect| match effect {
        Effect::ReadManifest(digest) => Some(*digest),
        _ => None,
    };
    effects.iter().filter_map(pick).collect()
}

/// What comes into force, or the way back from which does.
pub fn saves(effects: &[Effect]) -> Vec<IntentId> {
    let pick = |effect: &Effect| match effect {
        Effect::SaveManifest { id, file } if file.halted.is_none() => Some(*id),
        _ => None,
    };
    effects.iter().filter_map(pick).collect()
}

/// What is written of one that does not come into force.
pub fn halts(effects: &[Effect]) -> Vec<ManifestFile> {
    let pick = |effect: &Effect| match effect {
        Effect::SaveManifest { file, .. } if file.halted.is_some() => Some(file.clone()),
        _ => None,
    };
    effects.iter().filter_map(pick).collect()
}

pub fn told(bench: &Bench) -> ManifestReport {
    let report: &SignedReport = bench.node.own_report().unwrap();
    report.open(&bench.node.realm().unwrap()).unwrap().manifest.unwrap()
}

impl Bench {
    /// Has a manifest come into force; gives what follows.
    pub fn apply(&mut self, pinned: &Pinned) -> Vec<Effect> {
        self.accept(&pinned.sealed);
        self.give(Input::Stored { digest: pinned.document().digest });
        self.give(pinned.read());
        self.give(pinned.saved())
    }

    /// An artifact is here and compiled, and what it starts runs.
    pub fn ready(&mut self, number: u8) -> Vec<Instance> {
        let digest = artifact(number).digest;
        let mut effects = self.give(Input::Stored { digest });
        effects.extend(self.give(Input::Prepared { digest, fuel: false, result: Ok(()) }));
        let started = starts(&effects);
        started.iter().for_each(|instance| _ = self.give(Input::Started { instance: *instance }));
        started
    }
}
