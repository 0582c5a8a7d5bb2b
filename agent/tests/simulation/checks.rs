//! What must hold at every step.

use crate::machine::{Live, MEMORY_MB, Rank};
use crate::pushes::Behaviour;
use crate::world::World;
use agent::control::node::{InForce, Instance, ManifestFile, PinnedFile};
use shared::{
    ComponentName, ComponentSpec, Declaration, Digest, IntentId, IntentKey, Opened, Payload, Push, Takeover, Verb,
};
use std::sync::Arc;

/// With so much memory no component has to give way to another one.
pub const AMPLE_BYTES: u64 = 8 << 30;

/// What a machine should run under a name: by its disk, and nothing else.
pub struct Wish {
    /// Who wants it.
    pub id: IntentId,
    pub spec: Arc<ComponentSpec>,
    pub strategy: Takeover,
    pub declared: bool,
    /// The operator has stopped it.
    pub stopped: bool,
}

impl Wish {
    /// Whether a run is one of those that are wanted: when the number of them changes, those that stay run on.
    pub fn is_of(&self, live: &Live) -> bool {
        live.id == self.id || (self.declared && live.declared && live.spec.scales_to(&self.spec))
    }
}

impl World {
    /// What the manifest in force declares under a name, for whichever machines.
    pub fn declared(&self, at: usize, name: &ComponentName) -> Option<&Declaration> {
        self.machines[at].in_force()?.manifest.components().get(name)
    }

    /// The push or removal that a machine holds for good under a name.
    pub fn pushed(&self, at: usize, name: &ComponentName) -> Option<&Opened> {
        let (_, id) = self.machines[at].durable(&IntentKey::Component(name.clone()))?;
        Some(&self.pushes.signed[&id].0)
    }

    /// What is meant for a machine under a name.
    pub fn wish(&self, at: usize, name: &ComponentName) -> Option<Wish> {
        let facts = self.machines[at].facts();
        if let Some(Declaration { id, spec, audience, strategy }) = self.declared(at, name) {
            let (id, spec, strategy) = (*id, Arc::clone(spec), *strategy);
            return audience.matches(&facts).then_some(Wish { id, spec, strategy, declared: true, stopped: false });
        }
        let opened = self.pushed(at, name)?;
        let spec = opened.component().filter(|_| opened.body().audience.matches(&facts))?;
        Some(Wish {
            id: opened.id(),
            spec: Arc::new(spec.clone()),
            strategy: Takeover::StopFirst,
            declared: false,
            stopped: matches!(opened.body().payload, Payload::Push(Push { verb: Some(Verb::Stop), .. })),
        })
    }

    /// P1, P2: only what the owner signed is written, and nothing older than what was there.
    pub fn check_persist(&self, at: usize, key: &IntentKey, bytes: &[u8]) -> Rank {
        let opened = self.pushes.of_bytes(bytes).unwrap_or_else(|| panic!("{at} stores what the owner never signed"));
        assert_eq!(opened.key(), *key, "{at} stores it under another key");
        let durable = self.machines[at].durable(key);
        assert!(durable.is_none_or(|durable| durable < opened.rank()), "{at} goes back on {key}");
        opened.rank()
    }

    /// Only what the owner signed comes into force, with the document that it pins, once the intent is on the disk: what is
    /// newer than all that was in force here before, or what was in force before that one, which is rejected then.
    pub fn check_save(&self, at: usize, id: &IntentId, file: &ManifestFile) {
        let machine = &self.machines[at];
        assert!(machine.saving.is_none(), "{at} writes two manifests at once");
        let is_pinned = |pinned: &PinnedFile| {
            let opened = self.pushes.of_bytes(&pinned.sealed);
            let opened = opened.unwrap_or_else(|| panic!("{at} saves what the owner never signed"));
            let Payload::Apply(apply) = &opened.body().payload else { panic!("{at} saves what is no apply") };
            let document = &self.pushes.documents[&apply.manifest.digest].bytes;
            assert_eq!(pinned.document, **document, "{at} saves another document");
            opened.rank()
        };
        let next = file.in_force.as_ref().map(is_pinned);
        let before = file.before.as_ref().map(is_pinned);
        let good = file.good.as_ref().map(is_pinned);
        assert!(good.is_none() || (good < next && good < before.or(next)), "{at} keeps for the way back what is newer");
        self.check_good(at, file, good);
        let rank = |of: &Option<InForce>| of.as_ref().map(|of| of.rank);
        let (in_force, last) = (rank(&machine.forces.in_force), rank(&machine.forces.before));
        if file.halted.is_some() {
            let same =
                (next, before, file.rejected, file.halted) == (in_force, last, machine.forces.rejected, Some(*id));
            assert!(same, "{at} halts, and goes over to something else");
        } else if file.rejected.is_some() {
            let back = (next, before, file.rejected) == (last, None, in_force.map(|(_, id)| id));
            assert!(back && file.rejected == Some(*id), "{at} goes back to something else than was before");
        } else {
            let held = machine.durable(&IntentKey::Manifest);
            assert!(next.is_some() && held >= next, "{at} saves a manifest before its intent");
            assert!(machine.past.in_force < next, "{at} goes back to an older manifest");
            assert_eq!((before, next.map(|(_, id)| id)), (in_force, Some(*id)), "{at} forgets what was before");
        }
    }

    /// What is kept for the way back, where the one before was not well, was in force here, and has not failed.
    fn check_good(&self, at: usize, file: &ManifestFile, good: Option<Rank>) {
        let Some(good) = good else { return };
        let forces = &self.machines[at].forces;
        let known = forces.manifests().find(|of| of.rank == good);
        let known = known.unwrap_or_else(|| panic!("{at} keeps what it never had in force"));
        assert!(!file.failed.contains(&known.version), "{at} keeps for the way back what has failed");
    }

    /// What is in force on a machine by now is not older than what ever was, unless that was rejected.
    pub fn check_in_force(&mut self, at: usize) {
        let machine = &self.machines[at];
        let rejected = machine.forces.rejected.map(|id| self.pushes.rank(&id));
        let rank = rejected.or(machine.in_force().map(|of| of.rank));
        assert!(machine.past.in_force <= rank, "an older manifest is in force on {at} again");
        self.machines[at].past.in_force = rank;
    }

    /// Only what the manifest in force or a push wants is started, from the disk, here, and never something older again.
    pub fn check_start(&mut self, at: usize, spec: &ComponentSpec) -> Wish {
        let Some(wish) = self.wish(at, &spec.name) else { panic!("{at} starts `{}`, which is not for it", spec.name) };
        assert!(!wish.stopped, "{at} starts `{}`, which was stopped", spec.name);
        assert_eq!(*wish.spec, *spec, "{at} starts something else than is wanted");
        // Of what ends by itself one may begin again beside others that are too much and serve until it is healthy.
        if wish.declared && self.pushes.behaviour(&spec.artifact.digest) == Behaviour::Stays {
            let (serving, replicas) = (self.serving(at, &wish).len(), usize::from(wish.spec.replicas.get()));
            assert!(serving < replicas, "{at} starts one `{}` more than is wanted", spec.name);
        }
        let machine = &mut self.machines[at];
        let components = machine.node.as_ref().map(|node| node.components()).unwrap_or_default();
        let shown = components.iter().find(|component| component.name == spec.name);
        let shown = shown.map(|component| (component.intent, component.declared));
        assert_eq!(shown, Some((wish.id, wish.declared)), "{at} says something else of it");
        assert!(machine.disk.blobs.contains(&spec.artifact.digest), "started without its artifact");
        if !wish.declared {
            let rank = self.pushes.rank(&wish.id);
            let before = machine.past.started.insert(spec.name.clone(), rank);
            assert!(before.is_none_or(|before| before <= rank), "{at} started an older `{}` again", spec.name);
        }
        let taken = (machine.live.len() as u64 + 1) * (u64::from(MEMORY_MB) << 20);
        assert!(taken <= machine.budget_bytes, "{at} gives {taken} bytes of memory of {}", machine.budget_bytes);
        let old = machine.live.values().any(|live| live.spec.name == spec.name && (!wish.is_of(live) || live.stopping));
        let both = wish.strategy == Takeover::StartFirst;
        assert!(both || !old, "`{}` starts on {at} while an instance of an earlier wish lives", spec.name);
        wish
    }

    /// What starts before the old one ends is healthy by then; and nobody stops what should run.
    pub fn check_stop(&self, at: usize, instance: Instance) {
        let machine = &self.machines[at];
        let Some(live) = machine.live.get(&instance) else { return };
        let name = &live.spec.name;
        assert!(!live.stopping, "{at} stops `{name}` twice");
        let Some(wish) = self.wish(at, name) else { return };
        let stays = self.pushes.behaviour(&live.spec.artifact.digest) == Behaviour::Stays;
        let has_ended = machine.disk.runs.get(name).is_some_and(|record| record.intent == wish.id && !record.no_room);
        if wish.declared && wish.is_of(live) && stays && !has_ended {
            let replicas = usize::from(wish.spec.replicas.get());
            assert!(self.serving(at, &wish).len() > replicas, "{at} stops one `{name}` of those that are wanted");
        }
        if wish.strategy == Takeover::StopFirst || !wish.spec.start || machine.budget_bytes < AMPLE_BYTES {
            return;
        }
        let others = machine.live.iter().filter(|(other, _)| **other != instance).map(|(_, live)| live);
        let new = others.filter(|live| live.spec.name == *name && wish.is_of(live) && !live.stopping);
        let rollout = machine.in_force().map(|of| of.manifest.rollout()).unwrap_or_default();
        let is_healthy = |since: u64| since + u64::from(rollout.min_healthy_s) * 1_000 <= self.now;
        let healthy = new.filter(|live| live.since.is_some_and(is_healthy)).count();
        let completed = machine.past.completed.get(name).into_iter().flatten();
        let ended = completed.filter(|spec| spec.scales_to(&wish.spec)).count();
        let replicas = usize::from(wish.spec.replicas.get());
        assert!(healthy + ended >= replicas, "{at} stops the old `{name}` before the new one is healthy");
    }

    /// What the manifest in force, the one before it, or a push needs is kept.
    pub fn check_drop(&self, at: usize, digest: &Digest) {
        let machine = &self.machines[at];
        let is_declared = machine.declared().any(|declared| declared == *digest);
        assert!(!is_declared, "{at} drops what the manifest in force needs, or the one before it");
        for (_, id) in machine.past.written.values() {
            let named = self.pushes.signed[id].0.body().payload.artifacts();
            let torn = machine.disk.torn.contains(digest);
            assert!(torn || named.iter().all(|artifact| artifact.digest != *digest), "{at} drops what is named");
        }
    }
}
