//! What must hold once nothing goes wrong any more.

use crate::checks::Wish;
use crate::machine::{Live, MEMORY_MB, Machine, Rank};
use crate::pushes::Behaviour;
use crate::remembered;
use crate::world::World;
use agent::control::node::Node;
use shared::{
    ComponentName, ComponentReport, ComponentSpec, Digest, IntentKey, ManifestReport, ManifestState, Payload, Phase,
    Restart, Summary, Takeover,
};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a node says of a component that it has no room for it.
fn has_no_room(reason: &str) -> bool {
    reason.contains(" MiB, the node has ") || reason.contains(" MiB, all components of the node ")
}

impl World {
    /// Whether all is as it should be by now; otherwise what is not.
    pub fn converged(&self) -> Result<(), String> {
        self.agreed()?;
        self.acquainted()
    }

    /// Whether every machine holds the newest of everything, and runs what it should.
    pub fn agreed(&self) -> Result<(), String> {
        let newest = self.newest();
        self.goes_back_together()?;
        for at in 0..self.machines.len() {
            self.agrees(at, &newest).map_err(|what| format!("machine {at}: {what}"))?;
        }
        Ok(())
    }

    /// Whether those that are connected hold the same, and have done with the newest manifest that they have all of, without those
    /// that are off.
    pub fn connected_agree(&self) -> Result<(), String> {
        let mut left: BTreeSet<usize> =
            (0..self.machines.len()).filter(|at| self.machines[*at].node.is_some()).collect();
        while let Some(first) = left.pop_first() {
            let mut part = vec![first];
            let mut next = 0;
            while let Some(at) = part.get(next).copied() {
                let peers = self.admitted_peers(at);
                part.extend(peers.into_iter().filter(|peer| self.is_linked(at, *peer) && left.remove(peer)));
                next += 1;
            }
            self.part_agrees(&part)?;
        }
        Ok(())
    }

    fn part_agrees(&self, part: &[usize]) -> Result<(), String> {
        let all = || part.iter().map(|at| &self.machines[*at]);
        let newest = World::newest_of(all());
        let apply = newest.get(&IntentKey::Manifest).map(|(_, id)| &self.pushes.signed[id].0);
        let is_here =
            |digest: &Digest| all().any(|it| it.disk.blobs.contains(digest) && !it.disk.torn.contains(digest));
        // Whoever brought it may have been content with a machine that is off.
        let has_all = apply.is_some_and(|apply| self.pushes.brought(apply).iter().all(is_here));
        for machine in all() {
            let own = |node: &Node| remembered::check(node.own_report()?, &node.realm()?).ok();
            let state = machine.node.as_ref().and_then(own).and_then(|report| Some(report.manifest.as_ref()?.state));
            if machine.past.written != newest {
                return Err(format!("{} holds something else than its neighbours", machine.addr));
            }
            if has_all && matches!(state, None | Some(ManifestState::Waiting)) {
                return Err(format!("{} waits, although nobody is there to be waited for", machine.addr));
            }
        }
        Ok(())
    }

    /// Whether every machine knows that all others live.
    pub fn acquainted(&self) -> Result<(), String> {
        for (at, machine) in self.machines.iter().enumerate() {
            let alive = machine.node.as_ref().map_or(0, |node| node.figures().nodes_alive);
            if alive != self.machines.len() {
                return Err(format!("machine {at}: sees {alive} nodes alive"));
            }
        }
        Ok(())
    }

    fn agrees(&self, at: usize, newest: &BTreeMap<IntentKey, Rank>) -> Result<(), String> {
        let machine = &self.machines[at];
        let node = machine.node.as_ref().ok_or("is off")?;
        let held: BTreeMap<_, _> = newest.keys().filter_map(|key| Some((key.clone(), machine.durable(key)?))).collect();
        for (key, rank) in &machine.past.acknowledged {
            assert!(held.get(key).is_some_and(|held| held >= rank), "{at} has lost {key}, which it had acknowledged");
        }
        if held != *newest {
            return Err(format!(
                "holds {} of {} newest",
                held.iter().filter(|it| newest.get(it.0) == Some(it.1)).count(),
                newest.len()
            ));
        }
        let summary = Summary::of(newest.iter().map(|(key, (seq, id))| (key, *seq, *id)));
        let report = node.own_report().and_then(|report| remembered::check(report, &node.realm()?).ok());
        if report.as_ref().is_none_or(|report| report.summary != summary) {
            return Err("reports another state map".into());
        }
        self.keeps_what_is_named(at)?;
        self.has_in_force(at, newest, report.and_then(|report| report.manifest.clone()))?;
        let components = node.components();
        let pushed = newest.keys().filter_map(IntentKey::component);
        let declared = machine.in_force().into_iter().flat_map(|of| of.manifest.components().keys());
        let names: BTreeSet<&ComponentName> = pushed.chain(declared).collect();
        let wishes: Vec<Wish> = names.into_iter().filter_map(|name| self.wish(at, name)).collect();
        for wish in &wishes {
            let component = components.iter().find(|component| component.name == wish.spec.name);
            self.runs(at, wish, component.ok_or(format!("`{}` is missing", wish.spec.name))?)?;
        }
        if components.len() != wishes.len() {
            return Err("shows more than is meant for it".into());
        }
        match machine.live.values().find(|live| !components.iter().any(|it| it.name == live.spec.name)) {
            Some(live) => Err(format!("`{}` still runs", live.spec.name)),
            None => Ok(()),
        }
    }

    /// Whether a machine has the newest manifest in force, if there is one that can be, and says so.
    fn has_in_force(
        &self,
        at: usize,
        newest: &BTreeMap<IntentKey, Rank>,
        report: Option<ManifestReport>,
    ) -> Result<(), String> {
        let Some((_, id)) = newest.get(&IntentKey::Manifest) else { return Ok(()) };
        let Payload::Apply(apply) = &self.pushes.signed[id].0.body().payload else { return Err("no apply".into()) };
        let report = report.ok_or("reports no manifest")?;
        let machine = &self.machines[at];
        let in_force = machine.in_force();
        let has_it = in_force.is_some_and(|in_force| in_force.id == *id);
        let manifest = self.pushes.documents[&apply.manifest.digest].manifest.as_ref();
        // It stops spreading where it fails, and may go back.
        let rollout = manifest.map(|manifest| manifest.rollout()).unwrap_or_default();
        let may_fail = usize::from(rollout.max_failures) <= self.machines.len();
        let right = match report.state {
            ManifestState::Coming => manifest.is_none(),
            ManifestState::Waiting => false,
            // What changes before it is healthy may do so for long, where somebody waits for room or a restart.
            ManifestState::Changing | ManifestState::Healthy | ManifestState::Failing => has_it,
            ManifestState::Halted => may_fail && !has_it,
            ManifestState::RolledBack => may_fail && rollout.auto_rollback && machine.forces.rejected == Some(*id),
        };
        let told = (report.intent, report.version, report.in_force, report.reason.is_none());
        let due = (*id, apply.version, in_force.map(|of| of.version), manifest.is_some());
        if right && told == due { Ok(()) } else { Err(format!("says of its manifest, {has_it}: {report:?}")) }
    }

    /// Where one has gone back, all that changed have.
    fn goes_back_together(&self) -> Result<(), String> {
        let newest = self.newest();
        let Some((_, id)) = newest.get(&IntentKey::Manifest) else { return Ok(()) };
        let has_it = |machine: &&Machine| machine.in_force().is_some_and(|in_force| in_force.id == *id);
        let has_gone_back = |machine: &Machine| machine.forces.rejected == Some(*id);
        match self.machines.iter().find(has_it) {
            Some(machine) if self.machines.iter().any(has_gone_back) => {
                Err(format!("{} has not gone back", machine.addr))
            }
            _ => Ok(()),
        }
    }

    /// Whether nothing is kept that nothing names.
    fn keeps_what_is_named(&self, at: usize) -> Result<(), String> {
        let machine = &self.machines[at];
        let held = machine.past.written.values().map(|(_, id)| self.pushes.signed[id].0.body().payload.artifacts());
        let declared = machine.declared();
        // And what a manifest needs that waits or has halted.
        let next = machine.durable(&IntentKey::Manifest).map(|(_, id)| self.pushes.brought(&self.pushes.signed[&id].0));
        let held = held.flatten().map(|artifact| artifact.digest);
        let named: BTreeSet<Digest> = held.chain(declared).chain(next.into_iter().flatten()).collect();
        match machine.disk.blobs.union(&machine.disk.parts).find(|digest| !named.contains(digest)) {
            Some(digest) => Err(format!("keeps {digest}, which nothing names")),
            None => Ok(()),
        }
    }

    /// Whether a machine has room for a component beside the others that are to run.
    fn has_room(&self, at: usize, spec: &ComponentSpec) -> bool {
        let machine = &self.machines[at];
        let components = machine.node.as_ref().map(|node| node.components()).unwrap_or_default();
        let rests = |it: &ComponentReport| match it.phase {
            Phase::Stopped | Phase::Staged | Phase::Failed => true,
            // It may be about to begin anew.
            Phase::Completed => self.wish(at, &it.name).is_none_or(|wish| wish.spec.restart != Restart::Always),
            _ => false,
        };
        let others: Vec<_> = components.iter().filter(|it| it.name != spec.name && !rests(it)).collect();
        // What runs on until its successor is healthy, or has room, has its place too.
        let is_old = |live: &Live| {
            let is_counted = others.iter().any(|it| it.name == live.spec.name);
            !is_counted || self.wish(at, &live.spec.name).is_none_or(|wish| !wish.is_of(live))
        };
        let serves = |live: &&Live| live.spec.name != spec.name && is_old(live);
        let old = machine.live.values().filter(serves).count() as u64;
        let others = others.into_iter().map(|it| u64::from(it.replicas)).sum::<u64>();
        let replicas = others + old + u64::from(spec.replicas.get());
        replicas * (u64::from(MEMORY_MB) << 20) <= machine.budget_bytes
    }

    /// Names of components that wait for room on a machine.
    pub fn wait_for_room(&self, at: usize) -> Vec<String> {
        let components = self.machines[at].node.as_ref().map(|node| node.components()).unwrap_or_default();
        let waits = |it: &ComponentReport| it.reason.as_ref().is_some_and(|reason| has_no_room(reason));
        components.into_iter().filter(waits).map(|it| it.name.to_string()).collect()
    }

    /// Whether a component does what is wanted: runs, or has run and ended as the policy wants.
    fn runs(&self, at: usize, wish: &Wish, component: &ComponentReport) -> Result<(), String> {
        let spec = &wish.spec;
        let fault = |what: &str| Err(format!("`{}` {what}: {component:?}", spec.name));
        let instances = || self.machines[at].live.values().filter(|live| live.spec.name == spec.name);
        if (component.intent, component.declared) != (wish.id, wish.declared) {
            return fault("follows something else");
        }
        // Whoever brought what a later manifest has replaced may have left with it, and that one may have halted.
        let newest = self.machines[at].durable(&IntentKey::Manifest).map(|(_, id)| id);
        let is_past = wish.declared && self.machines[at].in_force().map(|of| of.id) != newest;
        let lacks = |machine: &Machine| !machine.disk.blobs.contains(&spec.artifact.digest);
        if component.phase == Phase::Fetching && is_past && self.machines.iter().all(lacks) {
            return Ok(());
        }
        let behaviour = self.pushes.behaviour(&spec.artifact.digest);
        // Where the new one does not get well, the old one serves.
        let serves = wish.strategy == Takeover::StartFirst
            && (behaviour == Behaviour::Crashes || component.phase == Phase::Failed);
        if !serves && instances().any(|live| !wish.is_of(live)) {
            return fault("runs an earlier wish");
        }
        let running = instances().filter(|live| wish.is_of(live)).count();
        let at_rest = if wish.stopped { Some(Phase::Stopped) } else { (!spec.start).then_some(Phase::Staged) };
        if let Some(phase) = at_rest {
            let rests = component.phase == phase && running == 0;
            return if rests { Ok(()) } else { fault(&format!("is not {phase}")) };
        }
        if let Some(reason) = component.reason.as_ref().filter(|reason| has_no_room(reason)) {
            return if self.has_room(at, spec) { fault(&format!("has room, and {reason}")) } else { Ok(()) };
        }
        let replicas = usize::from(spec.replicas.get());
        let ended = running == 0 && matches!(component.phase, Phase::Completed | Phase::Failed);
        let right = match (behaviour, spec.restart) {
            // What is to run once may have ended with its runner.
            (Behaviour::Stays, Restart::Never) => running == replicas || component.phase == Phase::Failed,
            (Behaviour::Stays, _) => running == replicas && component.phase == Phase::Running,
            (Behaviour::Completes, Restart::Never | Restart::OnFailure) => ended,
            (Behaviour::Crashes, Restart::Never) => ended && component.phase == Phase::Failed,
            (Behaviour::Completes, Restart::Always) | (Behaviour::Crashes, _) => {
                component.restarts > 0 && running <= replicas
            }
        };
        if right { Ok(()) } else { fault("is not as it should be") }
    }
}
