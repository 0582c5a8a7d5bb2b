//! What befalls the world: pushes, power cuts, splits, lost runners, and attempts to deceive.

use crate::machine::{Clock, Machine};
use crate::pushes::{Behaviour, body};
use crate::world::{Event, Plan, World};
use agent::control::node::{Input, Instance};
use shared::{
    Artifact, Audience, ComponentName, ComponentSpec, IntentId, NodeId, Remove, Replicas, Restart, Tag, Verb,
};
use std::sync::Arc;

const TAGS: [&str; 3] = ["dev", "arm", "gpu"];
pub const NAMES: [&str; 5] = ["api", "cache", "door", "lamp", "meter"];

/// One stroke of fate.
#[derive(Clone)]
pub enum Step {
    Push,
    Apply,
    PushAt(usize, &'static str),
    Visit(IntentId),
    Leave { at: usize, life: u64, peer: NodeId, push: IntentId },
    Claim,
    Crash,
    Away(usize),
    Boot(usize),
    Split { until: u64 },
    Join,
    LoseRunner,
    Replay,
    Forge,
    Lie,
}

pub fn tag(text: &str) -> Tag {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

pub fn name(text: &str) -> ComponentName {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A realm of machines that are off: some know their owner, some are yet to be claimed; clocks lie here and there.
pub fn realm(seed: u64, plan: Plan) -> World {
    let mut world = World::new(seed, plan);
    let owner = world.pushes.owner.id();
    for at in 0..world.plan.nodes {
        let claimed = at < world.plan.anchors || !world.rng.chance(10);
        let tags = TAGS.iter().filter(|_| world.rng.chance(50)).map(|text| tag(text)).collect();
        let mut machine = Machine::new(at, claimed.then_some(owner), tags);
        machine.clock = match world.rng.below(10) {
            0 => Clock::Since1970,
            1 => Clock::Off(-240_000 + world.rng.below(480_000) as i64),
            _ => Clock::Off(0),
        };
        // One or two anchors for everybody but the first, who is one. Half of the addresses lack the peer id.
        let anchors = if at == 0 { 0 } else { world.rng.between(1, 2) };
        for _ in 0..anchors {
            let addr = world.machines[world.rng.index(at.min(world.plan.anchors))].addr.clone();
            let short = addr.split("/p2p/").next().unwrap_or_default().to_owned();
            machine.bootstrap.push(if world.rng.chance(50) { addr } else { short });
        }
        world.add(machine);
    }
    world
}

impl World {
    pub fn boot(&mut self, at: usize) {
        self.machines[at].boot(self.now);
        self.check_in_force(at);
        // As the daemon does it: addresses first.
        let addr = self.machines[at].addr.clone();
        self.feed(at, Input::Listening { addr });
        self.feed(at, Input::Booted);
    }

    pub fn boot_all(&mut self) {
        for at in 0..self.machines.len() {
            if self.machines[at].node.is_none() && !self.machines[at].stays_off {
                self.boot(at);
            }
        }
    }

    /// Everything that goes wrong until `until`.
    pub fn chaos(&mut self, until: u64, pushes: u64) {
        let nodes = self.machines.len() as u64;
        let plan = [
            (Step::Push, pushes),
            (Step::Crash, nodes / 2),
            (Step::LoseRunner, nodes / 8),
            (Step::Replay, nodes / 2),
            (Step::Forge, nodes / 2),
            (Step::Lie, nodes / 8),
        ];
        for (step, count) in plan {
            for _ in 0..count {
                let at = self.rng.between(12_000, until);
                self.after(at - self.now, Event::Step(step.clone()));
            }
        }
        self.after(8_000, Event::Step(Step::Claim));
        for part in 1..3 {
            let (at, lasts) = (self.rng.between(until / 4, until * part / 3), self.rng.between(5_000, until / 2));
            self.after(at, Event::Step(Step::Split { until: (at + lasts).min(until) }));
        }
    }

    /// From here on nothing goes wrong any more.
    pub fn heal(&mut self) {
        (self.plan.loss, self.plan.faults, self.plan.cuts) = (0, 0, 0);
        self.side.fill(0);
        self.boot_all();
        // Who was not reached by the first one is claimed.
        self.step(Step::Claim);
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Push => self.push(),
            Step::Apply => self.apply(),
            Step::PushAt(at, name) if self.machines[at].node.is_some() => self.push_at(at, name),
            // Whoever wants to push there waits until it is on.
            Step::PushAt(..) => self.after(1_000, Event::Step(step)),
            Step::Visit(push) => self.visit(push),
            Step::Leave { at, life, peer, push } => self.leave(at, life, peer, push),
            Step::Claim => self.claim(),
            Step::Crash => self.crash(),
            Step::Away(at) if self.machines[at].node.is_some() => self.crash_at(at),
            // It is away already.
            Step::Away(_) => {}
            Step::Boot(at) if self.machines[at].node.is_none() && !self.machines[at].stays_off => self.boot(at),
            Step::Boot(_) => {}
            Step::Split { until } => self.split(until),
            Step::Join => self.side.fill(0),
            Step::LoseRunner => self.lose_runner(),
            Step::Replay => self.replay(),
            Step::Forge => self.forge(),
            Step::Lie => self.lie(),
        }
    }

    /// A machine that is on.
    pub fn up(&mut self) -> Option<usize> {
        let up: Vec<usize> = (0..self.machines.len()).filter(|at| self.machines[*at].node.is_some()).collect();
        self.rng.pick(&up)
    }

    fn push(&mut self) {
        let Some(entry) = self.up() else { return };
        let chosen = self.rng.pick(&NAMES).unwrap_or_default();
        let audience = self.some_audience();
        for id in self.compose(entry, chosen, audience) {
            self.visit(id);
        }
    }

    /// Everybody, a few machines, or those with a tag.
    pub fn some_audience(&mut self) -> Audience {
        let mut audience = Audience::default();
        match self.rng.below(4) {
            0 => {}
            1 => {
                audience.peers =
                    (0..self.rng.between(1, 4)).map(|_| self.machines[self.rng.index(self.machines.len())].id).collect()
            }
            _ => audience.tags = self.rng.pick(&TAGS).map(tag).into_iter().collect(),
        }
        audience
    }

    /// Something by chance that can run, of a few kinds.
    pub fn some_artifact(&mut self) -> Artifact {
        let behaviour = match self.rng.below(8) {
            0 => Behaviour::Crashes,
            1 | 2 => Behaviour::Completes,
            _ => Behaviour::Stays,
        };
        let number = self.rng.below(8);
        self.pushes.artifact(number, behaviour)
    }

    /// And how it is to run.
    pub fn vary(&mut self, spec: &mut ComponentSpec) {
        spec.replicas = Replicas::try_from(self.rng.between(1, 2)).unwrap_or_default();
        spec.restart = self.rng.pick(&[Restart::Never, Restart::OnFailure, Restart::Always]).unwrap_or_default();
        spec.start = !self.rng.chance(10);
    }

    /// Pushes something to all or to many, at a certain machine.
    fn push_at(&mut self, entry: usize, name: &str) {
        let tags = if self.rng.chance(30) { None } else { self.rng.pick(&TAGS).map(tag) };
        let audience = Audience { tags: tags.into_iter().collect(), ..Audience::default() };
        for id in self.compose(entry, name, audience) {
            let (opened, bytes) = self.pushes.signed[&id].clone();
            self.enter(entry, id, self.pushes.brought(&opened), &bytes);
        }
    }

    /// What an operator signs who has looked at `entry`: something by chance, and sometimes another one with the same
    /// sequence.
    fn compose(&mut self, entry: usize, chosen: &str, audience: Audience) -> Vec<IntentId> {
        self.figures.pushes += 1;
        let artifact = self.some_artifact();
        let seq = self.next_seq(entry);
        if self.rng.chance(10) {
            let body = body(&self.pushes.owner, &name(chosen), artifact, seq, audience);
            return vec![self.pushes.sign(&body.map(|push| Remove { name: push.component.name }))];
        }
        let mut body = body(&self.pushes.owner, &name(chosen), artifact, seq, audience);
        self.vary(&mut body.payload.component);
        body.payload.verb = self.rng.chance(10).then_some(Verb::Stop);
        let twin = self.rng.chance(15).then(|| {
            let mut twin = body.clone();
            twin.note = "the same sequence, elsewhere".into();
            twin
        });
        [Some(body), twin].into_iter().flatten().map(|body| self.pushes.sign(&body)).collect()
    }

    /// Has everybody know the owner from the start.
    pub fn claim_all(&mut self) {
        for machine in &mut self.machines {
            machine.owner = Some(self.pushes.owner.id());
        }
    }

    /// An operator goes round to all that have no owner yet.
    fn claim(&mut self) {
        let unclaimed = |at: &usize| self.machines[*at].hello.as_ref().is_some_and(|hello| hello.realm.is_none());
        let unclaimed: Vec<usize> = (0..self.machines.len()).filter(unclaimed).collect();
        let Some(first) = unclaimed.first() else { return };
        let artifact = self.pushes.artifact(99, Behaviour::Stays);
        let body = body(&self.pushes.owner, &name("first"), artifact, self.next_seq(*first), Audience::default());
        let id = self.pushes.sign(&body);
        let bytes = Arc::clone(&self.pushes.signed[&id].1);
        for at in unclaimed {
            self.enter(at, id, vec![artifact.digest], &bytes);
        }
    }

    fn crash(&mut self) {
        if let Some(at) = self.up() {
            self.crash_at(at);
        }
    }

    /// A machine loses its power, for a moment or for longer.
    pub fn crash_at(&mut self, at: usize) {
        self.cut_power(at);
        let off = if self.rng.chance(50) { self.rng.between(200, 3_000) } else { self.rng.between(3_000, 40_000) };
        self.after(off, Event::Step(Step::Boot(at)));
    }

    pub fn cut_power(&mut self, at: usize) {
        self.figures.crashes += 1;
        self.machines[at].crash(&mut self.rng);
        for peer in 0..self.machines.len() {
            self.break_link(at, peer);
        }
    }

    fn split(&mut self, until: u64) {
        for at in 0..self.side.len() {
            self.side[at] = u8::from(self.rng.chance(40));
        }
        self.break_crossing();
        self.after(until - self.now, Event::Step(Step::Join));
    }

    /// Everybody below `first` on one side, the others on the other.
    pub fn split_at(&mut self, first: usize) {
        for at in 0..self.side.len() {
            self.side[at] = u8::from(at >= first);
        }
        self.break_crossing();
    }

    pub fn break_crossing(&mut self) {
        for (a, b) in self.links.keys().copied().collect::<Vec<_>>() {
            if self.side[a] != self.side[b] {
                self.break_link(a, b);
            }
        }
    }

    fn lose_runner(&mut self) {
        let Some(at) = self.up() else { return };
        let instances: Vec<Instance> = std::mem::take(&mut self.machines[at].live).into_keys().collect();
        if !instances.is_empty() {
            self.figures.lost_runners += 1;
            self.feed(at, Input::RunnerLost { instances, reason: "killed by signal 9".into() });
        }
    }
}
