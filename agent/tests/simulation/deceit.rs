//! Attempts to deceive a node: what is old, what is altered, what somebody else signed, and lies about what there is.

use crate::network::Data;
use crate::world::World;
use agent::control::node::{Input, Source};
use shared::{IndexEntry, IntentId, Opened, Payload, RealmId, Sealed, SyncReply, frame, seal};
use std::collections::BTreeSet;
use std::sync::Arc;

impl World {
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
    pub fn replay(&mut self) {
        let Some(at) = self.up().filter(|at| self.machines[*at].hello.as_ref().is_some_and(|it| it.realm.is_some()))
        else {
            return;
        };
        // What every node refused has never been there for others, and nobody has what it names.
        let taken: BTreeSet<IntentId> = self.machines.iter().flat_map(|machine| &machine.past.ever).copied().collect();
        let taken: Vec<IntentId> = taken.into_iter().collect();
        if let Some(id) = self.rng.pick(&taken) {
            let bytes = Arc::clone(&self.pushes.signed[&id].1);
            self.figures.replayed += 1;
            self.bring(at, &bytes);
        }
    }

    /// Offers what the owner never signed. Whether it is refused and counted is looked at right here; that it never
    /// acts, by the checks of each write and start.
    pub fn forge(&mut self) {
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
            1 if sealed.typ == "realm/apply/v1" => coded(&Sealed { typ: "realm/push/v1".into(), ..sealed }),
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
        // Unless the power was cut meanwhile.
        let refused = self.machines[at].node.is_none() || refused(self) == before + 1;
        assert!(refused, "what is refused is counted");
        self.figures.forged += 1;
    }

    fn by_stranger(&mut self, opened: &Opened) -> Vec<u8> {
        let mut body = opened.body().clone();
        body.seq += 1_000;
        if self.rng.chance(50) {
            body.realm = RealmId::of_owner(&self.pushes.stranger.id());
        }
        let stranger = &self.pushes.stranger;
        let sealed = match body.payload.clone() {
            Payload::Push(push) => seal(stranger, &body.map(|_| push)),
            Payload::Remove(remove) => seal(stranger, &body.map(|_| remove)),
            Payload::Apply(apply) => seal(stranger, &body.map(|_| apply)),
        };
        sealed.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// A neighbour claims to hold newer things than there are.
    pub fn lie(&mut self) {
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
