//! What must hold at every step, and what must hold once nothing goes wrong any more.

use crate::machine::{MEMORY_MB, Rank};
use crate::pushes::Behaviour;
use crate::world::World;
use shared::{
    ComponentReport, ComponentSpec, Digest, IntentKey, NodeFacts, Opened, Payload, Phase, Push, Restart, Summary, Verb,
};
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// P1, P2: only what the owner signed is written, and nothing older than what was there.
    pub fn check_persist(&self, at: usize, key: &IntentKey, bytes: &[u8]) -> Rank {
        let opened = self.pushes.of_bytes(bytes).unwrap_or_else(|| panic!("{at} stores what the owner never signed"));
        assert_eq!(opened.key(), *key, "{at} stores it under another key");
        let durable = self.machines[at].durable(key);
        assert!(durable.is_none_or(|durable| durable < opened.rank()), "{at} goes back on {key}");
        opened.rank()
    }

    /// P1, P2: only what the owner signed is started, from the disk, here, and never something older again.
    pub fn check_start(&mut self, at: usize, spec: &ComponentSpec) {
        let machine = &mut self.machines[at];
        let components = machine.node.as_ref().map(|node| node.components()).unwrap_or_default();
        let Some(component) = components.into_iter().find(|component| component.name == spec.name) else {
            panic!("{at} starts `{}`, which is not for it", spec.name)
        };
        let (opened, _) = &self.pushes.signed[&component.intent];
        assert_eq!(opened.component(), Some(spec), "what is started is not what was signed");
        let key = IntentKey::Component(spec.name.clone());
        assert!(
            machine.durable(&key).is_some_and(|durable| durable >= opened.rank()),
            "started before it was on the disk"
        );
        assert!(machine.disk.blobs.contains(&spec.artifact.digest), "started without its artifact");
        let before = machine.past.started.insert(spec.name.clone(), opened.rank());
        assert!(before.is_none_or(|before| before <= opened.rank()), "{at} started an older `{}` again", spec.name);
        let taken = (machine.live.len() as u64 + 1) * (u64::from(MEMORY_MB) << 20);
        assert!(taken <= machine.budget_bytes, "{at} gives {taken} bytes of memory of {}", machine.budget_bytes);
        let old = machine.live.values().any(|live| live.name == spec.name && **live != *spec);
        assert!(!old, "`{}` starts on {at} while an instance of an earlier push lives", spec.name);
    }

    /// Whether all is as it should be by now; otherwise what is not.
    pub fn converged(&self) -> Result<(), String> {
        self.agreed()?;
        self.acquainted()
    }

    /// Whether every machine holds the newest of everything, and runs what it should.
    pub fn agreed(&self) -> Result<(), String> {
        let newest = self.newest();
        for at in 0..self.machines.len() {
            self.agrees(at, &newest).map_err(|what| format!("machine {at}: {what}"))?;
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
        if node.own_report().and_then(|report| report.open(&node.realm()?).ok()).is_none_or(|it| it.summary != summary)
        {
            return Err("reports another state map".into());
        }
        let named: BTreeSet<Digest> = newest.values().filter_map(|(_, id)| self.artifact(id)).collect();
        assert!(machine.disk.blobs.is_subset(&named), "{at} keeps an artifact that nothing names");
        let components = node.components();
        let mut wanted = 0;
        for (_, id) in newest.values() {
            let (opened, _) = &self.pushes.signed[id];
            let facts = NodeFacts { node: machine.id, tags: &machine.tags, platform: "linux/x86_64" };
            if let Some(spec) = opened.component().filter(|_| opened.body().audience.matches(&facts)) {
                wanted += 1;
                let component = components.iter().find(|component| component.name == spec.name);
                self.runs(at, opened, spec, component.ok_or(format!("`{}` is missing", spec.name))?)?;
            }
        }
        if components.len() != wanted {
            return Err("shows more than is meant for it".into());
        }
        let is_meant = |live: &&std::sync::Arc<ComponentSpec>| components.iter().any(|it| it.name == live.name);
        match machine.live.values().find(|live| !is_meant(live)) {
            Some(live) => Err(format!("`{}` still runs", live.name)),
            None => Ok(()),
        }
    }

    fn artifact(&self, id: &shared::IntentId) -> Option<Digest> {
        self.pushes.signed[id].0.component().map(|component| component.artifact.digest)
    }

    /// Whether a machine has room for a component beside the others that are to run.
    fn has_room(&self, at: usize, spec: &ComponentSpec) -> bool {
        let machine = &self.machines[at];
        let components = machine.node.as_ref().map(|node| node.components()).unwrap_or_default();
        let rests = |it: &ComponentReport| match it.phase {
            Phase::Stopped | Phase::Staged | Phase::Failed => true,
            // It may be about to begin anew.
            Phase::Completed => {
                self.pushes.signed[&it.intent].0.component().is_none_or(|it| it.restart != Restart::Always)
            }
            _ => false,
        };
        let others = components.iter().filter(|it| it.name != spec.name && !rests(it));
        let replicas = others.map(|it| u64::from(it.replicas)).sum::<u64>() + u64::from(spec.replicas.get());
        replicas * (u64::from(MEMORY_MB) << 20) <= machine.budget_bytes
    }

    /// Names of components that wait for room on a machine.
    pub fn wait_for_room(&self, at: usize) -> Vec<String> {
        let components = self.machines[at].node.as_ref().map(|node| node.components()).unwrap_or_default();
        let waits = |it: &ComponentReport| it.reason.as_ref().is_some_and(|reason| reason.starts_with("needs "));
        components.into_iter().filter(waits).map(|it| it.name.to_string()).collect()
    }

    /// Whether a component does what its newest push says: runs, or has run and ended as the policy wants.
    fn runs(
        &self,
        at: usize,
        opened: &Opened,
        spec: &ComponentSpec,
        component: &ComponentReport,
    ) -> Result<(), String> {
        let fault = |what: &str| Err(format!("`{}` {what}: {component:?}", spec.name));
        let instances: Vec<_> = self.machines[at].live.values().filter(|live| live.name == spec.name).collect();
        if instances.iter().any(|live| ***live != *spec) {
            return fault("runs an earlier push");
        }
        if component.intent != opened.id() {
            return fault("follows another push");
        }
        let at_rest = match &opened.body().payload {
            Payload::Push(Push { verb: Some(Verb::Stop), .. }) => Some(Phase::Stopped),
            _ => (!spec.start).then_some(Phase::Staged),
        };
        if let Some(phase) = at_rest {
            let rests = component.phase == phase && instances.is_empty();
            return if rests { Ok(()) } else { fault(&format!("is not {phase}")) };
        }
        if let Some(reason) = component.reason.as_ref().filter(|reason| reason.starts_with("needs ")) {
            return if self.has_room(at, spec) { fault(&format!("has room, and {reason}")) } else { Ok(()) };
        }
        let replicas = usize::from(spec.replicas.get());
        let ended = instances.is_empty() && matches!(component.phase, Phase::Completed | Phase::Failed);
        let right = match (self.pushes.behaviour(&spec.artifact.digest), spec.restart) {
            // What is to run once may have ended with its runner.
            (Behaviour::Stays, Restart::Never) => instances.len() == replicas || component.phase == Phase::Failed,
            (Behaviour::Stays, _) => instances.len() == replicas && component.phase == Phase::Running,
            (Behaviour::Completes, Restart::Never | Restart::OnFailure) => ended,
            (Behaviour::Crashes, Restart::Never) => ended && component.phase == Phase::Failed,
            (Behaviour::Completes, Restart::Always) | (Behaviour::Crashes, _) => {
                component.restarts > 0 && instances.len() <= replicas
            }
        };
        if right { Ok(()) } else { fault("is not as it should be") }
    }
}
