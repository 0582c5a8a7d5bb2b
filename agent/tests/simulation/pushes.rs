//! What owners and others push: who signed what, what each component does when it runs, and the way of an operator
//! through an entry node.

use crate::machine::{EPOCH_UNIX_MS, Machine, Rank, Visitor, Waiting};
use crate::remembered;
use crate::rng::{Rng, fingerprint};
use crate::script::Step;
use crate::world::{Event, World};
use agent::control::node::{Input, Source, Ticket};
use shared::{
    Artifact, Audience, Body, ComponentName, ComponentSpec, Content, Digest, Hello, IntentId, IntentKey, Limits,
    Manifest, NodeId, Opened, OwnerKey, Payload, Push, RealmId, Receipt, Restart, Role, Trust, Verb, Verdict, seal,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a component does when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Stays,
    Completes,
    Crashes,
}

/// A document, and what it says unless it is none.
#[derive(Clone)]
pub struct Document {
    pub bytes: Arc<[u8]>,
    pub manifest: Option<Arc<Manifest>>,
}

pub struct Pushes {
    pub owner: OwnerKey,
    pub stranger: OwnerKey,
    /// Everything that the owner signed.
    pub signed: BTreeMap<IntentId, (Opened, Arc<[u8]>)>,
    by_bytes: BTreeMap<u64, IntentId>,
    behaviours: BTreeMap<Digest, Behaviour>,
    /// Documents of manifests, by the digests that applies pin.
    pub documents: BTreeMap<Digest, Document>,
    visits: u64,
}

impl Pushes {
    pub fn new(seed: u64) -> Pushes {
        let mut rng = Rng::new(!seed);
        Pushes {
            owner: OwnerKey::of_seed(&rng.bytes()),
            stranger: OwnerKey::of_seed(&rng.bytes()),
            signed: BTreeMap::new(),
            by_bytes: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            documents: BTreeMap::new(),
            visits: 0,
        }
    }

    pub fn behaviour(&self, digest: &Digest) -> Behaviour {
        self.behaviours.get(digest).copied().unwrap_or_else(|| panic!("{digest} was never pushed"))
    }

    /// The intent that these bytes are, when the owner signed them.
    pub fn of_bytes(&self, bytes: &[u8]) -> Option<&Opened> {
        let id = self.by_bytes.get(&fingerprint(bytes))?;
        self.signed.get(id).map(|(opened, _)| opened)
    }

    pub fn artifact(&mut self, number: u64, behaviour: Behaviour) -> Artifact {
        let digest = Digest::of(format!("artifact {number} {behaviour:?}").as_bytes());
        self.behaviours.insert(digest, behaviour);
        Artifact { digest, size: 10_000 + number, chunks: Digest::of(b"chunks") }
    }

    pub fn sign<P: Content>(&mut self, body: &Body<P>) -> IntentId {
        let bytes = seal(&self.owner, body).unwrap_or_else(|refused| panic!("{refused}"));
        let opened =
            remembered::open(&bytes, &Trust::Owner(self.owner.id())).unwrap_or_else(|refused| panic!("{refused}"));
        let id = opened.id();
        self.by_bytes.insert(fingerprint(&bytes), id);
        self.signed.insert(id, (opened, bytes.into()));
        id
    }

    /// The artifacts that an operator brings with an intent.
    pub fn brought(&self, opened: &Opened) -> Vec<Digest> {
        match &opened.body().payload {
            Payload::Push(Push { verb: Some(Verb::Stop), .. }) | Payload::Remove(_) => Vec::new(),
            Payload::Push(push) => vec![push.component.artifact.digest],
            Payload::Apply(apply) => {
                let document =
                    self.documents.get(&apply.manifest.digest).and_then(|document| document.manifest.as_ref());
                let declared = document.into_iter().flat_map(|manifest| manifest.components().values());
                let artifacts = declared.map(|declared| declared.spec.artifact.digest);
                std::iter::once(apply.manifest.digest).chain(artifacts).collect()
            }
        }
    }

    /// The newest that was signed under a key and that counts for the checks.
    pub fn rank(&self, id: &IntentId) -> Rank {
        self.signed[id].0.rank()
    }
}

/// A body with the usual limits.
pub fn body(owner: &OwnerKey, name: &ComponentName, artifact: Artifact, seq: u64, audience: Audience) -> Body<Push> {
    Body {
        realm: RealmId::of_owner(&owner.id()),
        seq,
        issued_at: seq,
        not_after: None,
        audience,
        note: String::new(),
        payload: Push {
            component: ComponentSpec {
                name: name.clone(),
                artifact,
                limits: Limits::default(),
                replicas: shared::Replicas::default(),
                restart: Restart::OnFailure,
                start: true,
                args: Vec::new(),
                env: Vec::new(),
                isolation: shared::Isolation::Shared,
            },
            verb: None,
        },
    }
}

impl World {
    /// Names the stream that an intent is handed over on.
    pub fn stream_ticket(&mut self, at: usize, bytes: &[u8], push: Option<IntentId>) -> Ticket {
        let known = self.pushes.of_bytes(bytes).map(|opened| (opened.key(), opened.rank()));
        match known {
            Some((key, rank)) => self.ticket(at, Waiting::Stream { key, rank, push }),
            None => 0,
        }
    }

    /// An operator comes with a push, or comes back with it.
    pub fn visit(&mut self, push: IntentId) {
        let up: Vec<usize> = (0..self.machines.len()).filter(|at| self.machines[*at].node.is_some()).collect();
        let (opened, bytes) = self.pushes.signed[&push].clone();
        match self.rng.pick(&up) {
            Some(at) => self.enter(at, push, self.pushes.brought(&opened), &bytes),
            // All machines are off.
            None => self.after(500, Event::Step(Step::Visit(push))),
        }
    }

    pub fn enter(&mut self, at: usize, push: IntentId, brings: Vec<Digest>, bytes: &Arc<[u8]>) {
        self.pushes.visits += 1;
        let peer = NodeId::from_bytes(*Digest::of(&self.pushes.visits.to_be_bytes()).as_bytes());
        let hello = Hello {
            realm: Some(RealmId::of_owner(&self.pushes.owner.id())),
            role: Role::Operator,
            boot: 0,
            version: "0.1.0".into(),
            platform: "linux/x86_64".into(),
            tags: Vec::new(),
            addrs: Vec::new(),
            highest_seq: 0,
            crowded: false,
        };
        let admitted = self.machines[at].hello.as_ref().is_some_and(|ours| ours.realm == hello.realm);
        self.machines[at].visitors.push(Visitor { peer, push, brings, received: false, refused: false });
        self.feed(at, Input::Met { peer, addr: "/ip4/10.9.9.9/udp/9/quic-v1".into(), hello, admitted });
        let ticket = self.stream_ticket(at, bytes, Some(push));
        self.feed(at, Input::Offered { source: Source::Stream { ticket, peer }, bytes: bytes.to_vec() });
        self.look_again(at);
        let (delay, life) = (self.rng.between(1_000, 4_000), self.machines[at].life);
        self.after(delay, Event::Step(Step::Leave { at, life, peer, push }));
    }

    /// An operator leaves when the entry node has said that it accepts the push, and has its artifact. When the node
    /// crashed meanwhile, another one is visited.
    pub fn leave(&mut self, at: usize, life: u64, peer: NodeId, push: IntentId) {
        let key = self.pushes.signed[&push].0.key();
        let superseded =
            self.machines.iter().any(|it| it.durable(&key).is_some_and(|rank| rank > self.pushes.rank(&push)));
        let machine = &mut self.machines[at];
        if machine.life != life || machine.node.is_none() {
            if !superseded {
                self.after(500, Event::Step(Step::Visit(push)));
            }
            return;
        }
        let visitor = machine.visitors.iter().find(|visitor| visitor.peer == peer);
        let is_served =
            |it: &Visitor| it.received && it.brings.iter().all(|digest| machine.disk.blobs.contains(digest));
        let (done, refused) = (visitor.is_some_and(is_served), visitor.is_some_and(|visitor| visitor.refused));
        let received = visitor.is_none_or(|visitor| visitor.received);
        if done || refused || superseded {
            machine.visitors.retain(|visitor| visitor.peer != peer);
            self.feed(at, Input::Gone { peer });
            // Where another node took it before, it is tried once more: that one may have nothing but the intent.
            let rank = self.pushes.rank(&push);
            let taken = self.machines.iter().any(|machine| machine.durable(&key) == Some(rank));
            if refused && taken && !superseded {
                self.after(2_000, Event::Step(Step::Visit(push)));
            }
            return;
        }
        // Its name was declared meanwhile: what it brings is not fetched for this node any more.
        let declared = key.component().is_some_and(|name| self.declared(at, name).is_some());
        if !received || declared {
            // That, or the disk was full: once more.
            let bytes = Arc::clone(&self.pushes.signed[&push].1);
            let ticket = self.stream_ticket(at, &bytes, Some(push));
            self.feed(at, Input::Offered { source: Source::Stream { ticket, peer }, bytes: bytes.to_vec() });
        }
        self.after(3_000, Event::Step(Step::Leave { at, life, peer, push }));
    }

    pub fn receipt(&mut self, at: usize, ticket: Ticket, receipt: &Receipt) {
        let machine = &mut self.machines[at];
        let Some(Waiting::Stream { key, rank, push }) = machine.waiting.remove(&ticket) else { return };
        assert_eq!(receipt.node, machine.id);
        let theirs = machine.visitors.iter_mut().filter(|visitor| Some(visitor.push) == push);
        if let Verdict::Refused { code, .. } = &receipt.verdict {
            // Its name is declared, or its number is taken.
            let refused = matches!(code.as_str(), "declared" | "version");
            theirs.for_each(|visitor| visitor.refused |= refused);
            self.figures.refused += u64::from(refused);
            return;
        }
        theirs.for_each(|visitor| visitor.received = true);
        assert!(machine.durable(&key).is_some_and(|durable| durable >= rank), "acknowledged before it was on the disk");
        let acknowledged = machine.past.acknowledged.entry(key).or_insert(rank);
        *acknowledged = rank.max(*acknowledged);
    }

    /// A sequence as an operator chooses it at an entry node.
    pub fn next_seq(&self, entry: usize) -> u64 {
        let highest = self.machines[entry].hello.as_ref().map_or(0, |hello| hello.highest_seq);
        (EPOCH_UNIX_MS + self.now).max(highest + 1)
    }

    /// The entry of the state map that is newest among everything that any machine holds for good.
    pub fn newest(&self) -> BTreeMap<IntentKey, Rank> {
        World::newest_of(self.machines.iter())
    }

    /// The same, of some machines alone.
    pub fn newest_of<'a>(machines: impl Iterator<Item = &'a Machine>) -> BTreeMap<IntentKey, Rank> {
        let mut newest = BTreeMap::new();
        for (key, rank) in machines.flat_map(|machine| &machine.past.written) {
            let entry = newest.entry(key.clone()).or_insert(*rank);
            *entry = (*entry).max(*rank);
        }
        newest
    }
}
