//! The edges of a node: what it orders is carried out, late, or not at all.

use crate::checks::Wish;
use crate::machine::{Live, Waiting, Write};
use crate::network::Data;
use crate::pushes::Behaviour;
use crate::remembered;
use crate::rng::{fingerprint, head, mix};
use crate::world::{Event, World};
use agent::control::node::{Effect, Input, Instance, ManifestFile, PrepareError, Ticket, Verdict};
use shared::{ComponentSpec, Digest, IntentId, IntentKey, Outcome, OwnerId, Trust};
use std::sync::Arc;

impl World {
    pub fn obey(&mut self, at: usize, effect: Effect) {
        let life = self.machines[at].life;
        self.trace = mix(self.trace ^ weigh(&effect));
        match effect {
            Effect::Persist { ticket, key, bytes, claim } => self.persist(at, ticket, key, bytes, claim),
            Effect::ReadManifest(digest) => {
                let delay = self.rng.between(1, 40);
                self.after(delay, Event::Read { at, life, digest });
            }
            Effect::SaveManifest { id, file } => self.save(at, id, file),
            Effect::Receipt { ticket, receipt } => self.receipt(at, ticket, &receipt),
            Effect::Judge { ticket, verdict } => {
                if let Some(Waiting::Gossip { from, data }) = self.machines[at].waiting.remove(&ticket) {
                    self.judged(at, from, &data, verdict == Verdict::Forward);
                }
            }
            Effect::Announce(bytes) => self.publish(at, Data::Intent(bytes)),
            Effect::PublishReport(report) => {
                if report.node == self.machines[at].id {
                    self.figures.reports += 1;
                    self.check_told(at, &report);
                }
                self.figures.published += 1;
                if head(report.sig.as_bytes()) % 100 >= self.plan.unheard {
                    self.publish(at, Data::Report(Arc::new(report)));
                }
            }
            Effect::HandOver { peer, bytes } => self.hand_over(at, self.by_id[&peer], bytes),
            Effect::AskSync { peer, request } => self.ask(at, self.by_id[&peer], request),
            Effect::AnswerSync { ticket, reply } => {
                if let Some(Waiting::Sync { ask }) = self.machines[at].waiting.remove(&ticket) {
                    self.answer(at, ask, reply);
                }
            }
            Effect::Fetch { artifact, .. } => self.fetch(at, artifact.digest),
            Effect::Cancel(digest) => _ = self.machines[at].fetching.remove(&digest),
            Effect::Drop(digest) => self.drop(at, &digest),
            // Its disks are large.
            Effect::DropCode(_) => unreachable!("there is room for all"),
            Effect::Prepare { digest, fuel, .. } => self.prepare(at, digest, fuel),
            Effect::Start { instance, spec, .. } => self.start(at, instance, spec),
            Effect::Stop(instance) => {
                self.check_stop(at, instance);
                self.machines[at].live.entry(instance).and_modify(|live| live.stopping = true);
                let delay = self.rng.between(1, 800);
                self.after(delay, Event::Exit { at, life, instance, outcome: Outcome::Stopped });
            }
            Effect::SaveRun { name, record } => _ = self.machines[at].disk.runs.insert(name, record),
            Effect::Forget { name, .. } => {
                let machine = &mut self.machines[at];
                assert!(machine.live.values().all(|live| live.spec.name != name), "forgotten while an instance lives");
                machine.disk.runs.remove(&name);
            }
            Effect::SaveMembers(members) => {
                self.figures.saved_members += 1;
                self.machines[at].disk.members = members;
            }
            // A machine has one address at a time.
            Effect::Dial(addrs) => self.dial(at, addrs.into_iter().next().unwrap_or_default()),
            // Nobody else is there.
            Effect::AskLan => {}
            Effect::Leave(peer) => self.leave_peer(at, self.by_id[&peer]),
            Effect::SetHello(hello) => self.said_hello(at, hello),
            Effect::NodeChanged(_) | Effect::Log(..) | Effect::Note(..) => {}
        }
    }

    fn persist(&mut self, at: usize, ticket: Ticket, key: IntentKey, bytes: Arc<[u8]>, claim: Option<OwnerId>) {
        self.figures.writes += 1;
        let rank = self.check_persist(at, &key, &bytes);
        self.machines[at].writes.push_back(Write { ticket, key, rank, bytes, claim });
        let (delay, life) = (self.rng.between(1, 60), self.machines[at].life);
        self.after(delay, Event::Written { at, life });
    }

    fn save(&mut self, at: usize, id: IntentId, file: ManifestFile) {
        self.check_save(at, &id, &file);
        let is_next = file.rejected.is_none() && file.halted.is_none();
        self.machines[at].saving = Some((id, file));
        if is_next {
            self.check_turn(at, id);
        }
        let (delay, life) = (self.rng.between(1, 80), self.machines[at].life);
        self.after(delay, Event::Saved { at, life });
    }

    fn fetch(&mut self, at: usize, digest: Digest) {
        let life = self.machines[at].life;
        if self.rng.chance(self.plan.faults) {
            let input = Input::FetchFailed { digest, reason: "the disk is full".into() };
            self.after(5, Event::Feed { at, life, input });
        } else if self.machines[at].fetching.insert(digest) {
            self.machines[at].disk.parts.insert(digest);
            self.after(10, Event::Look { at, life, digest, again: true });
        }
    }

    fn drop(&mut self, at: usize, digest: &Digest) {
        self.check_drop(at, digest);
        let machine = &mut self.machines[at];
        machine.fetching.remove(digest);
        for of in [&mut machine.disk.blobs, &mut machine.disk.parts, &mut machine.disk.torn] {
            of.remove(digest);
        }
    }

    pub fn written(&mut self, at: usize) {
        if self.rng.chance(self.plan.faults) {
            if let Some(write) = self.machines[at].writes.pop_front() {
                self.feed(at, Input::Persisted { ticket: write.ticket, result: Err("the disk is full".into()) });
            }
        } else if let Some(ticket) = self.machines[at].write() {
            self.feed(at, Input::Persisted { ticket, result: Ok(()) });
        }
    }

    /// The document of a manifest is read, unless the disk fails, or what it holds is damaged.
    pub fn read(&mut self, at: usize, digest: Digest) {
        let failed = self.rng.chance(self.plan.faults);
        let torn = self.rng.chance(self.plan.faults);
        let disk = &mut self.machines[at].disk;
        let result = match self.pushes.documents.get(&digest).filter(|_| disk.blobs.contains(&digest)) {
            None => Err("no such file".into()),
            Some(_) if failed => Err("input/output error".into()),
            Some(document) => {
                if torn {
                    disk.torn.insert(digest);
                }
                let damaged = usize::from(disk.torn.contains(&digest));
                Ok(document.bytes[damaged..].to_vec())
            }
        };
        self.feed(at, Input::ManifestRead { digest, result });
    }

    /// A manifest is on the disk, or the node is told that it is not; where that was found out late, it is.
    pub fn saved(&mut self, at: usize) {
        let failed = self.rng.chance(self.plan.faults);
        let Some((id, file)) = self.machines[at].saving.clone() else { return };
        if failed && self.rng.chance(50) {
            self.machines[at].saving = None;
        }
        self.machines[at].save();
        let result = if failed { Err("the disk is full".into()) } else { Ok(()) };
        let whole = if result.is_ok() { self.whole(at) } else { Vec::new() };
        let life = self.machines[at].life;
        if result.is_ok() {
            self.figures.in_force += u64::from(file.halted.is_none());
            self.figures.halted += u64::from(file.halted.is_some());
            self.machines[at].past.halted.extend(file.halted);
            let trust = Trust::Owner(self.pushes.owner.id());
            self.machines[at].forces = remembered::forces(&file, &trust).unwrap_or_else(|why| panic!("{why}"));
            self.check_in_force(at);
        }
        self.feed(at, Input::ManifestSaved { id, result });
        if self.lives(at, life) {
            self.check_scaled(at, &whole);
        }
    }

    fn prepare(&mut self, at: usize, digest: Digest, fuel: bool) {
        assert!(self.machines[at].disk.blobs.contains(&digest), "compiled before it was stored");
        let result = match self.rng.chance(self.plan.faults) {
            true => Err(PrepareError::Unable("killed by signal 9".into())),
            false => Ok(()),
        };
        let (delay, life) = (self.rng.between(20, 600), self.machines[at].life);
        self.after(delay, Event::Feed { at, life, input: Input::Prepared { digest, fuel, result } });
    }

    fn start(&mut self, at: usize, instance: Instance, spec: Arc<ComponentSpec>) {
        self.figures.starts += 1;
        let Wish { id, declared, .. } = self.check_start(at, &spec);
        let life = self.machines[at].life;
        let (begun, lasts) = (self.rng.between(1, 20), self.rng.between(50, 3_000));
        self.after(begun, Event::Feed { at, life, input: Input::Started { instance } });
        let outcome = match self.pushes.behaviour(&spec.artifact.digest) {
            Behaviour::Stays => None,
            Behaviour::Completes => Some(Outcome::Completed),
            Behaviour::Crashes => Some(Outcome::Exit(3)),
        };
        if let Some(outcome) = outcome {
            self.after(begun + lasts, Event::Exit { at, life, instance, outcome });
        }
        assert!(
            self.machines[at]
                .live
                .insert(instance, Live { spec, id, declared, since: None, stopping: false })
                .is_none(),
            "an instance was started twice"
        );
    }

    /// A fetch looks for somebody who has the artifact: a neighbour, or an operator who is still there.
    pub fn look(&mut self, at: usize, digest: Digest, again: bool) {
        let machine = &self.machines[at];
        if !machine.fetching.contains(&digest) {
            return;
        }
        // An operator, or the disk: then there is nothing to fetch.
        let here = machine.visitors.iter().any(|visitor| visitor.brings.contains(&digest))
            || machine.disk.blobs.contains(&digest);
        let serves = |peer: &usize| {
            let other = &self.machines[*peer];
            self.is_linked(at, *peer)
                && other.node.is_some()
                && other.disk.blobs.contains(&digest)
                && !other.disk.torn.contains(&digest)
        };
        let found = here || self.admitted_peers(at).iter().any(serves);
        let life = self.machines[at].life;
        if found && !self.rng.chance(self.plan.loss) {
            let takes = self.rng.between(20, 900);
            self.figures.fetched += 1;
            self.after(takes, Event::Fetched { at, life, digest });
            self.feed(at, Input::Fetched { digest, bytes: 5_000 });
        } else if again {
            self.after(3_000, Event::Look { at, life, digest, again });
        }
    }

    /// Somebody else is there: what is fetched may be had from it.
    pub fn look_again(&mut self, at: usize) {
        let life = self.machines[at].life;
        for digest in self.machines[at].fetching.clone() {
            self.after(5, Event::Look { at, life, digest, again: false });
        }
    }
}

/// What of an order goes into the trace.
pub fn weigh(effect: &Effect) -> u64 {
    match effect {
        Effect::Persist { bytes, .. } | Effect::Announce(bytes) => fingerprint(bytes),
        Effect::HandOver { peer, bytes } => fingerprint(bytes) ^ fingerprint(peer.as_bytes()),
        Effect::PublishReport(report) => head(report.sig.as_bytes()),
        Effect::Start { instance, spec, .. } => instance ^ fingerprint(spec.artifact.digest.as_bytes()),
        Effect::Dial(addrs) => fingerprint(addrs.join(" ").as_bytes()),
        Effect::AskSync { peer, .. } | Effect::Leave(peer) => fingerprint(peer.as_bytes()),
        Effect::Stop(instance) => *instance,
        Effect::SaveManifest { id, .. } => head(id.as_bytes()),
        Effect::SaveMembers(members) => members.len() as u64,
        Effect::Judge { ticket, verdict } => 3 * ticket + *verdict as u64,
        Effect::NodeChanged(view) => head(view.report.sig.as_bytes()) ^ u64::from(view.alive),
        Effect::Receipt { ticket, .. } | Effect::AnswerSync { ticket, .. } => *ticket,
        Effect::Fetch { artifact, .. } => head(artifact.digest.as_bytes()),
        Effect::Cancel(digest)
        | Effect::Drop(digest)
        | Effect::DropCode(digest)
        | Effect::ReadManifest(digest)
        | Effect::Prepare { digest, .. } => !head(digest.as_bytes()),
        Effect::SaveRun { .. }
        | Effect::Forget { .. }
        | Effect::SetHello(_)
        | Effect::Log(..)
        | Effect::Note(..)
        | Effect::AskLan => 1,
    }
}
