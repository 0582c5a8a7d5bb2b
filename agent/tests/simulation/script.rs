//! What befalls the world: pushes, power cuts, splits, lost runners, and attempts to deceive.

use crate::machine::{Clock, Machine};
use crate::network::Data;
use crate::pushes::{Behaviour, body};
use crate::world::{Event, Plan, World};
use agent::control::node::{Input, Instance, Source};
use shared::{
    Audience, ComponentName, IndexEntry, IntentId, NodeId, Opened, Replicas, Restart, Sealed, SyncReply, Tag, frame,
};
use std::sync::Arc;

const TAGS: [&str; 3] = ["dev", "arm", "gpu"];
const NAMES: [&str; 5] = ["api", "cache", "door", "lamp", "meter"];

/// One stroke of fate.
#[derive(Clone)]
pub enum Step {
    Push,
    Visit(IntentId),
    Leave { at: usize, life: u64, peer: NodeId, push: IntentId },
    Claim,
    Crash,
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
        let claimed = at < 3 || !world.rng.chance(10);
        let tags = TAGS.iter().filter(|_| world.rng.chance(50)).map(|text| tag(text)).collect();
        let mut machine = Machine::new(at, claimed.then_some(owner), tags, &mut world.rng);
        machine.clock = match world.rng.below(10) {
            0 => Clock::Since1970,
            1 => Clock::Off(-240_000 + world.rng.below(480_000) as i64),
            _ => Clock::Off(0),
        };
        // The first is everybody's anchor; a second one for some. Half of the addresses lack the peer id.
        let anchors = if at == 0 { 0 } else { world.rng.between(1, 2) };
        for _ in 0..anchors {
            let addr = world.machines[world.rng.index(at.min(3))].addr.clone();
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
        // As the daemon does it: addresses first.
        let addr = self.machines[at].addr.clone();
        self.feed(at, Input::Listening { addr });
        self.feed(at, Input::Booted);
    }

    pub fn boot_all(&mut self) {
        for at in 0..self.machines.len() {
            if self.machines[at].node.is_none() {
                self.boot(at);
            }
        }
    }

    /// Everything that goes wrong until `until`.
    pub fn chaos(&mut self, until: u64, pushes: u64) {
        let nodes = self.machines.len() as u64;
        let plan = [
            (Step::Push, pushes),
            (Step::Crash, nodes * 2 / 3),
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
            let (at, lasts) = (self.rng.between(until / 4, until * part / 3), self.rng.between(15_000, until / 3));
            self.after(at, Event::Step(Step::Split { until: (at + lasts).min(until) }));
        }
    }

    /// From here on nothing goes wrong any more.
    pub fn heal(&mut self) {
        (self.plan.loss, self.plan.faults) = (0, 0);
        self.side.fill(0);
        self.boot_all();
        // Who was not reached by the first one is claimed.
        self.step(Step::Claim);
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Push => self.push(),
            Step::Visit(push) => self.visit(push),
            Step::Leave { at, life, peer, push } => self.leave(at, life, peer, push),
            Step::Claim => self.claim(),
            Step::Crash => self.crash(),
            Step::Boot(at) if self.machines[at].node.is_none() => self.boot(at),
            Step::Boot(_) => {}
            Step::Split { until } => self.split(until),
            Step::Join => self.side.fill(0),
            Step::LoseRunner => self.lose_runner(),
            Step::Replay => self.replay(),
            Step::Forge => self.forge(),
            Step::Lie => self.lie(),
        }
    }

    fn up(&mut self) -> Option<usize> {
        let up: Vec<usize> = (0..self.machines.len()).filter(|at| self.machines[*at].node.is_some()).collect();
        self.rng.pick(&up)
    }

    fn push(&mut self) {
        let Some(entry) = self.up() else { return };
        self.figures.pushes += 1;
        let chosen = self.rng.pick(&NAMES).unwrap_or_default();
        let behaviour = match self.rng.below(8) {
            0 => Behaviour::Crashes,
            1 | 2 => Behaviour::Completes,
            _ => Behaviour::Stays,
        };
        let number = self.rng.below(8);
        let artifact = self.pushes.artifact(number, behaviour);
        let mut audience = Audience::default();
        match self.rng.below(4) {
            0 => {}
            1 => {
                audience.peers =
                    (0..self.rng.between(1, 4)).map(|_| self.machines[self.rng.index(self.machines.len())].id).collect()
            }
            _ => audience.tags = self.rng.pick(&TAGS).map(tag).into_iter().collect(),
        }
        let seq = self.next_seq(entry);
        let mut body = body(&self.pushes.owner, &name(chosen), artifact, seq, audience);
        let spec = &mut body.payload.component;
        spec.replicas = Replicas::try_from(self.rng.between(1, 2)).unwrap_or_default();
        spec.restart = self.rng.pick(&[Restart::Never, Restart::OnFailure, Restart::Always]).unwrap_or_default();
        spec.start = !self.rng.chance(10);
        let twin = self.rng.chance(15).then(|| {
            let mut twin = body.clone();
            twin.note = "the same sequence, elsewhere".into();
            twin
        });
        for body in [Some(body), twin].into_iter().flatten() {
            let id = self.pushes.sign(&body);
            self.visit(id);
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
            self.enter(at, id, artifact.digest, &bytes);
        }
    }

    fn crash(&mut self) {
        let Some(at) = self.up() else { return };
        self.figures.crashes += 1;
        self.machines[at].crash(&mut self.rng);
        for peer in 0..self.machines.len() {
            self.break_link(at, peer);
        }
        let off = if self.rng.chance(50) { self.rng.between(200, 3_000) } else { self.rng.between(3_000, 40_000) };
        self.after(off, Event::Step(Step::Boot(at)));
    }

    fn split(&mut self, until: u64) {
        for at in 0..self.side.len() {
            self.side[at] = u8::from(self.rng.chance(40));
        }
        for (a, b) in self.links.keys().copied().collect::<Vec<_>>() {
            if self.side[a] != self.side[b] {
                self.break_link(a, b);
            }
        }
        self.after(until - self.now, Event::Step(Step::Join));
    }

    fn lose_runner(&mut self) {
        let Some(at) = self.up() else { return };
        let instances: Vec<Instance> = std::mem::take(&mut self.machines[at].live).into_keys().collect();
        if !instances.is_empty() {
            self.figures.lost_runners += 1;
            self.feed(at, Input::RunnerLost { instances, reason: "killed by signal 9".into() });
        }
    }

    /// Who brings something bad: any machine, by any way.
    fn bring(&mut self, at: usize, bytes: &[u8]) {
        let from = self.rng.index(self.machines.len());
        let peer = self.machines[from].id;
        match self.rng.below(3) {
            0 => {
                let ticket = self.stream_ticket(at, bytes, None);
                self.feed(at, Input::Offered { source: Source::Stream { ticket, peer }, bytes: bytes.to_vec() });
            }
            1 => self.gossip(from, at, Data::Intent(bytes.into())),
            _ => {
                let sealed = vec![serde_bytes::ByteBuf::from(bytes.to_vec())];
                self.feed(at, Input::SyncAnswered { peer, result: Ok(SyncReply::Intents(sealed)) });
            }
        }
    }

    /// Offers an old push again, to one that may have something newer, or nothing at all.
    fn replay(&mut self) {
        let Some(at) = self.up().filter(|at| self.machines[*at].hello.as_ref().is_some_and(|it| it.realm.is_some()))
        else {
            return;
        };
        let all: Vec<(Opened, Arc<[u8]>)> = self.pushes.signed.values().cloned().collect();
        if let Some((_, bytes)) = self.rng.pick(&all) {
            self.figures.replayed += 1;
            self.bring(at, &bytes);
        }
    }

    /// Offers what the owner never signed. Whether it is refused and counted is looked at right here; that it never
    /// acts, by the checks of each write and start.
    fn forge(&mut self) {
        let all: Vec<(Opened, Arc<[u8]>)> = self.pushes.signed.values().cloned().collect();
        let (Some(at), Some((opened, bytes))) = (self.up(), self.rng.pick(&all)) else { return };
        if self.machines[at].hello.as_ref().is_none_or(|hello| hello.realm.is_none()) {
            return;
        }
        let sealed: Sealed = frame::decode(&bytes).unwrap_or_else(|error| panic!("{error}"));
        let coded = |sealed: &Sealed| frame::to_bytes(sealed, 64 * 1024).unwrap_or_else(|error| panic!("{error}"));
        let forged = match self.rng.below(5) {
            // Altered on the way.
            0 => {
                let mut body = sealed.body.clone();
                let bit = self.rng.index(body.len() * 8);
                body[bit / 8] ^= 1 << (bit % 8);
                coded(&Sealed { body, ..sealed })
            }
            // Meant as another kind.
            1 => coded(&Sealed { typ: "realm/apply/v1".into(), ..sealed }),
            // Under another name.
            2 => coded(&Sealed { key: self.pushes.stranger.id(), ..sealed }),
            // By somebody else, for his realm or for this one.
            3 => self.by_stranger(&opened),
            _ => (0..self.rng.index(400)).map(|_| self.rng.next() as u8).collect(),
        };
        let refused = |world: &World| -> u64 {
            world.machines[at].node.as_ref().map_or(0, |node| node.figures().intents_refused.values().sum())
        };
        let before = refused(self);
        self.bring(at, &forged);
        assert_eq!(refused(self), before + 1, "what is refused is counted");
        self.figures.forged += 1;
    }

    fn by_stranger(&mut self, opened: &Opened) -> Vec<u8> {
        let mut body = opened.body().clone();
        body.seq += 1_000;
        if self.rng.chance(50) {
            body.realm = shared::RealmId::of_owner(&self.pushes.stranger.id());
        }
        shared::seal(&self.pushes.stranger, shared::Kind::Push, &body).unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// A neighbour claims to hold newer things than there are.
    fn lie(&mut self) {
        let Some(at) = self.up() else { return };
        let Some(peer) = self.admitted_peers(at).first().copied() else { return };
        let lie = |(opened, _): &(Opened, Arc<[u8]>)| IndexEntry {
            key: opened.key(),
            seq: opened.body().seq + 5_000,
            id: opened.id(),
        };
        let mut index: Vec<IndexEntry> = self.pushes.signed.values().map(lie).collect();
        index.sort_by(|one, other| one.key.cmp(&other.key));
        let peer = self.machines[peer].id;
        self.feed(at, Input::SyncAnswered { peer, result: Ok(SyncReply::Index(index)) });
    }
}
